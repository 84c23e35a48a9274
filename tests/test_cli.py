"""The command line as a person or a script meets it: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from fc_connect.cli.main import cli
from fc_connect.cli.state import retry
from fc_connect.sandbox import Sandbox
from fc_connect.state import FileRecord, FileStatus
from fc_connect.state.files import FileLedger
from tests.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        yield Shop(tmp_path / "shop", sandbox)


def fc(
    *arguments: str, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fc_connect", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
        env={**os.environ, **(environment or {})},
    )


def commands() -> list[list[str]]:
    found: list[list[str]] = [[], *([name] for name in cli.commands)]
    groups = [(name, getattr(group, "commands", {})) for name, group in cli.commands.items()]
    return found + [[name, command] for name, below in groups for command in below]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help_with_examples(command: list[str]) -> None:
    done = fc(*command, "--help")

    assert done.returncode == 0
    assert "Example" in done.stdout or "Begin" in done.stdout


def test_the_demo_delivers_each_record_once() -> None:
    done = fc("demo")

    assert done.returncode == 0, done.stderr
    assert "The second run sent 0 batches" in done.stdout
    assert "exactly once" in done.stdout


def test_what_init_writes_runs_against_the_sandbox(tmp_path: Path) -> None:
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        environment = {"FLUENT_BASE_URL": sandbox.url}

        started = fc("init", "shop", cwd=tmp_path)
        checked = fc("check", cwd=tmp_path / "shop", environment=environment)
        previewed = fc("preview", "--rows", "2", cwd=tmp_path / "shop", environment=environment)
        ran = fc("run", cwd=tmp_path / "shop", environment=environment)
        again = fc("init", "shop", cwd=tmp_path)

        assert started.returncode == 0
        assert checked.returncode == 0, checked.stdout
        assert [line.split("  ")[0] for line in checked.stdout.splitlines()] == [
            "✓ pipeline file",
            "✓ mapping",
            "✓ source",
            "✓ entities",
            "✓ folders",
            "✓ state",
            "✓ fluent",
            "✓ user",
            "✓ retailer",
        ]
        assert "qty" in previewed.stdout
        assert ran.returncode == 0, ran.stderr
        assert len(sandbox.deliveries()) == 20
        assert again.returncode == 2
        assert "Nothing was written" in again.stderr


def test_a_preview_that_fails_says_what_the_file_looks_like(tmp_path: Path) -> None:
    fc("init", "shop", cwd=tmp_path)
    for path in (tmp_path / "shop").rglob("*.csv"):
        path.write_text(path.read_text().replace(",", ";"))

    previewed = fc("preview", cwd=tmp_path / "shop", environment={"FLUENT_BASE_URL": "http://localhost:9"})

    assert previewed.returncode == 2
    assert previewed.stderr.startswith("Error: ")
    assert "Hint: It looks delimited by ';', not ',': set `format.delimiter: \";\"`." in previewed.stderr


def test_a_run_prints_json_for_machines(shop: Shop) -> None:
    shop.stock("a.csv", warehouse="W1", rows=12)

    done = fc("run", str(shop.pipeline_file), "--json")

    result = json.loads(done.stdout)
    assert done.returncode == 0
    assert result["files_processed"] == 1
    assert result["records_sent"] == 12


def test_logs_are_json_lines_with_the_id_that_fluent_sees(shop: Shop) -> None:
    shop.stock("a.csv", warehouse="W1", rows=12)

    done = fc("--log-level", "debug", "--log-format", "json", "run", str(shop.pipeline_file), "--json")

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    ids = {line["correlation_id"] for line in lines if line.get("correlation_id")}
    assert len(ids) == 1
    assert ids == {request.correlation_id for request in shop.sandbox.requests() if request.correlation_id}
    assert "tests-secret" not in done.stderr


def test_unlock_says_how_long_the_holder_may_still_send(shop: Shop) -> None:
    pipeline = shop.pipeline()
    with (
        pipeline.open_store() as kv,
        pipeline.open_state(kv).lock("file:x", timeout=timedelta(minutes=5), about="stock.csv"),
    ):
        done = fc("state", "unlock", "stock.csv", "--reason", "test", "-p", str(shop.pipeline_file))

    assert done.returncode == 0
    assert "one more batch" in done.stderr
    assert any(f"wait {seconds} s" in done.stderr for seconds in range(270, 301))


def test_state_shows_and_mends(shop: Shop) -> None:
    shop.stock("good.csv", warehouse="W1", rows=3, age=2)
    shop.put("bad.csv", "sku,warehouse,quantity,status\nS1,W1,bad,A\n", age=1)
    shop.configure(retry={"max_attempts": 1})
    pipeline = ("-p", str(shop.pipeline_file))

    ran = fc("run", str(shop.pipeline_file))
    files = fc("state", "files", *pipeline, "--json")
    watermark = fc("state", "watermark", *pipeline)
    jobs = fc("state", "jobs", *pipeline, "--json")
    locks = fc("state", "locks", *pipeline)
    retried = fc("state", "retry", "bad.csv", *pipeline)
    unknown = fc("state", "retry", "nope.csv", *pipeline)
    reset = fc("state", "reset", "good.csv", "--yes", *pipeline)
    unlocked = fc("state", "unlock", "nothing", "--reason", "test", *pipeline)

    assert ran.returncode == 1
    assert "bad.csv" in ran.stderr
    assert {each["file_name"]: each["status"] for each in json.loads(files.stdout)} == {
        "good.csv": "completed",
        "bad.csv": "quarantined",
    }
    assert "good.csv" in watermark.stdout
    assert json.loads(jobs.stdout)["daily"]["job_id"] == "1"
    assert "No locks" in locks.stdout
    assert "tried again" in retried.stdout
    assert unknown.returncode == 1
    assert reset.returncode == 0
    assert unlocked.returncode == 1
    fc("run", str(shop.pipeline_file))
    assert set(shop.deliveries().values()) == {2}  # asked for: it was reset


@pytest.mark.parametrize(
    ("change", "code", "expected"),
    [
        ({"pipelne": "x"}, 2, "pipelne"),
        ({"source": {"url": "inbox", "patern": "*"}}, 2, "pattern"),
        (
            {"mapping": {"fields": {"qty": {"source": "quantity", "resolver": "sdk.parseInteger"}}}},
            1,
            "sdk.parseInt",
        ),
        ({"source": {"url": "nowhere"}}, 1, "nowhere"),
        ({"state": "mysql://x"}, 2, "mysql"),
    ],
)
def test_a_mistake_is_told_in_words(shop: Shop, change: dict[str, object], code: int, expected: str) -> None:
    shop.stock("a.csv", warehouse="W1", rows=3)
    shop.configure(**change)

    done = fc("run", str(shop.pipeline_file))

    assert done.returncode == code, done.stderr
    assert expected in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_pipeline_file_is_told(tmp_path: Path) -> None:
    done = fc("run", "nothing.yaml", cwd=tmp_path)

    assert done.returncode == 2
    assert "nothing.yaml" in done.stderr


def damage(path: Path) -> None:
    path.write_bytes(b"garbage " * 1000)


def make_newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    ("harm", "expected"), [(damage, "can't be read as a store"), (make_newer, "newer version")]
)
def test_a_state_that_can_not_be_used_stops_the_run(shop: Shop, harm: object, expected: str) -> None:
    shop.stock("a.csv", warehouse="W1", rows=3)
    fc("run", str(shop.pipeline_file))
    state = shop.folder / "fc-connect.db"
    for path in shop.folder.glob("fc-connect.db-*"):
        path.unlink()
    assert callable(harm)
    harm(state)

    done = fc("run", str(shop.pipeline_file))

    assert done.returncode == 1
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert set(shop.deliveries().values()) == {1}


def test_a_disk_that_is_full_stops_the_run_and_loses_nothing(shop: Shop) -> None:
    shop.stock("a.csv", warehouse="W1", rows=20_000)
    limit = "ulimit -f 200; exec"  # no file beyond 200 KiB: writing on fails as on a full disk

    command = f"{limit} {sys.executable} -m fc_connect run {shop.pipeline_file}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    result = shop.run()

    assert done.returncode == 1, done.stdout + done.stderr
    assert "spool" in done.stderr
    assert "Traceback" not in done.stderr
    assert result.success
    assert set(shop.deliveries().values()) == {1}
    assert len(shop.deliveries()) == 20_000


def test_a_retry_leaves_a_file_alone_that_a_run_finished_meanwhile(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = datetime(2026, 1, 15, tzinfo=UTC)
    file = FileRecord(
        source="file:///inbox", file_name="a.csv", fingerprint="v1", last_modified=changed, file_size=1
    )
    pipeline = shop.pipeline()
    with pipeline.open_store() as kv:
        service = pipeline.open_state(kv)
        failed = file.moved_to(FileStatus.FAILED, at=changed)
        service.save_file(failed)

        def listed_long_ago(_: FileLedger) -> Iterator[FileRecord]:
            yield failed
            service.complete_file(failed)

        monkeypatch.setattr(FileLedger, "all", listed_long_ago)

        told = CliRunner().invoke(retry, ["a.csv", "-p", str(shop.pipeline_file)], standalone_mode=False)

        assert "is completed" in told.output
        assert service.is_file_processed(file)
