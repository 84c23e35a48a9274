"""Puts virtual threads, machines and ids where the product's modules look for real ones, and takes them out again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec

from fc_connect import faults
from fc_connect.kv import Key, commit, keys, memory
from fc_connect.pipeline import ingest, jobs, sender
from fc_connect.pipeline.rejects import RejectsFile
from fc_connect.state import files, lease, owner
from fc_connect.targets import confirmation
from tests.simulation.threads import PoolShim, threading_shim, wait_shim
from tests.simulation.world import Killed, Process, World, enter, here

__all__ = ["simulated"]


@contextmanager
def simulated(world: World) -> Iterator[None]:
    """Let the product run in `world`."""
    threading = threading_shim()
    places: list[tuple[ModuleType, str, Any]] = [
        (lease, "threading", threading),
        (sender, "threading", threading),
        (jobs, "threading", threading),
        (sender, "ThreadPoolExecutor", PoolShim),
        (ingest, "ThreadPoolExecutor", PoolShim),
        (sender, "wait", wait_shim),
        (sender, "contextvars", _CONTEXT),
        (ingest, "contextvars", _CONTEXT),
        (ingest, "RejectsFile", _NoRejects),
        (lease, "uuid", SimpleNamespace(uuid4=_uuid4)),
        # What is worked out again and again, and isn't what is looked into here.
        (commit, "encode_key", _encode_key),
        (memory, "encode_key", _encode_key),
        (commit, "encode_value", _encode_value),
        (files, "digest_of", _digest_of),
        (confirmation, "Random", lambda: _process().rng),
        (owner, "os", SimpleNamespace(getpid=lambda: _process().pid)),
        (owner, "socket", SimpleNamespace(gethostname=lambda: _process().host.name)),
        (owner, "_boot_id", lambda: _process().host.boot_id),
        (owner, "_pid_namespace", lambda: _process().host.namespace),
        (owner, "_start_of", _start_of),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in places]
    disabled = logging.root.manager.disable
    for module, name, value in places:
        setattr(module, name, value)
    handler = _Tracing(world) if world.trace is not None else None
    product = logging.getLogger("fc_connect")
    level = product.level
    if handler is None:
        logging.disable(logging.CRITICAL)
    else:
        product.addHandler(handler)
        product.setLevel(logging.INFO)
    enter(world)
    faults.install(_pass_point)
    try:
        yield
    finally:
        world.close()
        faults.install(None)
        enter(None)
        logging.disable(disabled)
        if handler is not None:
            product.removeHandler(handler)
            product.setLevel(level)
        for module, name, value in before:
            setattr(module, name, value)


_encode_key = lru_cache(maxsize=4096)(keys.encode_key)
_digest_of = lru_cache(maxsize=4096)(files.digest_of)
_to_json = msgspec.json.Encoder().encode


def _encode_value(key: Key, value: Any) -> bytes:
    del key
    return _to_json(value)


def _process() -> Process:
    current = here().current
    if current is None:
        raise RuntimeError("only a process of the simulation may ask who it is")
    return current.process


def _start_of(pid: int) -> str | None:
    return _process().host.started.get(pid)


def _uuid4() -> SimpleNamespace:
    return SimpleNamespace(hex=f"{here().rng.getrandbits(128):032x}")


def _pass_point(name: str) -> None:
    world = here()
    if world.current is None:
        return
    process = world.current.process
    if process.is_dead:
        return
    process.points += 1
    if world.trace is not None:
        world.note(f"passes {name} ({world.current.name})")
    if process.doom is None or not process.doom.strikes(name):
        return
    doom, process.doom = process.doom, None
    if doom.pause is not None:
        process.freeze(doom.pause)
        if process.on_pause is not None:
            process.on_pause()
        world.park(0.0)
    else:
        world.note(f"is killed at {name}")
        process.mark_dead()
        world.at(world.now, process.kill)
        if process.on_death is not None:
            process.on_death()
        raise Killed


class _Context:
    def run(self, call: Any, *args: Any) -> Any:
        return call(*args)


_CONTEXT = SimpleNamespace(copy_context=_Context)


class _NoRejects(RejectsFile):
    """Stands for the rejects file: in the simulation nothing is rejected, and no disk is touched."""

    def __init__(self, *_: object, **__: object) -> None:
        self.records = 0

    @classmethod
    def drop_drafts(cls, *_: object, **__: object) -> None:
        pass

    def append(self, path: object) -> None:
        pass

    def abandon(self) -> None:
        pass

    def finish(self) -> None:
        return None


class _Tracing(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        self._world.note(f"log: {record.getMessage()}")
