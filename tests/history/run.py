"""Record concurrent histories of every store while something disturbs them, and judge each.

    scripts/histories --runs 10000 --seed 1
    scripts/histories --runs 1 --seed 4711 --state redis

What a seed does on a store is the same each time, how its clients meet isn't: a history that fails is saved, so that
it can be judged again.
"""

from __future__ import annotations

import logging
import multiprocessing
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import click

from fc_connect.proof.history import History
from fc_connect.proof.linearizability import Verdict, check
from fc_connect.proof.recorder import Recorder
from tests.stores import SERVERS, store_url

_CHUNK = 25


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of histories."""

    kinds: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def histories(self) -> int:
        return sum(self.verdicts.values())

    def add(self, other: Tally) -> None:
        self.kinds += other.kinds
        self.verdicts += other.verdicts
        self.outcomes += other.outcomes
        self.failures += other.failures


def run(
    stores: Sequence[str],
    *,
    seeds: Sequence[int],
    failures: Path,
    side_by_side: int = 2,
    trouble: bool = True,
) -> dict[str, Tally]:
    """Record and judge one history for each seed, on the stores in turn; give what came of them by store."""
    tallies = {name: Tally() for name in stores}
    with ExitStack() as stack:
        urls = {name: stack.enter_context(store_url(name)) for name in stores}
        tasks = []
        for number, name in enumerate(stores):
            mine = seeds[number :: len(stores)]
            tasks += [(name, urls[name], mine[at : at + _CHUNK]) for at in range(0, len(mine), _CHUNK)]
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["fc_connect.proof.killed"])
        with ProcessPoolExecutor(side_by_side, mp_context=context) as pool:
            waiting = {pool.submit(_share, *task, failures, trouble): task[0] for task in tasks}
            for done in as_completed(waiting):
                tallies[waiting[done]].add(done.result())
    return tallies


def _share(name: str, url: str, seeds: Sequence[int], failures: Path, trouble: bool) -> Tally:
    """Record the histories of `seeds` in this process."""
    logging.disable(logging.WARNING)  # of what is cut on purpose
    tally = Tally()
    with Recorder(url, trouble=trouble, seed=seeds[0]) as recorder:
        for seed in seeds:
            try:
                kind, history = recorder.record(seed)
            except Exception:  # noqa: BLE001 (whatever it is, the report names its seed)
                tally.verdicts["error"] += 1
                tally.failures.append(_replay(seed, name) + "\n" + traceback.format_exc(limit=-6))
                continue
            tally.kinds[kind] += 1
            tally.outcomes.update(history.outcomes)
            _judge(history, seed, name, failures, tally)
    return tally


def _judge(history: History, seed: int, name: str, failures: Path, tally: Tally) -> None:
    result = check(history)
    tally.verdicts[result.verdict] += 1
    if result.verdict is not Verdict.LINEARIZABLE:
        path = failures / f"{name.partition(':')[0]}-{seed}.jsonl"
        history.save(path)
        again = f"python -m fc_connect.proof.linearizability --explain {path}"
        tally.failures.append(f"{_replay(seed, name)}\n{again}\n{result.reason}")


def _replay(seed: int, name: str) -> str:
    return f"scripts/histories --runs 1 --seed {seed} --state '{name}'"


@click.command()
@click.option("--runs", default=10_000, show_default=True)
@click.option(
    "--seed", default=1, show_default=True, help="Of the first; each further history has the next one."
)
@click.option(
    "--state", "stores", multiple=True, help="memory, sqlite, redis, postgresql, or the URL of a store."
)
@click.option("--side-by-side", default=2, show_default=True, help="Processes that record at the same time.")
@click.option(
    "--failures",
    default=Path("failed-histories"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="The folder for histories that fail.",
)
@click.option("--trouble/--no-trouble", default=True, help="Disturb histories, or record them in peace.")
def main(
    runs: int, seed: int, stores: tuple[str, ...], side_by_side: int, failures: Path, trouble: bool
) -> None:
    """Record concurrent histories with faults on each store, and judge them."""
    began = time.monotonic()
    names = stores or ("sqlite", *SERVERS)
    tallies = run(
        names, seeds=range(seed, seed + runs), failures=failures, side_by_side=side_by_side, trouble=trouble
    )
    for name, tally in tallies.items():
        click.echo(f"{name}: {tally.histories:,} histories, {sum(tally.outcomes.values()):,} operations")
        for what in (tally.kinds, tally.outcomes, tally.verdicts):
            click.echo("  " + ", ".join(f"{count:,} {each}" for each, count in sorted(what.items())))
    total = sum(each.histories for each in tallies.values())
    click.echo(f"{total:,} histories in {time.monotonic() - began:.0f} s, seed {seed}")
    failed = [each for tally in tallies.values() for each in tally.failures]
    for each in failed[:5]:
        click.echo(f"\nFAILED  {each}")
    if failed:
        click.echo(f"\n{len(failed)} of {total:,} histories failed.")
        sys.exit(1)


if __name__ == "__main__":
    main()
