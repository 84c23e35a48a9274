"""Compare our JavaScript with Node's: python -m tests.javascript --seed 1 --examples 20000 --zone Asia/Tokyo."""

from __future__ import annotations

import argparse
import sys

from tests.javascript.comparison import differences, node_version
from tests.javascript.values import KINDS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.javascript", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=5000, help="values of each kind")
    parser.add_argument("--zone", default="UTC", help="the zone of the machine, such as Asia/Tokyo")
    asked = parser.parse_args()
    version = node_version()
    if version is None:
        print("There is no `node` on PATH.", file=sys.stderr)
        return 2
    found = differences(seed=asked.seed, examples=asked.examples, zone=asked.zone)
    for each in found[:50]:
        print(each)
    values = asked.examples * len(KINDS)
    print(f"Node {version[1]}, seed {asked.seed}, {asked.zone}: {values:,} values, {len(found)} differences")
    return 1 if found else 0


sys.exit(main())
