"""Hostile requests to the sandbox: it answers or hangs up, and goes on to serve the next."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.sandbox import Sandbox
from tests.fuzz.effort import examples

LINES = st.sampled_from(
    [b"GET / HTTP/1.1", b"POST /api/v4.1/job HTTP/1.1", b"POST /_sandbox/faults HTTP/1.1", b"GET /_sandbox HTTP/1.1",
     b"POST /graphql HTTP/1.1", b"POST /oauth/token HTTP/1.1", b"GET  HTTP/9.9", b"G" * 70_000, b"\x16\x03\x01\x02",
     b"DELETE /_sandbox/../api HTTP/1.1", b"GET /api/v4.1/job/%00/batch?count=999999999999999999999 HTTP/1.1"]
)  # fmt: skip
HEADERS = st.sampled_from(
    [b"Host: x", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 9" + b"9" * 20,
     b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Content-Type: application/json", b": x", b"a" * 70_000,
     b"X: \xff\xfe", b"Authorization: Bearer x", b"Connection: keep-alive"]
)  # fmt: skip
BODIES = st.binary(max_size=40) | st.sampled_from(
    [
        b"{}",
        b"[" * 50_000,
        b'{"kind": []}',
        b"5\r\nhello\r\n0\r\n\r\n",
        b"zz\r\n",
        b"-1\r\n",
        b"9" * 5000,
        b'"\\ud800"',
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["kind", "status", "method", "path", "times", "delay", "after", "query", "variables", "name"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(processing_time=timedelta(0)) as running:
        yield running


def is_well(sandbox: Sandbox) -> bool:
    return httpx.get(f"{sandbox.url}/_sandbox/requests", timeout=20, trust_env=False).status_code < 500


@examples(60)
@given(LINES, st.lists(HEADERS, max_size=4), BODIES)
@example(b"POST /graphql HTTP/1.1", [b"Content-Length: 50000"], b"[" * 50_000)
def test_any_bytes_leave_the_sandbox_serving(
    sandbox: Sandbox, line: bytes, headers: list[bytes], body: bytes
) -> None:
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection, contextlib.suppress(OSError):
        connection.sendall(b"\r\n".join([line, *headers, b"", body]))
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65_536):
            answer += data
        assert b"SANDBOX_BUG" not in answer

    assert is_well(sandbox)


@examples(80)
@given(
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.sampled_from(["faults", "requests", "deliveries", "x"]),
    JSON,
)
def test_any_json_to_the_control_calls_is_answered(
    sandbox: Sandbox, method: str, path: str, content: object
) -> None:
    answer = httpx.request(
        method, f"{sandbox.url}/_sandbox/{path}", content=json.dumps(content), timeout=20, trust_env=False
    )
    httpx.delete(f"{sandbox.url}/_sandbox/faults", timeout=20, trust_env=False)

    assert answer.status_code < 500
