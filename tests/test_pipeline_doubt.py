"""The look-up of a batch in doubt: when it may say that a batch never arrived, and when it must wait or give way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from fc_connect.clock import ManualClock
from fc_connect.errors import StoppedError
from fc_connect.fluent import Credentials, FluentClient
from fc_connect.kv import Entry, Key
from fc_connect.kv.memory import MemoryKV
from fc_connect.pipeline.doubt import Absent, Arrived, DoubtResolver, refs_of
from fc_connect.sandbox import Sandbox
from fc_connect.state import BatchRecord, BatchState, FileRecord, StateService

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
FILE = FileRecord(source="file:///inbox", file_name="a.csv", fingerprint="v1", last_modified=NOW, file_size=1)
BODY = (
    b'{"action":"UPSERT","entityType":"INVENTORY","entities":'
    b'[{"ref":"A","locationRef":"W","productRef":"A","type":"LAST_ON_HAND","qty":1,"status":"ACTIVE"}]}'
)


class EventfulClock(ManualClock):
    """A clock on which something happens during the first wait."""

    def __init__(self) -> None:
        super().__init__(NOW)
        self.meanwhile: Callable[[], object] = lambda: None

    def wait(self, event: threading.Event, timeout: timedelta) -> bool:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        if not event.is_set():
            self.advance(timeout)
        return event.is_set()


class SlowKV(MemoryKV):
    """A store that takes so long for an answer that something happens meanwhile."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self._manual = clock
        self.meanwhile: Callable[[], object] | None = None

    def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
            self._manual.advance(timedelta(seconds=10))
        return super().get_many(keys)


class Bench:
    """A batch that was on its way in a job of a sandbox."""

    def __init__(self, sandbox: Sandbox, client: FluentClient) -> None:
        self.client = client
        self.clock = EventfulClock()
        self.kv = SlowKV(self.clock)
        self.state = StateService(self.kv, workflow_id="w", clock=self.clock)
        self.stop = threading.Event()
        self.job_id = client.create_job("j").id

    def resolve(self, *, given_up_ago: float = 0.0, stepped: timedelta = timedelta(0)) -> object:
        resolver = DoubtResolver(state=self.state, client=self.client, file=FILE, stop=self.stop)
        record = BatchRecord(
            number=0,
            state=BatchState.SENDING,
            sha256="",
            count=1,
            job_id=self.job_id,
            at=NOW - timedelta(seconds=30),
        )
        since = self.clock.monotonic() - given_up_ago
        self.clock.step_wall_clock(stepped)
        return resolver.resolve(record, refs_of(BODY), others=[], confirmed=set(), since=since)

    def arrive(self) -> None:
        self.client.send_batch_body(self.job_id, BODY, count=1)


@pytest.fixture
def bench() -> Iterator[Bench]:
    credentials = Credentials(client_id="tests", client_secret="tests-secret")
    with (
        Sandbox(processing_time=timedelta(0)) as sandbox,
        FluentClient(base_url=sandbox.url, auth=credentials, retailer_id="1") as client,
    ):
        yield Bench(sandbox, client)


def test_a_request_that_was_given_up_just_now_may_still_arrive_however_old_its_intent_is(
    bench: Bench,
) -> None:
    bench.clock.meanwhile = bench.arrive

    answer = bench.resolve()

    assert isinstance(answer, Arrived)


def test_a_look_that_took_long_is_as_old_as_its_first_answer(bench: Bench) -> None:
    bench.kv.meanwhile = bench.arrive

    answer = bench.resolve()

    assert isinstance(answer, Arrived)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_step_of_the_stores_clock_shortens_no_wait(bench: Bench, hours: int) -> None:
    bench.clock.meanwhile = bench.arrive

    answer = bench.resolve(stepped=timedelta(hours=hours))

    assert isinstance(answer, Arrived)


def test_a_request_that_was_given_up_long_ago_is_not_waited_for(bench: Bench) -> None:
    bench.clock.meanwhile = lambda: pytest.fail("it waited")

    answer = bench.resolve(given_up_ago=10.0)

    assert isinstance(answer, Absent)


def test_a_run_that_is_told_to_stop_meanwhile_leaves_the_batch_in_doubt(bench: Bench) -> None:
    bench.clock.meanwhile = bench.stop.set

    with pytest.raises(StoppedError, match="in doubt"):
        bench.resolve()


def test_a_batch_that_fluent_still_works_on_when_the_run_is_told_to_stop_stays_in_doubt() -> None:
    credentials = Credentials(client_id="tests", client_secret="tests-secret")
    with (
        Sandbox(processing_time=timedelta(minutes=1)) as sandbox,
        FluentClient(base_url=sandbox.url, auth=credentials, retailer_id="1") as client,
    ):
        bench = Bench(sandbox, client)
        bench.arrive()
        bench.stop.set()

        with pytest.raises(StoppedError, match="in doubt"):
            bench.resolve()
