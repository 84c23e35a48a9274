"""The simulator itself: the same seed is the same run, and a sample of seeds breaks no promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.simulation.run import run_seeds, simulate

ROOT = Path(__file__).parents[2]
SAMPLE = range(1, 601)


def test_a_sample_of_seeds_breaks_no_promise() -> None:
    failures = run_seeds(SAMPLE)

    assert [(each.replay, each.faults) for each in failures] == []


def test_the_same_seed_is_the_same_run_in_every_process() -> None:
    code = (
        "from tests.simulation.run import simulate\n"
        "for seed in range(50, 70): print(simulate(seed, is_traced=True).digest)"
    )

    digests = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]

    assert digests[0] == digests[1]
    assert digests[0] == "".join(f"{simulate(seed, is_traced=True).digest}\n" for seed in range(50, 70))


def test_a_trace_doesnt_change_the_run() -> None:
    traced, untraced = simulate(7, is_traced=True), simulate(7)

    assert (traced.recovery, traced.faults) == (untraced.recovery, untraced.faults)
    assert traced.trace
    assert not untraced.trace
