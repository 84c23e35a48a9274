"""The sandbox as an HTTP server: connections, bodies, errors, GraphQL."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing

import graphql
import pytest

from fc_connect.sandbox import Sandbox
from tests.sandbox_caller import JOBS, Caller, batch, record

LIMIT = 10 * 1024 * 1024


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    with Caller(sandbox.url) as caller:
        yield caller


def exchange(sandbox: Sandbox, request: bytes) -> bytes:
    """Send bytes and return everything that comes back until the connection closes."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), timeout=10)) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            return answer.read()


def test_one_connection_serves_many_requests(caller: Caller) -> None:
    caller.log_in()
    used = caller.connection.sock

    for _ in range(3):
        assert caller.new_job()

    assert used is not None
    assert caller.connection.sock is used


def test_a_chunked_body_is_read_whole(caller: Caller, sandbox: Sandbox) -> None:
    job = caller.new_job()
    body = json.dumps(batch(*(record(f"S{i}") for i in range(1000)))).encode()
    pieces = (body[start : start + 999] for start in range(0, len(body), 999))

    reply = caller.raw(
        "POST",
        f"{JOBS}/{job}/batch",
        pieces,
        {"Authorization": f"Bearer {caller.token}", "Transfer-Encoding": "chunked"},
        encode_chunked=True,
    )

    assert reply.status == 200
    assert sandbox.summary().entities == 1000
    assert sandbox.requests()[-1].body_bytes == len(body)
    assert caller.new_job()


@pytest.mark.parametrize(
    "head",
    [
        b"Transfer-Encoding: gzip\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-2\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 1_0\r\n\r\n",
    ],
)
def test_a_body_without_a_clear_end_is_refused_and_the_connection_closed(
    sandbox: Sandbox, head: bytes
) -> None:
    answer = exchange(sandbox, b"POST /graphql HTTP/1.1\r\nHost: x\r\n" + head)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"MALFORMED_BODY" in answer
    assert b"Connection: close" in answer
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit_is_refused(caller: Caller, sandbox: Sandbox, chunked: bool) -> None:
    job = caller.new_job()
    headers = {"Authorization": f"Bearer {caller.token}"} | (
        {"Transfer-Encoding": "chunked"} if chunked else {}
    )
    body = b" " * (LIMIT + 1)

    reply = caller.raw(
        "POST", f"{JOBS}/{job}/batch", [body] if chunked else body, headers, encode_chunked=chunked
    )

    assert (reply.status, reply.code) == (413, "PAYLOAD_TOO_LARGE")
    assert sandbox.requests()[-1].status == 413
    assert caller.new_job()


def test_a_body_at_the_limit_is_read(caller: Caller) -> None:
    job = caller.new_job()
    text = json.dumps(batch(record())).encode()

    reply = caller.call("POST", f"{JOBS}/{job}/batch", text + b" " * (LIMIT - len(text)))

    assert reply.status == 200


def test_a_graphql_request_has_a_lower_limit(caller: Caller) -> None:
    reply = caller.call("POST", "/graphql", b" " * (2 * 1024 * 1024 + 1))

    assert (reply.status, reply.code) == (413, "PAYLOAD_TOO_LARGE")


def test_a_batch_that_breaks_off_on_the_way_is_not_accepted(caller: Caller, sandbox: Sandbox) -> None:
    job = caller.new_job()
    body = json.dumps(batch(record())).encode()
    head = (
        f"POST {JOBS}/{job}/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {caller.token}\r\n"
        f"Content-Length: {len(body) + 1}\r\n\r\n"
    )

    answer = exchange(sandbox, head.encode() + body)

    assert answer == b""
    assert sandbox.batches() == []
    assert (sandbox.requests()[-1].path, sandbox.requests()[-1].status) == (f"{JOBS}/{job}/batch", None)


def test_every_answer_has_its_own_request_id(caller: Caller, sandbox: Sandbox) -> None:
    caller.new_job()
    replies = [
        caller.call("GET", f"{JOBS}/1"),
        caller.call("GET", "/nowhere"),
        caller.call("PUT", JOBS, {}),
        caller.raw("GET", "/graphql"),
    ]

    ids = [reply.headers["x-request-id"] for reply in replies]

    assert [reply.status for reply in replies] == [200, 404, 405, 401]
    assert len(set(ids)) == 4
    assert [request.request_id for request in sandbox.requests()][-4:] == ids


def test_a_request_that_isnt_http_is_answered_in_json(sandbox: Sandbox) -> None:
    answer = exchange(sandbox, b"GET / HTTP/banana\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["errors"][0]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("query", "data"),
    [
        ("query { me { ref } }", {"me": {"ref": "sandbox-user"}}),
        ("{me{id,ref}}", {"me": {"id": "1", "ref": "sandbox-user"}}),
        (
            "query Me {\n # who\n  me { status }\n __typename\n}",
            {"me": {"status": "ACTIVE"}, "__typename": "Query"},
        ),
    ],
)
def test_graphql_says_who_is_asking(caller: Caller, query: str, data: object) -> None:
    reply = caller.call("POST", "/graphql", {"query": query})

    assert (reply.status, reply.json()) == (200, {"data": data})


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("query ($id: ID!) { me { ref } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query { me { ref(x: 1) } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query { me }", "GRAPHQL_VALIDATION_FAILED"),
        ("query { me { shoeSize } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query { me { ref } ", "GRAPHQL_PARSE_FAILED"),
        ("query { me { ref } } }", "GRAPHQL_PARSE_FAILED"),
        ("query { me { } }", "GRAPHQL_PARSE_FAILED"),
        ("query { { me } }", "GRAPHQL_PARSE_FAILED"),
        ("{a" * 50_000, "GRAPHQL_PARSE_FAILED"),
        ("", "BAD_USER_INPUT"),
        (5, "BAD_USER_INPUT"),
    ],
)
def test_graphql_that_cant_be_answered_is_an_error_in_the_body(
    caller: Caller, query: object, code: str
) -> None:
    reply = caller.call("POST", "/graphql", {"query": query})

    assert reply.status == 200
    assert reply.json()["data"] is None
    assert reply.json()["errors"][0]["extensions"]["code"] == code


def test_graphql_takes_variables_fragments_and_the_name_of_an_operation(caller: Caller) -> None:
    query = (
        "query Other { __typename } query Me($s: Boolean!) { me { ...f } } "
        "fragment f on User { id ref @skip(if: $s) }"
    )

    reply = caller.call("POST", "/graphql", {"query": query, "operationName": "Me", "variables": {"s": True}})

    assert reply.json() == {"data": {"me": {"id": "1"}}}


def test_the_schema_can_be_introspected(caller: Caller) -> None:
    reply = caller.call("POST", "/graphql", {"query": graphql.get_introspection_query()})

    schema = graphql.build_client_schema(reply.json()["data"])
    assert graphql.validate_schema(schema) == []
    created = schema.type_map["CreateInventoryPositionInput"]
    assert isinstance(created, graphql.GraphQLInputObjectType)
    assert str(created.fields["catalogue"].type) == "InventoryCatalogueKey!"
    assert schema.mutation_type is not None
    assert "createOrder" in schema.mutation_type.fields
