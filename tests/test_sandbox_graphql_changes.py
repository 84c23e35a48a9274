"""What the sandbox's GraphQL changes: mutations, their errors, seeds, the stock of batches, faults on demand."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fc_connect.errors import ConfigurationError
from fc_connect.sandbox import Fault, FaultKind, Sandbox
from tests.sandbox_caller import Caller, SteadyClock, record

POSITION = {
    "ref": "P",
    "catalogue": {"ref": "DEFAULT:1"},
    "type": "DEFAULT",
    "productRef": "S",
    "locationRef": "L",
}
CREATE = (
    "mutation ($input: CreateInventoryPositionInput) { createInventoryPosition(input: $input) { id ref } }"
)


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def sandbox(clock: SteadyClock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock, processing_time=timedelta(seconds=10)) as sandbox:
        yield sandbox


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    with Caller(sandbox.url) as caller:
        yield caller


def code_of(answer: dict[str, Any]) -> str:
    return str(answer["errors"][0]["extensions"]["code"])


def test_what_is_created_is_there_with_what_the_platform_adds(caller: Caller, clock: SteadyClock) -> None:
    value = {"any": ["json", None, 1.5]}
    given = {**POSITION, "onHand": 3, "attributes": [{"name": "a", "type": "JSON", "value": value}]}
    caller.data(CREATE, input=given)
    clock.advance(timedelta(minutes=1))

    query = """{ inventoryPosition(ref: "P", catalogue: {ref: "DEFAULT:1"}) {
      id createdOn updatedOn type workflowRef workflowVersion status onHand attributes { name type value }
      catalogue { ref } quantities { edges { node { id } } } } }"""
    assert caller.data(query)["inventoryPosition"] == {
        "id": "1",
        "createdOn": "2026-03-10T12:00:00.000Z",
        "updatedOn": "2026-03-10T12:00:00.000Z",
        "type": "DEFAULT",
        "workflowRef": "INVENTORY_POSITION::DEFAULT",
        "workflowVersion": 1,
        "status": "CREATED",
        "onHand": 3,
        "attributes": [{"name": "a", "type": "JSON", "value": value}],
        "catalogue": {"ref": "DEFAULT:1"},
        "quantities": {"edges": []},
    }


def test_an_update_changes_what_it_names_and_merges_attributes(caller: Caller, clock: SteadyClock) -> None:
    attributes = [{"name": name, "type": "STRING", "value": 1} for name in "ab"]
    caller.data(CREATE, input={**POSITION, "onHand": 3, "attributes": attributes})
    clock.advance(timedelta(minutes=1))
    change = {"onHand": 0, "status": None, "attributes": [{"name": "b", "type": "STRING", "value": 2}]}
    update = """mutation ($input: UpdateInventoryPositionInput) { updateInventoryPosition(input: $input) {
      createdOn updatedOn onHand status productRef attributes { name value } } }"""

    changed = caller.data(update, input={"ref": "P", "catalogue": {"ref": "DEFAULT:1"}, **change})

    assert changed["updateInventoryPosition"] == {
        "createdOn": "2026-03-10T12:00:00.000Z",
        "updatedOn": "2026-03-10T12:01:00.000Z",
        "onHand": 0,
        "status": "CREATED",
        "productRef": "S",
        "attributes": [{"name": "a", "value": 1}, {"name": "b", "value": 2}],
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"catalogue": {"ref": "none"}}, "C0120E"),
        ({"quantities": [{"ref": "none", "catalogue": {"ref": "DEFAULT:1"}}]}, "C0120E"),
        ({"onHand": -1}, "C0122E"),
        ({"ref": "R" * 101}, "C0141E"),
        ({"type": "T" * 51}, "C0141E"),
        ({"ref": ""}, "C0140E"),
        ({"productRef": None}, "C0140E"),
        ({"onHand": "many"}, "C0140E"),
        ({"onHand": 2**31}, "C0140E"),
        ({"shoeSize": 5}, "C0140E"),
        ({"ref": "\ud800"}, "C0140E"),
    ],
)
def test_an_input_that_wont_do_is_refused_with_a_code_and_changes_nothing(
    caller: Caller, change: dict[str, Any], code: str
) -> None:
    answer = caller.graphql(CREATE, input={**POSITION, **change})

    assert code_of(answer) == code
    assert (
        caller.data("{ inventoryPositions { edges { node { id } } } }")["inventoryPositions"]["edges"] == []
    )


def test_an_update_of_what_isnt_there_is_refused(caller: Caller) -> None:
    answers = [
        caller.graphql('mutation { updateOrder(input: {id: "7"}) { id } }'),
        caller.graphql('mutation { updateLocation(input: {id: "x", name: "y"}) { id } }'),
        caller.graphql("mutation { createOrder { id } }"),
    ]

    assert [code_of(answer) for answer in answers] == ["C0120E", "C0120E", "C0140E"]


def test_aliases_of_a_batch_fail_and_succeed_each_on_their_own(caller: Caller) -> None:
    query = "mutation ($a: CreateInventoryPositionInput, $b: CreateInventoryPositionInput) {" + (
        "m1: createInventoryPosition(input: $a) { ref } m2: createInventoryPosition(input: $a) { ref } "
        "m3: createInventoryPosition(input: $b) { ref } }"
    )

    answer = caller.graphql(query, a=POSITION, b={**POSITION, "ref": "Q"})

    assert answer["data"] == {"m1": {"ref": "P"}, "m2": None, "m3": {"ref": "Q"}}
    (error,) = answer["errors"]
    assert error["path"] == ["m2"]
    assert error["extensions"] == {"code": "C0123E"}
    assert error["locations"][0]["line"] == 1
    assert "exists already" in error["message"]


def test_an_order_is_made_of_a_customer_a_product_and_items(caller: Caller) -> None:
    customer = """mutation { createCustomer(input: {username: "ada", firstName: "Ada", primaryEmail: "a@b.example",
      timezone: "UTC", promotionOptIn: false, retailer: {id: 1}}) { id ref } }"""
    product = """mutation { createVariantProduct(input: {ref: "S", catalogue: {ref: "DEFAULT:1"}, type: "VARIANT",
      gtin: "1", name: "Shirt", taxType: {country: "AU", group: "GST", tariff: "10"}}) { tax { tariff } } }"""
    order = """mutation ($customer: ID!, $product: String!, $ref: String! = "O-1") {
      createOrder(input: {ref: $ref, type: "HD",
      retailer: {id: 1}, customer: {id: $customer}, fulfilmentChoice: {deliveryType: "EXPRESS"},
      items: [{ref: "1", productRef: $product, quantity: 2}]}) {
        id workflowRef fulfilmentChoice { deliveryType } items { edges { node { id status product { name } } } } } }"""
    made = caller.data(customer)["createCustomer"]
    assert caller.data(product)["createVariantProduct"] == {"tax": {"tariff": "10"}}

    created = caller.data(order, customer=made["id"], product="S")["createOrder"]
    again = caller.graphql(order, customer=made["id"], product="S")
    unknown = [
        caller.graphql(order, customer=made["id"], product="none", ref="O-2"),
        caller.graphql(order, customer="9", product="S", ref="O-2"),
    ]
    item = created["items"]["edges"][0]["node"]
    update = (
        'mutation ($id: ID!, $item: ID!) { updateOrder(input: {id: $id, status: "BOOKED", items: [{id: $item, \
quantity: 5}]}) { status items { edges { node { quantity } } } } }'
    )
    changed = caller.data(update, id=created["id"], item=item["id"])

    assert made["ref"] == "ada"
    assert (created["workflowRef"], created["fulfilmentChoice"]["deliveryType"]) == ("ORDER::HD", "EXPRESS")
    assert (item["status"], item["product"]["name"]) == ("CREATED", "Shirt")
    assert [code_of(each) for each in (again, *unknown)] == ["C0121E", "C0120E", "C0120E"]
    assert changed["updateOrder"] == {"status": "BOOKED", "items": {"edges": [{"node": {"quantity": 5}}]}}
    assert len(caller.data("{ orders { edges { node { id } } } }")["orders"]["edges"]) == 1


def test_a_location_comes_with_its_address_and_hours(caller: Caller) -> None:
    hours = ", ".join(
        f"{day}Start: 900, {day}End: 1700" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    )
    query = f"""mutation {{ createLocation(input: {{ref: "L", type: "STORE", name: "Shop", retailer: {{id: "1"}},
      primaryAddress: {{ref: "A", latitude: 1.5, longitude: 2, city: "Sydney"}},
      openingSchedule: {{allHours: false, {hours}}}, storageAreas: [{{ref: "BACK", type: "DEFAULT"}}]}}) {{
        id primaryAddress {{ __typename latitude }} openingSchedule {{ sunEnd }}
        storageAreas {{ edges {{ node {{ ref }} }} }} }} }}"""
    created = caller.data(query)["createLocation"]
    update = 'mutation ($id: ID!) { updateLocation(input: {id: $id, openingSchedule: {sunEnd: 1200}, \
primaryAddress: {city: "Perth"}}) { openingSchedule { sunEnd monEnd } primaryAddress { city latitude } } }'

    changed = caller.data(update, id=created["id"])["updateLocation"]

    assert created["primaryAddress"] == {"__typename": "StoreAddress", "latitude": 1.5}
    assert created["storageAreas"]["edges"] == [{"node": {"ref": "BACK"}}]
    assert changed["openingSchedule"] == {"sunEnd": 1200, "monEnd": 1700}
    assert changed["primaryAddress"] == {"city": "Perth", "latitude": 1.5}


STOCK = """query ($since: DateTime) { inventoryPositions(updatedOn: {from: $since}) { edges { node {
  ref onHand productRef locationRef updatedOn catalogue { ref }
  quantities { edges { node { ref type quantity } } } } } } }"""


def positions(caller: Caller, **variables: Any) -> list[dict[str, Any]]:
    found = caller.data(STOCK, **variables)["inventoryPositions"]["edges"]
    return [edge["node"] for edge in found]


def test_what_batches_delivered_is_seen_once_they_are_complete(caller: Caller, clock: SteadyClock) -> None:
    job = caller.new_job()
    caller.send(
        job, record("S1", 5, type="LAST_ON_HAND"), record("S1", 2, type="RESERVED"), record("S2", "bad")
    )
    before = positions(caller)
    clock.advance(timedelta(seconds=10))
    after = positions(caller)
    caller.send(job, record("S1", 7, type="LAST_ON_HAND"), record("S1", 2, type="RESERVED"), record("S3", -1))
    clock.advance(timedelta(seconds=10))
    later = positions(caller, since="2026-03-10T12:00:20Z")

    assert before == []
    assert after == [
        {
            "ref": "S1:LOC-1:DEFAULT",
            "onHand": 7,
            "productRef": "S1",
            "locationRef": "LOC-1",
            "updatedOn": "2026-03-10T12:00:10.000Z",
            "catalogue": {"ref": "DEFAULT:1"},
            "quantities": {
                "edges": [
                    {"node": {"ref": "S1:LOC-1:LAST_ON_HAND", "type": "LAST_ON_HAND", "quantity": 5}},
                    {"node": {"ref": "S1:LOC-1:RESERVED", "type": "RESERVED", "quantity": 2}},
                ]
            },
        }
    ]
    assert [(each["ref"], each["onHand"]) for each in later] == [
        ("S1:LOC-1:DEFAULT", 9),
        ("S3:LOC-1:DEFAULT", -1),
    ]


def test_a_batch_writes_to_the_position_that_a_mutation_made(caller: Caller, clock: SteadyClock) -> None:
    caller.data(CREATE, input={**POSITION, "productRef": "S1", "locationRef": "LOC-1"})
    caller.send(caller.new_job(), record("S1", 5), record("S1", 6))
    clock.advance(timedelta(seconds=10))

    assert [(each["ref"], each["onHand"]) for each in positions(caller)] == [("P", 6)]


def test_a_catalogue_per_retailer_holds_what_its_batches_delivered(
    caller: Caller, clock: SteadyClock
) -> None:
    job = caller.new_job(retailer="7")
    caller.send(job, record("S1", 5), record("S1", 6, retailerId=8))
    caller.send(job, record("S1", 9), catalogueRef="SHOP")
    clock.advance(timedelta(seconds=10))

    found = {each["catalogue"]["ref"]: each["onHand"] for each in positions(caller)}
    assert found == {"DEFAULT:7": 5, "DEFAULT:8": 6, "SHOP": 9}


def test_a_seed_is_planted_whole_or_not_at_all(sandbox: Sandbox, caller: Caller) -> None:
    bad = {"networks": [{"ref": "N"}], "locations": [{"ref": "L", "networks": ["N", "none"]}]}

    with pytest.raises(ConfigurationError, match=r"Location\[0\].*There is no Network .none"):
        sandbox.seed(bad)
    reply = caller.raw("POST", "/_sandbox/seed", json.dumps({"shoes": [], "orders": 5}))

    assert caller.data("{ networks { edges { node { id } } } }")["networks"]["edges"] == []
    assert (reply.status, reply.code) == (400, "INVALID_SEED")
    assert "shoes: no such kind" in reply.json()["errors"][0]["message"]


def test_a_seed_sets_what_the_platform_sets_and_may_be_planted_again(
    sandbox: Sandbox, caller: Caller
) -> None:
    seed = {
        "orders": [
            {
                "ref": "O",
                "type": "HD",
                "status": "SHIPPED",
                "createdOn": "2020-01-01T00:00:00Z",
                "customer": "ada",
            }
        ],
        "customers": [{"ref": "ada", "username": "ada"}],
    }

    reply = caller.raw("POST", "/_sandbox/seed", json.dumps(seed))
    sandbox.seed(seed)

    assert (reply.status, reply.json()) == (201, {"seeded": {"Customer": 1, "Order": 1}})
    query = "{ orders { edges { node { status createdOn customer { username } } } } }"
    (edge,) = caller.data(query)["orders"]["edges"]
    assert edge["node"] == {
        "status": "SHIPPED",
        "createdOn": "2020-01-01T00:00:00.000Z",
        "customer": {"username": "ada"},
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("seed.json", '{"networks": [{"ref": "N", "createdOn": "2020-01-01T00:00:00Z"}]}'),
        ("seed.yaml", "networks:\n  - ref: N\n    createdOn: 2020-01-01T00:00:00Z\n"),
    ],
)
def test_a_seed_is_read_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    with Sandbox(seed=tmp_path / name) as sandbox, Caller(sandbox.url) as caller:
        found = caller.data("{ networks { edges { node { ref createdOn } } } }")

    assert found["networks"]["edges"] == [{"node": {"ref": "N", "createdOn": "2020-01-01T00:00:00.000Z"}}]


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"networks": [{"shoes": 1}]}', '{"networks": [5]}', '{"networks": [{}]}']
)
def test_a_seed_that_cant_be_planted_is_told_at_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "seed.json").write_text(text)

    with pytest.raises(ConfigurationError):
        Sandbox(seed=tmp_path / "seed.json").start()


def test_entities_stay_in_the_database_until_a_reset(tmp_path: Path) -> None:
    query = '{ network(ref: "N") { ref } retailerById(id: 1) { ref } }'
    with Sandbox(database=tmp_path / "s.db") as sandbox:
        sandbox.seed({"networks": [{"ref": "N"}]})
    with Sandbox(database=tmp_path / "s.db") as sandbox, Caller(sandbox.url) as caller:
        kept = caller.data(query)
        sandbox.reset()
        gone = caller.data(query)

    assert kept == {"network": {"ref": "N"}, "retailerById": {"ref": "sandbox"}}
    assert gone == {"network": None, "retailerById": {"ref": "sandbox"}}


def test_batches_of_an_older_sandbox_become_stock(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Sandbox(database=path, processing_time=timedelta(0)) as sandbox, Caller(sandbox.url) as caller:
        caller.send(caller.new_job(), record("S1", 5))
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        for (table,) in tables.fetchall():
            if table not in {"job", "batch", "event", "request"}:
                connection.execute(f'DROP TABLE "{table}"')
        connection.execute("PRAGMA user_version = 3")
        connection.commit()

    with Sandbox(database=path, processing_time=timedelta(0)) as sandbox, Caller(sandbox.url) as caller:
        assert [each["onHand"] for each in positions(caller)] == [5]


def test_a_field_fails_on_demand_and_the_others_are_answered(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.inject(Fault(kind=FaultKind.GRAPHQL, field="orders", times=2))
    sandbox.inject(Fault(kind=FaultKind.GRAPHQL, field="create*", code="S0002E", after_accepting=True))

    struck = [caller.graphql("{ orders { edges { cursor } } me { id } }") for _ in range(3)]
    lost = caller.graphql(CREATE, input=POSITION)

    assert [code_of(each) for each in struck[:2]] == ["C0011E", "C0011E"]
    assert struck[0]["data"] == {"orders": None, "me": {"id": "1"}}
    assert struck[2] == {"data": {"orders": {"edges": []}, "me": {"id": "1"}}}
    assert (code_of(lost), lost["errors"][0]["path"]) == ("S0002E", ["createInventoryPosition"])
    assert [each["ref"] for each in positions(caller)] == ["P"]
    assert [state.struck for state in sandbox.faults] == [2, 1]
