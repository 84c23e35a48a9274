"""Run many seeds, or show one step by step.

python -m tests.simulation --runs 50000 --seed 1
python -m tests.simulation --replay 4711
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence

from tests.simulation.run import Outcome, Tally, run_chunk, simulate
from tests.simulation.scenario import MIXES

_CHUNK = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 where every promise held, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--workers", type=int, default=2, help="processes that simulate side by side")
    parser.add_argument("--replay", type=int, metavar="SEED", help="show one run step by step")
    parser.add_argument("--stop-at", type=int, default=10, metavar="N", help="end after N failures")
    parser.add_argument(
        "--trouble", nargs="*", choices=sorted(MIXES), help="kinds, instead of the seed's choice"
    )
    given = parser.parse_args(arguments)
    mixes = None if given.trouble is None else tuple(given.trouble)
    if given.replay is not None:
        outcome = simulate(given.replay, mixes=mixes, is_traced=True)
        print("\n".join(outcome.trace))
        print(f"digest {outcome.digest}")
        return _told([outcome] if outcome.faults else [])
    began = time.monotonic()
    last = given.seed + given.runs
    tasks = [(first, min(_CHUNK, last - first), mixes) for first in range(given.seed, last, _CHUNK)]
    total = Tally()
    with multiprocessing.get_context("fork").Pool(given.workers) as pool:
        for part in pool.imap_unordered(run_chunk, tasks):
            total.add(part)
            if len(total.failed) >= given.stop_at:
                break
    took = time.monotonic() - began
    print(
        f"{total.runs:,} runs in {took:.1f} s ({total.runs / took * 60:,.0f} a minute), {len(total.failed)} failed; "
        f"slowest recovery {total.slowest:.1f} virtual s; "
        f"sent again: {total.gaps} batches by a worker that had lost its lease, {total.doubts} in doubt"
    )
    return _told(sorted(total.failed, key=lambda each: each.seed))


def _told(failed: list[Outcome]) -> int:
    for each in failed:
        print(f"seed {each.seed}: {'; '.join(each.faults[:3])}\n  replay: {each.replay}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
