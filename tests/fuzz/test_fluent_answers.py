"""A hostile server in Fluent's place: whatever it answers, the client gives a value or an error of ours, and keeps
its secrets."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import random
import resource
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.clock import ManualClock
from fc_connect.errors import (
    FCConnectError,
    FluentAPIError,
    FluentOutcomeUnknownError,
    FluentUnavailableError,
)
from fc_connect.fluent import FluentClient
from fc_connect.fluent.auth import read_grant
from fc_connect.fluent.graphql import is_query
from fc_connect.fluent.paging import gather
from fc_connect.fluent.retry import parse_http_date, parse_retry_after
from tests.fluent_server import PASSWORD, SECRET, FluentServer, Reply, client_of
from tests.fuzz.effort import examples

NAMES = st.sampled_from(
    ["id", "jobId", "batchId", "status", "batches", "results", "start", "count", "total", "data", "errors", "message",
     "code", "extensions", "entityRef", "responseCode", "access_token", "refresh_token", "expires_in", "hasMore"]
)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(
        ["COMPLETE", "OPEN", "1", "../../x", "\x00", "a\r\nX: y", 10**30, -1, 1e300, "9" * 5000]
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=15,
)
ANSWERS = st.dictionaries(NAMES, JSON, max_size=6)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Retry-After", "Date", "x-request-id", "Location", "Content-Type", "Content-Encoding", "Set-Cookie"]
    ),
    st.sampled_from(
        ["", "-1", "1e9", "nan", "999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 -2300",
         "gzip", "deflate", "br", "gzip, gzip", "identity", "x" * 5000, "http://127.0.0.1:1/", "\xff",
         "a=b; Domain=.com"]
    ),
    max_size=3,
)  # fmt: skip
STATUSES = st.sampled_from(
    [200, 200, 200, 201, 204, 299, 301, 302, 307, 400, 401, 403, 404, 408, 418, 429, 500, 503, 599]
)
CALLS: list[Callable[[FluentClient], object]] = [
    lambda client: client.create_job("name"),
    lambda client: client.send_batch("1", entities=[{"ref": "a"}]),
    lambda client: client.get_job_status("1"),
    lambda client: client.get_batch_status("1", "2"),
    lambda client: client.get_job_results("1"),
    lambda client: client.graphql("query { me { ref } }"),
    lambda client: client.graphql("mutation { x }"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[FluentServer]:
    with FluentServer() as server:
        yield server


@pytest.fixture(scope="module")
def client(server: FluentServer) -> Iterator[FluentClient]:
    with client_of(server, max_attempts=2) as client:
        yield client


@examples(300)
@given(
    st.sampled_from(CALLS),
    STATUSES,
    st.binary(max_size=60) | ANSWERS.map(lambda answer: json.dumps(answer).encode("utf-8", "surrogatepass")),
    HEADERS,
)
@example(CALLS[0], 200, b"[" * 100_000, {})
@example(CALLS[2], 200, b'{"id":' * 2000 + b"1" + b"}" * 2000, {})
@example(CALLS[3], 200, b'{"id": 1, "status": "COMPLETE", "results": [1]}', {})
@example(CALLS[5], 200, b'{"errors": {"a": 1}}', {})
@example(CALLS[5], 400, b'{"errors": [[]], "message": {"a": 1}}', {})
def test_any_answer_gives_a_value_or_an_error_of_ours(
    server: FluentServer,
    client: FluentClient,
    call: Callable[[FluentClient], object],
    status: int,
    body: bytes,
    headers: dict[str, str],
) -> None:
    server.replies.clear()
    server.replies.extend([Reply(status=status, body=body, headers=headers)] * 3)

    try:
        call(client)
    except FCConnectError as exc:
        shown = repr(exc) + repr(vars(exc))
    else:
        shown = ""

    assert SECRET not in shown
    assert PASSWORD not in shown


@examples(200)
@given(STATUSES, ANSWERS | st.binary(max_size=60))
@example(200, {"access_token": "a\r\nX-Evil: 1"})
@example(200, {"access_token": "t", "expires_in": 1e300})
def test_any_answer_of_the_token_endpoint_gives_a_token_or_an_error_of_ours(
    server: FluentServer, status: int, answer: Any
) -> None:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode("utf-8", "surrogatepass")
    server.replies.clear()
    server.token_replies.clear()
    server.token_replies.extend([Reply(status=status, body=body)] * 4)
    server.replies.append(Reply(body={"id": "1", "status": "OPEN"}))

    with client_of(server, max_attempts=2) as client, contextlib.suppress(FluentAPIError):
        client.get_job_status("1")
    server.token_replies.clear()


@examples(300)
@given(st.dictionaries(NAMES, JSON))
def test_a_grant_is_read_or_refused(answer: dict[str, Any]) -> None:
    grant = read_grant(answer)

    assert grant is None or grant.lifetime > timedelta(0) or answer["expires_in"] < 1e-6


@examples(500)
@given(
    st.text(max_size=40)
    | st.builds("{}, {} {} {} {}:{}:{} {}".format, *[st.text("0123456789JanFriGMT+-", max_size=6)] * 8)
)
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_a_retry_after_is_a_time_within_a_year_or_nothing(value: str) -> None:
    now = datetime(2026, 1, 15, tzinfo=UTC)

    asked = parse_retry_after(value, now=now)

    assert asked is None or timedelta(0) <= asked <= timedelta(days=36500)
    assert asked is None or now + asked > now - timedelta(1)
    parse_http_date(value)


def test_a_retry_after_with_a_date_counts_from_the_date_of_the_server(server: FluentServer) -> None:
    # Our clock says January; the server's says November, and that is what its dates are relative to.
    clock = ManualClock(datetime(2026, 1, 15, 12, tzinfo=UTC))
    dates = {"Date": "Tue, 24 Nov 2026 10:00:00 GMT", "Retry-After": "Tue, 24 Nov 2026 10:00:05 GMT"}
    body = {"id": "1", "status": "OPEN"}
    server.replies.clear()

    class Dated(Reply):
        """Sends no other `Date` than its own."""

    import httpx

    from fc_connect.fluent.exchange import Answer
    from fc_connect.fluent.http import Channel

    with client_of(server, clock=clock) as client:
        channel: Channel = client._channel
        answer = Answer(
            status=429, headers=httpx.Headers(dates), content=json.dumps(body).encode(), request_id="1"
        )

        assert channel._retry_after(answer) == timedelta(seconds=5)


@examples(200)
@given(st.integers(), st.lists(st.dictionaries(NAMES, JSON, max_size=3), max_size=4), st.randoms())
def test_a_list_in_pages_ends_whatever_the_server_says_of_its_length(
    total: int, first: list[Any], rng: random.Random
) -> None:
    asked = 0

    def fetch(start: int, count: int) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"batches": [{"id": str(rng.random())}], "start": start, "total": total + asked}

    gathered = gather({"batches": first, "total": total, "start": 0}, "batches", fetch=fetch)

    assert gathered is None or asked <= 2000
    assert gathered is None or not gathered[1] or len(gathered[0]) >= total


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_takes_neither_token_nor_form_there(status: int) -> None:
    with FluentServer() as thief, FluentServer() as server, client_of(server) as client:
        elsewhere = {"Location": f"{thief.url}/api/v4.1/job/1"}
        for reply in (server.token_replies, server.replies):
            reply.append(Reply(status=status, headers=elsewhere))

        for _ in range(2):
            with pytest.raises(FCConnectError):
                client.get_job_status("1")
            with pytest.raises(FCConnectError):
                client.create_job("x")

        assert thief.seen == []


def test_a_cookie_of_the_server_is_not_sent_back(server: FluentServer) -> None:
    server.replies.clear()
    body = {"id": "1", "status": "OPEN"}
    server.replies.extend([Reply(body=body, headers={"Set-Cookie": "track=1; Path=/"}), Reply(body=body)])

    with client_of(server) as client:
        client.get_job_status("1")
        client.get_job_status("1")

    assert "cookie" not in server.seen[-1].headers


@pytest.mark.parametrize("codings", ["gzip", "deflate", "gzip, gzip", "deflate, deflate", "gzip,deflate"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bomb_ends_in_an_error_before_it_fills_the_memory(
    codings: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = b"\0" * (200 << 20)
    for coding in codings.split(","):
        body = gzip.compress(body) if coding.strip() == "gzip" else zlib.compress(body)
    with FluentServer() as server, client_of(server, max_attempts=1) as client:
        server.replies.extend([Reply(body=body, headers={"Content-Encoding": codings})] * 2)
        client._channel.tokens.token()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        with (
            caplog.at_level(logging.CRITICAL),
            pytest.raises(FluentUnavailableError, match=r"longer than|more than once"),
        ):
            client.get_job_status("1")
        with pytest.raises(FluentOutcomeUnknownError):
            client.create_job("x")

        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 250 * 1024  # KiB


@examples(500)
@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            [
                "query",
                "mutation",
                "fragment",
                "{",
                "}",
                "(",
                ")",
                '"',
                '"""',
                "#",
                "\n",
                " ",
                "x",
                "@a",
                "\\",
                "\ud800",
            ]
        ),
        max_size=20,
    ).map(" ".join)
)
@example("query a { x } mutation b { y }")
@example('query { x(a: "} mutation {") }')
def test_a_document_that_may_hold_a_mutation_is_never_taken_for_a_query(document: str) -> None:
    said = is_query(document)

    assert isinstance(said, bool)
    # Outside of strings and comments the word must not be there.
    if said and '"' not in document and "#" not in document:
        assert not document.lstrip().startswith("mutation")
