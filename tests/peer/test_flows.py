"""The TypeScript SDK itself, pointed at the sandbox: its documented flows end as they do at Fluent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fc_connect.sandbox import Sandbox


@pytest.mark.skipif(
    "FC_SDK" not in os.environ or shutil.which("node") is None, reason="FC_SDK names no folder with the SDK"
)
def test_the_sdk_does_its_flows_against_the_sandbox() -> None:
    with Sandbox(seed="demo") as sandbox:
        ran = subprocess.run(
            ["node", str(Path(__file__).with_name("flows.mjs")), sandbox.url],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    assert ran.returncode == 0, ran.stderr[-2000:]
    assert json.loads(ran.stdout.splitlines()[-1]) == {
        "me": "sandbox-user",
        "batch": {"status": "COMPLETE", "codes": [200, 200, 200]},
        "job": "COMPLETE",
        "results": 1,
        "forward": {"stock": [["FLOW-1", 1], ["FLOW-2", 2], ["FLOW-3", 3]], "pages": 2, "truncated": False},
        "backward": {"count": 7, "pages": 4},
        "created": "FLOWS",
        "repeated": {"kind": "GraphQLExecutionError", "code": "C0123E"},
        "many": {"second": "FLOWS-2", "failed": ["createCategory1"]},
        "async": True,
        "sync": "COMPLETE",
        "found": 2,
        "one": "FlowEvent",
        "webhook": {"genuine": True, "changed": False},
    }
