"""What batches delivered, as positions and quantities: applied when somebody asks, each batch once, in order.

Accepting a batch stays one row; the work is done by the first query that looks at inventory after the batch is
COMPLETE. A record becomes the quantity `<product>:<location>:<type>` of the position `<product>:<location>:DEFAULT`
(Fluent's default ref) in the catalogue `DEFAULT:<retailer>`, or the batch's `catalogueRef`.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from fc_connect.sandbox.data import changes
from fc_connect.sandbox.data.kinds import KINDS
from fc_connect.sandbox.data.rows import Rows, millis

__all__ = ["apply_next"]

_POSITION = """
INSERT INTO InventoryPosition (createdOn, updatedOn, ref, type, workflowRef, workflowVersion, status, productRef,
    onHand, locationRef, catalogue)
SELECT ?1, ?1, product || ':' || location || ':DEFAULT', 'DEFAULT', 'INVENTORY_POSITION::DEFAULT', 1, 'ACTIVE',
    product, 0, location, catalogue
FROM (SELECT min(number) AS number, product, location, catalogue FROM delivered
    GROUP BY catalogue, product, location) AS new
WHERE NOT EXISTS (SELECT 1 FROM InventoryPosition p
    WHERE p.productRef = new.product AND p.locationRef = new.location AND p.catalogue = new.catalogue)
ORDER BY number
ON CONFLICT DO NOTHING
"""
_FIND = """
UPDATE delivered SET position = (SELECT p.id FROM InventoryPosition p WHERE p.productRef = product
    AND p.locationRef = location AND p.catalogue = delivered.catalogue ORDER BY p.id LIMIT 1)
"""
_QUANTITY = """
INSERT INTO InventoryQuantity (createdOn, updatedOn, ref, type, workflowRef, workflowVersion, status, quantity,
    expectedOn, catalogue, position)
SELECT ?1, ?1, product || ':' || location || ':' || type, type, 'INVENTORY_QUANTITY::' || type, 1, status, quantity,
    NULL, catalogue, position
FROM delivered WHERE position IS NOT NULL ORDER BY number
ON CONFLICT (ref, catalogue) DO UPDATE SET quantity = excluded.quantity, status = excluded.status, updatedOn = ?1
WHERE quantity IS NOT excluded.quantity OR status IS NOT excluded.status
"""
_ON_HAND = """
UPDATE InventoryPosition SET updatedOn = ?1, onHand = total
FROM (SELECT position AS owner, sum(quantity) AS total FROM InventoryQuantity
    WHERE position IN (SELECT position FROM delivered) GROUP BY position)
WHERE id = owner AND onHand IS NOT total
"""


def apply_next(connection: sqlite3.Connection, *, until: datetime, processing_time: timedelta) -> bool:
    """Apply the next batch accepted up to `until`; say whether there was one. The transaction is the caller's."""
    row = connection.execute(
        "SELECT batch.id, accepted_at, retailer_id, faults, body FROM batch JOIN job ON job.id = job_id "
        "WHERE batch.id > coalesce((SELECT batch FROM applied), 0) ORDER BY batch.id LIMIT 1"
    ).fetchone()
    if row is None or row[1] > millis(until) * 1000 + 999:
        return False
    number, accepted, retailer, faults, body = row
    at = accepted // 1000 + processing_time // timedelta(milliseconds=1)
    refused = {fault[0] for fault in json.loads(faults)}
    payload = json.loads(zlib.decompress(body))
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS delivered (number INTEGER PRIMARY KEY, catalogue INTEGER, product TEXT, "
        "location TEXT, type TEXT, status TEXT, quantity INTEGER, position INTEGER)"
    )
    connection.execute("DELETE FROM delivered")
    found = _records(Rows(connection), payload, refused, retailer=retailer, at=until)
    connection.executemany("INSERT INTO delivered VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", found)
    connection.execute(_POSITION, (at,))
    connection.execute(_FIND)
    connection.execute(_QUANTITY, (at,))
    connection.execute(_ON_HAND, (at,))
    connection.execute("INSERT OR REPLACE INTO applied VALUES (1, ?)", (number,))
    return True


def _records(
    rows: Rows, payload: dict[str, Any], refused: set[int], *, retailer: str, at: datetime
) -> Iterator[tuple[Any, ...]]:
    catalogues: dict[str, int] = {}
    shared = payload.get("catalogueRef")
    for index, entity in enumerate(payload["entities"]):
        if index in refused or not -(2**63) <= entity["qty"] < 2**63:
            continue
        own = str(entity.get("retailerId") or retailer)
        ref = shared if isinstance(shared, str) and shared else f"DEFAULT:{own}"
        if ref not in catalogues:
            catalogues[ref] = _catalogue(rows, ref, at)
        product = entity.get("productRef")
        yield (
            index,
            catalogues[ref],
            entity["skuRef"] if product is None else product,
            entity["locationRef"],
            entity.get("type") or "LAST_ON_HAND",
            entity.get("status") or "ACTIVE",
            entity["qty"],
        )


def _catalogue(rows: Rows, ref: str, at: datetime) -> int:
    kind = KINDS["InventoryCatalogue"]
    ref = ref[:100]
    held = rows.find(kind, ref)
    return int(held["id"]) if held else changes.create(rows, kind, {"ref": ref, "status": "ACTIVE"}, at=at)
