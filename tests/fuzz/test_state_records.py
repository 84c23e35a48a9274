"""Something else writes into the state: what can't be ours is refused, and never read as 'not done yet'."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import KVCorruptError, KVError
from fc_connect.kv import KVStore, open_kv
from fc_connect.state import FileRecord, FileStatus, StateService
from fc_connect.state.batches import BatchRecord, BatchState
from fc_connect.state.records import to_json
from tests.fuzz.effort import examples

AT = datetime(2026, 1, 15, 4, tzinfo=UTC)
NAMES = st.sampled_from(
    [
        *FileRecord.__dataclass_fields__,
        *BatchRecord.__dataclass_fields__,
        "owner",
        "token",
        "job_id",
        "batches",
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(
        ["completed", "sent", "0000-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "x" * 5000, 10**18, "1"]
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=10,
).filter(lambda value: value is not None)


def completed(name: str = "stock.csv") -> FileRecord:
    return FileRecord(
        source="file:///inbox",
        file_name=name,
        fingerprint="etag:1",
        last_modified=AT,
        file_size=10,
        status=FileStatus.COMPLETED,
        content_digest="c" * 64,
        job_id="1",
    )


def stored(kv: KVStore, record: FileRecord) -> StateService:
    service = StateService(kv, workflow_id="w")
    service.files.put(kv.atomic(), record).commit()
    batches = [
        BatchRecord(
            number=n, state=BatchState.SENT, sha256="0" * 64, count=1, job_id="1", batch_id=str(n), at=AT
        )
        for n in range(3)
    ]
    service.batches.put(kv.atomic(), record, batches).commit()
    return service


KEYS = {
    "record": lambda record: ("w", "file", record.file_id),
    "path": lambda record: ("w", "path", record.path_id),
    "content": lambda record: ("w", "content", record.content_digest),
    "batch": lambda record: ("w", "batch", record.file_id, 0, 1),
    "sync": lambda record: ("w", "sync"),
    "lock": lambda record: ("w", "lock", record.lock_name),
    "fence": lambda record: ("w", "fence", record.lock_name),
}


def read_all(service: StateService, record: FileRecord) -> dict[str, Any]:
    """Ask what decides whether a file is sent; each answer is told, or the refusal of it."""
    asked = {
        "record": lambda: service.files.get(record.file_id),
        "path": lambda: service.files.latest([record.path_id]),
        "content": lambda: service.files.with_content(record.content_digest or ""),
        "batch": lambda: list(service.batches.of(record)),
        "sync": service.get_sync_state,
    }
    told: dict[str, Any] = {}
    for name, ask in asked.items():
        try:
            told[name] = ask()
        except KVCorruptError:
            told[name] = KVCorruptError
    return told


@examples(400)
@given(st.sampled_from(["record", "path", "content", "batch", "sync"]), JSON)
@example("path", {"a": 1})
@example("path", 5)
@example("content", ["x"])
@example("content", "0" * 32)
def test_a_record_of_another_shape_is_refused_and_never_read_as_absent(which: str, value: Any) -> None:
    record = completed()
    with open_kv("memory://") as kv:
        service = stored(kv, record)
        before = read_all(service, record)
        kv.set(KEYS[which](record), value)

        after = read_all(service, record)

    for name, answer in after.items():
        if name not in {which, "content"}:  # the content's pointer leads to the record
            assert answer == before[name]
    assert after["record"] is not None
    assert after["path"] is KVCorruptError or after["path"] != [None]
    # An id that leads nowhere is that of a file whose record was pruned.
    assert after["content"] is not None or (
        which == "content" and isinstance(value, str) and len(value) == 32
    )
    assert after["batch"] is KVCorruptError or len(after["batch"]) == 3


@pytest.mark.parametrize("which", ["record", "batch"])
def test_a_record_in_the_place_of_another_is_refused(which: str) -> None:
    record = completed()
    other = replace(completed("other.csv"), status=FileStatus.PENDING)
    with open_kv("memory://") as kv:
        service = stored(kv, record)
        kv.set(KEYS["record"](record), to_json(other))
        kv.set(
            KEYS["batch"](record),
            to_json(
                BatchRecord(number=2, state=BatchState.SENDING, sha256="0" * 64, count=1, job_id="1", at=AT)
            ),
        )

        assert read_all(service, record)[which] is KVCorruptError


@examples(150)
@given(st.sampled_from(["lock", "fence"]), JSON)
def test_a_lock_of_another_shape_is_refused_or_held_and_never_taken_twice(which: str, value: Any) -> None:
    record = completed()
    with open_kv("memory://") as kv:
        service = stored(kv, record)
        kv.set(KEYS[which](record), value)

        with contextlib.suppress(KVCorruptError), service.lock(record.lock_name) as lease:
            assert which == "fence"
            assert isinstance(value, int)
            assert lease.token > value


# An SQLite file whose bytes change under us


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "whole.db"
    with open_kv(f"sqlite:///{path}") as kv:
        for number in range(60):
            kv.set(("w", "file", f"{number:03d}"), {"number": number, "text": "x" * (number * 7)})
        for number in range(0, 60, 7):
            kv.delete(("w", "file", f"{number:03d}"))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@examples(250)
@given(st.integers(0, 10**6), st.integers(1, 255), st.integers(1, 40))
def test_a_damaged_database_gives_what_was_written_or_is_refused(
    database: Path, place: int, change: int, length: int
) -> None:
    damaged = database.with_name("damaged.db")
    for suffix in ("", "-wal", "-shm"):
        damaged.with_name(damaged.name + suffix).unlink(missing_ok=True)
    shutil.copy(database, damaged)
    content = bytearray(damaged.read_bytes())
    for at in range(place % len(content), min(place % len(content) + length, len(content))):
        content[at] ^= change
    damaged.write_bytes(content)

    found: dict[str, Any] | None = None
    with contextlib.suppress(KVError), open_kv(f"sqlite:///{damaged}") as kv:
        keys = [("w", "file", f"{number:03d}") for number in range(60)]
        found = {
            str(key[2]): entry and entry.value for key, entry in zip(keys, kv.get_many(keys), strict=True)
        }
        listed = {str(entry.key[2]): entry.value for entry in kv.list(("w", "file")) if len(entry.key) > 2}
        for name, value in listed.items():
            assert name not in found or found[name] in (None, value)


def test_the_clock_of_a_store_is_not_moved_by_a_broken_anchor(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    open_kv(f"sqlite:///{path}").close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE anchor SET wall = 'x', since_boot = 'y', boot_id = x'ff'")
        connection.commit()

    with pytest.raises(KVCorruptError, match="clock"):
        open_kv(f"sqlite:///{path}")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE kv SET value = 5",
        "UPDATE kv SET value = 'text'",
        "UPDATE kv SET value = x'ff'",
        "UPDATE kv SET value = CAST('{' AS BLOB)",
        "UPDATE kv SET version = 'x'",
        "UPDATE kv SET version = 1.5",
        "UPDATE counter SET version = 'x'",
        "UPDATE counter SET version = 1.5",
        "DELETE FROM counter",
        "DROP TABLE kv",
    ],
)
def test_what_another_program_wrote_into_the_database_is_refused(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "state.db"
    with open_kv(f"sqlite:///{path}") as kv:
        stamp = kv.set(("w", "a"), 1)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()

    def use() -> None:
        with open_kv(f"sqlite:///{path}") as kv:
            list(kv.list(("w",)))
            kv.get(("w", "a"))
            kv.atomic().check(("w", "a"), stamp).set(("w", "a"), 2).commit()

    with pytest.raises(KVError):
        use()


def test_random_values_under_our_keys_are_refused_by_every_listing() -> None:
    rng = random.Random(3)
    record = completed()
    for _ in range(50):
        with open_kv("memory://") as kv:
            service = stored(kv, record)
            kv.set(("w", "file", "zzz"), rng.choice([1, "x", [], {}, {"status": "completed"}]))
            with pytest.raises(KVCorruptError):
                list(service.files.all())
