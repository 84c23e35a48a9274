"""A sample of what `scripts/histories` does at length: concurrent histories with faults, on every store."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from fc_connect.kv import open_kv
from fc_connect.proof.histories import SPACE, record, record_leases
from fc_connect.proof.history import Outcome
from fc_connect.proof.killed import record_killed
from fc_connect.proof.linearizability import Verdict, check
from tests.history.run import run

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]


@pytest.fixture(params=["memory", "sqlite", "redis", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param in {"memory", "sqlite"}:
        return {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path}/state.db"}[request.param]
    if request.param == "redis":
        return f"{request.getfixturevalue('redis_url')}?namespace={uuid.uuid4().hex}"
    return str(request.getfixturevalue("postgres_url"))


def test_histories_recorded_with_faults_are_linearizable(url: str, tmp_path: Path) -> None:
    [tally] = run([url], seeds=range(1, 17), failures=tmp_path / "failures").values()

    assert tally.failures == []
    assert tally.verdicts == {Verdict.LINEARIZABLE: 16}


def test_a_recording_leaves_nothing_behind(url: str) -> None:
    with open_kv(url) as kv:
        record([kv, kv], seed=1, operations=20)
        record_leases([kv, kv], seed=1, operations=20)

        assert list(kv.list((SPACE,))) == []


def test_clients_that_were_killed_leave_a_history_that_can_be_judged(tmp_path: Path) -> None:
    histories = [record_killed(f"sqlite:///{tmp_path}/state.db", seed=seed, within=0.02) for seed in range(2)]

    assert [check(each).verdict for each in histories] == [Verdict.LINEARIZABLE] * 2
    assert any(each.outcomes[Outcome.UNKNOWN] for each in histories)
