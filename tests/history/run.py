"""Record concurrent histories of every store while something disturbs them, and judge each.

    scripts/histories --runs 10000 --seed 1
    scripts/histories --runs 1 --seed 4711 --state redis

What a seed does on a store is the same each time, how its clients meet isn't: a history that fails is saved, so that
it can be judged again.
"""

from __future__ import annotations

import logging
import multiprocessing
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from fc_connect.kv import open_kv
from fc_connect.proof.disturbances import BusyFile, NetworkTrouble
from fc_connect.proof.histories import Disturbance, record, record_leases
from fc_connect.proof.history import History
from fc_connect.proof.killed import record_killed
from fc_connect.proof.linearizability import Verdict, check
from fc_connect.proof.proxy import Proxy
from tests.servers import PostgreSQLServer, RedisServer

SERVERS: dict[str, Any] = {"redis": RedisServer, "postgresql": PostgreSQLServer}
"""Stores that need a server: a class with `start()`, `stop()` and `url`, made with a folder."""

_CLIENTS = 5
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
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fc-connect-histories-")))
        urls = {
            name: stack.enter_context(_url(name, folder / str(number))) for number, name in enumerate(stores)
        }
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


@contextmanager
def _url(name: str, folder: Path) -> Iterator[str]:
    folder.mkdir()
    if name in SERVERS:
        server = SERVERS[name](folder)
        server.start()
        try:
            yield server.url
        finally:
            server.stop()
    elif name == "sqlite":
        yield f"sqlite:///{folder}/state.db"
    elif name == "memory":
        yield "memory:"
    else:
        yield name


def _share(name: str, url: str, seeds: Sequence[int], failures: Path, trouble: bool) -> Tally:
    """Record the histories of `seeds` in this process."""
    logging.disable(logging.WARNING)  # of what is cut on purpose
    sys.setswitchinterval(0.0005)  # threads that take turns seldom hardly meet
    tally = Tally()
    with ExitStack() as stack:
        quiet = stack.enter_context(open_kv(url))
        proxy = None
        stores = [quiet]
        if urlsplit(url).hostname is not None:
            proxy = stack.enter_context(Proxy.before(url, seed=seeds[0]))
            stores = [stack.enter_context(open_kv(proxy.url(url))) for _ in range(2)]
        elif not url.startswith("memory:"):
            stores.append(stack.enter_context(open_kv(url)))
        clients = [stores[number % len(stores)] for number in range(_CLIENTS)]
        began = time.monotonic()
        record(clients, seed=0, quiet=quiet)
        within = time.monotonic() - began
        for seed in seeds:
            rng = random.Random(f"{seed}/kind")
            disturbance: Disturbance | None = None
            if trouble and rng.random() < 0.6:
                if proxy is not None:
                    disturbance = NetworkTrouble(proxy, within=within)
                elif url.startswith("sqlite:"):
                    disturbance = BusyFile(Path(url.removeprefix("sqlite:///")))
            is_lease = rng.random() < 0.25
            kind = ("lease" if is_lease else "kv") + (" disturbed" if disturbance else "")
            operations = rng.randint(30, 60)
            try:
                if trouble and url.startswith("sqlite:") and rng.random() < 0.05:
                    kind = "kv killed"
                    history = record_killed(url, seed=seed)
                else:
                    recorder = record_leases if is_lease else record
                    history = recorder(
                        clients, seed=seed, operations=operations, disturbance=disturbance, quiet=quiet
                    )
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
