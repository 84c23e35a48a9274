"""When a pipeline takes a file, and where it puts it afterwards."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fc_connect import faults
from fc_connect.clock import SystemClock
from fc_connect.errors import ConfigurationError
from fc_connect.pipeline import FileOutcome, Pipeline
from fc_connect.sandbox import Sandbox
from tests.shop import START, Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        yield Shop(tmp_path / "shop", sandbox)


class Killed(BaseException):
    """Stands for the end of the process: nothing in the product catches it."""


@contextmanager
def killed_at(name: str) -> Iterator[None]:
    def die(point: str) -> None:
        if point == name:
            raise Killed

    faults.install(die)
    try:
        with pytest.raises(Killed):
            yield
    finally:
        faults.install(None)


def files_of(shop: Shop) -> list[str]:
    return sorted(str(path.relative_to(shop.inbox)) for path in shop.inbox.rglob("*") if path.is_file())


def touch(path: Path, *, age: int) -> None:
    changed = (START + timedelta(minutes=age)).timestamp()
    path.touch()
    os.utime(path, (changed, changed))


class Writer(SystemClock):
    """A clock that does something each time somebody waits."""

    def __init__(self, write: Any) -> None:
        self._write = write

    def wait(self, event: threading.Event, timeout: timedelta) -> bool:
        self._write()
        return event.is_set()


# When a file is taken


def test_a_file_that_grows_between_two_looks_is_left_to_the_next_run(shop: Shop) -> None:
    shop.configure(source={"url": "inbox", "pattern": "*.csv", "settle": "5s"})
    shop.stock("whole.csv", warehouse="W1", rows=3)
    growing = shop.stock("growing.csv", warehouse="W2", rows=3)

    def grow() -> None:
        with growing.open("a") as file:
            file.write("SKU9,W2,9,ACTIVE\n")

    first = shop.run(clock=Writer(grow))
    second = shop.run(clock=Writer(lambda: None))

    assert {each.path: each.outcome for each in first.files} == {
        "whole.csv": FileOutcome.COMPLETED,
        "growing.csv": FileOutcome.SKIPPED,
    }
    assert "still written to" in str(first.files)
    assert [(each.path, each.records_sent) for each in second.files] == [("growing.csv", 4)]


def test_a_file_that_goes_between_two_looks_is_left_out(shop: Shop) -> None:
    shop.configure(source={"url": "inbox", "pattern": "*.csv", "settle": "5s"})
    going = shop.stock("a.csv", warehouse="W1", rows=3)

    result = shop.run(clock=Writer(going.unlink))

    assert result.success
    assert [each.outcome for each in result.files] == [FileOutcome.SKIPPED]


@pytest.mark.parametrize(
    ("marker", "name"), [(".done", "a.csv.done"), ("{stem}.done", "a.done"), ("_OK_{name}", "_OK_a.csv")]
)
def test_a_file_waits_for_its_marker(shop: Shop, marker: str, name: str) -> None:
    shop.configure(source={"url": "inbox", "pattern": "a.*", "marker": marker})
    shop.stock("a.csv", warehouse="W1", rows=3, age=1)

    before = shop.run()
    touch(shop.inbox / name, age=2)
    after = shop.run()

    assert [each.outcome for each in before.files] == [FileOutcome.SKIPPED]
    assert f"marker {name} isn't there" in str(before.files[0].reason)
    assert [(each.path, each.records_sent) for each in after.files] == [("a.csv", 3)]


def test_the_marker_of_an_earlier_version_says_nothing_of_a_new_one(shop: Shop) -> None:
    shop.configure(source={"url": "inbox", "pattern": "*.csv", "marker": ".done"})
    touch(shop.inbox / "a.csv.done", age=1)
    shop.stock("a.csv", warehouse="W1", rows=3, age=2)

    result = shop.run()

    assert "is older than the file" in str(result.files[0].reason)
    assert not shop.deliveries()


@pytest.mark.parametrize("marker", ["done/{name}", "{name}", "{nome}.done", "", "{name"])
def test_what_can_not_be_a_marker_is_refused(shop: Shop, marker: str) -> None:
    shop.configure(source={"url": "inbox", "marker": marker})

    with pytest.raises(ConfigurationError, match=r"source\.marker"):
        shop.pipeline()


# Where it goes


def test_a_delivered_file_goes_to_the_folder_of_its_day_with_a_note_of_what_became_of_it(shop: Shop) -> None:
    shop.configure(
        after={"success": "archive/{yyyy}/{mm}/{dd}/"}, rejects={"max": 1}, target={"batch": {"size": 2}}
    )
    shop.put("a.csv", "sku,warehouse,quantity,status\nS1,W1,1,A\nS2,W1,bad,A\nS3,W1,3,A\nS4,W1,4,A\n")

    shop.run()

    today = datetime.now(UTC).strftime("%Y/%m/%d")
    assert files_of(shop) == [f"archive/{today}/a.csv", f"archive/{today}/a.csv.json"]
    note = json.loads((shop.inbox / f"archive/{today}/a.csv.json").read_text())
    assert (note["pipeline"], note["file"], note["archived_as"]) == (
        "inventory",
        "a.csv",
        f"archive/{today}/a.csv",
    )
    assert (note["status"], note["records_read"], note["entities_sent"], note["rejected"]) == (
        "completed",
        4,
        3,
        1,
    )
    assert note["job"] == shop.sandbox.jobs()[0].job_id
    assert len(note["batches"]) == note["batch_count"] == 2
    assert len(note["sha256"]) == 64


def test_the_folders_of_finished_files_are_no_input(shop: Shop) -> None:
    shop.configure(
        source={"url": "inbox", "pattern": "**/*"},
        after={"success": "{yyyy}-{mm}/done", "failure": "errors"},
        retry={"max_attempts": 1},
    )
    shop.stock("good.csv", warehouse="W1", rows=2, age=2)
    shop.put("bad.csv", "sku,warehouse,quantity,status\nS1,W1,bad,A\n", age=1)

    shop.run()
    again = shop.run()

    month = datetime.now(UTC).strftime("%Y-%m")
    assert files_of(shop) == sorted(
        [
            "errors/bad.csv",
            "errors/bad.csv.json",
            f"{month}/done/good.csv",
            f"{month}/done/good.csv.json",
        ]
    )
    assert (again.files_processed, again.files) == (0, ())
    note = json.loads((shop.inbox / "errors/bad.csv.json").read_text())
    assert note["status"] == "quarantined"
    assert "rejected" in note["error"]


@pytest.mark.parametrize(
    "point",
    ["state.completed", "file.move", "file.moved", "file.told", "state.put-away", "state.noted-away"],
)
def test_what_a_crash_left_to_be_put_away_is_put_away_by_the_next_run(shop: Shop, point: str) -> None:
    shop.configure(
        after={"success": "archive/"},
        lease={"timeout": "3s"},
        source={"url": "inbox", "pattern": "*.csv", "marker": ".done"},
    )
    shop.stock("a.csv", warehouse="W1", rows=3, age=1)
    touch(shop.inbox / "a.csv.done", age=2)
    with killed_at(point):
        shop.run()

    again = shop.run()

    assert again.success
    assert files_of(shop) == ["archive/a.csv", "archive/a.csv.json"]
    assert set(shop.deliveries().values()) == {1}
    with shop.pipeline().open_store() as kv:
        assert list(shop.pipeline().open_state(kv).files.due()) == []


def test_a_file_of_a_taken_name_gets_a_number_and_its_own_note(shop: Shop) -> None:
    shop.configure(after={"success": "archive"})
    for rows in (1, 2):
        shop.stock("a.csv", warehouse="W1", rows=rows, age=rows)
        shop.run()

    notes = [json.loads((shop.inbox / f"archive/{name}.json").read_text()) for name in ("a.csv", "a-1.csv")]

    assert [each["entities_sent"] for each in notes] == [1, 2]


def test_a_newer_version_that_took_the_place_of_a_delivered_file_stays(shop: Shop) -> None:
    shop.configure(after={"success": "archive"})
    shop.stock("a.csv", warehouse="W1", rows=3, age=1)
    with killed_at("file.move"):
        shop.run()
    shop.stock("a.csv", warehouse="W1", rows=4, age=2)
    shop.configure(lease={"timeout": "3s"})

    result = shop.pipeline().run(wait=True)

    assert [(each.path, each.records_sent) for each in result.files] == [("a.csv", 4)]
    assert files_of(shop) == ["archive/a.csv", "archive/a.csv.json"]


def test_what_was_kept_for_long_enough_goes_and_what_others_put_there_stays(shop: Shop) -> None:
    shop.configure(after={"success": "archive/{yyyy}", "keep": "30d"})
    shop.stock("a.csv", warehouse="W1", rows=3, age=1)
    shop.run()
    year = datetime.now(UTC).strftime("%Y")
    folder = shop.inbox / "archive" / year
    (folder / "theirs.csv").write_text("not ours")
    (folder / "theirs.csv.json").write_text(
        '{"pipeline": "another", "archived_as": "archive/2026/theirs.csv"}'
    )
    (folder / "data.json").write_text("[1, 2]")
    a_while_ago = (datetime.now(UTC) - timedelta(days=31)).timestamp()
    for each in folder.iterdir():
        os.utime(each, (a_while_ago, a_while_ago))
    shop.stock("b.csv", warehouse="W2", rows=3, age=2)

    shop.run()

    assert files_of(shop) == sorted(
        f"archive/{year}/{name}"
        for name in ("b.csv", "b.csv.json", "data.json", "theirs.csv", "theirs.csv.json")
    )


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({"success": "archive/{year}"}, "stands for nothing"),
        ({"success": "archive/{yyyy"}, "stands for nothing"),
        ({"keep": "1d"}, "no file is moved"),
        ({"success": "a", "keep": "1d", "sidecar": False}, "needs the sidecars"),
        ({"success": "../a"}, "below the source's root"),
    ],
)
def test_what_can_not_be_done_afterwards_is_refused(shop: Shop, after: dict[str, Any], expected: str) -> None:
    shop.configure(after=after)

    with pytest.raises(ConfigurationError, match=expected):
        shop.pipeline()


def test_one_file_of_an_odd_name_does_not_keep_the_others_waiting(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.stock("a.csv", warehouse="W1", rows=3)
    (shop.inbox / os.fsdecode(b"caf\xe9.csv")).write_text("sku,warehouse,quantity,status\n")

    result = shop.run()

    assert (result.success, result.files_processed) == (True, 1)
    assert "isn't UTF-8: rename the file" in caplog.text


def test_a_check_says_what_a_pattern_that_is_only_an_ending_lacks(shop: Shop) -> None:
    shop.configure(source={"url": "inbox", "pattern": ".csv"})
    shop.stock("a.csv", warehouse="W1", rows=3)

    [source] = [each for each in Pipeline.from_file(shop.pipeline_file).check() if each.name == "source"]

    assert source.detail.endswith("no file matches '.csv' now; for all files that end so, write '*.csv'")
