"""The promises, tried on a store and a machine of one's own: what held, how often, and the seed to try it again.

Five parts: the store keeps its contract; what many clients at once are answered could have been answered one after
the other, while connections are cut; so for locks that expire; workers stopped for longer than their lock write and
deliver nothing; workers killed at any step lose and repeat nothing. Fluent is the sandbox. The store is left as it was.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from fc_connect.faults import POINTS
from fc_connect.kv import Guarantee, open_kv
from fc_connect.proof.conformance import conforms
from fc_connect.proof.crash import CrashRun, crash_runs
from fc_connect.proof.history import Outcome
from fc_connect.proof.linearizability import Verdict, check
from fc_connect.proof.pauses import PauseRun, pause_runs
from fc_connect.proof.recorder import Recorder

__all__ = ["Part", "Proof", "ProofReport", "prove"]


class Part(StrEnum):
    """What is tried."""

    CONFORMANCE = "conformance"
    RACES = "races"
    LEASES = "leases"
    PAUSES = "pauses"
    KILLS = "kills"


_SHARES = {Part.RACES: 0.2, Part.LEASES: 0.1, Part.PAUSES: 0.25, Part.KILLS: 0.45}
"""Of the time; conformance takes what it takes."""
_SIDE_BY_SIDE = max(2, os.cpu_count() or 1)
"""More would judge the machine: a recovery has to be quick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What came of one part."""

    part: Part
    tried: int
    summary: str
    """What was done, and what held, as a sentence."""
    broken: tuple[str, ...]
    """What didn't hold, and how to try it again."""
    took: timedelta

    @property
    def has_held(self) -> bool:
        return self.tried > 0 and not self.broken


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofReport:
    """What came of all parts."""

    seed: int
    lacks: Mapping[Guarantee, str]
    """What the store says itself that it can't promise."""
    proofs: tuple[Proof, ...]

    @property
    def has_held(self) -> bool:
        return all(each.has_held for each in self.proofs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effort:
    """How long a part goes on: for a time, or for so many tries."""

    seed: int
    runs: int | None
    until: float

    def seeds(self) -> Iterator[int]:
        """Yield the next seed until it is enough; at least one."""
        yield self.seed
        done = 1
        while time.monotonic() < self.until if self.runs is None else done < self.runs:
            yield self.seed + done
            done += 1


def prove(
    url: str,
    *,
    seed: int = 1,
    within: timedelta = timedelta(minutes=3),
    runs: int | None = None,
    parts: Sequence[Part] = tuple(Part),
    keep_in: Path | None = None,
    on_progress: Callable[[Part, str], None] = lambda part, told: None,
) -> ProofReport:
    """Try the promises on the store at `url`, for about `within`, or `runs` times each.

    `keep_in` gets the histories and folders of what failed. Seeds decide what is done; how processes meet in time
    isn't decided by them, so a failure may take several tries to come back.

    Raises:
        KVUnavailableError: the store can't be reached.
        MissingExtraError: conformance needs pytest.
    """
    with open_kv(url) as kv:
        lacks = kv.lacks()
    proofs = []
    shares = sum(_SHARES.get(part, 0.0) for part in parts)
    for part in parts:
        began = time.monotonic()
        share = within.total_seconds() * _SHARES.get(part, 0.0) / (shares or 1.0)
        effort = _Effort(seed=seed, runs=runs, until=began + share)
        on_progress(part, "begins")
        tried, summary, broken = _TRIES[part](url, effort, keep_in, lambda told, p=part: on_progress(p, told))  # type: ignore[misc]
        took = timedelta(seconds=time.monotonic() - began)
        proofs.append(Proof(part=part, tried=tried, summary=summary, broken=tuple(broken), took=took))
    return ProofReport(seed=seed, lacks=lacks, proofs=tuple(proofs))


_Tell = Callable[[str], None]
_Outcome = tuple[int, str, list[str]]


def _conformance(url: str, effort: _Effort, keep_in: Path | None, tell: _Tell) -> _Outcome:
    found = conforms(url)
    tried = found.held + len(found.broken)
    return (
        tried,
        f"{found.held} of {tried} promises of a store held",
        [f"{test}: {reason}" for test, reason in found.broken.items()],
    )


def _histories(url: str, effort: _Effort, keep_in: Path | None, tell: _Tell, *, leases: bool) -> _Outcome:
    verdicts: Counter[Verdict] = Counter()
    operations = unknown = 0
    broken = []
    with Recorder(url) as recorder:
        for seed in effort.seeds():
            kind, history = recorder.record(seed, leases=leases)
            result = check(history)
            verdicts[result.verdict] += 1
            operations += len(history.operations)
            unknown += history.outcomes[Outcome.UNKNOWN]
            if result.verdict is Verdict.NOT_LINEARIZABLE:
                where = ""
                if keep_in is not None:
                    path = keep_in / f"history-{seed}.jsonl"
                    history.save(path)
                    where = f" (judge it again: python -m fc_connect.proof.linearizability --explain {path})"
                part = Part.LEASES if leases else Part.RACES
                broken.append(f"{kind}: {result.reason}{where}; again: {_again(part, seed)}")
            if verdicts.total() % 50 == 0:
                tell(f"{verdicts.total()} histories")
    total = verdicts.total()
    undecided = f", {verdicts[Verdict.UNKNOWN]} undecided" if verdicts[Verdict.UNKNOWN] else ""
    held = verdicts[Verdict.LINEARIZABLE]
    what = "of a lock that changes hands" if leases else "of five clients"
    return (
        total,
        f"{held} of {total} histories {what} are linearizable ({operations:,} operations, {unknown:,} of unknown "
        f"outcome{undecided})",
        broken,
    )


def _pauses(url: str, effort: _Effort, keep_in: Path | None, tell: _Tell) -> _Outcome:
    if url.startswith("memory:"):
        return _not_shared(Part.PAUSES)
    tried = paused = 0
    broken: list[str] = []

    def note(run: PauseRun) -> None:
        nonlocal tried, paused
        tried += 1
        paused += run.paused is not None
        tell(f"{tried} runs")
        broken.extend(
            f"{run.kind}, stopped at {run.paused}: {fault}; again: {_again(Part.PAUSES, run.seed)}"
            for fault in run.faults
        )

    pause_runs({"store": url}, seeds=effort.seeds(), side_by_side=_SIDE_BY_SIDE, on_run=note, keep_in=keep_in)
    return (
        tried,
        f"{paused} workers stopped for longer than their lock and overtaken: {_verdict(broken)}",
        broken,
    )


def _kills(url: str, effort: _Effort, keep_in: Path | None, tell: _Tell) -> _Outcome:
    if url.startswith("memory:"):
        return _not_shared(Part.KILLS)
    tried = 0
    kills: Counter[str] = Counter()
    slowest = timedelta(0)
    broken: list[str] = []

    def note(run: CrashRun) -> None:
        nonlocal tried, slowest
        tried += 1
        kills.update(each.partition("#")[0] for each in run.deaths)
        slowest = max(slowest, run.recovery)
        tell(f"{tried} runs, {kills.total()} kills")
        broken.extend(
            f"{run.kind}, killed at {', '.join(run.deaths)}: {fault}; again: {_again(Part.KILLS, run.seed)}"
            for fault in run.faults
        )

    crash_runs({"store": url}, seeds=effort.seeds(), side_by_side=_SIDE_BY_SIDE, on_run=note, keep_in=keep_in)
    return (
        tried,
        f"{kills.total()} kills at {len(kills)} of {len(POINTS)} steps, {tried} times carried on: {_verdict(broken)}; "
        f"slowest recovery {slowest.total_seconds():.1f} s",
        broken,
    )


def _verdict(broken: Sequence[str]) -> str:
    return f"{len(broken)} promises broken" if broken else "each record delivered once"


def _not_shared(part: Part) -> _Outcome:
    return 0, "", [f"a store in memory dies with its process: {part} can't be tried on it"]


def _again(part: Part, seed: int) -> str:
    return f"fc-connect prove --only {part} --seed {seed} --runs 1"


_TRIES: dict[Part, Callable[[str, _Effort, Path | None, _Tell], _Outcome]] = {
    Part.CONFORMANCE: _conformance,
    Part.RACES: lambda *given: _histories(*given, leases=False),
    Part.LEASES: lambda *given: _histories(*given, leases=True),
    Part.PAUSES: _pauses,
    Part.KILLS: _kills,
}
