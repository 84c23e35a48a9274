"""Workers stopped for longer than their lease, overtaken, and let go on: what they know is out of date."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from fc_connect.errors import LockLostError
from fc_connect.fluent import Credentials, FluentClient
from fc_connect.proof.pauses import PauseReport, pause_runs
from fc_connect.sandbox import Sandbox
from tests.crash import sabotage

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

AT_ONCE = 6 * (os.cpu_count() or 1)


def faults(report: PauseReport) -> list[str]:
    return [
        f"{run.kind}, seed {run.seed}, paused at {run.paused}, went on {run.went_on}: {fault}"
        for run in report.failed
        for fault in run.faults
    ]


def test_a_worker_that_is_overtaken_delivers_nothing_again_and_writes_nothing() -> None:
    points = ["send.intended", "http.leave", "rejects.rename", "spool.opened", "spool.rename", "file.turn"]

    report = pause_runs({"sqlite": "sqlite"}, seeds=range(18), points=points, side_by_side=AT_ONCE)

    assert not faults(report)
    assert report.pauses.total() >= 12


@pytest.mark.service
@pytest.mark.parametrize("server", ["redis_url", "postgres_url"])
def test_so_it_is_on_a_server(server: str, request: pytest.FixtureRequest) -> None:
    points = ["send.intended", "http.leave", "kv.commit"]

    report = pause_runs(
        {server: request.getfixturevalue(server)}, seeds=range(6), points=points, side_by_side=AT_ONCE
    )

    assert not faults(report)


def test_the_judge_notices_a_worker_that_sends_without_looking_at_its_lease() -> None:
    report = pause_runs(
        {"sqlite": "sqlite"},
        seeds=range(8),
        points=["send.intended"],
        kinds=["whole"],
        sabotage=sabotage.send_unguarded,
        side_by_side=AT_ONCE,
    )

    assert any("batches repeated" in fault for fault in faults(report)), faults(report)


@pytest.mark.parametrize("pieces", [0, 1, 2])
def test_a_batch_whose_lease_is_lost_while_it_is_sent_does_not_arrive(pieces: int) -> None:
    body = b'{"action":"UPSERT","entityType":"INVENTORY","entities":[' + b" " * 40_000
    body += b'{"locationRef":"W","productRef":"S","qty":1}]}'
    asked = 0

    def demand() -> None:
        nonlocal asked
        asked += 1
        if asked > pieces:
            raise LockLostError("lost")

    with (
        Sandbox(processing_time=timedelta(0)) as sandbox,
        FluentClient(
            base_url=sandbox.url, auth=Credentials(client_id="t", client_secret="t"), retailer_id="1"
        ) as client,
    ):
        job = client.create_job("j")

        with pytest.raises(LockLostError):
            client.send_batch_body(job.id, body, count=1, demand=demand)

        assert not sandbox.batches()
        client.send_batch_body(job.id, body, count=1)
        assert len(sandbox.batches()) == 1
