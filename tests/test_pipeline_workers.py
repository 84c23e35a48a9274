"""Many processes on one folder: each file completed once, each record delivered once, in order where asked."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest

from fc_connect.kv.memory import MemoryKV
from fc_connect.observe import Event, FileFinished
from fc_connect.pipeline import Pipeline
from fc_connect.sandbox import Sandbox
from fc_connect.state import BatchRecord, BatchState, FileStatus, StateService
from fc_connect.state.files import digest_of
from tests.shop import Shop
from tests.test_state_holes import a_dead_workers_locks

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]

FILES = 100  # `python -m bench.workers` runs ten thousand
ROWS = 12


@pytest.fixture(params=["sqlite", "redis", "postgresql", "nats"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.db"
    if request.param == "redis":
        return f"{request.getfixturevalue('redis_url')}?namespace={uuid.uuid4().hex}"
    if request.param == "nats":
        return f"{request.getfixturevalue('nats_url')}/{uuid.uuid4().hex}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def shop(tmp_path: Path, state_url: str) -> Iterator[Shop]:
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        name = f"inventory-{uuid.uuid4().hex[:8]}"
        yield Shop(tmp_path / "shop", sandbox, pipeline=name, state=state_url)


@pytest.mark.parametrize("order", ["any", "time"])
def test_eight_processes_share_a_hundred_files(shop: Shop, order: str) -> None:
    shop.configure(order=order)
    for number in range(FILES):
        # Names run against time, so that an order by name would show.
        shop.stock(f"stock-{FILES - number:03d}.csv", warehouse=f"W{number:03d}", rows=ROWS, age=number)

    processes = [shop.start() for _ in range(8)]
    outputs = [process.communicate(timeout=280)[0] for process in processes]

    assert [process.returncode for process in processes] == [0] * 8, "\n".join(outputs)
    deliveries = shop.deliveries()
    assert len(deliveries) == FILES * ROWS
    assert set(deliveries.values()) == {1}
    pipeline = shop.pipeline()
    with pipeline.open_store() as kv:
        state = pipeline.open_state(kv)
        records = list(state.files.all())
        assert len(records) == FILES
        assert {record.status for record in records} == {FileStatus.COMPLETED}
        assert state.get_sync_state().files_completed == FILES
        assert not list(state.locks.list())
    assert len(shop.sandbox.jobs()) == 1
    if order == "time":
        warehouses = [delivery.key[0] for delivery in shop.sandbox.log.entities()]
        assert warehouses == sorted(warehouses)


def test_workers_of_one_command_share_the_files(shop: Shop) -> None:
    for number in range(20):
        shop.stock(f"stock-{number:03d}.csv", warehouse=f"W{number:03d}", rows=ROWS, age=number)

    process = shop.start("--workers", "3", "--json")
    output, _ = process.communicate(timeout=120)

    assert process.returncode == 0, output
    assert '"files_processed": 20' in output
    assert set(shop.deliveries().values()) == {1}
    assert len(shop.deliveries()) == 20 * ROWS


class Clockless(MemoryKV):
    """A store that can't tell when a lock expired."""

    has_clock = False


@pytest.mark.parametrize("order", ["any", "time"])
def test_a_run_takes_over_from_a_dead_machine_also_in_a_store_without_a_clock(
    tmp_path: Path, order: str
) -> None:
    with Sandbox(processing_time=timedelta(0)) as sandbox, Clockless() as kv:
        shop = Shop(tmp_path / "shop", sandbox, pipeline="w", order=order)
        for number in range(2):
            shop.stock(f"stock-{number}.csv", warehouse=f"W{number}", rows=3, age=number)
        pipeline = shop.pipeline()
        pipeline.open_store = lambda: nullcontext(kv)  # type: ignore[assignment,return-value]
        with pipeline.open_source() as source:
            names = [f"file:{digest_of(source.url, each.path)}" for each in source.list("*.csv")]
        a_dead_workers_locks(kv, *names, timeout=timedelta(milliseconds=300))

        result = pipeline.run()

    assert result.success
    assert result.files_processed == 2


@pytest.mark.parametrize("moves", [False, True])
def test_what_a_dead_machine_left_of_finished_files_holds_up_no_other(tmp_path: Path, moves: bool) -> None:
    with Sandbox(processing_time=timedelta(0)) as sandbox, Clockless() as kv:
        shop = Shop(tmp_path / "shop", sandbox, pipeline="w")
        shop.stock("done.csv", warehouse="W0", rows=3)
        in_kv(kv, shop.pipeline()).run()
        state = StateService(kv, workflow_id="w")
        [record] = state.files.all()
        left = BatchRecord(
            number=0, state=BatchState.SENT, sha256="0", count=1, job_id="j", batch_id="b", at=kv.now()
        )
        with state.lock(record.lock_name) as lease:
            state.save_batches(record, [left], lease)
        a_dead_workers_locks(kv, record.lock_name, timeout=timedelta(milliseconds=300))
        if moves:
            shop.configure(after={"success": "archive"})
        shop.stock("new.csv", warehouse="W1", rows=3, age=1)
        left_at_the_end: list[list[BatchRecord]] = []

        def note(event: Event) -> None:
            if isinstance(event, FileFinished):
                left_at_the_end.append(list(state.batches.of(record)))

        result = in_kv(kv, shop.pipeline(listeners=[note])).run()

        assert result.success
        assert left_at_the_end == [[left]]
        assert not list(state.batches.of(record))
        assert (shop.inbox / "done.csv").exists() != moves


def in_kv(kv: Clockless, pipeline: Pipeline) -> Pipeline:
    pipeline.open_store = lambda: nullcontext(kv)  # type: ignore[assignment,method-assign,return-value]
    return pipeline
