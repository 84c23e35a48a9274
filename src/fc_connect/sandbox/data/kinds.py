"""Fluent's entities as the sandbox keeps them: a table per kind, its columns named like the fields of the schema.

A kind is declared on a few lines below; tables, look-ups, filters, connections, mutations and seeds all follow from
that. `schema.graphql` says what clients see, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["KINDS", "Kind", "Link", "create_tables", "forget_entities", "kind_of_seed"]

_SQL_TYPES = {
    "text": "TEXT",
    "int": "INTEGER",
    "bool": "INTEGER",
    "time": "INTEGER",
    "real": "REAL",
    "json": "TEXT",
}
_STAMPS = {"createdOn": "time", "updatedOn": "time"}
_ORCHESTRATED = "ref! type! workflowRef! workflowVersion:int! status attributes:json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Which rows of another kind belong to a row: by a column of theirs, or by a table of pairs."""

    kind: str
    column: str
    """Of the other kind's table, or of the table of pairs: where this row's id stands."""
    pairs: str | None = None
    other: str | None = None
    """Column of the table of pairs with the other row's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of entity."""

    name: str
    """As in the schema."""
    table: str
    columns: Mapping[str, str]
    """Field → text, int, real, bool, time (milliseconds since 1970) or json."""
    required: frozenset[str]
    refs: Mapping[str, str]
    """Field → kind; the column holds the id."""
    lists: Mapping[str, Link]
    key: tuple[str, ...]
    """What no two rows may share, beside the id."""
    indexes: tuple[str, ...]
    workflow: str | None
    """Entity's name in `workflowRef`; None where there is no workflow."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Field of an input → field of the entity."""


KINDS: dict[str, Kind] = {}


def _kind(
    name: str,
    columns: str,
    *,
    refs: str = "",
    lists: str = "",
    key: str = "",
    indexes: str = "",
    workflow: str | None = None,
    table: str | None = None,
    aliases: Mapping[str, str] | None = None,
) -> None:
    """Declare a kind.

    `columns` are `field`, `field:type`, with `!` where a value must be there; `refs` are `field>Kind` with `!` alike;
    `lists` are `field>Kind.column` or `field>Kind.Pairs.column.other`.
    """
    types: dict[str, str] = {}
    required = set()
    for text in columns.split():
        each, _, type_name = text.rstrip("!").partition(":")
        types[each] = type_name or "text"
        if text.endswith("!"):
            required.add(each)
    targets = {}
    for text in refs.split():
        each, _, target = text.rstrip("!").partition(">")
        targets[each] = target
        if text.endswith("!"):
            required.add(each)
    links = {}
    for text in lists.split():
        each, _, place = text.partition(">")
        target, *rest = place.split(".")
        links[each] = (
            Link(kind=target, column=rest[0])
            if len(rest) == 1
            else Link(kind=target, pairs=rest[0], column=rest[1], other=rest[2])
        )
    KINDS[name] = Kind(
        name=name,
        table=table or name,
        columns={**_STAMPS, **types},
        required=frozenset(required),
        refs=targets,
        lists=links,
        key=tuple(key.split()),
        indexes=tuple(indexes.split()),
        workflow=workflow,
        aliases=dict(aliases or {}),
    )


# In the order in which a seed is planted: a kind stands after those that it refers to.
_kind(
    "Retailer",
    "ref! status tradingName summary websiteUrl websiteUrlName primaryEmail supportContactName supportEmail "
    "supportPhone",
    key="ref",
)
_kind(
    "Network",
    "ref! type status attributes:json",
    lists="retailers>Retailer.NetworkRetailer.network.retailer locations>Location.NetworkLocation.network.location",
    key="ref",
)
_ADDRESS = (
    "kind! ref type companyName name street city state postcode region country latitude:real longitude:real "
    "timeZone directions"
)
_kind("StoreAddress", _ADDRESS, table="Address", refs="location>Location", indexes="ref")
_kind("CustomerAddress", _ADDRESS, table="Address")
_DAYS = " ".join(
    f"{day}Start:int! {day}End:int!" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
)
_kind("OpeningSchedule", f"allHours:bool! {_DAYS}")
_kind(
    "Location",
    "ref! type status attributes:json name supportPhoneNumber defaultCarrier defaultCarrierName workflowRef "
    "workflowVersion:int",
    refs="primaryAddress>StoreAddress retailer>Retailer! openingSchedule>OpeningSchedule",
    lists="networks>Network.NetworkLocation.location.network storageAreas>StorageArea.location "
    "manifests>Manifest.location",
    key="ref",
    workflow="LOCATION",
)
_kind("StorageArea", "ref! type status name attributes:json", refs="location>Location!", key="ref location")
_kind("Manifest", "ref! type status attributes:json", refs="location>Location!", key="ref location")
_CATALOGUE = f"{_ORCHESTRATED} name! description retailerRefs:json"
_kind("ProductCatalogue", _CATALOGUE, key="ref", workflow="PRODUCT_CATALOGUE")
_kind(
    "Category",
    f"{_ORCHESTRATED} name! summary",
    refs="catalogue>ProductCatalogue! parentCategory>Category",
    lists="childCategories>Category.parentCategory",
    key="ref catalogue",
    workflow="CATEGORY",
)
_PRODUCT = f"kind! {_ORCHESTRATED} gtin! name! summary prices:json tax:json"
_PRODUCT_LISTS = "categories>Category.ProductCategory.product.category"
_kind(
    "StandardProduct",
    _PRODUCT,
    table="Product",
    refs="catalogue>ProductCatalogue!",
    lists=f"{_PRODUCT_LISTS} variants>VariantProduct.product",
    key="ref catalogue kind",
    workflow="PRODUCT",
    aliases={"taxType": "tax"},
)
_kind(
    "VariantProduct",
    _PRODUCT,
    table="Product",
    refs="catalogue>ProductCatalogue! product>StandardProduct",
    lists=_PRODUCT_LISTS,
    key="ref catalogue kind",
    workflow="PRODUCT",
    aliases={"taxType": "tax"},
)
_kind(
    "InventoryCatalogue",
    _CATALOGUE,
    lists="inventoryPositions>InventoryPosition.catalogue",
    key="ref",
    workflow="INVENTORY_CATALOGUE",
)
_kind(
    "InventoryPosition",
    f"{_ORCHESTRATED} productRef! onHand:int locationRef",
    refs="catalogue>InventoryCatalogue!",
    lists="quantities>InventoryQuantity.position",
    key="ref catalogue",
    indexes="locationRef",
    workflow="INVENTORY_POSITION",
)
_kind(
    "InventoryQuantity",
    f"{_ORCHESTRATED} quantity:int condition expectedOn:time storageAreaRef",
    refs="catalogue>InventoryCatalogue! position>InventoryPosition!",
    key="ref catalogue",
    workflow="INVENTORY_QUANTITY",
)
_kind(
    "Customer",
    "ref! status attributes:json title department country firstName lastName username primaryEmail primaryPhone "
    "timezone promotionOptIn:bool",
    refs="retailer>Retailer!",
    key="ref",
    indexes="primaryEmail",
)
_kind(
    "FulfilmentChoice",
    "currency deliveryInstruction deliveryType fulfilmentPrice:real fulfilmentTaxPrice:real fulfilmentType "
    "pickupLocationRef",
    refs="deliveryAddress>CustomerAddress",
)
_kind(
    "Order",
    f"{_ORCHESTRATED} totalPrice:real totalTaxPrice:real",
    refs="retailer>Retailer! customer>Customer fulfilmentChoice>FulfilmentChoice",
    lists="items>OrderItem.order fulfilments>Fulfilment.order financialTransactions>FinancialTransaction.order",
    key="ref retailer",
    workflow="ORDER",
)
_kind(
    "OrderItem",
    "ref! status! quantity:int! paidPrice:real currency price:real taxPrice:real taxType totalPrice:real "
    "totalTaxPrice:real attributes:json",
    refs="product>Product! order>Order!",
    key="ref order",
)
_kind(
    "FinancialTransaction",
    "ref! type status total:real currency paymentMethod attributes:json",
    refs="order>Order!",
    key="ref order",
)
_kind(
    "Fulfilment",
    f"{_ORCHESTRATED} deliveryType eta expiryTime:time",
    refs="order>Order! fromAddress>Address toAddress>Address user>Customer",
    lists="items>FulfilmentItem.fulfilment articles>Article.fulfilment",
    key="ref order",
    workflow="FULFILMENT",
)
_kind(
    "FulfilmentItem",
    "ref! status! requestedQuantity:int filledQuantity:int! rejectedQuantity:int!",
    refs="fulfilment>Fulfilment! orderItem>OrderItem",
    key="ref fulfilment",
)
_kind(
    "Article",
    "ref! type status quantity:int attributes:json",
    refs="fulfilment>Fulfilment!",
    key="ref fulfilment",
)
_kind("VirtualCatalogue", _CATALOGUE, key="ref", workflow="VIRTUAL_CATALOGUE")
_kind(
    "VirtualPosition",
    f"{_ORCHESTRATED} productRef quantity:int groupRef",
    refs="catalogue>VirtualCatalogue!",
    key="ref catalogue",
    indexes="productRef groupRef",
    workflow="VIRTUAL_POSITION",
)
_kind("ControlGroup", _CATALOGUE, lists="controls>Control.controlGroup", key="ref", workflow="CONTROL_GROUP")
_kind(
    "Control",
    f"{_ORCHESTRATED} name description values:json executionOrder:int",
    refs="controlGroup>ControlGroup!",
    key="ref controlGroup",
    workflow="CONTROL",
)
_kind("Setting", "name! valueType lobValue:json value context! contextId:int!", key="name context contextId")
# What stands for more than one kind; the column `kind` of its table says which.
_kind(
    "Product",
    _PRODUCT,
    table="Product",
    refs="catalogue>ProductCatalogue!",
    lists=_PRODUCT_LISTS,
    key="ref catalogue kind",
)
_kind("Address", _ADDRESS, table="Address")

_PLURALS = {"Address": "addresses", "StoreAddress": "storeAddresses", "CustomerAddress": "customerAddresses"}


def kind_of_seed(name: str) -> Kind | None:
    """Return the kind that a list of a seed names: `locations`, `inventoryPositions`, or the kind itself."""
    return _BY_SEED_NAME.get(name)


def _plural(name: str) -> str:
    lower = name[0].lower() + name[1:]
    if lower.endswith("y"):
        return f"{lower[:-1]}ies"
    return f"{lower}es" if lower.endswith("s") else f"{lower}s"


_BY_SEED_NAME = {each: kind for kind in KINDS.values() for each in (kind.name, _plural(kind.name))}


def create_tables() -> list[str]:
    """Return the statements that create every table and index that isn't there yet."""
    tables: dict[str, dict[str, str]] = {}
    statements: list[str] = []
    pairs: dict[str, tuple[str, str]] = {}
    for kind in KINDS.values():
        columns = tables.setdefault(kind.table, {"id": "INTEGER PRIMARY KEY AUTOINCREMENT"})
        for name, type_name in kind.columns.items():
            columns.setdefault(name, _SQL_TYPES[type_name])
        for name in kind.refs:
            columns.setdefault(name, "INTEGER")
        for link in kind.lists.values():
            if link.pairs is not None and link.other is not None:
                pairs.setdefault(link.pairs, (link.column, link.other))
    for table, columns in tables.items():
        body = ", ".join(f'"{name}" {sql}' for name, sql in columns.items())
        statements.append(f'CREATE TABLE IF NOT EXISTS "{table}" ({body})')
    for kind in KINDS.values():
        if kind.key:
            statements.append(_index(kind.table, kind.key, unique=True))
        for name in (*kind.indexes, *kind.refs):
            statements.append(_index(kind.table, (name,)))
    for table, (one, other) in pairs.items():
        statements.append(
            f'CREATE TABLE IF NOT EXISTS "{table}" ("{one}" INTEGER NOT NULL, "{other}" INTEGER NOT NULL, '
            f'PRIMARY KEY ("{one}", "{other}")) WITHOUT ROWID'
        )
        statements.append(_index(table, (other, one)))
    statements.append(_index("InventoryPosition", ("productRef", "locationRef", "catalogue")))
    statements.append("CREATE TABLE IF NOT EXISTS applied (one INTEGER PRIMARY KEY, batch INTEGER NOT NULL)")
    return statements


def forget_entities() -> list[str]:
    """Return the statements that empty every table."""
    pairs = {link.pairs for kind in KINDS.values() for link in kind.lists.values() if link.pairs is not None}
    return [f'DELETE FROM "{table}"' for table in sorted({kind.table for kind in KINDS.values()} | pairs)]  # noqa: S608


def _index(table: str, columns: tuple[str, ...], *, unique: bool = False) -> str:
    named = "_".join((table, *columns))
    over = ", ".join(f'"{each}"' for each in columns)
    return f'CREATE {"UNIQUE " if unique else ""}INDEX IF NOT EXISTS "by_{named}" ON "{table}" ({over})'
