"""How fast one core reads, maps, finds duplicates, encodes and batches a CSV file; and how much memory it takes.

    python bench/mapping.py [rows]        (1,000,000 by default; the file is made in a temporary folder)

Ratios are against bare `csv.reader` over the same file in the same run, and against a mapper that interprets the
mapping per record over dicts: the machine may be busy. Each measurement is a process of its own, so that its peak of
memory is its own.
"""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from fc_connect.formats import open_format
from fc_connect.mapping import compile_mapping, encode_entity, load_mapping
from fc_connect.pipeline.config import RejectLimit
from fc_connect.pipeline.duplicates import key_reader
from fc_connect.pipeline.planner import Planner
from fc_connect.sources import open_source
from fc_connect.targets import BatchTarget

MAPPING = load_mapping(
    {
        "fields": {
            "ref": {"source": "sku", "required": True},
            "productRef": {"source": "sku", "resolver": "sdk.trim"},
            "locationRef": {"source": "warehouse", "resolver": "sdk.uppercase"},
            "qty": {"source": "quantity", "resolver": "sdk.parseInt", "required": True},
            "status": {"source": "status", "defaultValue": "ACTIVE"},
            "type": {"value": "LAST_ON_HAND"},
            "uom": {"source": "uom"},
        }
    }
)


def make(path: Path, rows: int) -> None:
    with path.open("w") as file:
        file.write("sku,warehouse,quantity,status,colour,lot,uom\n")
        for n in range(rows):
            file.write(
                f"SKU{n % 100_000:07d},W{n // 100_000:04d},{n * 7919 % 500},ACTIVE,blue,lot{n % 97},EA\n"
            )


def bare_reader(path: Path) -> int:
    with path.open(newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def interpreted(path: Path) -> int:
    """The same mapping, looked up field by field for every record, as a straightforward mapper does."""
    fields = [(name, field.source, field.resolver, field.value) for name, field in MAPPING.fields.items()]
    resolvers: dict[str | None, Any] = {
        "sdk.trim": str.strip,
        "sdk.uppercase": str.upper,
        "sdk.parseInt": int,
        None: lambda value: value,
    }
    count = 0
    with path.open(newline="") as file:
        for record in csv.DictReader(file):
            entity = {
                name: resolvers[resolver](record[source] if source else value)
                for name, source, resolver, value in fields
            }
            json.dumps(entity)
            count += 1
    return count


def planned(path: Path, duplicates: Any) -> int:
    """What a run does before it sends: onto disk, ready to go out."""
    with tempfile.TemporaryDirectory() as folder, open_source(str(path.parent)) as source:
        file = source.stat(path.name)
        assert file is not None
        planner = Planner(
            source=source,
            format=open_format("csv"),
            make_mapper=lambda records: compile_mapping(MAPPING, columns=records.columns),
            wanted=None,
            encode=encode_entity,
            key=key_reader(("locationRef", "skuRef|productRef", "type")),
            envelope=BatchTarget(event="InventoryChanged").envelope(),
            batch_size=1000,
            duplicates=duplicates,
            limit=RejectLimit(count=0),
            rejects_folder=Path(folder),
            plan_digest="bench",
            stop=threading.Event(),
            on_progress=lambda read, rejected: None,
        )
        return planner.plan(
            file, "bench", Path(folder) / "spool" / "1", demand=lambda: None
        ).summary.records_read


WORK = {
    "csv.reader alone": bare_reader,
    "interpreted per record, over dicts": interpreted,
    "fc-connect, duplicates: keep": lambda path: planned(path, "keep"),
    "fc-connect, duplicates: last": lambda path: planned(path, "last"),
}


def measure(name: str, path: Path) -> None:
    began = time.process_time()
    rows = WORK[name](path)
    seconds = time.process_time() - began
    print(json.dumps([rows, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stock.csv"
        make(path, rows)
        print(f"{rows:,} rows x 7 columns, {path.stat().st_size / 1e6:.0f} MB")
        base = 0.0
        for name in WORK:
            command = [sys.executable, __file__, "--measure", name, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            count, seconds, peak = json.loads(done.stdout)
            base = base or seconds
            print(
                f"{name:<36} {count / seconds:>11,.0f} rows/s of CPU   {seconds / base:5.2f} x csv.reader   "
                f"peak {peak} MB"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
