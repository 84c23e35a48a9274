"""One history after another of one store, each with the trouble that its seed decides."""

from __future__ import annotations

import random
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from fc_connect.kv import open_kv
from fc_connect.proof.disturbances import BusyFile, NetworkTrouble
from fc_connect.proof.histories import Disturbance, record, record_leases
from fc_connect.proof.history import History
from fc_connect.proof.killed import record_killed
from fc_connect.proof.proxy import Proxy

__all__ = ["Recorder"]

_CLIENTS = 5
_DISTURBED = 0.6
_LEASES = 0.25
_KILLED = 0.05
_PLAIN = {"redis", "postgresql", "postgres", "nats", "deno+http"}
"""Schemes whose connections a proxy may cut: what is encrypted demands the server's own name."""


class Recorder:
    """Clients of a store, some through a proxy that cuts their connections. Leaves nothing in the store.

    Args:
        url: of the store.
        trouble: whether anything is disturbed at all.
        seed: of the proxy's own choices.
    """

    def __init__(self, url: str, *, trouble: bool = True, seed: int = 0) -> None:
        self._url = url
        self._seed = seed
        self._trouble = trouble
        self._stack = ExitStack()
        self._within = 0.0

    def __enter__(self) -> Self:
        sys.setswitchinterval(0.0005)  # threads that take turns seldom hardly meet
        try:
            self._quiet = self._stack.enter_context(open_kv(self._url))
            stores = [self._quiet]
            self._proxy: Proxy | None = None
            parts = urlsplit(self._url)
            if self._trouble and parts.scheme in _PLAIN and parts.hostname is not None:
                self._proxy = self._stack.enter_context(Proxy.before(self._url, seed=self._seed))
                through = self._proxy.url(self._url)
                stores = [self._stack.enter_context(open_kv(through)) for _ in range(2)]
            elif parts.scheme != "memory":
                stores.append(self._stack.enter_context(open_kv(self._url)))
            self._clients = [stores[number % len(stores)] for number in range(_CLIENTS)]
            began = time.monotonic()
            record(self._clients, seed=0, quiet=self._quiet)
            self._within = time.monotonic() - began
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def record(self, seed: int, *, leases: bool | None = None) -> tuple[str, History]:
        """Record what `seed` decides, and say what kind of history it is; `leases` demands or excludes theirs."""
        rng = random.Random(f"{seed}/kind")
        disturbance: Disturbance | None = None
        if self._trouble and rng.random() < _DISTURBED:
            if self._proxy is not None:
                disturbance = NetworkTrouble(self._proxy, within=self._within)
            elif self._url.startswith("sqlite:"):
                disturbance = BusyFile(Path(self._url.removeprefix("sqlite:///")))
        of_leases = rng.random() < _LEASES
        of_leases = of_leases if leases is None else leases
        operations = rng.randint(30, 60)
        if self._trouble and self._url.startswith("sqlite:") and not of_leases and rng.random() < _KILLED:
            return "kv killed", record_killed(self._url, seed=seed)
        kind = ("lease" if of_leases else "kv") + (" disturbed" if disturbance is not None else "")
        history = (record_leases if of_leases else record)(
            self._clients, seed=seed, operations=operations, disturbance=disturbance, quiet=self._quiet
        )
        return kind, history
