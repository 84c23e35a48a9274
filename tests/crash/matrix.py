"""Kill runs at every named point, on every store, and judge what the sandbox received. Run it by scripts/crash."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import click

from fc_connect.faults import POINTS
from fc_connect.proof.crash import RECOVERY, CrashReport, CrashRun, crash_runs
from fc_connect.proof.scenario import KINDS
from tests import servers

# name: the class of a server with `start()`, `stop()` and `url`; a folder is all it needs.
_SERVERS: dict[str, Callable[[Path], servers.RedisServer | servers.PostgreSQLServer | servers.DenoServer]] = {
    "redis": servers.RedisServer,
    "postgresql": servers.PostgreSQLServer,
    "deno": servers.DenoServer,
}


@contextmanager
def _stores(names: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the URLs of `names`, each a kind of store that is started here, or a URL."""
    with ExitStack() as running:
        urls = {}
        for name in names:
            if name in _SERVERS:
                folder = Path(
                    running.enter_context(tempfile.TemporaryDirectory(prefix=f"fc-connect-{name}-"))
                )
                server = _SERVERS[name](folder)
                server.start()
                running.callback(server.stop)
                urls[name] = server.url
            else:
                urls[name] = name
        yield urls


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


@click.command()
@click.option("--runs", type=click.IntRange(1), default=300, show_default=True, help="In all.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the first run on each store.")
@click.option(
    "--state",
    "states",
    multiple=True,
    default=("sqlite", *_SERVERS),
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
@click.option("--keep", type=click.Path(path_type=Path), help="A folder that gets those of failed runs.")
def main(
    runs: int,
    seed: int,
    states: tuple[str, ...],
    kinds: tuple[str, ...],
    side_by_side: int,
    recovery: float,
    keep: Path | None,
) -> None:
    """Kill runs at every named point, start them again, and judge what the sandbox received.

    Each seed is played on every store; the same seed plays the same again.
    """
    each = -(-runs // len(states))
    done = 0
    began = time.monotonic()

    def on_run(run: CrashRun) -> None:
        nonlocal done
        done += 1
        _tell(run)
        if done % 500 == 0:
            click.echo(f"{done} runs after {time.monotonic() - began:.0f} s")

    with _stores(states) as stores:
        report = crash_runs(
            stores,
            seeds=range(seed, seed + each),
            side_by_side=side_by_side,
            on_run=on_run,
            kinds=kinds or tuple(KINDS),
            recovery=timedelta(seconds=recovery),
            keep_in=keep,
        )
    if runs >= len(POINTS) * len(states):
        click.echo("\n".join(_coverage(report)))
    click.echo("\n".join(_summary(report, time.monotonic() - began)))
    raise SystemExit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
