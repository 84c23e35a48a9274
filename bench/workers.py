"""How many workers share how many files: each file once, and no worker starves.

    python -m bench.workers [--workers 64] [--files 10000] [--order any] [--state redis|postgresql|...|<URL>]

Every worker is a process of its own, as on another machine; all meet in the store alone. What they delivered is
counted by the sandbox. A worker starves if it delivers less than a tenth of its share.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from tests.shop import Shop
from tests.stores import store_url

from fc_connect.sandbox import Sandbox
from fc_connect.state import FileStatus


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=3)
    parser.add_argument("--order", default="any")
    parser.add_argument("--state", default="redis")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fc-connect-workers-")))
        url = stack.enter_context(store_url(options.state))
        sandbox = stack.enter_context(Sandbox(processing_time=timedelta(0)))
        shop = Shop(
            folder / "shop", sandbox, pipeline=f"w-{uuid.uuid4().hex[:8]}", state=url, order=options.order
        )
        for number in range(options.files):
            shop.stock(f"stock-{number:05d}.csv", warehouse=f"W{number:05d}", rows=options.rows, age=number)
        measure(shop, workers=options.workers, files=options.files, rows=options.rows)


def measure(shop: Shop, *, workers: int, files: int, rows: int) -> None:
    began = time.monotonic()
    command = [sys.executable, "-m", "fc_connect", "run", str(shop.pipeline_file), "--json"]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    answers = [process.communicate() for process in processes]
    took = time.monotonic() - began
    shares = []
    for process, (output, error) in zip(processes, answers, strict=True):
        if process.returncode != 0:
            print(f"a worker ended with {process.returncode}: {error[-500:]} {output[-500:]}")
            continue
        shares.append(json.loads(output)["batches_sent"])
    deliveries = shop.deliveries()
    pipeline = shop.pipeline()
    with pipeline.open_store() as kv:
        statuses = Counter(each.status for each in pipeline.open_state(kv).files.all())
        locks = len(list(pipeline.open_state(kv).locks.list()))
    starving = sum(share < files / workers / 10 for share in shares)
    print(
        f"{workers} workers, {files:,} files in {took:.0f} s ({files / took:.0f} files/s on {os.cpu_count()} cores); "
        f"{statuses[FileStatus.COMPLETED]:,} completed; {len(deliveries):,} of {files * rows:,} entities delivered, "
        f"{sum(times > 1 for times in deliveries.values())} more than once; files per worker "
        f"{min(shares)} to {max(shares)}, {starving} starving; {locks} locks left"
    )


if __name__ == "__main__":
    main()
