"""A receiver of webhooks as a process of its own, as a person starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from tests.servers import spare_port

HANDLER = """
import os, time
from pathlib import Path

def handle(event):
    folder = Path(__file__).parent
    begun = os.open(folder / "begun.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(begun, f"{event.event_id}\\n".encode())
    while not (folder / "open").exists():
        time.sleep(0.01)
    if event.payload.get("attributes", {}).get("fail"):
        raise ValueError("this one always fails")
    done = os.open(folder / "done.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(done, f"{event.event_id}\\n".encode())
"""


class WebhookProcess:
    """`fc-connect webhook serve` in `folder`; its handler waits until there is a file called `open`."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.folder = folder
        self.port = spare_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "shop.py").write_text(HANDLER)
        settings = {
            "webhook": "orders",
            "listen": {"port": self.port},
            "hooks": {"orders": {"handler": "shop.py:handle"}},
            "state": "sqlite:///queue.db",
            "lease": "3s",
            "grace": "1s",
            **config,
        }
        (folder / "webhook.yaml").write_text(json.dumps(settings))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fc_connect", "webhook", "serve"],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{self.url}/health", verify=False)
            except httpx.TransportError:
                assert self.process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.05)
            else:
                return

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal, and return how it ended."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=20)

    def open_gate(self) -> None:
        """Let handlers go on."""
        (self.folder / "open").touch()

    def log(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace")

    def lines(self, name: str) -> list[str]:
        """Return what handlers wrote: `begun.txt` or `done.txt`."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def wait_for_counts(self, *, waiting: int, dead: int) -> None:
        """Wait until the health page says so many."""
        deadline = time.monotonic() + 30
        while True:
            told = httpx.get(f"{self.url}/health", verify=False).json()
            if (told["waiting"], told["dead"]) == (waiting, dead):
                return
            assert time.monotonic() < deadline, f"{told}\n{self.log()}"
            time.sleep(0.1)

    def wait_for(self, name: str, count: int) -> list[str]:
        """Wait until so many lines are there."""
        deadline = time.monotonic() + 30
        while len(found := self.lines(name)) < count:
            assert time.monotonic() < deadline, f"{found}\n{self.log()}"
            time.sleep(0.02)
        return found
