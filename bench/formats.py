"""How fast each format is read, against the bare library that does the parsing, and how much memory it takes.

    python -m bench.formats [--format csv] [--megabytes 100] [--rounds 3]

Both go over the same file, made for it, in the same run, in turns: the machine may be busy, so take ratios for
truth. Each measurement is a process of its own, so that its peak of memory is its own; a file ten times as large
must not raise ours.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from multiprocessing import Process
from pathlib import Path
from typing import Any

from fc_connect.formats import open_format


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One way to write the same stock, and who else reads it."""

    type: str
    """Of `open_format`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    make: Callable[[Path, int], None]
    """Write a file of about so many bytes."""
    bare: Callable[[Path], int]
    """Read it with the bare library at constant memory, and return the number of records."""
    library: str


def stock() -> Iterator[tuple[str, str, int, str, str, str]]:
    """Yield records of stock without end, in no order that packs unlike real ones."""
    number = 0
    while True:
        number += 1
        yield (
            f"SKU{number * 7919 % 1_000_003:07d}",
            f"W{number % 89:04d}",
            number * 104_729 % 500,
            "LAST_ON_HAND" if number % 3 else "DELTA",
            "ACTIVE",
            f"2026-01-{1 + number % 28:02d}T{number % 24:02d}:00:00Z",
        )


NAMES = ("sku", "location", "qty", "type", "status", "updated")


def make_csv(path: Path, size: int) -> None:
    with path.open("w", newline="") as file:
        written = file.write(",".join(NAMES) + "\r\n")
        for row in stock():
            written += file.write("{},{},{},{},{},{}\r\n".format(*row))
            if written >= size:
                return


def make_quoted_csv(path: Path, size: int) -> None:
    """Every value in quotes, some with what they are for."""
    with path.open("w", newline="") as file:
        written = file.write(",".join(f'"{name}"' for name in NAMES) + "\n")
        for sku, *others in stock():
            values = [f'Shirt, "{sku}"\nred' if sku.endswith("7") else sku, *map(str, others)]
            written += file.write(",".join('"' + value.replace('"', '""') + '"' for value in values) + "\n")
            if written >= size:
                return


def bare_csv(path: Path) -> int:
    import csv

    with path.open(newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def make_xml(path: Path, size: int) -> None:
    with path.open("w") as file:
        written = file.write("<items>\n")
        for row in stock():
            inside = "".join(
                f"    <{name}>{value}</{name}>\n" for name, value in zip(NAMES, row, strict=True)
            )
            written += file.write(f"  <item>\n{inside}  </item>\n")
            if written >= size:
                file.write("</items>\n")
                return


def bare_xml(path: Path) -> int:
    """Make the same dicts, attributes and repeated elements included, of what the standard library finds."""
    from xml.etree.ElementTree import Element, iterparse

    def value(element: Element) -> Any:
        if not len(element) and not element.keys():
            return (element.text or "").strip() or None
        values: dict[str, Any] = {f"@{name}": each for name, each in element.items()}
        for child in element:
            found = value(child)
            if child.tag not in values:
                values[child.tag] = found
            elif isinstance(values[child.tag], list):
                values[child.tag].append(found)
            else:
                values[child.tag] = [values[child.tag], found]
        return values

    with path.open("rb") as file:
        events = iterparse(file, events=("start", "end"))
        _, root = next(events)
        number = 0
        for event, element in events:
            if event == "end" and element.tag == "item":
                number += bool(value(element))
                root.clear()
    return number


def make_parquet(path: Path, size: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = [pa.string(), pa.string(), pa.int64(), pa.string(), pa.string(), pa.timestamp("ms", "UTC")]
    rows = stock()
    with path.open("wb") as file, pq.ParquetWriter(file, pa.schema(zip(NAMES, kinds, strict=True))) as writer:
        while file.tell() < size:
            *others, updated = zip(*islice(rows, 100_000), strict=True)
            columns = [*others, [datetime.fromisoformat(each) for each in updated]]
            arrays = [pa.array(each, kind) for each, kind in zip(columns, kinds, strict=True)]
            writer.write_table(pa.table(arrays, names=NAMES))


def bare_parquet(path: Path) -> int:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path, pre_buffer=False)
    batches = file.iter_batches(batch_size=1024, use_threads=False)
    return sum(
        1 for batch in batches for _ in zip(*(each.to_pylist() for each in batch.columns), strict=True)
    )


def make_json(path: Path, size: int) -> None:
    _make_json(path, size, begin="[", between=",\n", end="]\n", record=_stock_object)


def make_ndjson(path: Path, size: int) -> None:
    _make_json(path, size, begin="", between="\n", end="\n", record=_stock_object)


def make_json_orders(path: Path, size: int) -> None:
    _make_json(path, size, begin="[", between=",", end="]", record=_order)


def make_ndjson_orders(path: Path, size: int) -> None:
    _make_json(path, size, begin="", between="\n", end="\n", record=_order)


def _make_json(
    path: Path, size: int, *, begin: str, between: str, end: str, record: Callable[[Any], Any]
) -> None:
    with path.open("w") as file:
        written = file.write(begin)
        for number, row in enumerate(stock()):
            written += file.write(
                (between if number else "") + json.dumps(record(row), separators=(",", ":"))
            )
            if written >= size:
                file.write(end)
                return


def _stock_object(row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(NAMES, row, strict=True))


def _order(row: tuple[Any, ...]) -> dict[str, Any]:
    """Nested, with an amount, which is exact here and a float there."""
    sku, _, qty, kind, status, updated = row
    lines = [{"ref": f"L{n}", "sku": sku, "qty": qty, "attributes": {"gift": n == 1}} for n in range(4)]
    return {
        "ref": f"O-{sku}",
        "type": kind,
        "status": status,
        "on": updated,
        "total": qty / 100,
        "lines": lines,
    }


def bare_json(path: Path) -> int:
    import msgspec

    # Nothing that reads a part at a time is as quick; it holds the whole file and all of its records.
    records: list[Any] = msgspec.json.decode(path.read_bytes())
    return len(records)


def bare_ndjson(path: Path) -> int:
    import msgspec

    decode = msgspec.json.Decoder().decode
    with path.open("rb") as file:
        return sum(1 for _ in map(decode, file))


def bare_standard_json(path: Path) -> int:
    records: list[Any] = json.loads(path.read_bytes())
    return len(records)


BENCHES = {
    "xml": Bench(
        type="xml",
        options={"records": "items/item"},
        make=make_xml,
        bare=bare_xml,
        library="ElementTree.iterparse",
    ),
    "csv": Bench(type="csv", make=make_csv, bare=bare_csv, library="csv.reader"),
    "csv-quoted": Bench(type="csv", make=make_quoted_csv, bare=bare_csv, library="csv.reader"),
    "parquet": Bench(type="parquet", make=make_parquet, bare=bare_parquet, library="pyarrow, by column"),
    "json": Bench(type="json", make=make_json, bare=bare_json, library="msgspec, all at once"),
    "json-orders": Bench(type="json", make=make_json_orders, bare=bare_json, library="msgspec, all at once"),
    "json-standard": Bench(type="json", make=make_json, bare=bare_standard_json, library="json, all at once"),
    "ndjson": Bench(type="ndjson", make=make_ndjson, bare=bare_ndjson, library="msgspec, line by line"),
    "ndjson-orders": Bench(
        type="ndjson", make=make_ndjson_orders, bare=bare_ndjson, library="msgspec, line by line"
    ),
}


def ours(bench: Bench, path: Path) -> int:
    with path.open("rb") as stream:
        return sum(1 for _ in open_format(bench.type, **bench.options).read(stream, path=path.name))


def measure(name: str, which: str, path: Path) -> None:
    bench = BENCHES[name]
    began, cpu = time.perf_counter(), time.process_time()
    records = bench.bare(path) if which == "bare" else ours(bench, path)
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"records": records, "cpu": cpu, "seconds": seconds, "peak": peak}))


def measured(name: str, which: str, path: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.formats", "--measure", name, which, str(path)]
    result: dict[str, float] = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    )
    return result


def report(name: str, folder: Path, *, megabytes: int, rounds: int) -> None:
    bench, path = BENCHES[name], folder / name
    # In a process of its own as well: one that is started begins with the peak of whoever starts it.
    maker = Process(target=bench.make, args=(path, megabytes * 1_000_000))
    maker.start()
    maker.join()
    runs = [{which: measured(name, which, path) for which in ("bare", "ours")} for _ in range(rounds)]
    best = {which: min((run[which] for run in runs), key=lambda each: each["cpu"]) for which in runs[0]}
    assert best["bare"]["records"] == best["ours"]["records"], best
    print(
        f"{name}: {path.stat().st_size / 1e6:,.0f} MB, {best['ours']['records']:,} records, CPU, best of {rounds}"
    )
    for which, label in (("bare", bench.library), ("ours", "fc-connect")):
        each = best[which]
        print(
            f"  {label:<24} {each['records'] / each['cpu']:>10,.0f} records/s   "
            f"{each['cpu'] / best['bare']['cpu']:5.2f} x   peak {each['peak']:5.0f} MB"
        )
    path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--format", action="append", choices=sorted(BENCHES), help="Without it, every one.")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, which, path = options.measure
        measure(name, which, Path(path))
        return
    with tempfile.TemporaryDirectory(prefix="fc-connect-formats-") as folder:
        for name in options.format or BENCHES:
            report(name, Path(folder), megabytes=options.megabytes, rounds=options.rounds)


if __name__ == "__main__":
    main()
