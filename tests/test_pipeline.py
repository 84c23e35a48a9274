"""What a pipeline does with files: good ones, bad ones, and those that were cut short."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fc_connect import faults
from fc_connect.errors import ConfigurationError
from fc_connect.kv.sqlite import SQLiteKV
from fc_connect.observe import BatchSent, Event
from fc_connect.pipeline import FileOutcome
from fc_connect.sandbox import Fault, FaultKind, Sandbox
from fc_connect.state import FileRecord, FileStatus
from tests.shop import Shop


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(processing_time=timedelta(0)) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path, sandbox: Sandbox) -> Shop:
    return Shop(tmp_path / "shop", sandbox)


def record_of(shop: Shop, name: str) -> FileRecord:
    pipeline = shop.pipeline()
    with pipeline.open_store() as kv:
        [record] = [each for each in pipeline.open_state(kv).files.all() if each.file_name == name]
        return record


def status_of(shop: Shop, name: str) -> FileStatus:
    return record_of(shop, name).status


def test_files_are_delivered_once_and_a_second_run_sends_nothing(shop: Shop) -> None:
    shop.stock("a.csv", warehouse="W1", rows=25, age=1)
    shop.stock("b.csv", warehouse="W2", rows=5, age=2)

    first, second = shop.run(), shop.run()

    assert (first.success, first.files_processed, first.files_skipped, first.errors) == (True, 2, 0, ())
    assert (first.records_sent, first.batches_sent) == (30, 4)
    assert (second.success, second.files_processed, second.files_skipped) == (True, 0, 2)
    assert second.batches_sent == 0
    assert set(shop.deliveries().values()) == {1}
    assert len(shop.deliveries()) == 30


def test_what_arrives_is_what_the_mapping_says(shop: Shop) -> None:
    shop.put("a.csv", [("SKU1", "W1", "007", "")])

    shop.run()

    [delivery] = shop.sandbox.log.entities()
    assert delivery.key == ("W1", "SKU1", "LAST_ON_HAND")
    assert delivery.qty == 7


def test_a_changed_file_is_sent_again(shop: Shop) -> None:
    shop.stock("a.csv", warehouse="W1", rows=3)
    shop.run()

    shop.put("a.csv", [("SKU00000", "W1", 99, "ACTIVE")], age=5)
    result = shop.run()

    assert result.records_sent == 1
    assert shop.sandbox.stock()[("1", "W1", "SKU00000", "LAST_ON_HAND")].qty == 99


@pytest.mark.parametrize(
    ("changed", "outcome"), [("skip", FileOutcome.SKIPPED), ("fail", FileOutcome.QUARANTINED)]
)
def test_a_changed_file_may_be_left_alone(shop: Shop, changed: str, outcome: FileOutcome) -> None:
    shop.configure(source={"url": "inbox", "changed": changed})
    shop.stock("a.csv", warehouse="W1", rows=3)
    shop.run()

    shop.stock("a.csv", warehouse="W1", rows=4, age=5)
    result = shop.run()

    assert [file.outcome for file in result.files] == [outcome]
    assert len(shop.deliveries()) == 3


def test_the_same_content_may_be_left_alone(shop: Shop) -> None:
    shop.configure(source={"url": "inbox", "same_content": "skip"})
    shop.stock("a.csv", warehouse="W1", rows=3, age=1)
    shop.stock("copy.csv", warehouse="W1", rows=3, age=2)

    result = shop.run()

    assert result.success
    assert set(shop.deliveries().values()) == {1}
    assert status_of(shop, "copy.csv") is FileStatus.SKIPPED


# Rejects


def test_a_bad_row_is_rejected_with_line_field_value_and_reason(shop: Shop) -> None:
    shop.configure(rejects={"max": 2, "to": "rejects"})
    shop.put("a.csv", "sku,warehouse,quantity,status\nS1,W1,1,A\nS2,W1,12abc,A\nS3,W1\nS4,W1,4,A\n")

    result = shop.run()

    assert result.success
    assert (result.records_sent, result.records_rejected) == (2, 2)
    [file] = result.files
    assert file.rejects_file is not None
    rejects = [json.loads(line) for line in Path(file.rejects_file).read_text().splitlines()]
    assert [(each["file"], each["line"], each["field"], each["value"]) for each in rejects] == [
        ("a.csv", 3, "qty", "12abc"),
        ("a.csv", 4, None, None),
    ]
    assert "whole number" in rejects[0]["reason"]
    assert "4 are expected" in rejects[1]["reason"]


def test_above_the_limit_nothing_is_sent(shop: Shop) -> None:
    shop.configure(rejects={"max": "1%"})
    rows = [(f"S{n}", "W1", "x" if n < 2 else n, "A") for n in range(100)]
    shop.put("a.csv", rows)

    result = shop.run()

    assert not result.success
    assert "2 of 100 records were rejected" in result.errors[0]
    assert "1%" in result.errors[0]
    assert shop.deliveries() == Counter()
    assert not shop.sandbox.jobs()


def test_streaming_sends_while_it_reads_and_says_what_went_before_a_failure(shop: Shop) -> None:
    shop.configure(validate="streaming", duplicates="keep", rejects={"max": 0})
    rows = [(f"S{n}", "W1", "x" if n == 95 else n, "A") for n in range(100)]
    shop.put("a.csv", rows)

    result = shop.run()

    assert not result.success
    assert "9 batches were sent before" in result.errors[0]
    assert len(shop.deliveries()) == 90


def test_records_that_fluent_refuses_are_among_the_rejects(shop: Shop) -> None:
    mapping = {
        "fields": {"ref": {"source": "sku"}, "locationRef": {"source": "warehouse"}, "qty": {"value": 1}}
    }
    shop.configure(mapping=mapping)  # no productRef: the sandbox refuses each record
    shop.put("a.csv", [("S1", "W1", 1, "A")])

    result = shop.run()

    [file] = result.files
    assert (file.outcome, file.refused, result.records_rejected) == (FileOutcome.COMPLETED, 1, 1)
    assert file.rejects_file is not None
    assert "refused by Fluent" in Path(file.rejects_file).read_text()


# Duplicates


def test_of_records_with_one_key_the_last_is_sent(shop: Shop) -> None:
    rows = [(f"S{n % 30}", "W1", n, "A") for n in range(100)]
    shop.put("a.csv", rows)

    result = shop.run()

    assert result.records_sent == 30
    assert result.files[0].duplicates == 70
    expected = {f"S{n % 30}": n for n in range(100)}
    assert {key[2]: level.qty for key, level in shop.sandbox.stock().items()} == expected


def test_records_with_one_key_may_be_rejected(shop: Shop) -> None:
    shop.configure(duplicates="reject", rejects={"max": 5})
    shop.put("a.csv", [("S1", "W1", 1, "A"), ("S2", "W1", 2, "A"), ("S1", "W1", 3, "A")])

    result = shop.run()

    assert (result.records_sent, result.records_rejected) == (1, 2)
    assert [key[1] for key in shop.deliveries()] == ["S2"]


def test_records_with_one_key_may_be_kept_in_their_order(shop: Shop) -> None:
    shop.configure(duplicates="keep", target={"batch": {"size": 1, "concurrency": 8}})
    shop.put("a.csv", [("S1", "W1", n, "A") for n in range(20)])

    result = shop.run()

    assert result.records_sent == 20
    assert [delivery.qty for delivery in shop.sandbox.log.entities()] == list(range(20))


# Order and failure


def test_files_are_sent_in_order_of_time(shop: Shop) -> None:
    for number, name in enumerate(["z.csv", "m.csv", "a.csv"]):
        shop.stock(name, warehouse=f"W{number}", rows=3, age=number)

    shop.run()

    assert [delivery.key[0] for delivery in shop.sandbox.log.entities()] == ["W0"] * 3 + ["W1"] * 3 + [
        "W2"
    ] * 3


def test_a_failed_file_is_superseded_once_a_newer_one_is_delivered(shop: Shop) -> None:
    shop.put("old.csv", "sku,warehouse,quantity,status\nS1,W1,bad,A\n", age=1)
    shop.stock("new.csv", warehouse="W1", rows=2, age=2)

    first, second = shop.run(), shop.run()

    assert (first.files_processed, len(first.errors)) == (1, 1)
    assert second.success
    assert status_of(shop, "old.csv") is FileStatus.SUPERSEDED
    assert len(shop.deliveries()) == 2


def test_a_failed_file_may_hold_back_newer_ones(shop: Shop) -> None:
    shop.configure(on_failure="stop")
    shop.put("old.csv", "sku,warehouse,quantity,status\nS1,W1,bad,A\n", age=1)
    shop.stock("new.csv", warehouse="W1", rows=2, age=2)

    first = shop.run()
    shop.put("old.csv", [("S1", "W9", 1, "A")], age=1)
    second = shop.run()

    assert first.files_processed == 0
    assert "held back by old.csv" in str(first.files)
    assert second.files_processed == 2
    assert next(delivery.key[0] for delivery in shop.sandbox.log.entities()) == "W9"


def test_a_file_that_keeps_failing_is_quarantined_and_freed_by_hand(shop: Shop) -> None:
    shop.configure(retry={"max_attempts": 2, "backoff": "0s"}, on_failure="continue")
    shop.put("a.csv", "sku,warehouse,quantity,status\nS1,W1,bad,A\n")

    outcomes = [[file.outcome for file in shop.run().files] for _ in range(3)]

    assert outcomes == [[FileOutcome.FAILED], [FileOutcome.QUARANTINED], [FileOutcome.SKIPPED]]


def test_a_first_failure_rests_for_no_time_whatever_a_clock_says(shop: Shop) -> None:
    # Told as "not before now", the next run would pass the file over where its clock is a little behind.
    shop.put("a.csv", "sku,warehouse,quantity,status\nS1,W1,bad,A\n")

    shop.run()

    assert status_of(shop, "a.csv") is FileStatus.FAILED
    assert record_of(shop, "a.csv").next_attempt_at is None


def test_a_mended_mapping_is_tried_at_once(shop: Shop) -> None:
    shop.configure(retry={"backoff": "1h"})
    shop.put("a.csv", "sku,warehouse,quantity,status\nS1,W1,bad,A\n")
    shop.run()
    shop.run()
    rested = shop.run()

    shop.configure(rejects={"max": 1})
    fields = json.loads(json.dumps(shop.settings["mapping"]))["fields"]
    fields["qty"] = {"value": 5}
    shop.configure(mapping={"fields": fields})
    mended = shop.run()

    assert rested.files[0].outcome is FileOutcome.SKIPPED
    assert mended.files_processed == 1


def test_finished_files_are_moved_out_of_the_way(shop: Shop) -> None:
    shop.configure(after={"success": "archive/", "failure": "errors/"}, retry={"max_attempts": 1})
    shop.stock("good.csv", warehouse="W1", rows=2, age=2)
    shop.put("bad.csv", "sku,warehouse,quantity,status\nS1,W1,bad,A\n", age=1)

    shop.run()
    again = shop.run()

    left = sorted(str(path.relative_to(shop.inbox)) for path in shop.inbox.rglob("*.csv"))
    assert left == ["archive/good.csv", "errors/bad.csv"]
    assert again.files_processed == 0
    assert len(shop.deliveries()) == 2


# Fluent's faults


@pytest.mark.parametrize("list_batches", [True, False])
@pytest.mark.parametrize("kind", [FaultKind.STATUS, FaultKind.DROP, FaultKind.EMPTY])
def test_no_fault_after_accepting_loses_or_corrupts_a_record(
    tmp_path: Path, kind: FaultKind, list_batches: bool
) -> None:
    with Sandbox(processing_time=timedelta(0), list_batches=list_batches) as sandbox:
        shop = Shop(tmp_path / "shop", sandbox)
        shop.stock("a.csv", warehouse="W1", rows=100)
        for nth in (2, 5):
            sandbox.inject(
                Fault(
                    kind=kind,
                    method="POST",
                    path="/api/v4.1/job/*/batch",
                    nth=nth,
                    times=1,
                    after_accepting=True,
                )
            )

        result = shop.run()

        assert result.success, result.errors
        assert len(shop.deliveries()) == 100
        if list_batches:
            assert set(shop.deliveries().values()) == {1}  # looked up, not sent again


def test_a_refusal_before_accepting_is_retried(shop: Shop) -> None:
    shop.stock("a.csv", warehouse="W1", rows=30)
    shop.sandbox.inject(
        Fault(
            kind=FaultKind.STATUS,
            method="POST",
            path="/api/v4.1/job/*/batch",
            status=429,
            retry_after=timedelta(0),
            times=2,
        )
    )

    result = shop.run()

    assert result.success
    assert set(shop.deliveries().values()) == {1}


def test_a_closed_job_is_replaced(shop: Shop) -> None:
    shop.stock("a.csv", warehouse="W1", rows=30)
    pipeline = shop.pipeline()
    with pipeline.open_store() as kv:
        pipeline.open_state(kv).set_daily_job("404404")

    result = shop.run()

    assert result.success, result.errors
    assert set(shop.deliveries().values()) == {1}
    assert len(shop.deliveries()) == 30


def test_a_run_that_is_stopped_carries_on_where_it_was(shop: Shop) -> None:
    shop.stock("a.csv", warehouse="W1", rows=500)
    stop = threading.Event()

    def stop_soon(event: Event) -> None:
        if isinstance(event, BatchSent) and event.number >= 10:
            stop.set()

    first = shop.run(listeners=[stop_soon], stop=stop)
    sent = len(shop.sandbox.batches())
    second = shop.run()

    assert first.stopped
    assert first.files[0].outcome is FileOutcome.STOPPED
    assert 10 <= sent < 50
    assert second.batches_sent == 50 - sent
    assert set(shop.deliveries().values()) == {1}
    assert len(shop.deliveries()) == 500


def test_without_a_spool_a_resume_plans_the_same_bytes(shop: Shop) -> None:
    shop.stock("a.csv", warehouse="W1", rows=500)
    stop = threading.Event()

    def stop_soon(event: Event) -> None:
        if isinstance(event, BatchSent):
            stop.set()

    shop.run(listeners=[stop_soon], stop=stop)
    for path in (shop.folder / ".fc-connect").rglob("plan.json"):
        path.unlink()
    result = shop.run()

    assert result.success
    assert set(shop.deliveries().values()) == {1}
    assert len(shop.deliveries()) == 500
    assert not list((shop.folder / ".fc-connect").rglob("bodies"))


# Bad input: a clear error, a failed run, nothing sent


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"sku,ware,quantity,status\nS1,W1,1,A\n", "there is no column 'warehouse'"),
        (b"sku,warehouse,quantity,status\nS1,W\xff,1,A\n", "encoding"),
        (b"sku,sku,warehouse,quantity,status\n", "sku"),
        (b'sku,warehouse,quantity,status\nS1,"W1,1,A\n', "quote"),
    ],
)
def test_a_file_that_can_not_be_read_fails_clearly(shop: Shop, content: bytes, expected: str) -> None:
    shop.put("bad.csv", content)

    result = shop.run()

    assert not result.success
    assert "bad.csv" in result.errors[0]
    assert expected in result.errors[0]
    assert not shop.sandbox.batches()


def test_a_file_with_nothing_but_a_header_is_completed(shop: Shop) -> None:
    shop.put("a.csv", "sku,warehouse,quantity,status\n")

    result = shop.run()

    assert result.success
    assert result.files_processed == 1
    assert not shop.sandbox.batches()


def test_a_missing_folder_is_told(shop: Shop) -> None:
    shop.configure(source={"url": "nowhere"})

    result = shop.run()

    assert not result.success
    assert "nowhere" in result.errors[0]


def test_wrong_credentials_stop_the_run(tmp_path: Path) -> None:
    from fc_connect.sandbox import Credentials

    known = Credentials(client_id="right", client_secret="right-secret")
    with Sandbox(credentials=known) as sandbox:
        shop = Shop(tmp_path / "shop", sandbox)
        shop.stock("a.csv", warehouse="W1", rows=3)

        result = shop.run()

    assert not result.success
    assert len(result.errors) == 1
    assert "tests-secret" not in str(result)


def test_an_outage_of_fluent_stops_the_run_and_counts_against_no_file(shop: Shop) -> None:
    shop.stock("a.csv", warehouse="W1", rows=30)
    url, fluent = shop.sandbox.url, dict(shop.settings["fluent"])
    shop.configure(fluent={**fluent, "base_url": "http://127.0.0.1:9", "max_attempts": 1})
    failed = shop.run()
    shop.configure(fluent={**fluent, "base_url": url})

    result = shop.run()

    assert not failed.success
    assert result.success
    assert set(shop.deliveries().values()) == {1}


def test_exactly_once_is_refused_where_the_store_can_not_keep_it(shop: Shop) -> None:
    shop.configure(state="memory:", exactly_once="required")
    shop.stock("a.csv", warehouse="W1", rows=3)

    with pytest.raises(ConfigurationError, match="durable: it is gone with its process"):
        shop.run()

    assert not shop.deliveries()


def test_exactly_once_may_be_preferred_alone(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    shop.configure(state="memory:")
    shop.stock("a.csv", warehouse="W1", rows=3)

    assert shop.run().success
    assert "gone with its process" in caplog.text


@pytest.mark.parametrize("then", ["changed", "overtaken"])
def test_what_was_sent_is_forgotten_only_once_the_record_says_that_it_no_longer_counts(
    shop: Shop, sandbox: Sandbox, then: str
) -> None:
    """Cut short between the two, the next run would send again what has arrived."""
    shop.stock("a.csv", warehouse="W1", rows=25, age=1)
    sandbox.inject(Fault(kind=FaultKind.STATUS, status=422, method="POST", path="*/batch", nth=2))
    shop.configure(target={"batch": {"size": 10, "concurrency": 1}})
    shop.run()
    if then == "changed":
        shop.configure(target={"batch": {"size": 5, "concurrency": 1}})
    else:
        shop.configure(order="any")
        shop.stock("b.csv", warehouse="W2", rows=3, age=2)
        shop.configure(source={"url": "inbox", "pattern": "b.csv"})
        assert shop.run().success
        shop.configure(order="time", source={"url": "inbox", "pattern": "*.csv"})
    seen: list[tuple[FileStatus, int]] = []

    def look(point: str) -> None:
        if point == "state.clear-batches":
            pipeline = shop.pipeline()
            with pipeline.open_store() as kv:
                record = next(
                    each for each in pipeline.open_state(kv).files.all() if each.file_name == "a.csv"
                )
                seen.append((record.status, record.run))

    faults.install(look)
    try:
        shop.run()
    finally:
        faults.install(None)

    assert seen[0] == ((FileStatus.PROCESSING, 1) if then == "changed" else (FileStatus.SUPERSEDED, 0))


def test_files_that_wait_for_their_worker_do_not_ask_the_store_for_the_time(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A survey looks at a page of files each time one was taken: a round trip for each of them took most of a run."""
    asked = 0
    now = SQLiteKV.now

    def counted(self: SQLiteKV) -> datetime:
        nonlocal asked
        asked += 1
        return now(self)

    for number in range(30):
        shop.stock(f"{number:02d}.csv", warehouse="W1", rows=1, age=number)
    monkeypatch.setattr(SQLiteKV, "now", counted)

    assert shop.run().success
    assert asked < 10 * 30


def test_the_log_has_a_line_for_each_file_and_a_reason_where_there_is_one(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.stock("a.csv", warehouse="W1", rows=3)
    shop.put("b.csv", "no,such,columns\n1,2,3\n", age=1)

    with caplog.at_level("INFO", logger="fc_connect.pipeline"):
        shop.run()

    good, bad = (line for line in caplog.messages if "records sent" in line and "run " not in line)
    assert good == "a.csv: completed, 3 records sent"
    assert bad.startswith("b.csv: failed, 0 records sent: ")
