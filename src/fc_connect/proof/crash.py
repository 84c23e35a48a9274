"""kill -9 at every named step of a run, on any store; then start again, and let the sandbox's log judge.

    python -m fc_connect.proof.crash --runs 5000 --seed 1 --state redis://127.0.0.1/0 --state sqlite

A run is decided by its seed alone: which point, at which passing, in which scenario, and whether the run that carries
on dies too. `--seed N --runs 1` plays one again.
"""

from __future__ import annotations

import multiprocessing
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import click

from fc_connect.errors import FCConnectError
from fc_connect.faults import POINTS
from fc_connect.proof import victim
from fc_connect.proof.scenario import KINDS, LEASE, Scenario, scenario
from fc_connect.proof.victim import Death

__all__ = ["CrashReport", "CrashRun", "crash_runs"]

RECOVERY = LEASE + timedelta(seconds=5)
"""From a death to the end of the run that carries on, at most."""
_DEATHS_AT_MOST = 3
_GRACE = 60.0  # seconds until a run that neither dies nor ends counts as hanging

_processes = multiprocessing.get_context("forkserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashRun:
    """What came of one seed."""

    seed: int
    state_url: str
    kind: str
    deaths: tuple[str, ...]
    """Where runs were killed; fewer than planned where a run didn't come by."""
    recovery: timedelta
    """The longest time from a death to the next end of a run."""
    faults: tuple[str, ...]

    @property
    def replay(self) -> str:
        """The command that plays it again."""
        return f"python -m fc_connect.proof.crash --runs 1 --seed {self.seed} --state '{self.state_url}'"


@dataclass(slots=True, kw_only=True)
class CrashReport:
    """What came of many."""

    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    """By point."""
    slowest: timedelta = timedelta(0)
    failed: list[CrashRun] = field(default_factory=list)

    def add(self, run: CrashRun) -> None:
        self.runs += 1
        self.kills.update(each.split("#")[0] for each in run.deaths)
        self.slowest = max(self.slowest, run.recovery)
        if run.faults:
            self.failed.append(run)

    @property
    def never_killed_at(self) -> list[str]:
        """Points that no run died at."""
        return [point for point in POINTS if not self.kills[point]]


def crash_runs(
    state_urls: Sequence[str],
    *,
    seeds: Sequence[int],
    side_by_side: int = 4,
    on_run: Callable[[CrashRun], None] = lambda run: None,
) -> CrashReport:
    """Kill and restart once for every seed, on the stores in turn; `sqlite` is one in the run's own folder."""
    _processes.set_forkserver_preload(["fc_connect.proof.victim"])
    report = CrashReport()
    with tempfile.TemporaryDirectory(prefix="fc-connect-crash-", ignore_cleanup_errors=True) as place:
        passings = _count_passings(Path(place))
        with ThreadPoolExecutor(side_by_side) as pool:
            tasks = [(seed, state_urls[number % len(state_urls)]) for number, seed in enumerate(seeds)]
            for done in pool.map(lambda task: _crash(task[0], task[1], Path(place), passings), tasks):
                report.add(done)
                on_run(done)
    return report


def _count_passings(place: Path) -> dict[str, dict[str, int]]:
    """Return how often a run that nothing happens to passes each point, by kind of scenario."""
    passings: dict[str, dict[str, int]] = {}
    for kind in KINDS:
        with scenario(kind, place / f"count-{kind}", state_url="sqlite", rng=random.Random(1)) as one:
            counts = one.folder / "passed.txt"
            _start(one, death=None, is_stranger=False, counts_to=counts)
            lines = counts.read_text().splitlines()
            passings[kind] = {name: int(count) for name, _, count in (line.partition(" ") for line in lines)}
    return passings


def _crash(seed: int, state_url: str, place: Path, passings: dict[str, dict[str, int]]) -> CrashRun:
    rng = random.Random(seed)
    point = POINTS[seed % len(POINTS)]
    kinds = [kind for kind, passed in passings.items() if point in passed] or list(KINDS)
    kind = rng.choice(kinds)
    is_stranger = rng.random() < 0.1
    plan: list[Death | None] = [Death(point=point, hit=rng.randint(1, passings[kind].get(point, 1)))]
    if point not in passings[kind]:  # only a run that carries on comes by
        plan.insert(0, Death(point="send.answered", hit=rng.randint(1, passings[kind]["send.answered"])))
    while len(plan) < _DEATHS_AT_MOST and rng.random() < 0.3:
        other = rng.choice(sorted(passings[kind]))
        plan.append(Death(point=other, hit=rng.randint(1, passings[kind][other])))
    deaths: list[str] = []
    recovery = timedelta(0)
    faults: list[str] = []
    # The store is shared by all runs; the folder's name is the workflow's.
    folder = Path(tempfile.mkdtemp(prefix=f"crash-{seed}-", dir=place))
    with scenario(kind, folder, state_url=state_url, rng=rng) as one:
        died_at: float | None = None
        for death in _then_undisturbed(plan):
            code = _start(one, death=death, is_stranger=is_stranger)
            if code is None:
                faults.append(f"a run hung for {_GRACE:.0f} s")
                break
            if code < 0:
                deaths.append(str(death))
                died_at = time.monotonic()
                continue
            if died_at is not None:
                recovery = max(recovery, timedelta(seconds=time.monotonic() - died_at))
            died_at = None
            if code == 0 and death is None:
                break
        else:
            faults.append("no run ended well")
        if is_stranger:  # what has to be cleared up may have been locked until now
            time.sleep(LEASE.total_seconds())
            _start(one, death=None, is_stranger=False)
        if recovery > RECOVERY:
            faults.append(f"recovery took {recovery.total_seconds():.1f} s")
        try:
            faults += one.faults_found()
        except FCConnectError as exc:
            faults.append(f"the state can't be read: {exc}")
    if not faults:
        shutil.rmtree(folder, ignore_errors=True)
    return CrashRun(
        seed=seed,
        state_url=state_url,
        kind=kind,
        deaths=tuple(deaths),
        recovery=recovery,
        faults=tuple(faults),
    )


def _then_undisturbed(plan: Sequence[Death | None]) -> Iterator[Death | None]:
    yield from plan
    for _ in range(5):  # a run may end with an error that the next one mends
        yield None


def _start(
    one: Scenario, *, death: Death | None, is_stranger: bool, counts_to: Path | None = None
) -> int | None:
    """Run until the end or death, and return the exit code; None where it had to be killed for hanging."""
    process = _processes.Process(
        target=victim.run,
        args=(one.pipeline_file,),
        kwargs={"death": death, "counts_to": counts_to, "is_stranger": is_stranger},
    )
    process.start()
    process.join(_GRACE)
    if process.is_alive():
        process.kill()
        process.join()
        return None
    return process.exitcode


@click.command()
@click.option("--runs", type=click.IntRange(1), default=200, show_default=True)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Of the first run; the next has the next."
)
@click.option("--state", "states", multiple=True, default=("sqlite",), help="A store's URL; may be repeated.")
@click.option("--side-by-side", type=click.IntRange(1, 64), default=4, show_default=True)
def main(runs: int, seed: int, states: tuple[str, ...], side_by_side: int) -> None:
    """Kill runs at every named point and judge what the sandbox received."""

    def tell(run: CrashRun) -> None:
        for fault in run.faults:
            click.echo(
                f"FAILED {run.kind}, killed at {', '.join(run.deaths)}: {fault}\n  again: {run.replay}"
            )

    report = crash_runs(states, seeds=range(seed, seed + runs), side_by_side=side_by_side, on_run=tell)
    missed = ", ".join(report.never_killed_at) or "none"
    click.echo(
        f"{report.runs} runs, {report.kills.total()} kills at {len(report.kills)} of {len(POINTS)} points (not at: "
        f"{missed}); {len(report.failed)} failed; slowest recovery {report.slowest.total_seconds():.1f} s"
    )
    raise SystemExit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
