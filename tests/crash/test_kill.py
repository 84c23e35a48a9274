"""kill -9 at any moment, and again, until it is done: everything arrives, and nothing confirmed is sent twice."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fc_connect.sandbox import Sandbox
from tests.shop import Shop

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

ROWS = 30_000


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(processing_time=timedelta(0)) as running:
        yield running


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_killed_at_random_moments_delivers_each_record_once(
    tmp_path: Path, sandbox: Sandbox, seed: int
) -> None:
    rng = random.Random(seed)
    shop = Shop(tmp_path / "shop", sandbox, target={"batch": {"size": 100, "concurrency": 4}})
    shop.stock("a.csv", warehouse="W1", rows=ROWS, age=1)
    shop.stock("b.csv", warehouse="W2", rows=ROWS // 10, age=2)

    kills = 0
    while True:
        process = shop.start()
        # Now and then before it has sent anything; else after so many more batches.
        moment = time.monotonic() + (rng.uniform(0.1, 1.0) if rng.random() < 0.3 else 120)
        enough = len(sandbox.batches()) + rng.randint(1, 60)
        while process.poll() is None and time.monotonic() < moment and len(sandbox.batches()) < enough:
            time.sleep(rng.uniform(0.001, 0.01))
        if process.poll() is not None:
            output, _ = process.communicate()
            assert process.returncode == 0, output
            break
        shop.kill(process)
        kills += 1

    assert kills > 3
    deliveries = shop.deliveries()
    assert len(deliveries) == ROWS + ROWS // 10
    assert set(deliveries.values()) == {1}


@pytest.mark.parametrize("sent", [1, 7, 40])
def test_a_run_killed_between_batches_sends_the_rest_alone(
    tmp_path: Path, sandbox: Sandbox, sent: int
) -> None:
    shop = Shop(tmp_path / "shop", sandbox, target={"batch": {"size": 20, "concurrency": 4}})
    shop.stock("a.csv", warehouse="W1", rows=4000)
    process = shop.start()
    shop.wait_for_batches(sent)
    shop.kill(process)
    confirmed = {batch.body_sha256 for batch in sandbox.batches()}

    result = shop.run()

    assert result.success, result.errors
    assert len(sandbox.batches()) == 200
    assert len({batch.body_sha256 for batch in sandbox.batches()} | confirmed) == 200
    assert set(shop.deliveries().values()) == {1}


def test_a_newer_file_waits_for_one_whose_worker_was_killed(tmp_path: Path, sandbox: Sandbox) -> None:
    shop = Shop(tmp_path / "shop", sandbox, target={"batch": {"size": 20, "concurrency": 2}})
    shop.stock("old.csv", warehouse="W1", rows=4000, age=1)
    process = shop.start()
    shop.wait_for_batches(3)
    shop.kill(process)
    shop.stock("new.csv", warehouse="W2", rows=20, age=2)

    result = shop.run()

    assert result.success, result.errors
    warehouses = [delivery.key[0] for delivery in sandbox.log.entities()]
    assert warehouses == sorted(warehouses)
    assert set(shop.deliveries().values()) == {1}


def test_ctrl_c_ends_after_the_batches_under_way_and_releases_the_locks(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    shop = Shop(tmp_path / "shop", sandbox, target={"batch": {"size": 20, "concurrency": 2}})
    shop.stock("a.csv", warehouse="W1", rows=8000)
    process = shop.start()
    shop.wait_for_batches(3)

    process.send_signal(2)
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 130, output
    assert "Traceback" not in output
    pipeline = shop.pipeline()
    with pipeline.open_store() as kv:
        assert not list(pipeline.open_state(kv).locks.list())
    assert shop.run().success
    assert set(shop.deliveries().values()) == {1}
