"""Every call of the client, and all that can befall it on the way: the right result, or an error that is true."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from fc_connect.errors import (
    AuthenticationError,
    FluentAPIError,
    FluentOutcomeUnknownError,
    FluentUnavailableError,
    GraphQLError,
)
from fc_connect.fluent import BearerToken, ClientOptions, Credentials, FluentClient
from fc_connect.proof.proxy import Direction, Proxy
from fc_connect.proof.toxics import (
    Bandwidth,
    Kind,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
    Toxic,
)
from fc_connect.sandbox import Fault, FaultKind, Sandbox

LOGIN = Credentials(client_id="c", client_secret="secret-of-c")
MS = timedelta(milliseconds=1)
BACKOFF: dict[str, Any] = {"max_attempts": 2, "backoff": 5 * MS, "max_backoff": 10 * MS}
# A call that is to succeed has time to do so on any machine; another is to fail soon.
PATIENT = ClientOptions(timeout=30_000 * MS, total_timeout=60_000 * MS, **BACKOFF)
HASTY = ClientOptions(timeout=60 * MS, total_timeout=200 * MS, **BACKOFF)
SLACK = 20.0  # seconds that a busy machine may add to a deadline
ENTITY = {"ref": "r", "locationRef": "L", "skuRef": "S", "qty": 1, "type": "LAST_ON_HAND", "status": "ACTIVE"}
EVENT = {
    "name": "OrderChanged",
    "entityType": "ORDER",
    "entityRef": "O-1",
    "rootEntityType": "ORDER",
    "rootEntityRef": "O-1",
}
MUTATION = 'mutation { createLocation(input: {ref: "L", type: "STORE", name: "L"}) { id } }'
PAGES = (
    "query ($after: String) { inventoryPositions(first: 10, after: $after) "
    "{ edges { cursor node { id } } pageInfo { hasNextPage } } }"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the calls ask for."""

    sandbox: Sandbox
    job_id: str
    batch_id: str
    event_id: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A call, and where it goes."""

    path: str
    run: Callable[[FluentClient, Place], Any]
    writes: bool = False


CALLS: dict[str, Case] = {
    "token": Case(path="/oauth/token", run=lambda c, p: c.get_job_status(p.job_id)),
    "create_job": Case(path="/api/v4.1/job", run=lambda c, p: c.create_job("j"), writes=True),
    "send_batch": Case(
        path="/api/v4.1/job/*/batch", run=lambda c, p: c.send_batch(p.job_id, entities=[ENTITY]), writes=True
    ),
    "job_status": Case(path="/api/v4.1/job/*", run=lambda c, p: c.get_job_status(p.job_id)),
    "batch_status": Case(
        path="/api/v4.1/job/*/batch/*", run=lambda c, p: c.get_batch_status(p.job_id, p.batch_id)
    ),
    "job_results": Case(path="/api/v4.1/job/*/results", run=lambda c, p: c.get_job_results(p.job_id)),
    "event_async": Case(
        path="/api/v4.1/event/async", run=lambda c, p: c.events.send(EVENT, mode="async"), writes=True
    ),
    "event_sync": Case(
        path="/api/v4.1/event/sync", run=lambda c, p: c.events.send(EVENT, mode="sync"), writes=True
    ),
    "event_get": Case(path="/api/v4.1/event/*", run=lambda c, p: c.events.get(p.event_id)),
    "event_search": Case(path="/api/v4.1/event", run=lambda c, p: list(c.events.search())),
    "query": Case(path="/graphql", run=lambda c, p: c.graphql("query { me { id } }")),
    "mutation": Case(path="/graphql", run=lambda c, p: c.graphql(MUTATION), writes=True),
    "pages": Case(path="/graphql", run=lambda c, p: list(c.pages(PAGES))),
}

TOXICS: dict[str, tuple[Toxic, Direction, bool]] = {
    "late": (Latency(delay=20 * MS), "downstream", True),
    "too late": (Latency(delay=500 * MS), "downstream", False),
    "reset": (ResetPeer(), "upstream", False),
    "reset in the answer": (LimitData(max_bytes=40, then=Kind.RESET), "downstream", False),
    "cut in the body": (LimitData(max_bytes=170), "downstream", False),
    "cut in the request": (LimitData(max_bytes=100), "upstream", False),
    "stalls in the answer": (LimitData(max_bytes=40, then=None), "downstream", False),
    "closes slowly": (SlowClose(delay=50 * MS), "downstream", True),
    "narrow up": (Bandwidth(bytes_per_second=40_000), "upstream", True),
    "narrow down": (Bandwidth(bytes_per_second=40_000), "downstream", True),
    "in pieces": (Slicer(average_size=97), "downstream", True),
    "no way there": (Timeout(), "upstream", False),
    "no way back": (Timeout(), "downstream", False),
}

# (kind, status, after accepting)
FAULTS: dict[str, tuple[FaultKind, int, bool]] = {
    "429": (FaultKind.STATUS, 429, False),
    "401": (FaultKind.STATUS, 401, False),
    "500 before": (FaultKind.STATUS, 500, False),
    "503 before": (FaultKind.STATUS, 503, False),
    "500 after": (FaultKind.STATUS, 500, True),
    "503 after": (FaultKind.STATUS, 503, True),
    "drop before": (FaultKind.DROP, 503, False),
    "drop after": (FaultKind.DROP, 503, True),
    "truncated": (FaultKind.TRUNCATED, 503, True),
    "a login page": (FaultKind.NOT_JSON, 503, True),
    "nothing": (FaultKind.EMPTY, 503, True),
}
REFUSED_FOR_NOW = {"429", "401"}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        with opened(sandbox.url, LOGIN, PATIENT) as client:
            job = client.create_job("j")
            batch = client.send_batch(job.id, entities=[ENTITY])
            event = client.events.send(EVENT, mode="sync")
            client.graphql("query { me { id } }")  # the first one takes longer: a library is loaded
        token = httpx.post(f"{sandbox.url}/oauth/token", data=LOGIN.login()).json()["access_token"]
        assert event.id is not None
        yield Place(sandbox=sandbox, job_id=job.id, batch_id=batch.id, event_id=event.id, token=token)


@contextmanager
def opened(url: str, auth: Credentials | BearerToken, options: ClientOptions) -> Iterator[FluentClient]:
    with FluentClient(base_url=url, auth=auth, retailer_id="1", options=options) as client:
        yield client


def outcome(case: Case, client: FluentClient, place: Place, options: ClientOptions) -> FluentAPIError | None:
    """Run the call; return its error, if any. An answer of GraphQL that holds errors is an answer."""
    began = time.monotonic()
    try:
        case.run(client, place)
        error: FluentAPIError | None = None
    except GraphQLError:
        error = None
    except FluentAPIError as exc:
        error = exc
    assert time.monotonic() - began < options.total_timeout.total_seconds() + SLACK
    return error


def settle() -> None:
    """Wait until the sandbox is through with every request, those included whose client is long gone."""
    deadline = time.monotonic() + SLACK
    while any(re.fullmatch(r"sandbox-\d+", each.name) for each in threading.enumerate()):
        assert time.monotonic() < deadline, "the sandbox is still at a request"
        time.sleep(0.002)


def effects(place: Place) -> int:
    """Count what was done at Fluent. A mutation counts as done once it has arrived and nobody refused it."""
    sandbox = place.sandbox
    mutated = [r for r in sandbox.requests(path="/graphql") if r.fault is None or r.status == 500]
    return len(sandbox.jobs()) + len(sandbox.batches()) + len(sandbox.events()) + len(mutated)


def judge(case: Case, error: FluentAPIError | None, done: int) -> None:
    """Hold what the client said against what was done."""
    if not case.writes:
        assert (
            error is None or isinstance(error, FluentUnavailableError | AuthenticationError) or error.status
        )
        return
    assert done <= 1
    if error is None:
        assert done == 1
    elif not isinstance(error, FluentOutcomeUnknownError):
        assert done == 0


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("toxic", TOXICS)
def test_on_a_bad_way_a_call_gives_its_result_or_a_true_error_in_time(
    place: Place, name: str, toxic: str
) -> None:
    case = CALLS[name]
    what, direction, must_succeed = TOXICS[toxic]
    options = PATIENT if must_succeed else HASTY
    auth = LOGIN if name == "token" else BearerToken(place.token)
    before = effects(place)
    with (
        Proxy.before(place.sandbox.url) as proxy,
        proxy.toxic(what, direction=direction),
        opened(proxy.url(place.sandbox.url), auth, options) as client,
    ):
        error = outcome(case, client, place, options)
    settle()

    judge(case, error, effects(place) - before)
    assert error is None or not must_succeed


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("fault", FAULTS)
def test_of_a_bad_server_a_call_gives_its_result_or_a_true_error(place: Place, name: str, fault: str) -> None:
    case = CALLS[name]
    kind, status, after = FAULTS[fault]
    with opened(place.sandbox.url, LOGIN, PATIENT) as client:
        if name != "token":
            client.get_job_status(place.job_id)  # logs in
        before = effects(place)
        place.sandbox.inject(Fault(kind=kind, path=case.path, status=status, after_accepting=after))
        try:
            error = outcome(case, client, place, PATIENT)
        finally:
            place.sandbox.clear_faults()
    settle()
    done = effects(place) - before

    if case.path != "/graphql":
        judge(case, error, done)
    if fault in REFUSED_FOR_NOW and (name, fault) != ("token", "401"):
        assert error is None
    elif (name, fault) == ("event_async", "nothing"):
        assert error is None  # Fluent's documentation: the answer may be empty
    elif case.writes:
        assert isinstance(error, FluentOutcomeUnknownError)
    elif name != "token" and kind is not FaultKind.NOT_JSON and kind is not FaultKind.EMPTY:
        assert error is None  # a read is sent again
