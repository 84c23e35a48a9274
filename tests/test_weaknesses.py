"""What client libraries of this API got wrong before, and must not go wrong here: a test for each."""

from __future__ import annotations

import ast
import importlib
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fc_connect
from fc_connect import errors
from fc_connect.clock import ManualClock
from fc_connect.errors import (
    AuthenticationError,
    ConfigurationError,
    EventFailedError,
    FluentAPIError,
    FluentOutcomeUnknownError,
    GraphQLError,
)
from fc_connect.fluent import FluentClient, classify_error
from fc_connect.fluent.events import Events
from fc_connect.pipeline import preflight
from tests.fluent_server import FluentServer, Reply, client_of

ROOT = Path(__file__).parents[1]
ORDERS = """
query Orders($first: Int!, $cursor: String, $createdAfter: String, $isLast: Int) {
  orders(first: $first, after: $cursor, createdOn: {from: $createdAfter}, status: $isLast) {
    edges { cursor node { ref } } pageInfo { hasNextPage }
  }
}
"""
EVENT = {"name": "E", "entityType": "ORDER", "entityRef": "1"}
STOCK = {"locationRef": "W1", "skuRef": "S1", "qty": 0, "type": "LAST_ON_HAND", "status": "ACTIVE"}


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


def connection(*refs: str, more: bool = False) -> dict[str, Any]:
    edges = [{"cursor": f"c{ref}", "node": {"ref": ref}} for ref in refs]
    return {"edges": edges, "pageInfo": {"hasNextPage": more}}


def orders(*refs: str, more: bool = False) -> Reply:
    return Reply(body={"data": {"orders": connection(*refs, more=more)}})


def asked(server: FluentServer) -> list[dict[str, Any]]:
    return [call.json() for call in server.calls("/graphql")]


@pytest.mark.parametrize(
    "prelude",
    ["mutation", "# query {\nmutation", "fragment F on Order { ref }\nmutation", "\ufeff ,mutation M"],
)
def test_weakness_01_a_mutation_is_sent_once_however_it_is_written(
    server: FluentServer, prelude: str
) -> None:
    text = (
        f"{prelude}($first: Int, $after: String) {{ createOrder {{ items(first: $first, after: $after) "
        "{ edges { cursor node { ref } } pageInfo { hasNextPage } } } }"
    )
    more = {"data": {"createOrder": {"items": connection("1", more=True)}}}
    server.replies += [Reply(body=more), Reply(status=503), Reply(body=more)]

    with client_of(server) as client:
        client.graphql(text, variables={"first": 1})
        with pytest.raises(ConfigurationError, match="Only a query"):
            client.pages(text)
        with pytest.raises(FluentOutcomeUnknownError):
            client.graphql(text)

    assert len(asked(server)) == 2


def test_weakness_02_the_connection_that_is_named_is_the_one_that_is_read_on(server: FluentServer) -> None:
    query = """
    query($after: String) {
      locations { edges { cursor node { ref } } pageInfo { hasNextPage } }
      orders(after: $after) { edges { cursor node { ref } } pageInfo { hasNextPage } }
    }
    """
    other = connection("L1", more=True)
    server.replies += [
        Reply(body={"data": {"locations": other, "orders": connection("1", more=True)}}),
        Reply(body={"data": {"locations": other, "orders": connection("2")}}),
    ]

    with client_of(server) as client:
        pages = client.pages(query, connection="orders")
        nodes = list(pages.nodes())

    assert [node["ref"] for node in nodes] == ["1", "2"]
    assert (pages.truncated, asked(server)[1]["variables"]["after"]) == (None, "c1")


def test_weakness_03_no_variable_is_taken_for_the_cursor_by_its_name(server: FluentServer) -> None:
    given = {"createdAfter": "2026-01-01T00:00:00Z", "isLast": 1}
    server.replies += [orders("1", more=True), orders("2", more=True), orders("3")]

    with client_of(server) as client:
        nodes = list(client.pages(ORDERS, variables=given, page_size=1).nodes())

    assert [node["ref"] for node in nodes] == ["1", "2", "3"]
    assert [each["variables"] for each in asked(server)] == [
        {**given, "first": 1},
        {**given, "first": 1, "cursor": "c1"},
        {**given, "first": 1, "cursor": "c2"},
    ]


@pytest.mark.parametrize(
    "later",
    [{"data": {"orders": None}}, {"data": {"orders": None}, "errors": [{"message": "no"}]}, {"data": {}}],
)
def test_weakness_04_a_later_page_without_the_connection_leaves_what_came_before(
    server: FluentServer, later: dict[str, Any]
) -> None:
    server.replies += [orders("1", more=True), Reply(body=later)]

    with client_of(server) as client:
        nodes = client.pages(ORDERS).nodes()
        first = next(nodes)
        with pytest.raises(FluentAPIError):
            next(nodes)

    assert first == {"ref": "1"}


def test_weakness_05_an_end_that_is_not_the_end_is_always_told(server: FluentServer) -> None:
    stuck = {"edges": [{"node": {"ref": "2"}}], "pageInfo": {"hasNextPage": True}}

    def read(*replies: Reply, **options: Any) -> tuple[int, str | None]:
        server.replies.clear()
        server.replies += replies
        with client_of(server) as client:
            pages = client.pages(ORDERS, operation_name="Orders", **options)
            return len(list(pages.nodes())), pages.truncated

    # Exactly met is no truncation, and nothing overshoots.
    assert read(orders("1", more=True), orders("2"), max_pages=2) == (2, None)
    assert read(orders("1", more=True), orders("2", more=True), max_pages=2) == (2, "max_pages")
    assert read(orders("1", "2", "3"), max_records=2) == (2, "max_records")
    assert read(orders("1", "2"), max_records=2) == (2, None)
    with pytest.raises(FluentAPIError, match="cursor"):
        read(orders("1", more=True), Reply(body={"data": {"orders": stuck}}))
    with pytest.raises(FluentAPIError, match="same again"):
        read(orders("1", more=True), orders("1", more=True), orders("1", more=True))
    assert {each["operationName"] for each in asked(server)} == {"Orders"}
    assert all(each["variables"]["first"] == 100 for each in asked(server))  # on the first page too


def test_weakness_07_a_failed_event_and_an_answer_that_says_nothing_are_no_success(
    server: FluentServer,
) -> None:
    page = Reply(body=b"<html>Log in</html>", headers={"Content-Type": "text/html"})
    server.replies += [
        Reply(body={"eventId": "9", "eventStatus": "FAILED"}),
        page,
        Reply(body={}),
        page,
        page,
    ]

    with client_of(server) as client:
        with pytest.raises(EventFailedError) as caught:
            client.events.send(EVENT, mode="sync")
        for _ in range(2):
            with pytest.raises(FluentOutcomeUnknownError):
                client.create_job("stock")
        with pytest.raises(FluentOutcomeUnknownError):
            client.send_batch("1", entities=[STOCK])
        with pytest.raises(FluentOutcomeUnknownError):
            client.events.send(EVENT)

    assert caught.value.event_id == "9"
    assert len(server.calls("/api")) == 5


def test_weakness_21_every_error_is_exported_and_documented_by_the_name_it_has(server: FluentServer) -> None:
    raised = {
        name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)
    }
    assert raised <= set(errors.__all__)
    assert issubclass(AuthenticationError, FluentAPIError)
    assert re.fullmatch(r"\d+\.\d+.*", fc_connect.__version__)
    assert all(hasattr(fc_connect, name) for name in fc_connect.__all__)
    server.replies += [Reply(status=404, body={"errors": [{"message": "no such job", "code": "J1"}]})]

    with client_of(server) as client, pytest.raises(FluentAPIError) as caught:
        client.get_job_status("1")

    assert (caught.value.status, caught.value.code) == (404, "J1")
    assert caught.value.request_id


def _python_blocks() -> Iterator[tuple[str, str]]:
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL):
            yield path.name, textwrap.dedent(block)


@pytest.mark.parametrize(("page", "code"), list(_python_blocks()))
def test_weakness_22_the_documentation_shows_only_what_there_is(page: str, code: str) -> None:
    known = {"client": FluentClient, "events": Events}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fc_connect":
            module = importlib.import_module(node.module or "")
            missing = [each.name for each in node.names if not hasattr(module, each.name)]
            assert not missing, f"{page} imports {missing} from {node.module}"
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
            assert owner not in known or hasattr(known[owner], node.attr), f"{page}: {owner}.{node.attr}"


@pytest.mark.parametrize(
    "code", ["CONFLICT", "SERVER_DOWN", "TEAPOT", "C1", "C00011E", "S00", 7, None, [], {}]
)
@pytest.mark.parametrize("message", ["odd", None, 7, {}])
def test_weakness_23_only_a_code_of_fluent_is_read_as_one(code: Any, message: Any) -> None:
    found = classify_error({"message": message, "extensions": {"code": code}})

    assert (found.category, found.is_retryable) == ("UNKNOWN", False)
    assert classify_error({}).category == "UNKNOWN"
    assert classify_error({"extensions": {"code": "UNAUTHENTICATED"}}).category == "CLIENT_ERROR"


def test_weakness_24_what_can_not_be_sent_is_told_before_it_is(server: FluentServer) -> None:
    assert preflight([STOCK]).is_ok  # none left is a quantity
    for qty in (float("nan"), float("inf"), True, "1", 2**31, None):
        assert not preflight([{**STOCK, "qty": qty}]).is_ok
    assert not preflight([STOCK, {**STOCK, "qty": 3, "ref": "another"}]).is_ok
    assert preflight([STOCK, {**STOCK, "locationRef": "W2"}]).is_ok
    assert not preflight([STOCK], entity_type="STOCKS").is_ok
    assert not preflight([STOCK], action="DELETE").is_ok

    with client_of(server, clock=ManualClock()) as client:
        for entities in ([], [STOCK] * 5001, [{**STOCK, "qty": float("nan")}]):
            with pytest.raises(ConfigurationError, match="Nothing was sent"):
                client.send_batch("1", entities=entities)
        server.replies += [Reply(body={"data": None, "errors": [{"message": "no"}]})]
        with pytest.raises(GraphQLError):
            client.graphql("{ __schema { types { name } } }")  # no schema is no schema that takes everything

    assert not server.calls("/api")
