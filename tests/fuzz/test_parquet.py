"""Parquet files, as wrong as exports and attackers make them, and values of every kind into every type."""

from __future__ import annotations

import io
import math
import os
import random
import subprocess
import sys
from datetime import timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fc_connect.errors import FormatError, ParseError
from fc_connect.formats import BadRecord, open_format, open_writer
from tests.fuzz.effort import examples

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3)
    | st.decimals() | st.dates() | st.datetimes(timezones=st.none() | st.just(timezone(timedelta(hours=2)))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
KINDS = st.sampled_from(
    ["string", "int64", "uint8", "float", "double", "bool", "date", "decimal(9,3)", "timestamp[ms]",
     "timestamp[us, UTC]", "list<double>", "struct<a: int64, b: string>", "map<int32>"]
)  # fmt: skip


def same(found: Any, value: Any) -> bool:
    if isinstance(found, dict) and isinstance(value, dict):
        return (
            all(same(each, value.get(name)) for name, each in found.items()) and value.keys() <= found.keys()
        )
    if isinstance(found, list) and isinstance(value, list):
        return len(found) == len(value) and all(map(same, found, value))
    if isinstance(found, bool) is not isinstance(value, bool):
        return False
    if isinstance(found, float) and isinstance(value, float):
        return found == value or (math.isnan(found) and math.isnan(value))
    if {type(found), type(value)} == {float, Decimal}:
        return (
            Decimal(repr(found)) == Decimal(repr(value))
            if isinstance(value, float)
            else float(value) == found
        )
    return bool(found == value)


@examples(150)
@given(ANY, KINDS)
def test_any_value_is_written_as_it_is_or_refused(value: Any, kind: str) -> None:
    file = io.BytesIO()
    try:
        with open_writer("parquet", schema={"a": kind}, compression="none").write(file) as writer:
            writer.write({"a": value})
    except FormatError:
        return

    [[found]] = open_format("parquet").read(io.BytesIO(file.getvalue()), path="a.parquet")

    assert same(found, value)


ENCODINGS = {"qty": "DELTA_BINARY_PACKED", "price": "BYTE_STREAM_SPLIT", "sku": "DELTA_BYTE_ARRAY"}


def samples() -> list[bytes]:
    """Make small files of all that the writers of pyarrow know."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = random.Random(7)
    size = 300
    table = pa.table(
        {
            "sku": [f"SKU{rng.randrange(90)}" if n % 7 else None for n in range(size)],
            "qty": [rng.randrange(-5, 1 << 40) for _ in range(size)],
            "price": [rng.random() for _ in range(size)],
            "flag": [n % 3 == 0 for n in range(size)],
            "at": pa.array([rng.randrange(1 << 50) for _ in range(size)], pa.timestamp("us", "UTC")),
            "cost": pa.array(
                [Decimal(rng.randrange(1 << 30)) / 100 for _ in range(size)], pa.decimal128(20, 2)
            ),
            "tags": [[str(n)] * (n % 4) if n % 5 else None for n in range(size)],
            "item": [{"a": n, "b": [{"c": str(n)}]} for n in range(size)],
            "map": pa.array([[("k", n)] * (n % 2) for n in range(size)], pa.map_(pa.string(), pa.int64())),
        }
    )
    found = []
    for options in (
        {"compression": "none", "use_dictionary": False},
        {"compression": "snappy", "row_group_size": 100, "data_page_version": "2.0"},
        {"compression": "zstd", "write_page_checksum": True},
        {"compression": "gzip", "use_dictionary": False, "data_page_size": 256, "column_encoding": ENCODINGS},
        {"compression": "lz4", "use_deprecated_int96_timestamps": True, "store_schema": False},
    ):  # fmt: skip
        file = io.BytesIO()
        pq.write_table(table, file, **options)
        found.append(file.getvalue())
    return found


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Damage a file as disks, links and attackers do; its footer more often, as most is decided there."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 5, 20])):
        near_end = rng.random() < 0.6
        at = rng.randrange(max(0, len(data) - 3000) if near_end else 0, len(data))
        match rng.randrange(6):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
            case 2:
                data[at : at + rng.randrange(1, 9)] = bytes([0xFF] * rng.randrange(1, 9))
            case 3:
                del data[at : at + rng.randrange(1, 30)]
            case 4:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            case _:
                other = rng.randrange(len(data))
                data[at : at + 16] = data[other : other + 16]
        if len(data) < 12:
            break
    return bytes(data)


def attack(seed: int, files: int) -> None:
    """Read so many damaged files; run as a process of its own, since a fault of the library would end it."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    whole = samples()
    outcomes = {"read": 0, "refused": 0}
    for number in range(files):
        rng = random.Random(seed * 1_000_003 + number)
        content = mutated(rng.choice(whole), rng)
        print(f"seed {seed}, file {number}", end="\r", flush=True)
        try:
            records = open_format("parquet").read(io.BytesIO(content), path="x.parquet")
            assert records.columns is not None
            for record in records:
                assert isinstance(record, BadRecord) or len(record) == len(records.columns)
            outcomes["read"] += 1
        except ParseError:
            outcomes["refused"] += 1
    # Of this program alone; what getrusage gives begins with the peak of whoever started it.
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024
    print(f"\n{outcomes}, peak {peak} MB")
    assert peak < 256


def test_damaged_files_are_read_or_refused_and_harm_nothing() -> None:
    command = [sys.executable, "-m", "tests.fuzz.test_parquet", "1", os.environ.get("FUZZ_EXAMPLES", "250")]

    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout[-500:] + ended.stderr[-3000:]


if __name__ == "__main__":
    attack(int(sys.argv[1]), int(sys.argv[2]))
