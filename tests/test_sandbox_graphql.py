"""What the sandbox answers to GraphQL queries: filters, pages, limits."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import graphql
import pytest

from fc_connect.fluent import Credentials, FluentClient
from fc_connect.sandbox import Sandbox
from fc_connect.sandbox.data import KINDS
from fc_connect.sandbox.resolvers import sandbox_schema
from tests.sandbox_caller import Caller, SteadyClock


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    with Sandbox(seed="demo") as sandbox, Caller(sandbox.url) as caller:
        sandbox.seed(
            {
                "virtualPositions": [
                    {
                        "ref": f"V{number:03}",
                        "quantity": number,
                        "groupRef": "ODD" if number % 2 else None,
                        "createdOn": f"2026-01-{number % 28 + 1:02}T00:00:00Z",
                    }
                    for number in range(1, 301)
                ]
            }
        )
        yield caller


def virtual(caller: Caller, arguments: str, **variables: Any) -> dict[str, Any]:
    """Return a page of virtual positions: refs, cursors, what lies on either side."""
    declared = ", ".join(f"${name}: {_TYPES[name]}" for name in variables)
    query = (
        f"query{f'({declared})' if declared else ''} {{ virtualPositions({arguments}) "
        "{ edges { cursor node { ref } } pageInfo { hasNextPage hasPreviousPage } } }"
    )
    page = caller.data(query, **variables)["virtualPositions"]
    return {
        "refs": [edge["node"]["ref"] for edge in page["edges"]],
        "cursors": [edge["cursor"] for edge in page["edges"]],
        "more": (page["pageInfo"]["hasPreviousPage"], page["pageInfo"]["hasNextPage"]),
    }


_TYPES = {"after": "String", "before": "String", "from": "DateTime", "refs": "[String!]"}


def refs_from(start: int, end: int) -> list[str]:
    return [f"V{number:03}" for number in range(start, end + 1)]


def test_every_field_of_the_schema_has_a_place_in_the_database() -> None:
    for name, type_ in sandbox_schema().type_map.items():
        kind = KINDS.get(name)
        if kind is None or not isinstance(type_, graphql.GraphQLObjectType):
            continue
        assert set(type_.fields) <= {"id", *kind.columns, *kind.refs, *kind.lists}, name


def test_a_page_holds_100_unless_told_and_250_at_most(caller: Caller) -> None:
    assert len(virtual(caller, 'ref: "V%"')["refs"]) == 100
    assert len(virtual(caller, 'ref: "V%", first: 1000')["refs"]) == 250
    assert len(virtual(caller, 'ref: "V%", last: 1000')["refs"]) == 250
    assert virtual(caller, 'ref: "V%", first: 0') == {"refs": [], "cursors": [], "more": (False, True)}


def test_pages_go_forward_and_backward_over_everything_once(caller: Caller) -> None:
    forward: list[str] = []
    page = virtual(caller, 'ref: "V%", first: 120')
    seen = [page["more"]]
    while True:
        forward += page["refs"]
        if not page["more"][1]:
            break
        page = virtual(caller, 'ref: "V%", first: 120, after: $after', after=page["cursors"][-1])
        seen.append(page["more"])
    backward: list[str] = []
    page = virtual(caller, 'ref: "V%", last: 120')
    while True:
        backward = page["refs"] + backward
        if not page["more"][0]:
            break
        page = virtual(caller, 'ref: "V%", last: 120, before: $before', before=page["cursors"][0])

    assert forward == backward == refs_from(1, 300)
    assert seen == [(False, True), (True, True), (True, False)]


def test_what_is_added_while_a_client_pages_comes_at_the_end() -> None:
    with Sandbox() as sandbox, Caller(sandbox.url) as caller:
        sandbox.seed({"virtualPositions": [{"ref": ref} for ref in "bdf"]})
        first = virtual(caller, "first: 2")
        sandbox.seed({"virtualPositions": [{"ref": ref} for ref in "ace"]})

        rest = virtual(caller, "first: 10, after: $after", after=first["cursors"][-1])

    assert first["refs"] + rest["refs"] == ["b", "d", "f", "a", "c", "e"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("first: 1, last: 1", "not for both"),
        ("first: -1", "negative"),
        ("last: -1", "negative"),
        ('after: "nonsense"', "isn't a cursor"),
        ('before: ""', "isn't a cursor"),
        (f'after: "{base64.b64encode(b"Order:1").decode()}"', "another list (Order)"),
    ],
)
def test_a_page_that_cant_be_is_an_error_at_its_field(caller: Caller, arguments: str, said: str) -> None:
    answer = caller.graphql(f"{{ virtualPositions({arguments}) {{ edges {{ cursor }} }} me {{ id }} }}")

    assert answer["data"] == {"virtualPositions": None, "me": {"id": "1"}}
    (error,) = answer["errors"]
    assert said in error["message"]
    assert (error["path"], error["extensions"]["code"]) == (["virtualPositions"], "C0140E")
    assert error["locations"] == [{"line": 1, "column": 3}]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('ref: ["V001", "V003", "none"]', ["V001", "V003"]),
        ('ref: "V002"', ["V002"]),
        ("ref: []", []),
        ("ref: null, quantity: [5, 6]", ["V005", "V006"]),
        ('ref: "V30%"', ["V300"]),
        ('ref: ["%99", "V001"]', ["V001", "V099", "V199", "V299"]),
        ('ref: "v001"', []),
        ('ref: "V00[1-3]%"', []),
        ('ref: ["V002", "V003"], groupRef: [null]', ["V002"]),
        ('ref: ["V002", "V003"], groupRef: ["ODD", null]', ["V002", "V003"]),
        ('ref: "V001", catalogue: {ref: "DEFAULT:1"}', ["V001"]),
        ('ref: "V001", catalogue: {ref: "no such"}', []),
        ('ref: "V00%", createdOn: {from: "2026-01-08T00:00:00Z"}', ["V007", "V008", "V009"]),
        ('ref: "V00%", createdOn: {to: "2026-01-03T02:00:00+02:00"}', ["V001", "V002"]),
        ('ref: "V00%", createdOn: {from: "2026-01-04T00:00:00.000Z", to: "2026-01-04T00:00:00Z"}', ["V003"]),
        ('ref: "V001", createdOn: {from: null}, updatedOn: null', ["V001"]),
        ("first: 1, quantity: [80]", ["SHIRT-LINEN-M:AU"]),
    ],
)
def test_filters_choose(caller: Caller, arguments: str, expected: list[str]) -> None:
    assert virtual(caller, arguments)["refs"] == expected


def test_a_filter_takes_a_long_list(caller: Caller) -> None:
    refs = [f"none-{number}" for number in range(10_000)]

    assert virtual(caller, "ref: $refs", refs=[*refs, "V007"])["refs"] == ["V007"]


def test_connections_inside_entities_are_filtered_and_paged(caller: Caller) -> None:
    query = """
    query ($after: String) {
      locations(ref: "ST-SYD") { edges { node {
        primaryAddress { city ... on StoreAddress { location { ref } } }
        openingSchedule { allHours monStart }
        networks(first: 1, after: $after) { edges { cursor node { ref } } pageInfo { hasNextPage } }
        stores: networks(type: "STORE") { edges { node { ref locations { edges { node { ref } } } } } }
      } } }
    }
    """

    first = caller.data(query)["locations"]["edges"][0]["node"]
    cursor = first["networks"]["edges"][0]["cursor"]
    second = caller.data(query, after=cursor)["locations"]["edges"][0]["node"]

    assert first["primaryAddress"] == {"city": "Sydney", "location": {"ref": "ST-SYD"}}
    assert first["openingSchedule"] == {"allHours": False, "monStart": 900}
    assert [each["networks"]["edges"][0]["node"]["ref"] for each in (first, second)] == [
        "AU-ALL",
        "AU-STORES",
    ]
    assert [each["networks"]["pageInfo"]["hasNextPage"] for each in (first, second)] == [True, False]
    stores = first["stores"]["edges"][0]["node"]
    assert [edge["node"]["ref"] for edge in stores["locations"]["edges"]] == ["ST-SYD", "ST-MEL"]


def test_an_order_is_there_with_all_that_belongs_to_it(caller: Caller) -> None:
    query = """{ order(ref: "HD-1001") {
      customer { firstName } retailer { tradingName }
      fulfilmentChoice { deliveryType deliveryAddress { city } }
      items { edges { node { quantity product { __typename ref ... on VariantProduct { product { ref } } } } } }
      fulfilments { edges { node { workflowRef order { ref } items { edges { node { requestedQuantity } } } } } }
    } }"""

    order = caller.data(query)["order"]

    assert order["customer"] == {"firstName": "Ada"}
    assert order["retailer"] == {"tradingName": "Harbour & Co"}
    assert order["fulfilmentChoice"] == {"deliveryType": "STANDARD", "deliveryAddress": {"city": "Newtown"}}
    product = {"__typename": "VariantProduct", "ref": "SHIRT-LINEN-M", "product": {"ref": "SHIRT-LINEN"}}
    assert order["items"]["edges"] == [{"node": {"quantity": 2, "product": product}}]
    items = {"edges": [{"node": {"requestedQuantity": 2}}]}
    fulfilment = {"workflowRef": "FULFILMENT::HD_PFS", "order": {"ref": "HD-1001"}, "items": items}
    assert order["fulfilments"]["edges"] == [{"node": fulfilment}]


def test_what_isnt_there_is_null_and_no_error(caller: Caller) -> None:
    query = '{ order(ref: "none") { id } orderById(id: "none") { id } customer(ref: "x") { id } }'

    assert caller.data(query) == {"order": None, "orderById": None, "customer": None}


def test_five_levels_of_ten_are_just_complex_enough_and_another_field_is_too_much(caller: Caller) -> None:
    query = "ref %s"
    for name in ("networks", "locations", "networks", "locations", "networks"):
        query = f"{name} {{ edges {{ node {{ {query} }} }} }}"
    query = f"{{ {query} }}"

    within = caller.graphql(query % "")
    beyond = caller.graphql(query % "retailers { edges { node { id } } }")

    assert "errors" not in within
    assert beyond["data"] is None
    assert beyond["errors"][0]["extensions"]["code"] == "C0001E"


def test_the_complexity_allowed_can_be_set() -> None:
    with Sandbox(max_complexity=100) as sandbox, Caller(sandbox.url) as caller:
        query = "{ orders(first: %d) { edges { node { customer { id } } } } }"

        assert "errors" not in caller.graphql(query % 99)
        assert caller.graphql(query % 100)["errors"][0]["extensions"]["code"] == "C0001E"


@pytest.mark.parametrize(
    "query",
    [
        "{" + " ".join(f"a{number}: me {{ ref }}" for number in range(20_000)) + "}",
        "{ __schema { types { fields { " + "type { fields { " * 4 + "name" + " } }" * 4 + " } } } }",
        "{ virtualPositions(first: 250) { edges { node {"
        + " ".join(f"a{n}: ref" for n in range(2_000))
        + "} } } }",
        "{ a: me { id } a: orders { edges { cursor } } }",
        "{ a: orders(first: 1) { edges { cursor } } a: orders(first: 2) { edges { cursor } } }",
        "subscription { me { id } }",
        "fragment f on User { id }",
        "query { me { ...f } } fragment f on User { ...f }",
        "{ me { ref @include(if: $no) } }",
        "type Query { a: Int }",
    ],
    ids=lambda text: text[:30],
)
def test_a_bomb_or_nonsense_is_answered_and_not_computed(caller: Caller, query: str) -> None:
    answer = caller.graphql(query)

    assert answer["errors"]
    codes = {error["extensions"]["code"] for error in answer["errors"]}
    assert codes <= {"C0001E", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED", "BAD_USER_INPUT"}
    assert caller.graphql("{ me { id } }") == {"data": {"me": {"id": "1"}}}


@pytest.mark.parametrize(
    "query",
    [
        "{ me {" + "ref " * 15_000 + "} }",
        "query { ...f0 } "
        + "".join(f"fragment f{n} on Query {{ me {{ ref }} ...f{n + 1} ...f{n + 1} }} " for n in range(60))
        + "fragment f60 on Query { me { ...g0 } } "
        + "".join(f"fragment g{n} on User {{ ref ...g{n + 1} ...g{n + 1} }} " for n in range(60))
        + "fragment g60 on User { "
        + "ref " * 5_000
        + "}",
    ],
    ids=lambda text: text[:30],
)
def test_fields_and_fragments_without_number_are_merged(caller: Caller, query: str) -> None:
    assert set(caller.data(query)["me"]) == {"ref"}


def test_one_of_several_operations_is_named(caller: Caller) -> None:
    query = "query A { me { id } } query B { me { ref } }"

    unnamed = caller.call("POST", "/graphql", {"query": query}).json()
    wrong = caller.call("POST", "/graphql", {"query": query, "operationName": "C"}).json()
    named = caller.call("POST", "/graphql", {"query": query, "operationName": "B"}).json()

    assert "A, B" in unnamed["errors"][0]["message"]
    assert "A, B" in wrong["errors"][0]["message"]
    assert named == {"data": {"me": {"ref": "sandbox-user"}}}


def test_graphql_takes_only_post(caller: Caller) -> None:
    reply = caller.call("GET", "/graphql")

    assert (reply.status, reply.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("value", ["yesterday", 5, "", "2026-13-01T00:00:00Z", "9999-12-31T23:59:59-23:00"])
def test_a_time_that_is_none_has_a_code_of_its_own(caller: Caller, value: Any) -> None:
    query = "query ($from: DateTime) { orders(createdOn: {from: $from}) { edges { cursor } } }"

    answer = caller.graphql(query, **{"from": value})

    assert answer["errors"][0]["extensions"]["code"] == "C0100E"


def test_our_client_reads_every_page_both_ways() -> None:
    clock = SteadyClock()
    with Sandbox(clock=clock, processing_time=timedelta(0)) as sandbox, Caller(sandbox.url) as caller:
        sandbox.seed({"virtualPositions": [{"ref": f"A{number}"} for number in range(5)]})
        clock.advance(timedelta(hours=1))
        since = clock().isoformat()
        sandbox.seed({"virtualPositions": [{"ref": f"B{number}"} for number in range(5)]})
        del caller
        forward = """query ($first: Int, $after: String, $since: DateTime) {
          virtualPositions(first: $first, after: $after, createdOn: {from: $since}) {
            edges { cursor node { ref } } pageInfo { hasNextPage } } }"""
        backward = """query ($last: Int, $before: String) {
          virtualCatalogue(ref: "DEFAULT:1") { ref }
          virtualPositions(last: $last, before: $before) {
            edges { cursor node { ref } } pageInfo { hasPreviousPage } } }"""

        auth = Credentials(client_id="ACME", client_secret="a-secret")
        with FluentClient(base_url=sandbox.url, auth=auth) as client:
            new = [
                node["ref"] for node in client.pages(forward, variables={"since": since}, page_size=2).nodes()
            ]
            pages = client.pages(backward, page_size=4)
            old = [node["ref"] for node in pages.nodes()]

    assert new == [f"B{number}" for number in range(5)]
    assert sorted(old) == [*(f"A{number}" for number in range(5)), *(f"B{number}" for number in range(5))]
    assert pages.truncated is None
