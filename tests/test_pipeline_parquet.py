"""A pipeline over Parquet: nested columns, only those that are read, and rejects by the number of the record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fc_connect.sandbox import Sandbox
from tests.shop import MAPPING, Shop

FIELDS = {
    **MAPPING["fields"],
    "ref": {"source": "item.sku", "required": True},
    "productRef": {"source": "item.sku"},
    "qty": {"source": "stock[0].qty", "required": True},
}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        yield Shop(
            tmp_path,
            sandbox,
            source={"url": "inbox", "pattern": "*.parquet"},
            format={"type": "parquet"},
            mapping={"fields": FIELDS},
            rejects={"max": 1},
        )


def test_records_are_delivered_from_their_nested_columns(shop: Shop) -> None:
    records = [
        {
            "item": {"sku": f"S{n}"},
            "stock": [{"qty": n}],
            "warehouse": None if n == 7 else "W1",
            "status": None,
        }
        for n in range(25)
    ]
    # Nobody reads it, and no text could be made of it.
    unread = pa.array([2**62] * 25, pa.int64()).view(pa.timestamp("us"))
    table = pa.Table.from_pylist(records).append_column("unread", unread)
    pq.write_table(table, shop.inbox / "a.parquet", row_group_size=10)

    result = shop.run()

    assert result.success
    assert {entity.ref: entity.qty for entity in shop.sandbox.log.entities()} == {
        f"S{n}": n for n in range(25) if n != 7
    }
    [rejected] = (
        json.loads(line) for line in Path(str(result.files[0].rejects_file)).read_text().splitlines()
    )
    assert (rejected["number"], rejected["field"], rejected["record"]["item"]) == (
        8,
        "locationRef",
        {"sku": "S7"},
    )


def test_a_damaged_file_fails_and_nothing_of_it_is_sent(shop: Shop) -> None:
    table = pa.table({"item": [{"sku": "S1"}], "stock": [[{"qty": 1}]], "warehouse": ["W1"], "status": ["A"]})
    pq.write_table(table, shop.inbox / "a.parquet")
    content = (shop.inbox / "a.parquet").read_bytes()
    (shop.inbox / "a.parquet").write_bytes(content[:-20])

    result = shop.run()

    assert not result.success
    assert "is cut off" in str(result.files[0].reason)
    assert list(shop.sandbox.log.entities()) == []
