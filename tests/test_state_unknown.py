"""Commits whose outcome is unknown: lost, done, or done later than anybody thinks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fc_connect.clock import ManualClock
from fc_connect.errors import KVCommitUnknownError, LockHeldError, LockLostError, StateConflictError
from fc_connect.kv import CommitResult
from fc_connect.kv.commit import Commit
from fc_connect.kv.memory import MemoryKV
from fc_connect.state import BatchRecord, BatchState, FileRecord, Lease, StateService

LEASE = timedelta(minutes=1)
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
FILE = FileRecord(source="file:///inbox", file_name="a.csv", fingerprint="v1", last_modified=NOW, file_size=1)


class BadLine(MemoryKV):
    """A store whose next commits meet a connection that dies; `arrive` lets them be carried out after all."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.dies = 0
        self.under_way: list[Commit] = []

    def atomic(self) -> Commit:
        return Commit(self._transmit)

    def arrive(self) -> list[bool]:
        """Carry out what was under way, and say which of it held."""
        return [self._apply(each).ok for each in self.under_way]

    def _transmit(self, commit: Commit) -> CommitResult:
        if self.dies:
            self.dies -= 1
            self.under_way.append(commit)
            raise KVCommitUnknownError("the connection died")
        return self._apply(commit)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def kv(clock: ManualClock) -> BadLine:
    return BadLine(clock)


@pytest.fixture
def state(kv: BadLine, clock: ManualClock) -> StateService:
    return StateService(kv, workflow_id="w", clock=clock)


def without_renewals(lease: Lease) -> Lease:
    lease._stop.set()
    lease._thread.join()
    return lease


def batch(state: BatchState) -> BatchRecord:
    batch_id = "1" if state is BatchState.SENT else None
    return BatchRecord(number=0, state=state, sha256="", count=1, job_id="j", batch_id=batch_id, at=NOW)


def test_a_write_that_arrives_after_its_repetition_undoes_nothing(kv: BadLine, state: StateService) -> None:
    with without_renewals(state.lock(FILE.lock_name, timeout=LEASE)) as lease:
        kv.dies = 1
        state.save_batches(FILE, [batch(BatchState.SENDING)], lease)
        state.save_batches(FILE, [batch(BatchState.SENT)], lease)

        assert kv.arrive() == [False]

        assert [each.state for each in state.batches.of(FILE)] == [BatchState.SENT]


def test_a_write_whose_fate_no_renewal_can_settle_is_given_up(kv: BadLine, state: StateService) -> None:
    with without_renewals(state.lock(FILE.lock_name, timeout=LEASE)) as lease:
        kv.dies = 2

        with pytest.raises(KVCommitUnknownError):
            state.save_batches(FILE, [batch(BatchState.SENDING)], lease)


def test_a_renewal_that_did_not_arrive_prolongs_nothing(
    kv: BadLine, state: StateService, clock: ManualClock
) -> None:
    with without_renewals(state.lock(FILE.lock_name, timeout=LEASE)) as lease:
        clock.advance(LEASE / 2)
        kv.dies = 1
        with pytest.raises(KVCommitUnknownError):
            lease.renew()
        clock.advance(LEASE / 2)

        with pytest.raises(LockLostError):
            lease.commit(kv.atomic().set(("w", "x"), 1))


def test_a_renewal_that_arrived_though_its_answer_was_lost_counts(
    kv: BadLine, state: StateService, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with without_renewals(state.lock(FILE.lock_name, timeout=LEASE)) as lease:
        clock.advance(LEASE / 2)
        get = kv.get
        kv.dies = 1
        monkeypatch.setattr(kv, "get", lambda key: (kv.arrive(), get(key))[1])
        lease.renew()
        clock.advance(LEASE / 2)

        lease.commit(kv.atomic().set(("w", "x"), 1))


def test_a_renewal_that_arrives_late_is_gone_on_with(
    kv: BadLine, state: StateService, clock: ManualClock
) -> None:
    with without_renewals(state.lock(FILE.lock_name, timeout=LEASE)) as lease:
        kv.dies = 1
        with pytest.raises(KVCommitUnknownError):
            lease.renew()
        assert kv.arrive() == [True]
        clock.advance(LEASE / 2)

        lease.renew()

        clock.advance(LEASE * 0.9)
        lease.commit(kv.atomic().set(("w", "x"), 1))


def test_a_write_settles_first_what_became_of_a_renewal(kv: BadLine, state: StateService) -> None:
    for arrives_before in (True, False):
        with without_renewals(state.lock(FILE.lock_name, timeout=LEASE)) as lease:
            kv.dies, kv.under_way = 1, []
            with pytest.raises(KVCommitUnknownError):
                lease.renew()
            if arrives_before:
                assert kv.arrive() == [True]

            state.save_batches(FILE, [batch(BatchState.SENDING)], lease)

            assert kv.arrive() == [False]
            state.save_batches(FILE, [batch(BatchState.SENT)], lease)


def test_how_old_a_renewal_is_that_arrived_late_is_never_guessed_younger(
    kv: BadLine, state: StateService, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two renewals with lost answers the first arrives: the store counts from there."""
    with without_renewals(state.lock(FILE.lock_name, timeout=LEASE)) as lease:
        clock.advance(LEASE / 4)
        kv.dies = 1
        with pytest.raises(KVCommitUnknownError):
            lease.renew()
        assert kv.arrive() == [True]
        clock.advance(LEASE / 2)
        kv.dies = 1
        lease.renew()  # its answer is lost as well, and the record is its own: but of the first one
        clock.advance(LEASE / 2)  # the first has run out, the second would not have

        with pytest.raises(LockLostError):
            lease.demand_held()


def test_a_record_of_anybody_else_is_never_taken_for_a_renewal(kv: BadLine, state: StateService) -> None:
    with without_renewals(state.lock(FILE.lock_name, timeout=LEASE)) as lease:
        kv.dies = 1
        with pytest.raises(KVCommitUnknownError):
            lease.renew()
        state.force_release(FILE.lock_name, reason="a test")
        with state.lock(FILE.lock_name, timeout=LEASE):
            assert kv.arrive() == [False]

            with pytest.raises(LockLostError):
                lease.commit(kv.atomic().set(("w", "x"), 1))


def test_a_lock_that_was_lost_while_its_renewal_was_on_its_way_is_free_once_it_is_given_back(
    kv: BadLine, state: StateService, clock: ManualClock
) -> None:
    with without_renewals(state.lock(FILE.lock_name, timeout=LEASE)) as lease:
        clock.advance(LEASE * 0.9)
        kv.dies = 1
        with pytest.raises(KVCommitUnknownError):
            lease.renew()
        assert kv.arrive() == [True]
        clock.advance(LEASE * 0.2)
        with pytest.raises(LockLostError):
            lease.commit(kv.atomic().set(("w", "x"), 1))

    state.lock(FILE.lock_name, timeout=LEASE).release()


def test_a_lock_whose_request_was_given_up_and_arrived_late_is_taken_by_the_next_who_asks(
    kv: BadLine, state: StateService
) -> None:
    kv.dies = 1
    with pytest.raises(LockHeldError):
        state.lock(FILE.lock_name, timeout=LEASE)
    assert kv.arrive() == [True]

    with state.lock(FILE.lock_name, timeout=LEASE) as lease:
        assert lease.token == 2


def test_a_lock_that_another_process_took_late_is_left_alone(kv: BadLine, state: StateService) -> None:
    kv.dies = 1
    with pytest.raises(LockHeldError):
        state.lock(FILE.lock_name, timeout=LEASE)
    kv.arrive()
    another = StateService(kv, workflow_id="w", clock=state.clock)

    with pytest.raises(LockHeldError):
        another.lock(FILE.lock_name, timeout=LEASE)


class NoReplica(BadLine):
    """A store that writes and never knows whether it lasts."""

    def __init__(self, clock: ManualClock, *, takes: timedelta, writes: bool) -> None:
        super().__init__(clock)
        self._manual, self._takes, self._writes = clock, takes, writes
        self.commits = 0

    def _transmit(self, commit: Commit) -> CommitResult:
        if self.dies == 0:
            return self._apply(commit)
        self.commits += 1
        self._manual.advance(self._takes)
        if self._writes:
            self._apply(commit)
        raise KVCommitUnknownError("only 0 of 1 replicas have the commit")


def test_a_result_that_was_noted_though_its_answer_was_lost_is_noted_once(clock: ManualClock) -> None:
    kv = NoReplica(clock, takes=timedelta(seconds=1), writes=True)
    state = StateService(kv, workflow_id="w", clock=clock)
    kv.dies = 1

    state.note_result("success")

    assert kv.commits == 1
    assert state.get_sync_state().last_sync_result == "success"


def test_a_change_that_no_answer_confirms_is_given_up_in_time(clock: ManualClock) -> None:
    kv = NoReplica(clock, takes=timedelta(seconds=1), writes=False)
    state = StateService(kv, workflow_id="w", clock=clock)
    kv.dies = 1
    began = clock.monotonic()

    with pytest.raises(KVCommitUnknownError, match=r"replicas.*run again"):
        state.note_result("success")

    assert clock.monotonic() - began < 70


def test_a_change_that_others_overtake_each_time_is_given_up_in_time(
    kv: BadLine, state: StateService, clock: ManualClock
) -> None:
    class Crowded(BadLine):
        def _transmit(self, commit: Commit) -> CommitResult:
            clock.advance(timedelta(milliseconds=100))
            return CommitResult(ok=False, versionstamp=None)

    began = clock.monotonic()
    crowded = Crowded(clock)
    kv._transmit = crowded._transmit  # type: ignore[method-assign]

    with pytest.raises(StateConflictError, match="fewer workers"):
        state.note_result("success")

    assert clock.monotonic() - began < 70
