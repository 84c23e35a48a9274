"""From a seed to a run: how many workers, files and batches, which settings, and all that goes wrong, and when."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fc_connect.faults import POINTS
from fc_connect.pipeline.config import PipelineConfig
from tests.simulation.fluent import FluentFaults
from tests.simulation.shop import pipeline_config
from tests.simulation.store import Network
from tests.simulation.world import Doom

__all__ = ["MIXES", "Mishap", "Scenario", "scenario"]

_NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
_MIDNIGHT = datetime(2026, 1, 16, tzinfo=UTC)
_SMALL = 0.75
"""How many runs have two workers and one or two small files: most bugs show there, and such a run costs half."""
_HOTTER = ("lease.acquired", "lease.release", "send.intended", "state.complete", "lease.renew")
_HOT = tuple(
    each for each in POINTS if each.startswith(("kv.", "lease.", "send.", "state.", "job.", "file."))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """Something that befalls one worker at one moment."""

    at: float
    slot: int
    kind: str
    """`crash`, `pause`, `stop` or `step`."""
    size: float = 0.0
    """Seconds of the pause or the step."""


@dataclass(slots=True, kw_only=True)
class Scenario:
    """What is decided before a run begins."""

    seed: int
    start: datetime
    config: PipelineConfig
    lease: float
    hosts: tuple[int, ...]
    """The host of each worker."""
    starts: tuple[float, ...]
    offsets: tuple[float, ...]
    """By how many seconds each worker's wall clock is wrong."""
    files: tuple[tuple[float, int], ...]
    """When each arrives, and how many batches it has."""
    slowness: float
    """Seconds that planning a file takes, at most."""
    has_clock: bool
    network: Network
    fluent: FluentFaults
    mishaps: tuple[Mishap, ...] = ()
    dooms: dict[int, list[Doom]] = field(default_factory=dict)
    """By worker: what happens to it at a fault point, in each of its lives."""


@dataclass(slots=True)
class _Draft:
    rng: random.Random
    it: Scenario

    @property
    def horizon(self) -> float:
        """Until when faults happen."""
        return 3.0 + 2 * self.it.lease


def _crashes(draft: _Draft) -> None:
    rng, it = draft.rng, draft.it
    for _ in range(rng.randint(1, 3)):
        slot = rng.randrange(len(it.hosts))
        if rng.random() < 0.7:
            it.dooms.setdefault(slot, []).append(_doom(rng, pause=None))
        else:
            crash = Mishap(at=draft.horizon * rng.random() ** 2, slot=slot, kind="crash")
            it.mishaps = (*it.mishaps, crash)


def _pauses(draft: _Draft) -> None:
    rng, it = draft.rng, draft.it
    for _ in range(rng.randint(1, 3)):
        slot = rng.randrange(len(it.hosts))
        length = it.lease * rng.choice([0.3, 0.7, 1.1, 1.5, 2.5]) * rng.uniform(0.8, 1.2)
        if rng.random() < 0.7:
            it.dooms.setdefault(slot, []).append(_doom(rng, pause=length))
        else:
            pause = Mishap(at=draft.horizon * rng.random() ** 2, slot=slot, kind="pause", size=length)
            it.mishaps = (*it.mishaps, pause)


def _doom(rng: random.Random, *, pause: float | None) -> Doom:
    if rng.random() < 0.5:
        return Doom(passings=rng.randint(1, 120), pause=pause)
    point = rng.choice(_HOT if rng.random() < 0.6 else _HOTTER)
    return Doom(point=point, passings=rng.randint(1, 4), pause=pause)


def _stops(draft: _Draft) -> None:
    rng = draft.rng
    stop = Mishap(at=draft.horizon * rng.random() ** 2, slot=rng.randrange(len(draft.it.hosts)), kind="stop")
    draft.it.mishaps = (*draft.it.mishaps, stop)


def _steps(draft: _Draft) -> None:
    rng = draft.rng
    for _ in range(rng.randint(1, 2)):
        step = Mishap(
            at=draft.horizon * rng.random() ** 2,
            slot=rng.randrange(len(draft.it.hosts)),
            kind="step",
            size=rng.choice([-3600.0, 3600.0, -5.0, 5.0]),
        )
        draft.it.mishaps = (*draft.it.mishaps, step)


def _losses(draft: _Draft) -> None:
    draft.it.network.lost_rate = draft.rng.choice([0.01, 0.05, 0.15])
    draft.it.network.faults_until = draft.horizon


def _late(draft: _Draft) -> None:
    _losses(draft)
    draft.it.network.late_rate = 0.5


def _outages(draft: _Draft) -> None:
    rng = draft.rng
    spells = []
    for _ in range(rng.randint(1, 2)):
        begin = draft.horizon * rng.random() ** 2
        spells.append((begin, begin + draft.it.lease * rng.choice([0.1, 0.5, 1.5]) * rng.random()))
    draft.it.network.outages = tuple(spells)


def _slow(draft: _Draft) -> None:
    draft.it.network.slow_rate = 0.2


def _stuck(draft: _Draft) -> None:
    network = draft.it.network
    network.stuck_rate, network.stuck = 0.03, 2.5 * draft.it.lease
    network.faults_until = draft.horizon


def _fluent(draft: _Draft) -> None:
    faults = draft.it.fluent
    faults.unknown_rate = draft.rng.choice([0.0, 0.1, 0.3])
    faults.refused_rate = draft.rng.choice([0.0, 0.05])
    faults.until = draft.horizon


def _midnight(draft: _Draft) -> None:
    draft.it.start = _MIDNIGHT - timedelta(seconds=draft.rng.random() * 4)


MIXES: dict[str, Callable[[_Draft], None]] = {
    "crashes": _crashes,
    "pauses": _pauses,
    "stops": _stops,
    "steps": _steps,
    "losses": _losses,
    "late": _late,
    "outages": _outages,
    "slow": _slow,
    "stuck": _stuck,
    "fluent": _fluent,
    "midnight": _midnight,
}
"""Kinds of trouble; a run meets a few of them."""


def scenario(seed: int, *, mixes: tuple[str, ...] | None = None) -> Scenario:
    """Return what `seed` decides; `mixes` names the kinds of trouble instead of the seed."""
    rng = random.Random(f"scenario {seed}")
    is_small = rng.random() < _SMALL
    workers = 2 if is_small else rng.choice([2, 3, 3, 4])
    lease = rng.choice([3.0, 3.0, 5.0])
    order = "time" if rng.random() < 0.35 else "any"
    has_clock = rng.random() < 0.8
    machines = rng.randint(1, workers)
    it = Scenario(
        seed=seed,
        start=_NOON,
        config=pipeline_config(
            order=order,
            job=rng.choice(["daily", "daily", "per-file", "per-run"]),
            validation="streaming" if rng.random() < 0.3 else "whole",
            concurrency=rng.choice([1, 2] if is_small else [1, 2, 2, 3]),
            confirms=rng.random() < 0.3,
            lease=lease,
        ),
        lease=lease,
        hosts=tuple(rng.randrange(machines) for _ in range(workers)),
        starts=tuple(rng.random() * rng.choice([0.01, 0.5]) for _ in range(workers)),
        offsets=tuple(rng.choice([0.0, 0.0, rng.uniform(-2, 2)]) for _ in range(workers)),
        files=tuple(
            (-1.0 if rng.random() < 0.7 else rng.random() * 4, rng.randint(1, 2 if is_small else 3))
            for _ in range(rng.choice([1, 1, 2]) if is_small else rng.randint(1, 3))
        ),
        slowness=rng.choice([0.01, 0.5, 0.5, lease * 1.5]),
        has_clock=has_clock,
        network=Network(),
        fluent=FluentFaults(),
    )
    draft = _Draft(rng, it)
    if mixes is None:
        mixes = tuple(rng.sample(list(MIXES), rng.choice([0, 1, 1, 2, 2, 3, 4])))
    for name in mixes:
        if has_clock or name != "midnight":
            MIXES[name](draft)
    return it
