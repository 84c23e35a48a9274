"""How fast a source is listed, against the bare call that does it, and how much memory it takes.

    python -m bench.listing [--files 100000] [--keys 20000] [--rounds 3]

A local folder against `os.scandir`, sorted, with a `stat` each; S3 (moto's server, in a process of its own) against
boto3's paginator. Both in the same run, in turns: take ratios for truth. Times are those of our processor alone, as a
disk's or a server's tell nothing of us. Each measurement is a process of its own, so that its
peak of memory is its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

ACCESS = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench-secret", "region_name": "us-east-1"}


class Measured(NamedTuple):
    """What one listing took."""

    count: int
    seconds: float
    megabytes: float
    """That the peak grew by, above what was loaded before."""


def measured(listing: Callable[[str], Callable[[], int]], where: str, pipe: Connection) -> None:
    run = listing(where)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    count = run()
    seconds = time.process_time() - begun
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send(Measured(count, seconds, (after - before) / 1024))


def local(folder: str) -> Callable[[], int]:
    from fc_connect.sources.local import LocalSource

    source = LocalSource(Path(folder))
    return lambda: sum(1 for _ in source.list("*.csv"))


def bare_local(folder: str) -> Callable[[], int]:
    def run() -> int:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file() and entry.name.endswith(".csv"))
        return sum(1 for name in names if os.stat(f"{folder}/{name}").st_size >= 0)  # noqa: PTH116

    return run


def s3(endpoint: str) -> Callable[[], int]:
    from fc_connect.sources import open_source

    source = open_source(
        "s3://bench/data/", endpoint_url=endpoint, access_key_id="bench", secret_access_key="bench-secret"
    )
    next(iter(source.list("0000000*.csv")), None)  # load what the first request loads
    return lambda: sum(1 for _ in source.list("*.csv"))


def bare_s3(endpoint: str) -> Callable[[], int]:
    import boto3

    client: Any = boto3.client("s3", endpoint_url=endpoint, **ACCESS)  # type: ignore[call-overload]
    client.list_objects_v2(Bucket="bench", MaxKeys=1)

    def run() -> int:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="bench", Prefix="data/")
        return sum(1 for page in pages for item in page["Contents"] if item["Key"].endswith(".csv"))

    return run


def serve(keys: int, pipe: Connection) -> None:
    """Run a server with so many keys, put there without HTTP, until told to end."""
    import logging

    from moto.s3.models import s3_backends
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    backend = s3_backends["123456789012"]["aws"]
    backend.create_bucket("bench", "us-east-1")
    for number in range(keys):
        backend.put_object("bench", f"data/{number:08}.csv", b"1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    pipe.send(f"http://{host}:{port}")
    pipe.recv()
    server.stop()


def compare(
    name: str, ours: Any, bare: Any, where: str, *, rounds: int, context: multiprocessing.context.SpawnContext
) -> None:
    best: dict[Any, Measured] = {}
    for _ in range(rounds):
        for each in (ours, bare):
            here, there = context.Pipe()
            process = context.Process(target=measured, args=(each, where, there))
            process.start()
            found: Measured = here.recv()
            process.join()
            best[each] = min(best.get(each, found), found, key=lambda one: one.seconds)
    ratio = best[ours].seconds / best[bare].seconds
    for label, each in (("ours", ours), ("bare", bare)):
        count, seconds, megabytes = best[each]
        print(
            f"{name:6} {label:5} {count:8,} listed  {seconds:6.2f} s  {seconds / count * 1e6:6.1f} µs each  "
            f"+{megabytes:5.1f} MB"
        )
    print(f"{name:6} ratio {ratio:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--keys", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    if asked.files:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(asked.files):
                (Path(folder) / f"{number * 7_919 % asked.files:08}.csv").touch()
            compare("local", local, bare_local, folder, rounds=asked.rounds, context=context)
    if asked.keys:
        here, there = context.Pipe()
        server = context.Process(target=serve, args=(asked.keys, there))
        server.start()
        compare("s3", s3, bare_s3, here.recv(), rounds=asked.rounds, context=context)
        here.send("end")
        server.join()


if __name__ == "__main__":
    main()
