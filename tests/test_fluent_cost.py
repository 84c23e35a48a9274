from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fc_connect.errors import ConfigurationError, GraphQLError
from fc_connect.fluent import estimate_cost
from tests.fluent_server import FluentServer, Reply, client_of

NODE = "{ edges { node { ref } } }"


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


@pytest.mark.parametrize(
    ("query", "variables", "expected"),
    [
        ("{ me { ref } }", {}, 2),
        ("{ orders(first: 10) { edges { node { ref } } } }", {}, 1 + 10 * 3),
        (f"{{ orders {NODE} }}", {}, 1 + 100 * 3),
        (f"query($n: Int = 5) {{ orders(first: $n) {NODE} }}", {}, 1 + 5 * 3),
        (f"query($n: Int = 5) {{ orders(last: $n) {NODE} }}", {"n": 7}, 1 + 7 * 3),
        (f"query($n: Int) {{ orders(first: $n) {NODE} }}", {"n": None}, 1 + 100 * 3),
        ("{ orders(first: 10) { edges { node { items(first: 20) { edges { cursor } } } } } }", {}, 431),
        ("{ orders(first: 2) { ...F } } fragment F on C { edges { node { ref } } }", {}, 1 + 2 * 3),
        ("{ orders(first: 2) { ... on C { nodes { ref } } } }", {}, 1 + 2 * 2),
        ("{ a: me { ref } b: me { ref username } }", {}, 5),
        ("{ ...F } fragment F on Q { me { ...F } }", {}, 1),
    ],
)
def test_fields_count_as_often_as_the_page_around_them_has_entries(
    query: str, variables: dict[str, Any], expected: int
) -> None:
    assert estimate_cost(query, variables=variables).complexity == expected


def test_the_dearest_field_is_told_and_whether_fluent_takes_the_whole() -> None:
    cost = estimate_cost(f"{{ me {{ ref }} orders(first: 250) {NODE} items {NODE} all: orders {NODE} }}")

    assert cost.by_field == {"me": 2, "orders": 751, "items": 301, "all": 301}
    assert cost.is_within_limit
    assert not estimate_cost(
        f"{{ orders(first: 250) {{ a b {NODE[1:-1]} x(first: 99) {NODE} }} }}"
    ).is_within_limit


def test_fragments_that_spread_each_other_twice_take_no_time() -> None:
    chain = "".join(f"fragment F{n} on Q {{ ...F{n + 1} ...F{n + 1} }} " for n in range(200))

    cost = estimate_cost(f"{{ orders {{ ...F0 }} }} {chain} fragment F200 on Q {{ ref }}")

    assert cost.complexity == 10**18


@pytest.mark.parametrize(
    ("query", "name"),
    [("{", None), ("query A { a } query B { b }", None), ("query A { a }", "B"), ("", None)],
)
def test_what_can_not_be_read_has_no_cost(query: str, name: str | None) -> None:
    with pytest.raises(ConfigurationError):
        estimate_cost(query, operation_name=name)


def test_a_query_that_fluent_finds_too_complex_says_what_to_do(server: FluentServer) -> None:
    server.replies += [
        Reply(body={"errors": [{"message": "Too complex", "extensions": {"code": "C0001E"}}], "data": None})
    ]

    with client_of(server) as client, pytest.raises(GraphQLError) as caught:
        client.graphql(f"query($n: Int) {{ me {{ ref }} orders(first: $n) {NODE} }}", variables={"n": 5000})

    assert "Ask for smaller pages" in str(caught.value)
    assert "11,111; by our count, which may differ, this has 15,003, most of it in 'orders'" in str(
        caught.value
    )


def test_a_request_of_more_than_two_megabytes_is_not_sent(server: FluentServer) -> None:
    with client_of(server) as client, pytest.raises(ConfigurationError, match="Nothing was sent"):
        client.graphql("query($a: String) { me { ref } }", variables={"a": "x" * 2_100_000})

    assert not server.seen
