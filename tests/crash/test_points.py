"""Runs killed at every named point, carried on by others, and judged by what the sandbox received."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from fc_connect.faults import POINTS
from fc_connect.kv import open_kv
from fc_connect.proof.crash import CrashReport, CrashRun, crash_runs
from tests.crash import sabotage

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

AT_ONCE = 4 * (os.cpu_count() or 1)


def faults(report: CrashReport) -> list[str]:
    return [
        f"{run.kind}, seed {run.seed}, killed at {run.deaths}: {fault}"
        for run in report.failed
        for fault in run.faults
    ]


def test_there_are_points_enough_to_reach_every_step() -> None:
    assert len(POINTS) >= 40


def test_a_run_killed_at_any_point_is_carried_on_without_loss_or_repeat() -> None:
    report = crash_runs({"sqlite": "sqlite"}, seeds=range(len(POINTS)), side_by_side=AT_ONCE, recovery=None)

    assert not faults(report)
    assert report.runs.total() == len(POINTS)
    assert len(report.never_killed_at("sqlite")) < len(POINTS) / 4


def test_a_run_killed_while_it_wrote_rejects_leaves_no_draft_where_its_file_is_replaced() -> None:
    seeds = range(POINTS.index("rejects.rename"), 6 * len(POINTS), len(POINTS))

    report = crash_runs(
        {"sqlite": "sqlite"}, seeds=seeds, side_by_side=AT_ONCE, recovery=None, kinds=["replaced-file"]
    )

    assert not faults(report)


@pytest.mark.service
@pytest.mark.parametrize("server", ["redis_url", "postgres_url"])
def test_so_it_is_on_a_server_and_nothing_is_left_there(server: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(server)
    with open_kv(url) as kv:
        before = {entry.key for entry in kv.list(())}

    report = crash_runs({server: url}, seeds=range(7, 847, 70), side_by_side=AT_ONCE, recovery=None)

    assert not faults(report)
    assert report.kills.total() >= 8
    with open_kv(url) as kv:
        assert {entry.key for entry in kv.list(())} == before


@pytest.mark.parametrize(
    ("break_it", "point", "complaint"),
    [
        (sabotage.forget_intents, "send.answered", "batches repeated"),
        (sabotage.send_again, "state.saved-batches", "batches repeated"),
        (sabotage.lose_a_batch, "send.intended", "entities lost"),
        (sabotage.keep_locks, "file.begun", "is left"),
        (sabotage.count_down_the_fence, "file.begun", "fencing token"),
    ],
)
def test_the_judge_notices_a_broken_product(break_it: Callable[[], None], point: str, complaint: str) -> None:
    seeds = range(POINTS.index(point), 100 * len(POINTS), len(POINTS))[:4]

    report = crash_runs(
        {"sqlite": "sqlite"},
        seeds=seeds,
        side_by_side=4,
        recovery=None,
        kinds=["whole"],
        sabotage=break_it,
    )

    assert any(complaint in fault for fault in faults(report)), faults(report)


def test_the_same_seed_is_killed_at_the_same_points_in_the_same_scenario() -> None:
    seen: list[CrashRun] = []

    for _ in range(2):
        crash_runs({"sqlite": "sqlite"}, seeds=[5], kinds=["whole"], recovery=None, on_run=seen.append)

    assert seen[0].deaths
    assert (seen[0].kind, seen[0].deaths) == (seen[1].kind, seen[1].deaths)
