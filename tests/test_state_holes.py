"""The nine holes of the TypeScript SDK's state, each closed: one test per hole, on every store."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fc_connect.clock import ManualClock
from fc_connect.errors import KVUnavailableError, LockHeldError, LockLostError
from fc_connect.kv import KVStore, open_kv
from fc_connect.kv.memory import MemoryKV
from fc_connect.state import BatchRecord, BatchState, FileRecord, FileStatus, Lease, Owner, StateService
from fc_connect.state.lease import LockInfo
from fc_connect.state.records import to_json

pytestmark = pytest.mark.service

DAY = datetime(2026, 1, 15, tzinfo=UTC)


def a_file(
    name: str = "stock.csv", *, minute: int = 0, fingerprint: str = "v1", records: int = 10
) -> FileRecord:
    return FileRecord(
        source="file:///inbox",
        file_name=name,
        fingerprint=fingerprint,
        last_modified=DAY + timedelta(minutes=minute),
        file_size=100,
        record_count=records,
    )


@pytest.fixture(params=["memory", "sqlite", "redis", "postgresql", "nats", "deno"])
def kv(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KVStore]:
    urls = {
        "memory": lambda: "memory:",
        "sqlite": lambda: f"sqlite:///{tmp_path}/state.db",
        "redis": lambda: f"{request.getfixturevalue('redis_url')}?namespace={uuid.uuid4().hex}",
        "postgresql": lambda: str(request.getfixturevalue("postgres_url")),
        "nats": lambda: f"{request.getfixturevalue('nats_url')}/{uuid.uuid4().hex}",
        "deno": lambda: f"{request.getfixturevalue('deno_url')}&namespace={uuid.uuid4().hex}",
    }
    with open_kv(urls[request.param]()) as store:
        yield store


@pytest.fixture
def state(kv: KVStore) -> StateService:
    return StateService(kv, workflow_id=f"w-{uuid.uuid4().hex}")


def until_expired(state: StateService, name: str) -> None:
    while (lock := state.locks.get(name)) is not None:  # a store without a clock keeps the record
        if not state.kv.has_clock and lock.expires_at < state.kv.now():
            return
        state.clock.sleep(timedelta(milliseconds=20))


def test_hole_1_of_many_who_find_a_stale_lock_one_takes_it_over(state: StateService) -> None:
    stale = state.lock("stock", timeout=timedelta(milliseconds=300))
    stale._stop.set()  # its worker hangs: nobody renews
    until_expired(state, "stock")

    def acquire(_: int) -> Lease | None:
        try:
            return state.lock("stock", timeout=timedelta(minutes=1))
        except LockHeldError:
            return None

    with ThreadPoolExecutor(8) as pool:
        leases = [lease for lease in pool.map(acquire, range(16)) if lease]

    assert [lease.token for lease in leases] == [stale.token + 1]
    leases[0].release()


def test_hole_2_only_the_owner_releases_a_lock(state: StateService) -> None:
    first = state.lock("stock")
    state.force_release("stock", reason="test")
    with state.lock("stock") as second:
        first.release()

        with pytest.raises(LockHeldError):
            state.lock("stock")
        assert second.commit(state.kv.atomic().set((state.workflow_id, "x"), 1))


def test_hole_3_a_lock_outlives_its_timeout_while_its_worker_lives(state: StateService) -> None:
    with state.lock("stock", timeout=timedelta(milliseconds=600)) as lease:
        state.clock.sleep(timedelta(milliseconds=1500))

        with pytest.raises(LockHeldError):
            state.lock("stock")
        assert not lease.lost.is_set()


def test_hole_3_a_paused_worker_writes_nothing(state: StateService) -> None:
    paused = state.lock("stock", timeout=timedelta(milliseconds=300))
    paused._stop.set()  # as if the whole process were stopped
    until_expired(state, "stock")

    with pytest.raises(LockLostError):
        state.save_file(a_file(), paused)

    assert state.files.get(a_file().file_id) is None


def test_hole_4_an_outage_never_reads_as_not_processed(state: StateService) -> None:
    state.update_sync_state([a_file()])

    state.kv.close()

    with pytest.raises(KVUnavailableError):
        state.is_file_processed(a_file())
    with pytest.raises(KVUnavailableError):
        state.lock("stock")


def test_hole_5_files_and_watermark_move_together_and_never_back(state: StateService) -> None:
    sync = state.update_sync_state([a_file("9.csv", minute=1), a_file("10.csv", minute=2)])
    later = state.update_sync_state([a_file("99.csv", minute=0)])
    again = state.update_sync_state([a_file("9.csv", minute=1)])

    assert sync.watermark == (DAY + timedelta(minutes=2), "10.csv")
    assert later.watermark == sync.watermark
    assert again == later
    assert later.files_completed == 3
    assert all(state.is_file_processed(a_file(name)) for name in ("9.csv", "10.csv", "99.csv"))


def test_hole_5_many_who_mark_at_once_lose_nothing(state: StateService) -> None:
    files = [a_file(f"{number}.csv", minute=number) for number in range(40)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda file: state.update_sync_state([file]), files))

    sync = state.get_sync_state()
    assert sync.files_completed == 40
    assert sync.records_completed == 400
    assert sync.watermark == files[-1].position


def test_hole_6_changed_content_under_the_same_name_is_another_version(state: StateService) -> None:
    state.update_sync_state([a_file(fingerprint="v1")])

    assert state.is_file_processed(a_file(fingerprint="v1"))
    assert not state.is_file_processed(a_file(fingerprint="v2"))


def test_hole_7_sent_batches_are_known_after_a_crash(state: StateService) -> None:
    file = a_file()
    with state.lock("stock") as lease:
        state.save_file(file.moved_to(FileStatus.PROCESSING, at=DAY), lease)
        for number, batch_state in enumerate([BatchState.SENT, BatchState.SENDING]):
            batch = BatchRecord(
                number=number,
                state=batch_state,
                sha256="0" * 64,
                count=10,
                job_id="7",
                batch_id="1" if batch_state is BatchState.SENT else None,
                at=DAY,
            )
            state.save_batches(file, [batch], lease)

    after_the_crash = StateService(state.kv, workflow_id=state.workflow_id)

    assert [each.state for each in after_the_crash.batches.of(file)] == [BatchState.SENT, BatchState.SENDING]
    with after_the_crash.lock("stock") as lease:
        after_the_crash.complete_file(file, lease)
    assert list(after_the_crash.batches.of(file)) == []


def test_hole_8_clearing_leaves_nothing_but_the_tokens(state: StateService) -> None:
    state.update_sync_state([a_file()])
    with state.lock("stock") as lease:
        token = lease.token
    state.set_daily_job("7")
    other = StateService(state.kv, workflow_id=state.workflow_id + "-other")
    other.update_sync_state([a_file()])

    state.clear()

    assert not state.is_file_processed(a_file())
    assert state.get_daily_job() is None
    assert not state.get_sync_state().is_initialized
    assert state.lock("stock").token == token + 1
    assert other.is_file_processed(a_file())


def test_hole_8_the_stores_clock_decides_which_day_it_is() -> None:
    clock = ManualClock(datetime(2026, 1, 15, 23, 59, tzinfo=UTC))
    with open_kv("memory:", clock=clock) as kv:
        state = StateService(kv, workflow_id="w")  # its own clock says something else

        first = state.daily_job(lambda now: f"job-{now:%d}")
        clock.advance(timedelta(minutes=2))
        second = state.daily_job(lambda now: f"job-{now:%d}")

        assert (first.job_id, second.job_id) == ("job-15", "job-16")
        assert first.expires_at == datetime(2026, 1, 16, tzinfo=UTC)


def test_hole_9_a_file_costs_its_own_keys_alone(state: StateService) -> None:
    state.update_sync_state([a_file(f"{number}.csv") for number in range(200)])

    keys = [entry.key for entry in state.kv.list((state.workflow_id,))]

    sizes = {kind: sum(key[1] == kind for key in keys) for kind in {key[1] for key in keys}}
    assert sizes == {"file": 200, "path": 200, "sync": 1, "schema": 1}


def test_of_many_who_ask_for_the_daily_job_one_creates_it(state: StateService) -> None:
    created: list[str] = []
    together = threading.Barrier(8)

    def create(now: datetime) -> str:
        created.append(f"job-{len(created)}")
        return created[-1]

    def ask(_: int) -> str:
        together.wait()
        return state.daily_job(create).job_id

    with ThreadPoolExecutor(8) as pool:
        jobs = set(pool.map(ask, range(8)))

    assert jobs == {"job-0"}
    assert created == ["job-0"]


def test_a_closed_job_is_replaced_once(state: StateService) -> None:
    created: list[str] = []

    def create(now: datetime) -> str:
        created.append(f"job-{len(created)}")
        return created[-1]

    first = state.daily_job(create).job_id
    with ThreadPoolExecutor(4) as pool:
        others = set(pool.map(lambda _: state.daily_job(create, instead_of=first).job_id, range(4)))

    assert others == {"job-1"}
    assert created == ["job-0", "job-1"]


class Clockless(MemoryKV):
    """A store that can't tell when a lock expired."""

    has_clock = False


def a_dead_workers_locks(kv: KVStore, *names: str, timeout: timedelta) -> None:
    for name in names:
        write = kv.atomic()
        info = LockInfo(
            name=name,
            acquisition=name,
            owner=Owner(host="elsewhere", pid=1),
            token=1,
            acquired_at=kv.now() - 2 * timeout,
            expires_at=kv.now() - timeout,
            timeout=timeout.total_seconds(),
        )
        write.set(("w", "lock", name), to_json(info)).set(("w", "fence", name), 1).commit()


def test_a_run_that_does_not_wait_takes_over_from_a_dead_machine_also_without_a_clock() -> None:
    with Clockless() as kv:
        a_dead_workers_locks(kv, "stock", timeout=timedelta(milliseconds=300))

        with StateService(kv, workflow_id="w").lock("stock") as lease:
            assert lease.token == 2


def test_without_a_clock_all_locks_of_a_dead_worker_are_watched_at_once() -> None:
    timeout = timedelta(milliseconds=300)
    with Clockless() as kv:
        a_dead_workers_locks(kv, "a", "b", "c", timeout=timeout)
        state = StateService(kv, workflow_id="w")
        seen = state.locks._seen

        with state.lock("a"):
            watched = {name: since for name, (_, since) in seen.items()}

    assert len(watched) == 3
    assert len(set(watched.values())) == 1


def test_without_a_clock_a_holder_that_renews_keeps_its_lock_whatever_its_clock_says() -> None:
    timeout = timedelta(seconds=2)
    with Clockless() as kv:
        a_dead_workers_locks(kv, "stock", timeout=timeout)
        stop = threading.Event()

        def renew() -> None:
            while not stop.wait(0.05):
                a_dead_workers_locks(kv, "stock", timeout=timeout)

        holder = threading.Thread(target=renew)
        holder.start()
        try:
            with pytest.raises(LockHeldError):
                StateService(kv, workflow_id="w").lock("stock")
        finally:
            stop.set()
            holder.join()


@pytest.mark.parametrize("batches", [98, 99, 100, 101, 250])
def test_a_file_of_many_batches_is_compacted_under_its_locks(state: StateService, batches: int) -> None:
    file = a_file()
    with state.lock(file.lock_name) as lock, state.lock("turn") as turn:
        state.save_file(file.moved_to(FileStatus.PROCESSING, at=DAY), lock)
        for at in range(0, batches, 45):
            numbers = range(at, min(at + 45, batches))
            state.save_batches(
                file,
                [
                    BatchRecord(
                        number=n,
                        state=BatchState.SENT,
                        sha256="0",
                        count=1,
                        job_id="j",
                        batch_id=f"b{n}",
                        at=DAY,
                    )
                    for n in numbers
                ],
                lock,
                turn,
            )

        state.complete_file(file, lock, turn)

    assert not list(state.batches.of(file))
    assert state.is_file_processed(file)


def test_a_reset_that_is_cut_short_can_be_asked_for_again(
    state: StateService, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = a_file()
    sent = BatchRecord(number=0, state=BatchState.SENT, sha256="0", count=1, job_id="j", batch_id="b", at=DAY)
    with state.lock(file.lock_name) as lock:
        state.save_file(file.moved_to(FileStatus.FAILED, at=DAY), lock)
        state.save_batches(file, [sent], lock)
        with monkeypatch.context() as patch:
            patch.setattr(state.batches, "_delete", gone)
            with pytest.raises(KVUnavailableError):
                state.reset_file(file, lock)

        assert state.files.get(file.file_id) is not None

        state.reset_file(file, lock)

    assert state.files.get(file.file_id) is None
    assert not list(state.batches.of(file))


def gone(*_: object) -> int:
    raise KVUnavailableError("the connection is gone")


def test_pruning_leaves_a_file_that_is_to_be_tried_again(
    state: StateService, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.update_sync_state([a_file("new.csv", minute=10_000)])
    file = a_file("old.csv")
    with state.lock(file.lock_name) as lease:
        state.save_file(file, lease)
    listed = file.moved_to(FileStatus.QUARANTINED, at=DAY)
    monkeypatch.setattr(
        state.files, "all", lambda: iter([listed])
    )  # a person lets it go on, right after the list

    removed = state.prune(older_than=timedelta(0), lookback=timedelta(0))

    assert removed == 0
    assert state.files.get(file.file_id) == file


def test_a_completed_file_is_completed_though_nothing_could_be_cleared_up(
    state: StateService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> int:
        raise KVUnavailableError("away")

    file = a_file()
    monkeypatch.setattr(state.batches, "clear", away)
    with state.lock(file.lock_name) as lease:
        state.complete_file(file, lease)

    assert state.get_sync_state().files_completed == 1
    assert state.is_file_processed(file)
