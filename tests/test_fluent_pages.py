from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from fc_connect.clock import ManualClock
from fc_connect.errors import ConfigurationError, FluentAPIError, GraphQLError
from fc_connect.fluent import FluentClient
from fc_connect.fluent.pages import connection_of
from tests.fluent_server import CREDENTIALS, FluentServer, Reply, client_of

QUERY = """
query Orders($after: String, $first: Int, $createdAfter: DateTime) {
  orders(first: $first, after: $after, createdOn: {from: $createdAfter}) {
    edges { cursor node { ref } }
    pageInfo { hasNextPage }
  }
}
"""
BACKWARD = """
query($b: String) {
  orders(last: 2, before: $b) { edges { cursor node { ref } } pageInfo { hasPreviousPage } }
}
"""


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


def connection(
    *refs: str, more: Any = False, cursors: bool = True, flag: str = "hasNextPage"
) -> dict[str, Any]:
    edges = [{"node": {"ref": ref}, **({"cursor": f"c-{ref}"} if cursors else {})} for ref in refs]
    return {"edges": edges, "pageInfo": {flag: more}}


def page(*refs: str, **options: Any) -> Reply:
    return Reply(body={"data": {"orders": connection(*refs, **options)}})


def refs_of(nodes: Any) -> list[str]:
    return [node["ref"] for node in nodes]


def variables_of(server: FluentServer) -> list[dict[str, Any]]:
    return [call.json()["variables"] for call in server.calls("/graphql")]


def test_pages_are_read_one_by_one_with_the_cursor_alone_changed(server: FluentServer) -> None:
    server.replies += [page("1", "2", more=True), page("3")]

    with client_of(server) as client:
        pages = client.pages(QUERY, variables={"createdAfter": "2026-01-01T00:00:00Z"}, page_size=2)
        nodes = pages.nodes()
        first = next(nodes)
        asked_by_then = len(server.calls("/graphql"))
        rest = list(nodes)

    assert refs_of([first, *rest]) == ["1", "2", "3"]
    assert asked_by_then == 1
    assert (pages.truncated, pages.pages, pages.records) == (None, 2, 3)
    date = {"createdAfter": "2026-01-01T00:00:00Z"}
    assert variables_of(server) == [{**date, "first": 2}, {**date, "first": 2, "after": "c-2"}]


def test_a_connection_is_read_backward_by_its_first_edge(server: FluentServer) -> None:
    back = {"flag": "hasPreviousPage"}
    server.replies += [page("3", "4", more=True, **back), page("1", "2", more=False, **back)]

    with client_of(server) as client:
        found = [refs_of(each.nodes) for each in client.pages(BACKWARD)]

    assert found == [["3", "4"], ["1", "2"]]
    assert variables_of(server) == [{}, {"b": "c-3"}]


@pytest.mark.parametrize(
    ("options", "expected", "truncated"),
    [
        ({"max_pages": 1}, ["1", "2"], "max_pages"),
        ({"max_pages": 2}, ["1", "2", "3", "4"], None),  # it was the last anyway
        ({"max_records": 2}, ["1", "2"], "max_records"),
        ({"max_records": 3}, ["1", "2", "3"], "max_records"),
        ({"max_records": 4}, ["1", "2", "3", "4"], None),
    ],
)
def test_an_early_end_is_exact_and_told(
    server: FluentServer, options: dict[str, int], expected: list[str], truncated: str | None
) -> None:
    server.replies += [page("1", "2", more=True), page("3", "4")]

    with client_of(server) as client:
        pages = client.pages(QUERY, **options)  # type: ignore[arg-type]
        found = refs_of(pages.nodes())

    assert (found, pages.truncated) == (expected, truncated)


def test_too_little_time_ends_the_reading_between_two_pages(server: FluentServer) -> None:
    server.replies += [page("1", more=True), page("2", more=True), page("3")]
    clock = ManualClock()

    with FluentClient(base_url=server.url, auth=CREDENTIALS, clock=clock) as client:
        pages = client.pages(QUERY, within=timedelta(minutes=1))
        found = []
        for each in pages:
            found += refs_of(each.nodes)
            clock.advance(timedelta(seconds=40))

    assert (found, pages.truncated) == (["1", "2"], "time")


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (page("2", more=True, cursors=False), "no cursor"),
        (page("1", more=True), "came before"),
        (page(more=True), "no cursor"),
        (Reply(body={"data": {"orders": None}}), "no such connection"),
        (
            Reply(body={"data": {"orders": {"edges": [None], "pageInfo": {"hasNextPage": False}}}}),
            "edge is null",
        ),
        (Reply(body={"data": {"orders": {"edges": [], "pageInfo": {}}}}), "no such connection"),
    ],
)
def test_a_page_that_can_not_be_gone_on_from_is_an_error_after_what_came_before(
    server: FluentServer, second: Reply, expected: str
) -> None:
    server.replies += [page("1", more=True), second]

    with client_of(server) as client:
        pages = iter(client.pages(QUERY))
        first = next(pages)
        with pytest.raises(FluentAPIError, match=expected):
            list(pages)

    assert refs_of(first.nodes) == ["1"]


def test_a_page_with_errors_is_an_error(server: FluentServer) -> None:
    broken = {"data": {"orders": connection("2")}, "errors": [{"message": "half of it"}]}
    server.replies += [page("1", more=True), Reply(body=broken)]

    with client_of(server) as client, pytest.raises(GraphQLError, match="half of it"):
        list(client.pages(QUERY))


def test_the_connection_that_is_named_is_the_one_that_is_read(server: FluentServer) -> None:
    query = """
    query($a: String) {
      top: orders(first: 5) { edges { cursor node { ref } } pageInfo { hasNextPage } }
      location(id: 1) { ...Stock }
    }
    fragment Stock on Location {
      rows: positions(after: $a) { edges { cursor node { ref } } ... on Other { pageInfo { hasNextPage } } }
    }
    """
    first = {"top": connection("x", more=True), "location": {"rows": connection("1", more=True)}}
    second = {"top": connection("y", more=True), "location": {"rows": connection("2")}}
    server.replies += [Reply(body={"data": first}), Reply(body={"data": second})]

    with client_of(server) as client:
        found = refs_of(client.pages(query, connection="location.rows").nodes())

    assert found == ["1", "2"]


@pytest.mark.parametrize(
    ("query", "options", "expected"),
    [
        (
            "mutation($a: String) { orders(after: $a) { edges { cursor } pageInfo { hasNextPage } } }",
            {},
            "a mutation",
        ),
        ("# a comment\nmutation($a: String) { x(after: $a) { ref } }", {}, "a mutation"),
        ("query { orders { edges { cursor } pageInfo { hasNextPage } } }", {}, "no connection a cursor"),
        (
            'query { orders(after: "x") { edges { cursor } pageInfo { hasNextPage } } }',
            {},
            "no connection a cursor",
        ),
        ("query($createdAfter: String) { orders(createdOn: $createdAfter) { ref } }", {}, "it has: none"),
        (
            "query($a: String) { orders(after: $a) { edges { node { ref } } pageInfo { x } } }",
            {},
            "must ask for cursor",
        ),
        (
            "query($a: String) { orders(after: $a) { edges { cursor } pageInfo { x } } }",
            {},
            "must ask for hasNextPage",
        ),
        (QUERY, {"path": "customers"}, "It has: orders"),
        (QUERY, {"direction": "backward"}, "a variable for 'before'"),
        (
            "query($a: String) { a(after: $a) { edges { cursor } pageInfo { hasNextPage } } "
            "b(after: $a) { edges { cursor } pageInfo { hasNextPage } } }",
            {},
            "pages several",
        ),
        ("query A { a } query B { b }", {}, "2 operations"),
        ("query A { a }", {"operation_name": "C"}, "0 operations"),
        ("query {", {}, "can't be read"),
        ("{" * 100_000, {}, "can't be read"),
        ("query { ...A } fragment A on Q { ...A }", {}, "it has: none"),
    ],
)
def test_a_query_that_can_not_be_paged_says_why(query: str, options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        connection_of(query, **options)


@pytest.mark.parametrize(
    "options", [{"page_size": 0}, {"page_size": 251}, {"max_pages": 0}, {"max_records": 0}]
)
def test_a_size_that_makes_no_sense_is_refused_before_anything_is_sent(
    server: FluentServer, options: dict[str, int]
) -> None:
    with client_of(server) as client, pytest.raises(ConfigurationError):
        client.pages(QUERY, **options)  # type: ignore[arg-type]

    assert not server.seen


def test_pages_with_errors_are_read_on_where_that_is_asked_for(server: FluentServer) -> None:
    error = {"message": "no customer", "path": ["orders", "edges", 0, "node", "customer"]}
    server.replies += [
        Reply(body={"data": {"orders": connection("1", more=True)}, "errors": [error]}),
        page("2"),
    ]

    with client_of(server) as client:
        pages = list(client.pages(QUERY, partial=True))

    assert [(refs_of(each.nodes), each.errors) for each in pages] == [(["1"], (error,)), (["2"], ())]


def test_a_page_whose_connection_itself_failed_is_an_error_all_the_same(server: FluentServer) -> None:
    server.replies += [
        page("1", more=True),
        Reply(body={"data": {"orders": None, "me": {}}, "errors": [{"message": "gone"}]}),
    ]

    with client_of(server) as client, pytest.raises(GraphQLError, match="gone"):
        list(client.pages(QUERY, partial=True))
