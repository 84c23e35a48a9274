"""`fc-connect prove`: what held is told with its count and seed, and what didn't is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fc_connect import kv as stores
from fc_connect.cli.main import cli
from fc_connect.kv import open_kv
from fc_connect.kv.base import CommitResult
from fc_connect.kv.commit import Commit
from fc_connect.kv.memory import MemoryKV
from fc_connect.proof.prove import Part, prove


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["prove", *arguments], standalone_mode=False)


@pytest.mark.timeout(400)
def test_a_store_is_proved_and_left_as_it_was(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    with open_kv(url) as kv:
        kv.set(("theirs", 1), "stays")

    done = run("--state", url, "--runs", "1", "--seed", "7", "--json")

    told = json.loads(done.stdout)
    assert told["has_held"], told
    assert done.return_value == 0
    assert [(each["part"], each["has_held"]) for each in told["proofs"]] == [
        (str(part), True) for part in Part
    ]
    assert [each["tried"] for each in told["proofs"]][1:] == [1, 1, 1, 1]
    assert told["proofs"][0]["tried"] > 40
    with open_kv(url) as kv:
        assert [(entry.key, entry.value) for entry in kv.list(())] == [(("theirs", 1), "stays")]


class Careless(MemoryKV):
    """Forgets to look at what a commit demands."""

    def _apply(self, commit: Commit) -> CommitResult:
        commit.checks.clear()
        return super()._apply(commit)


def test_a_store_that_breaks_its_promise_is_found_out_with_a_seed_to_repeat_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stores.memory, "MemoryKV", Careless)

    report = prove("memory:", seed=11, runs=5, parts=[Part.RACES, Part.LEASES], keep_in=tmp_path)

    assert not report.has_held
    assert all(not proof.has_held for proof in report.proofs)
    assert any("--seed 11" in broken for broken in report.proofs[0].broken)
    assert list(tmp_path.glob("history-*.jsonl"))


def test_what_can_not_be_tried_has_not_held() -> None:
    done = run("--state", "memory:", "--only", "kills")

    assert done.return_value == 1
    assert "dies with its process" in done.stdout
    assert "NOT everything held" in done.stdout


def test_what_a_store_says_it_lacks_is_told() -> None:
    done = run("--state", "memory:", "--only", "leases", "--runs", "1")

    assert "! durable: it is gone with its process" in done.stdout
