"""What makes trouble while a history is recorded: the network, or a file that somebody else holds."""

from __future__ import annotations

import random
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path

from fc_connect.proof.proxy import Direction, Proxy
from fc_connect.proof.toxics import Kind, Latency, LimitData, Slicer, Toxic

__all__ = ["BusyFile", "NetworkTrouble"]


class NetworkTrouble:
    """Cuts, delays and chops the connections through a proxy, a few times within `within` seconds from the start.

    A connection is cut all at once, or after so many more bytes of a request or of an answer.
    """

    def __init__(self, proxy: Proxy, *, within: float) -> None:
        self._proxy = proxy
        self._within = within

    def __call__(self, rng: random.Random, stop: threading.Event) -> None:
        try:
            for _ in range(rng.randint(1, 3)):
                if stop.wait(rng.uniform(0, self._within / 2)):
                    return
                self._make_one(rng, stop)
        finally:
            self._proxy.clear()

    def _make_one(self, rng: random.Random, stop: threading.Event) -> None:
        dice = rng.random()
        direction: Direction = rng.choice(["upstream", "downstream"])
        if dice < 0.3:
            self._proxy.cut(rng.choice([Kind.CLOSE, Kind.RESET]))
            return
        toxic: Toxic
        if dice < 0.8:
            toxic = LimitData(max_bytes=rng.randrange(600), then=rng.choice([Kind.CLOSE, Kind.RESET]))
        elif dice < 0.9:
            milliseconds = rng.uniform(1, 8)
            toxic = Latency(
                delay=timedelta(milliseconds=milliseconds), jitter=timedelta(milliseconds=milliseconds)
            )
        else:
            toxic = Slicer(average_size=7, size_variation=5)
        with self._proxy.toxic(toxic, direction=direction, toxicity=rng.choice([0.5, 1.0])):
            stop.wait(rng.uniform(0, self._within / 3))


class BusyFile:
    """Takes the write lock of a SQLite file again and again, some milliseconds each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, rng: random.Random, stop: threading.Event) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=5)
        try:
            while not stop.wait(rng.uniform(0.001, 0.02)):
                connection.execute("BEGIN IMMEDIATE")
                stop.wait(rng.uniform(0.001, 0.02))
                connection.execute(rng.choice(["ROLLBACK", "COMMIT"]))
        finally:
            connection.close()
