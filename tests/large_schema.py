"""A GraphQL schema of the size and shape of a real account's: 200 object types, 199 inputs, 90 mutations."""

from __future__ import annotations

__all__ = ["INPUTS", "MUTATIONS", "TYPES", "large_schema"]

TYPES, INPUTS, MUTATIONS = 200, 199, 90


def large_schema() -> str:
    """Return it as SDL: descriptions, enums, custom scalars, interfaces, unions, inputs that hold themselves."""
    parts = [
        "scalar DateTime",
        "scalar Json",
        '"States that a thing goes through."\nenum Status { ACTIVE INACTIVE CREATED }',
        "interface Node { id: ID! }",
        "interface Orchestrateable { status: Status }",
        "type PageInfo { hasNextPage: Boolean hasPreviousPage: Boolean }",
        "union Anything = " + " | ".join(f"Thing{n}" for n in range(10)),
    ]
    queries, mutations = [], []
    for n in range(TYPES):
        after = (n + 1) % TYPES
        parts.append(
            f'"""\nThing {n}, with text: type A implements B, C.\n"""\n'
            f"type Thing{n} implements Node, Orchestrateable {{\n"
            f'  "Made by the platform."\n  id: ID!\n  ref: String!\n  status: Status\n  attributes: [Json]\n'
            f"  createdOn: DateTime\n  quantity: Int\n  price: Float\n  next: Thing{after}\n"
            f"  all: ThingConnection{n}\n}}\n"
            f"type ThingConnection{n} {{ edges: [ThingEdge{n}] pageInfo: PageInfo }}\n"
            f"type ThingEdge{n} {{ cursor: String node: Thing{n} }}"
        )
        queries.append(f"  things{n}(first: Int, after: String, ref: [String!]): ThingConnection{n}")
    for n in range(INPUTS):
        after = (n + 1) % INPUTS
        parts.append(
            f'"What makes thing {n}."\ninput CreateThing{n}Input {{\n'
            f'  "Its own name."\n  ref: String!\n  quantity: Int!\n  price: Float\n  status: Status = ACTIVE\n'
            f"  isNew: Boolean\n  expectedOn: DateTime\n  attributes: [Json]\n  parent: CreateThing{n}Input\n"
            f"  children: [CreateThing{n}Input!]\n  other: CreateThing{after}Input\n}}"
        )
    for n in range(MUTATIONS):
        mutations.append(f"  createThing{n}(input: CreateThing{n}Input!): Thing{n}")
    parts += ["type Query {", "  anything: Anything", *queries, "}"]
    parts += ["type Mutation {", *mutations, "}"]
    return "\n".join(parts) + "\n"
