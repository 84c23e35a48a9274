"""Kill runs at every named point, on every store, and judge what the sandbox received. Run it by scripts/crash."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import click

from fc_connect.faults import POINTS
from fc_connect.proof.crash import RECOVERY, CrashReport, CrashRun, crash_runs
from fc_connect.proof.pauses import PauseRun, pause_runs
from fc_connect.proof.scenario import KINDS
from tests.stores import SERVERS, store_url

_BEARS = {name: each.bears for name, each in SERVERS.items() if each.bears is not None}


@contextmanager
def _stores(names: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the URLs of `names`, each a kind of store that is started here, or a URL."""
    with ExitStack() as running:
        # Runs on SQLite have a file of their own each.
        yield {name: name if name == "sqlite" else running.enter_context(store_url(name)) for name in names}


def _tell(run: CrashRun) -> None:
    for fault in run.faults:
        click.echo(f"FAILED {run.kind}, killed at {', '.join(run.deaths) or 'no point'}: {fault}")
    if run.faults:
        click.echo(f"  again: scripts/crash --runs 1 --seed {run.seed} --state '{run.store}'")


def _summary(report: CrashReport, took: float) -> Iterator[str]:
    for store, runs in report.runs.items():
        missed = report.never_killed_at(store)
        kills = sum(count for (name, _), count in report.kills.items() if name == store)
        yield (
            f"{store}: {runs} runs, {kills} kills at {len(POINTS) - len(missed)} of {len(POINTS)} points"
            + (f" (not at: {', '.join(missed)})" if len(missed) <= 10 and missed else "")
        )
    total = report.runs.total()
    yield (
        f"{total} runs in {took:.0f} s: {len(report.failed)} failed; slowest recovery "
        f"{report.slowest.total_seconds():.1f} s"
    )


def _coverage(report: CrashReport) -> Iterator[str]:
    stores = list(report.runs)
    yield "kills at".ljust(24) + "".join(store[:12].rjust(14) for store in stores)
    for point in POINTS:
        yield point.ljust(24) + "".join(str(report.kills[store, point]).rjust(14) for store in stores)


def _pause(states: Sequence[str], seeds: range, side_by_side: int, keep: Path | None) -> int:
    def tell(run: PauseRun) -> None:
        for fault in run.faults:
            click.echo(f"FAILED {run.kind}, stopped at {run.paused}, went on {run.went_on}: {fault}")
        if run.faults:
            click.echo(f"  again: scripts/crash --pauses --runs 1 --seed {run.seed} --state '{run.store}'")

    began = time.monotonic()
    with _stores(states) as stores:
        report = pause_runs(
            stores, seeds=seeds, side_by_side=side_by_side, bears=_BEARS, on_run=tell, keep_in=keep
        )
    points = {point for _, point in report.pauses}
    click.echo(
        f"{report.runs.total()} runs in {time.monotonic() - began:.0f} s, {report.pauses.total()} pauses at "
        f"{len(points)} points; {len(report.failed)} failed"
    )
    return 1 if report.failed else 0


@click.command()
@click.option("--runs", type=click.IntRange(1), default=300, show_default=True, help="In all.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the first run on each store.")
@click.option(
    "--state",
    "states",
    multiple=True,
    default=("sqlite", *SERVERS),
    show_default=True,
    help="A store: a kind, of which a server is started, or a URL. May be repeated.",
)
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="Only such scenarios.")
@click.option(
    "--side-by-side", type=click.IntRange(1, 64), default=4 * (os.cpu_count() or 1), show_default=True
)
@click.option(
    "--recovery",
    type=float,
    default=RECOVERY.total_seconds(),
    show_default=True,
    help="Seconds until a killed run is carried on to its end, at most; on a machine that does nothing else.",
)
@click.option("--pauses", is_flag=True, help="Stop runs for longer than their lease instead of killing them.")
@click.option("--keep", type=click.Path(path_type=Path), help="A folder that gets those of failed runs.")
def main(
    runs: int,
    seed: int,
    states: tuple[str, ...],
    kinds: tuple[str, ...],
    side_by_side: int,
    recovery: float,
    pauses: bool,
    keep: Path | None,
) -> None:
    """Kill runs at every named point, start them again, and judge what the sandbox received.

    Each seed is played on every store; the same seed plays the same again.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or the servers would live on
    each = -(-runs // len(states))
    done = 0
    began = time.monotonic()

    def on_run(run: CrashRun) -> None:
        nonlocal done
        done += 1
        _tell(run)
        if done % 500 == 0:
            click.echo(f"{done} runs after {time.monotonic() - began:.0f} s")

    if pauses:
        raise SystemExit(_pause(states, range(seed, seed + each), side_by_side, keep))
    with _stores(states) as stores:
        report = crash_runs(
            stores,
            seeds=range(seed, seed + each),
            side_by_side=side_by_side,
            bears=_BEARS,
            on_run=on_run,
            kinds=kinds or tuple(KINDS),
            recovery=timedelta(seconds=recovery),
            keep_in=keep,
        )
    if runs >= len(POINTS) * len(states):
        click.echo("\n".join(_coverage(report)))
    click.echo("\n".join(_summary(report, time.monotonic() - began)))
    raise SystemExit(1 if report.failed else 0)
