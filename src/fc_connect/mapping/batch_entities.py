"""What the entities of Fluent's Batch API take: no GraphQL type describes them, so they are described here as one.

From Fluent's Batch API documentation, and from what its client libraries send.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from graphql import GraphQLInputObjectType, GraphQLSchema, build_schema

from fc_connect.errors import ConfigurationError
from fc_connect.mapping.schema import input_type

__all__ = ["ALTERNATIVES", "CONSTANTS", "batch_entity_type", "batch_schema"]

_SDL: Final = """
scalar DateTime
scalar Json

type Query {
  nothing: Boolean
}

"Stock of one product at one location, as the Batch API takes it. One of skuRef and productRef must be there."
input InventoryBatchEntity {
  "The location that holds the stock."
  locationRef: String!
  "The product; one of skuRef and productRef must be there."
  skuRef: String
  "The product; goes before skuRef where both are there."
  productRef: String
  "How many."
  qty: Int!
  "Kind of stock: LAST_ON_HAND, …"
  type: String
  status: String
  "Name of the stock record itself."
  ref: String
  retailerId: ID
  correctedQty: Int
  reservedQty: Int
  inventoryId: ID
  parentRef: String
  "Unit of measure."
  uom: String
  lot: String
  expiry: DateTime
  effectiveFrom: DateTime
  expectedOn: DateTime
  attributes: Json
}
"""
_TYPES: Final = {"INVENTORY": "InventoryBatchEntity"}

ALTERNATIVES: Final = {"InventoryBatchEntity": (("skuRef", "productRef"),)}
"""Fields of which each entity needs one, by type."""

CONSTANTS: Final = {"InventoryBatchEntity": {"type": "LAST_ON_HAND", "status": "ACTIVE"}}
"""What to write where the source says nothing, by type and field."""


@cache
def batch_schema() -> GraphQLSchema:
    """Return the schema that holds them."""
    return build_schema(_SDL)


def batch_entity_type(entity_type: str) -> GraphQLInputObjectType:
    """Return the type of a batch's entities, such as those of INVENTORY.

    Raises:
        ConfigurationError: nothing is known of such entities.
    """
    if entity_type.upper() not in _TYPES:
        raise ConfigurationError(
            f"Nothing is known of batch entities {entity_type[:50]!r}. Known: {', '.join(_TYPES)}"
        )
    return input_type(batch_schema(), _TYPES[entity_type.upper()])
