"""A hostile input file harms itself alone: it is refused with its reason, and the files beside it are delivered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fc_connect.pipeline import FileOutcome, RunResult
from fc_connect.sandbox import Sandbox
from tests.shop import Shop


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(processing_time=timedelta(0)) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path, sandbox: Sandbox) -> Shop:
    return Shop(tmp_path / "shop", sandbox)


def run_beside_a_good_file(shop: Shop, name: str, content: bytes) -> RunResult:
    shop.put(name, content)
    shop.stock("good.csv", warehouse="W1", rows=3, age=1)
    return shop.run()


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"," * 500_000, id="no-names"),
        pytest.param(b",".join(b"%05d" % (n // 2) for n in range(160_000)), id="every-name-twice"),
        pytest.param(b",".join(b"col%06d" % n for n in range(90_000)), id="names-that-nobody-asked-for"),
        pytest.param(b"a" * 130_000 + b",b", id="a-name-as-long-as-a-book"),
    ],
)
def test_a_monstrous_header_fails_its_file_alone(shop: Shop, header: bytes) -> None:
    result = run_beside_a_good_file(shop, "bad.csv", header + b"\n1\n")

    outcomes = {each.path: each for each in result.files}
    assert outcomes["good.csv"].outcome is FileOutcome.COMPLETED
    assert outcomes["bad.csv"].outcome in {FileOutcome.FAILED, FileOutcome.QUARANTINED}
    assert len(outcomes["bad.csv"].reason or "") < 5_000
