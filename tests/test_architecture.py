"""The structure as a test: imports point one way, and the package stays quick to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fc_connect.faults import POINTS

SRC = Path(__file__).parents[1] / "src" / "fc_connect"

# What each part may import besides itself. Adding an arrow is a decision about the design.
GROUND = {"errors", "clock", "faults"}
MAY_IMPORT = {
    "errors": set(),
    "clock": set(),
    "faults": set(),
    "observe": GROUND,
    "kv": GROUND,
    "sources": GROUND,
    "ecmascript": set(),
    "xml": {"errors", "ecmascript"},
    "formats": GROUND | {"xml"},
    "mapping": GROUND | {"ecmascript", "xml"},
    "fluent": GROUND | {"observe"},
    "state": GROUND | {"observe", "kv"},
    "targets": GROUND | {"observe", "fluent"},
    "pipeline": GROUND | {"observe", "kv", "state", "sources", "formats", "mapping", "fluent", "targets"},
    "webhook": GROUND | {"observe", "kv", "state", "fluent", "pipeline"},
    "sandbox": {"errors"},
    "testing": GROUND | {"kv", "sources", "sandbox"},
    "proof": GROUND | {"observe", "kv", "state", "sources", "pipeline", "sandbox", "testing"},
    "cli": GROUND
    | {
        "observe",
        "kv",
        "state",
        "sources",
        "formats",
        "mapping",
        "fluent",
        "targets",
        "pipeline",
        "webhook",
        "sandbox",
        "proof",
    },
}
DRIVERS = {
    "boto3",
    "botocore",
    "redis",
    "psycopg",
    "psycopg_pool",
    "asyncssh",
    "cryptography",
    "pyarrow",
    "zstandard",
    "nats",
    "pydantic",
    "yaml",
    "rich",
    "httpx",
    "uvicorn",
    "graphql",
    "jsonpath_rfc9535",
    "regex",
    "tzdata",
    "click",
}


def imported(path: Path) -> Iterator[str]:
    package = ["fc_connect", *path.relative_to(SRC).with_suffix("").parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield name
            if name == "fc_connect":
                yield from (f"{name}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda p: str(p.relative_to(SRC)))
def test_imports_point_one_way(path: Path) -> None:
    here = path.relative_to(SRC).parts[0].removesuffix(".py")
    if here in {"__init__", "__main__"}:
        return

    for name in imported(path):
        root, _, rest = name.partition(".")
        there = rest.partition(".")[0]
        assert root != "fc_connect" or not there or there in MAY_IMPORT[here] | {here}, (
            f"{path} imports {name}"
        )


def test_importing_the_package_loads_no_driver() -> None:
    code = "import sys, fc_connect; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not DRIVERS & set(loaded)


def test_every_fault_point_is_listed_and_lies_in_the_code_once() -> None:
    named = [
        node.args[0].value
        for path in SRC.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "point"
        and isinstance(node.args[0], ast.Constant)
    ]

    assert sorted(map(str, named)) == sorted(POINTS)
