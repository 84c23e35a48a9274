"""State outlives versions and moves between stores: upgraded, refused when newer, exported and imported whole."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from fc_connect.clock import SystemClock
from fc_connect.errors import (
    ConfigurationError,
    KVCorruptError,
    KVUnavailableError,
    StateConflictError,
    StateError,
)
from fc_connect.kv import KVStore, open_kv
from fc_connect.sandbox import Sandbox
from fc_connect.state import (
    BatchRecord,
    BatchState,
    FileRecord,
    FileStatus,
    Plan,
    StateService,
    export_state,
    import_state,
)
from fc_connect.state.lease import Leases
from fc_connect.state.owner import Owner
from fc_connect.state.records import to_json
from fc_connect.state.schema import Condition, Schema, StateSchema
from tests.shop import Shop

pytestmark = pytest.mark.service

GOLDEN = Path(__file__).parent / "state_versions"
DAY = datetime(2026, 1, 15, 4, tzinfo=UTC)
STORES = ["memory", "sqlite", "redis", "postgresql"]


@pytest.fixture
def kv(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KVStore]:
    with open_kv(url_of(getattr(request, "param", "memory"), request, tmp_path)) as store:
        yield store


def url_of(store: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if store == "redis":
        return f"{request.getfixturevalue('redis_url')}?namespace={uuid.uuid4().hex}"
    if store == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return "memory:" if store == "memory" else f"sqlite:///{tmp_path}/state.db"


def a_file(name: str, *, minute: int = 0, **details: Any) -> FileRecord:
    return FileRecord(
        source="file:///inbox",
        file_name=name,
        fingerprint="v1",
        last_modified=DAY + timedelta(minutes=minute),
        file_size=100,
        **details,
    )


def fill(state: StateService) -> None:
    """Leave something of every kind of record."""
    state.update_sync_state(
        [a_file(f"{n}.csv", minute=n, record_count=n, content_digest=f"d{n}") for n in range(250)]
    )
    half = a_file("half.csv", minute=500, plan=Plan(batch_size=10, mapping_digest="m"), run=2)
    half = half.moved_to(FileStatus.PROCESSING, at=DAY)
    batch = BatchRecord(
        number=0, state=BatchState.SENT, sha256="0", count=10, job_id="j", batch_id="b", at=DAY
    )
    with state.lock(half.lock_name) as lease:
        state.save_file(half, lease)
        state.save_batches(half, [batch], lease)
        sending = BatchRecord(number=1, state=BatchState.SENDING, sha256="1", count=10, job_id="j", at=DAY)
        state.save_batches(half, [sending], lease)
    broken = a_file("broken.csv", minute=501).moved_to(
        FileStatus.QUARANTINED, at=DAY, error='Ünlesbar: "x"\n'
    )
    with state.lock(broken.lock_name) as lease:
        state.save_file(broken, lease)
    state.set_daily_job("job-1")
    state.job_tracker.track("job-1", name="today", meta={"π": [1, 2.5, None]})
    state.note_result("success")


def seen(state: StateService) -> dict[str, Any]:
    """Return all that a run would go by."""
    files = {each.file_name: each for each in state.files.all()}
    daily = state.get_daily_job()
    return {
        "files": files,
        "batches": {name: list(state.batches.of(each)) for name, each in files.items()},
        "unowned": state.batches.unowned("j", ["b", "c"]),
        "sync": state.get_sync_state(),
        "daily": None if daily is None else daily.job_id,
        "tracked": list(state.job_tracker.list()),
        "twin": state.files.with_content("d7"),
        "latest": state.files.latest([each.path_id for each in files.values()]),
    }


@pytest.mark.parametrize("there", STORES)
@pytest.mark.parametrize("here", STORES)
def test_a_state_moves_from_any_store_to_any_other_with_nothing_lost(
    here: str, there: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    workflow = f"w-{uuid.uuid4().hex}"
    (tmp_path / "there").mkdir()
    with (
        open_kv(url_of(here, request, tmp_path)) as source,
        open_kv(url_of(there, request, tmp_path / "there")) as target,
    ):
        state = StateService(source, workflow_id=workflow)
        fill(state)
        tokens = {entry.key[1:]: entry.value for entry in source.list((workflow, "fence"))}
        file = io.BytesIO()

        exported = export_state(state, file)
        file.seek(0)
        imported = import_state(target, workflow_id=f"{workflow}-moved", file=file)

        moved = StateService(target, workflow_id=f"{workflow}-moved")
        assert seen(moved) == seen(state)
        assert (imported.entries, imported.sha256) == (exported.entries, exported.sha256)
        assert {entry.key[1:]: entry.value for entry in target.list((moved.workflow_id, "fence"))} == tokens
        with moved.lock("file:" + a_file("half.csv").path_id) as lease:
            assert lease.token > tokens[("fence", lease.name)]


def test_an_export_of_a_state_at_work_is_refused(kv: KVStore) -> None:
    state = StateService(kv, workflow_id="w")

    with state.lock("file:x", about="stock.csv"), pytest.raises(StateConflictError, match=r"stock\.csv"):
        export_state(state, io.BytesIO())


def test_an_export_notices_a_worker_that_came_and_went(kv: KVStore) -> None:
    state = StateService(kv, workflow_id="w")
    fill(state)

    class Interrupted(io.BytesIO):
        def write(self, content: Any) -> int:
            if b'"broken.csv"' in content:
                with state.lock("file:x"):
                    state.kv.set(("w", "note"), 1)
            return super().write(content)

    with pytest.raises(StateConflictError, match="during the export"):
        export_state(state, Interrupted())


def exported(kv: KVStore) -> bytes:
    state = StateService(kv, workflow_id="w")
    fill(state)
    file = io.BytesIO()
    export_state(state, file)
    return file.getvalue()


def test_a_damaged_export_changes_nothing(kv: KVStore) -> None:
    whole = exported(kv)
    lines = whole.splitlines(keepends=True)
    damaged = [
        b"",
        b"{}",
        b"ref,qty\n1,2\n",
        whole[: len(whole) // 2],
        b"".join(lines[:-1]),
        b"".join(lines[:5] + lines[6:]),
        whole.replace(b"half.csv", b"holf.csv"),
        whole + lines[1],
        whole.replace(b'"version":1', b'"version":2', 1),
        whole.replace(b'"schema":1', b'"schema":7', 1),
        whole.replace(b"fc-connect-state", b"something-else", 1),
    ]

    for content in damaged:
        with pytest.raises(ConfigurationError):
            import_state(kv, workflow_id="other", file=io.BytesIO(content))

    assert not list(kv.list(("other",)))


def test_an_import_never_mixes_two_states(kv: KVStore) -> None:
    file = io.BytesIO(exported(kv))
    StateService(kv, workflow_id="other").update_sync_state([a_file("theirs.csv")])

    with pytest.raises(StateConflictError, match="already"):
        import_state(kv, workflow_id="other", file=file)


class Breaking:
    """A store whose connection breaks after so many commits."""

    def __init__(self, kv: KVStore, commits: int) -> None:
        self._kv = kv
        self._left = commits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kv, name)

    def atomic(self) -> Any:
        self._left -= 1
        if self._left < 0:
            raise KVUnavailableError("gone")
        return self._kv.atomic()


def test_an_import_cut_short_lets_no_run_begin_and_is_finished_by_another(kv: KVStore) -> None:
    content = exported(kv)
    broken: Any = Breaking(kv, 3)

    with pytest.raises(KVUnavailableError):
        import_state(broken, workflow_id="other", file=io.BytesIO(content))
    with pytest.raises(StateError, match="cut short"):
        StateService(kv, workflow_id="other")
    import_state(kv, workflow_id="other", file=io.BytesIO(content))

    other = StateService(kv, workflow_id="other")
    assert seen(other) == seen(StateService(kv, workflow_id="w"))


@pytest.mark.parametrize("kv", STORES, indirect=True)
def test_a_state_of_a_newer_version_is_refused_and_left_alone(kv: KVStore) -> None:
    workflow = uuid.uuid4().hex
    StateService(kv, workflow_id=workflow)
    kv.set((workflow, "schema"), {"version": 99})
    before = list(kv.list((workflow,)))

    with pytest.raises(KVCorruptError, match="newer version"):
        StateService(kv, workflow_id=workflow)

    assert list(kv.list((workflow,))) == before


@pytest.mark.parametrize("version", sorted(each.stem for each in GOLDEN.glob("schema-*.jsonl")))
@pytest.mark.parametrize("kv", STORES, indirect=True)
def test_the_state_of_every_version_is_read_as_it_was_meant(kv: KVStore, version: str) -> None:
    """The exports were made by that version, from what `fill` left; they are never made anew."""
    workflow = uuid.uuid4().hex
    with (GOLDEN / f"{version}.jsonl").open("rb") as file:
        import_state(kv, workflow_id=workflow, file=file)

    state = StateService(kv, workflow_id=workflow)

    found = seen(state)
    assert len(found["files"]) == 252
    assert found["files"]["7.csv"].status is FileStatus.COMPLETED
    assert found["files"]["7.csv"].record_count == 7
    assert found["twin"].file_name == "7.csv"
    assert found["files"]["broken.csv"].status is FileStatus.QUARANTINED
    assert found["files"]["broken.csv"].error == 'Ünlesbar: "x"\n'
    half = found["files"]["half.csv"]
    assert (half.status, half.run, half.plan.batch_size) == (FileStatus.PROCESSING, 2, 10)
    assert [(each.number, each.state, each.batch_id) for each in found["batches"]["half.csv"]] == [
        (0, BatchState.SENT, "b"),
        (1, BatchState.SENDING, None),
    ]
    assert found["unowned"] == ["c"]
    assert found["sync"].files_completed == 250
    assert found["sync"].watermark == (DAY + timedelta(minutes=249), "249.csv")
    assert [each.meta for each in found["tracked"]] == [{"π": [1, 2.5, None]}]
    with state.lock(half.lock_name) as lease:
        assert lease.token == 2


@pytest.mark.parametrize("version", sorted(each.stem for each in GOLDEN.glob("sqlite-*.db")))
def test_an_sqlite_file_of_every_version_is_opened_where_it_lies(tmp_path: Path, version: str) -> None:
    shutil.copy(GOLDEN / f"{version}.db", tmp_path / "state.db")

    with open_kv(f"sqlite:///{tmp_path}/state.db") as kv:
        state = StateService(kv, workflow_id="golden")
        assert state.get_sync_state().files_completed == 250
        assert state.is_file_processed(a_file("7.csv", minute=7))
        assert not state.is_file_processed(a_file("half.csv", minute=500))


def test_a_server_store_of_a_newer_version_is_refused(redis_url: str, postgres_url: str) -> None:
    namespace = uuid.uuid4().hex
    with redis.Redis.from_url(redis_url) as client:
        client.set(f"{namespace}:schema", 99)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{namespace}"')
        connection.execute(
            f'CREATE TABLE "{namespace}".fc_connect_kv_migrations (number integer PRIMARY KEY,'
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        connection.execute(f'INSERT INTO "{namespace}".fc_connect_kv_migrations (number) VALUES (99)')

    for url in (
        f"{redis_url}?namespace={namespace}",
        f"{postgres_url}?options=-c%20search_path%3D{namespace}",
    ):
        with pytest.raises(KVCorruptError, match="newer version"):
            open_kv(url)


# The way from one version to the next, held against made-up ones until there is a second


def add_a_field(kv: KVStore, workflow: str) -> None:
    for entry in kv.list((workflow, "file")):
        if "colour" not in entry.value:
            write = kv.atomic().check(entry.key, entry.versionstamp)
            assert write.set(entry.key, {**entry.value, "colour": "red"}).commit().ok


def locks_of(kv: KVStore, schema: Schema) -> Leases:
    import random

    return Leases(kv, "w", clock=SystemClock(), random=random.Random(1), guard=schema.demand_current)


@pytest.fixture
def newer(kv: KVStore) -> Schema:
    """Knows schema 2, whose files have a colour."""
    return Schema(kv, "w", current=2, migrations={1: add_a_field})


@pytest.mark.parametrize("kv", STORES, indirect=True)
def test_an_older_state_is_upgraded_once_and_the_older_version_then_keeps_out(kv: KVStore) -> None:
    workflow = uuid.uuid4().hex
    state = StateService(kv, workflow_id=workflow)
    fill(state)
    newer = Schema(kv, workflow, current=2, migrations={1: add_a_field})

    newer.open(state.locks)
    newer.open(state.locks)

    assert newer.get() == StateSchema(version=2)
    assert {entry.value["colour"] for entry in kv.list((workflow, "file"))} == {"red"}
    with pytest.raises(KVCorruptError, match="newer version"):
        StateService(kv, workflow_id=workflow)
    with pytest.raises(KVCorruptError, match="newer version"):  # one that was opened before
        state.lock("file:x")
    assert not list(state.locks.list())


def test_an_upgrade_waits_for_workers_of_the_earlier_version(
    kv: KVStore, newer: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateService(kv, workflow_id="w")
    fill(state)

    with state.lock("file:x"), pytest.raises(StateConflictError, match=r"still\s+at work"):
        newer.open(locks_of(kv, newer))
    assert newer.get() == StateSchema(version=1)

    newer.open(locks_of(kv, newer))
    assert newer.get() == StateSchema(version=2)


def test_an_upgrade_cut_short_is_finished_by_the_next(kv: KVStore) -> None:
    state = StateService(kv, workflow_id="w")
    fill(state)

    def breaks(kv: KVStore, workflow: str) -> None:
        entry = next(kv.list((workflow, "file")))
        kv.set(entry.key, {**entry.value, "colour": "red"})
        raise KVUnavailableError("gone")

    with pytest.raises(KVUnavailableError):
        Schema(kv, "w", current=2, migrations={1: breaks}).open(state.locks)
    assert Schema(kv, "w").get() == StateSchema(version=1, condition=Condition.UPGRADING)
    with pytest.raises(StateConflictError, match="being upgraded"):
        state.lock("file:x")  # of the earlier version: its records would be overlooked

    newer = Schema(kv, "w", current=2, migrations={1: add_a_field})
    newer.open(locks_of(kv, newer))

    assert {entry.value["colour"] for entry in kv.list(("w", "file"))} == {"red"}
    assert newer.get() == StateSchema(version=2)


def test_an_upgrade_cut_short_right_before_its_end_is_finished_by_the_next(
    kv: KVStore, newer: Schema
) -> None:
    kv.set(newer.key, to_json(StateSchema(version=2, condition=Condition.UPGRADING)))

    newer.open(locks_of(kv, newer))

    assert newer.get() == StateSchema(version=2)


def test_an_upgrade_cut_short_stays_closed_to_the_earlier_version_when_the_next_gives_up(
    kv: KVStore, newer: Schema
) -> None:
    state = StateService(kv, workflow_id="w")
    half = StateSchema(version=1, condition=Condition.UPGRADING)

    with state.lock("file:x"):  # as one that is about to be refused
        kv.set(newer.key, to_json(half))
        with pytest.raises(StateConflictError, match=r"still\s+at work"):
            newer.open(locks_of(kv, newer))

    assert newer.get() == half


def test_a_dead_worker_holds_no_upgrade_back(
    kv: KVStore, newer: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateService(kv, workflow_id="w")
    state.lock("file:x")
    monkeypatch.setattr(Owner, "is_dead", lambda self: True)

    newer.open(locks_of(kv, newer))

    assert newer.get() == StateSchema(version=2)


# With the commands, on a file that is half sent


def test_a_pipeline_moves_to_another_store_half_way_and_sends_the_rest_alone(
    tmp_path: Path, redis_url: str
) -> None:
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        shop = Shop(tmp_path / "shop", sandbox, target={"batch": {"size": 20, "concurrency": 2}})
        shop.stock("done.csv", warehouse="W0", rows=40)
        assert shop.run().success
        shop.stock("a.csv", warehouse="W1", rows=4000, age=1)
        process = shop.start()
        shop.wait_for_batches(20)
        shop.kill(process)
        file = tmp_path / "state.jsonl"

        shop.command("state", "export", str(file))
        shop.configure(state=f"{redis_url}?namespace={uuid.uuid4().hex}")
        told = shop.command("state", "import", str(file))
        result = shop.run()

        assert "imported and compared" in told
        assert file.stat().st_mode & 0o077 == 0
        assert json.loads(file.read_text().splitlines()[0])["format"] == "fc-connect-state"
        assert result.success, result.errors
        assert result.files_skipped == 1
        assert len(shop.deliveries()) == 4040
        assert set(shop.deliveries().values()) == {1}


if __name__ == "__main__":  # once for each new schema, before it is released
    import sys

    GOLDEN.mkdir(exist_ok=True)
    made = GOLDEN / f"sqlite-{sys.argv[1]}.db"
    with open_kv(f"sqlite:///{made}") as store:
        golden = StateService(store, workflow_id="golden")
        fill(golden)
        with (GOLDEN / f"schema-{sys.argv[1]}.jsonl").open("xb") as out:
            export_state(golden, out)
    with sqlite3.connect(made) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
