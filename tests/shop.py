"""A shop for tests: stock files, a sandbox of Fluent as the witness, and pipelines between them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fc_connect.pipeline import Pipeline, RunResult
from fc_connect.sandbox import Sandbox

__all__ = ["Shop"]

MAPPING = {
    "fields": {
        "ref": {"source": "sku", "required": True},
        "productRef": {"source": "sku"},
        "locationRef": {"source": "warehouse", "required": True},
        "qty": {"source": "quantity", "resolver": "sdk.parseInt", "required": True},
        "status": {"source": "status", "defaultValue": "ACTIVE"},
        "type": {"value": "LAST_ON_HAND"},
    }
}
START = datetime(2026, 1, 15, 4, tzinfo=UTC)


class Shop:
    """One pipeline with its folder, and the sandbox that it delivers to."""

    def __init__(self, folder: Path, sandbox: Sandbox, **settings: Any) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.inbox = folder / "inbox"
        self.inbox.mkdir(parents=True)
        self.settings: dict[str, Any] = {
            "pipeline": "inventory",
            "source": {"url": "inbox", "pattern": "*.csv"},
            "mapping": MAPPING,
            "target": {"batch": {"size": 10, "concurrency": 2}},
            "fluent": {
                "base_url": sandbox.url,
                "client_id": "tests",
                "client_secret": "tests-secret",
                "retailer_id": "1",
            },
            "lease": {"timeout": "30s"},
        }
        self.configure(**settings)

    @property
    def pipeline_file(self) -> Path:
        return self.folder / "pipeline.json"

    def configure(self, **settings: Any) -> None:
        self.settings.update(settings)
        self.pipeline_file.write_text(json.dumps(self.settings))

    def put(self, name: str, rows: Sequence[Sequence[Any]] | str | bytes, *, age: int = 0) -> Path:
        """Write a file; `age` is its place in time, in minutes after the first."""
        path = self.inbox / name
        if isinstance(rows, bytes):
            path.write_bytes(rows)
        elif isinstance(rows, str):
            path.write_text(rows)
        else:
            lines = ["sku,warehouse,quantity,status", *(",".join(map(str, row)) for row in rows)]
            path.write_text("\n".join(lines) + "\n")
        changed = (START + timedelta(minutes=age)).timestamp()
        os.utime(path, (changed, changed))
        return path

    def stock(self, name: str, *, warehouse: str, rows: int, age: int = 0) -> Path:
        """Write a good file of so many products of one warehouse."""
        return self.put(name, [(f"SKU{n:05d}", warehouse, n, "ACTIVE") for n in range(rows)], age=age)

    def pipeline(self, **options: Any) -> Pipeline:
        return Pipeline.from_file(self.pipeline_file, **options)

    def run(self, **options: Any) -> RunResult:
        return self.pipeline(**options).run()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin `fc-connect run` as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "fc_connect", "run", str(self.pipeline_file), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def command(self, *arguments: str) -> str:
        """Run a command on the pipeline file to a good end, and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "fc_connect", *arguments, "--pipeline", str(self.pipeline_file)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def deliveries(self) -> Counter[tuple[str, str, str]]:
        return self.sandbox.deliveries()

    def kill(self, process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def wait_for_batches(self, count: int, *, within: float = 60) -> None:
        """Wait until the sandbox has so many batches."""
        deadline = time.monotonic() + within
        while len(self.sandbox.batches()) < count:
            assert time.monotonic() < deadline, f"no {count} batches within {within} s"
            time.sleep(0.005)
