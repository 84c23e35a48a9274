"""How many records a second one core maps, beside the TypeScript SDK on the same records in the same run.

    npm install --prefix PEER @fluentcommerce/fc-connect-sdk      (once; PEER is any folder outside the project)
    FC_SDK=PEER python bench/map_peer.py [records]

Three mappings of ten fields. Counted are seconds of CPU, of all threads: the machine may be busy. Ours in the default
mode and with `compat: true`; the peer record by record, as its templates do, and with its batch API; the best of some
rounds each. The ratio is against the better of the peer's two ways.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fc_connect.mapping import compile_mapping, load_mapping

PLAIN = {
    "skuRef": {"source": "sku", "required": True},
    "locationRef": {"source": "location", "required": True},
    "qty": {"source": "qty"},
    "type": {"value": "LAST_ON_HAND"},
    "status": {"source": "status", "defaultValue": "ACTIVE"},
    "supplier": {"source": "supplier"},
    "price": {"source": "price"},
    "uom": {"source": "uom"},
    "active": {"source": "active"},
    "updated": {"source": "updated"},
}
TEMPLATE = {
    "skuRef": {"source": "sku", "required": True, "resolver": "sdk.trim"},
    "locationRef": {"source": "location", "required": True, "resolver": "sdk.trim"},
    "qty": {"source": "qty", "required": True, "resolver": "sdk.parseInt"},
    "type": {"source": "type", "defaultValue": "LAST_ON_HAND", "resolver": "sdk.uppercase"},
    "status": {"source": "status", "defaultValue": "ACTIVE", "resolver": "sdk.uppercase"},
    "expectedOn": {"source": "updated", "resolver": "sdk.formatDate"},
    "attributes.supplier": {"source": "supplier"},
    "attributes.condition": {"source": "condition", "defaultValue": "NEW", "resolver": "sdk.uppercase"},
    "uom": {"source": "uom", "resolver": "sdk.lowercase"},
    "ref": {"source": "sku", "resolver": "sdk.toString"},
}
RESOLVERS = {
    "a": {"source": "sku", "resolver": "sdk.uppercase"},
    "b": {"source": "location", "resolver": "sdk.lowercase"},
    "c": {"source": "status", "resolver": "sdk.trim"},
    "d": {"source": "qty", "resolver": "sdk.parseInt"},
    "e": {"source": "price", "resolver": "sdk.parseFloat"},
    "f": {"source": "active", "resolver": "sdk.boolean"},
    "g": {"source": "supplier", "resolver": "sdk.toString"},
    "h": {"source": "updated", "resolver": "sdk.formatDateShort"},
    "i": {"source": "uom", "resolver": "sdk.identity"},
    "j": {"source": "lot", "resolver": "sdk.number"},
}
_ROUNDS = 5
MAPPINGS = {"plain": PLAIN, "template": TEMPLATE, "resolvers": RESOLVERS}


def make(count: int) -> list[dict[str, Any]]:
    rng = random.Random(7)
    return [
        {
            "sku": f"SKU{n % 100_000:07d}",
            "location": f" W{rng.randrange(900):04d}",
            "qty": str(rng.randrange(500)),
            "status": rng.choice(["active", "INACTIVE", ""]),
            "supplier": f"supplier {rng.randrange(50)}",
            "price": f"{rng.randrange(10_000) / 100:.2f}",
            "uom": "EA",
            "active": rng.choice(["true", "no", "Y"]),
            "updated": f"2026-01-{rng.randrange(1, 29):02d}T{rng.randrange(24):02d}:30:00Z",
            "lot": str(rng.randrange(97)),
        }
        for n in range(count)
    ]


def best(apply: Callable[[Any], Any], records: Iterable[Any], count: int) -> float:
    """Return the records per second of the best round."""
    fastest = 0.0
    for _ in range(_ROUNDS):
        began = time.process_time()
        for record in records:
            apply(record)
        fastest = max(fastest, count / (time.process_time() - began))
    return fastest


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    records = make(count)
    with tempfile.TemporaryDirectory() as folder:
        for name, fields in MAPPINGS.items():
            strict = best(compile_mapping(load_mapping({"fields": fields}), columns=None), records, count)
            as_there = compile_mapping(load_mapping({"fields": fields}, compat=True), columns=None)
            compat = best(as_there, records, count)
            line = f"{name:<10} strict {strict:>9,.0f}/s  compat {compat:>9,.0f}/s"
            if "FC_SDK" in os.environ:
                file = Path(folder, f"{name}.json")
                file.write_text(json.dumps({"fields": fields, "records": records}))
                program = Path(__file__).with_name("map_peer.mjs")
                told = subprocess.run(
                    ["node", str(program), str(file)], check=True, capture_output=True, text=True
                )
                peer = json.loads(told.stdout)
                if peer["first"] != json.loads(json.dumps(as_there(records[0]))):
                    raise SystemExit(f"{name}: not the same entity: {peer['first']}")
                rate = max(peer["one"], peer["list"])
                line += f"  peer {rate:>8,.0f}/s  strict {strict / rate:.1f}x  compat {compat / rate:.1f}x"
            print(line)


if __name__ == "__main__":
    main()
