"""docs/sandbox.md speaks of the sandbox as it is."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest

from fc_connect.sandbox import FaultKind, Sandbox
from tests.sandbox_caller import Caller

DOCS = (Path(__file__).parents[1] / "docs" / "sandbox.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_of_fault_is_documented(kind: FaultKind) -> None:
    assert f"| `{kind}` |" in DOCS


@pytest.mark.parametrize("option", inspect.signature(Sandbox).parameters)
def test_every_option_is_documented(option: str) -> None:
    table = DOCS.partition("| option |")[2].partition("\n\n")[0]

    assert f"`{option}`" in table


def test_every_call_is_documented_and_no_other() -> None:
    with Sandbox() as sandbox, Caller(sandbox.url) as caller:
        served = set(caller.raw("GET", "/_sandbox").json()["calls"])

    documented = {
        f"{method} {path}"
        for method, path in re.findall(r"(GET|POST|DELETE) (/_sandbox(?:/[a-z0-9.-]+)*)", DOCS)
    }
    assert documented == served - {"GET /_sandbox"}


def test_the_example_of_a_fault_is_accepted() -> None:
    (example,) = re.findall(r'`(\{"kind".*?\})`', DOCS)

    with Sandbox() as sandbox, Caller(sandbox.url) as caller:
        reply = caller.raw("POST", "/_sandbox/faults", example)

    assert reply.status == 201
    assert reply.json()["fault"]["times"] == json.loads(example)["times"]
