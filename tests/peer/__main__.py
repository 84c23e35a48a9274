"""Compare compat mode with the SDK: FC_SDK=… python -m tests.peer --kind universal --runs 5000 --seed 1."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections import Counter

from tests.peer.comparison import compare
from tests.peer.mapping_cases import KINDS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.peer", description=__doc__)
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="of the cases; all without it")
    parser.add_argument("--runs", type=int, default=2000, help="cases of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=10, help="differences of each kind that are shown")
    parser.add_argument("--known", action="store_true", help="show the known differences too")
    asked = parser.parse_args()
    if "FC_SDK" not in os.environ or shutil.which("node") is None:
        print(
            "This needs node on PATH, and FC_SDK: a folder in which"
            " `npm install @fluentcommerce/fc-connect-sdk@0.1.56` was run.",
            file=sys.stderr,
        )
        return 2
    unknown = 0
    for kind in asked.kind or KINDS:
        found = compare(kind, runs=asked.runs, seed=asked.seed)
        reasons = Counter(each.reason for each in found)
        for each in [each for each in found if asked.known or each.reason is None][: asked.show]:
            print(
                f"{json.dumps(each.case, ensure_ascii=False)[:900]}\n  SDK  {json.dumps(each.theirs)[:600]}"
            )
            print(f"  ours {json.dumps(each.ours)[:600]}\n")
        unknown += reasons[None]
        print(f"{kind}, seed {asked.seed}: {asked.runs:,} cases, {reasons[None]} differ")
        for reason, count in reasons.items():
            if reason is not None:
                print(f"  and {count}: {reason}")
    return 1 if unknown else 0


sys.exit(main())
