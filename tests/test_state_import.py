"""An import is alone with its store: whoever comes in between is seen, or doesn't begin."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from fc_connect.errors import KVCorruptError, KVUnavailableError, StateConflictError, StateError
from fc_connect.kv import KVStore, open_kv
from fc_connect.state import FileRecord, StateService, export_state, import_state
from fc_connect.state.records import to_json
from fc_connect.state.schema import Condition, Schema, StateSchema

DAY = datetime(2026, 1, 15, 4, tzinfo=UTC)


def a_file(name: str) -> FileRecord:
    return FileRecord(
        source="file:///inbox", file_name=name, fingerprint="v1", last_modified=DAY, file_size=1
    )


def an_export(*names: str) -> io.BytesIO:
    file = io.BytesIO()
    with open_kv("memory:") as kv:
        state = StateService(kv, workflow_id="w", random_source=Random(1))
        state.update_sync_state([a_file(name) for name in names])
        for name in names:
            state.lock(name).release()
        export_state(state, file)
    file.seek(0)
    return file


class Eventful:
    """A store in which something happens before one of the operations of whoever uses it."""

    def __init__(self, kv: KVStore, *, before: int, meanwhile: Callable[[], object]) -> None:
        self._kv = kv
        self._left = before
        self._meanwhile = meanwhile

    @property
    def is_over(self) -> bool:
        return self._left < 0

    def _step(self) -> None:
        self._left -= 1
        if self._left == -1:
            self._meanwhile()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kv, name)

    def get(self, *args: Any, **options: Any) -> Any:
        self._step()
        return self._kv.get(*args, **options)

    def list(self, *args: Any, **options: Any) -> Any:
        self._step()
        return self._kv.list(*args, **options)

    def set(self, *args: Any, **options: Any) -> Any:
        self._step()
        return self._kv.set(*args, **options)

    def atomic(self) -> Any:
        write = self._kv.atomic()
        commit = write.commit

        def stepped() -> Any:
            self._step()
            return commit()

        write.commit = stepped  # type: ignore[method-assign]
        return write


@pytest.mark.parametrize("is_open", [False, True])
def test_a_worker_that_comes_at_any_moment_is_seen_or_does_not_begin(is_open: bool) -> None:
    content = an_export("a.csv", "b.csv").getvalue()
    for before in range(100):
        with open_kv("memory:") as kv:
            opened = StateService(kv, workflow_id="other") if is_open else None
            began: list[StateService] = []

            def work(
                kv: KVStore = kv, opened: StateService | None = opened, began: list[StateService] = began
            ) -> None:
                try:
                    state = opened or StateService(kv, workflow_id="other")
                    with state.lock("theirs.csv") as lease:
                        state.save_file(a_file("theirs.csv"), lease)
                    began.append(state)
                except StateError:
                    pass

            store = Eventful(kv, before=before, meanwhile=work)
            try:
                import_state(store, workflow_id="other", file=io.BytesIO(content))
                is_imported = True
            except StateConflictError:
                is_imported = False

            after = StateService(kv, workflow_id="other")  # neither way is it closed afterwards
            names = sorted(each.file_name for each in after.files.all())
            assert names == (["a.csv", "b.csv"] if is_imported else ["theirs.csv"])
            assert bool(began) != is_imported or not store.is_over
            if not store.is_over:
                return
    pytest.fail("the import never ended")


@pytest.mark.parametrize("had_version", [False, True])
def test_an_import_that_dies_at_any_moment_loses_nothing_of_a_state_that_was_there(had_version: bool) -> None:
    content = an_export("a.csv").getvalue()

    def dies() -> None:
        raise KVUnavailableError("gone")

    for before in range(100):
        with open_kv("memory:") as kv:
            StateService(kv, workflow_id="other").update_sync_state([a_file("theirs.csv")])
            if not had_version:
                kv.delete(Schema(kv, "other").key)
            store = Eventful(kv, before=before, meanwhile=dies)
            with pytest.raises((KVUnavailableError, StateConflictError)):
                import_state(store, workflow_id="other", file=io.BytesIO(content))
            with pytest.raises(StateConflictError, match="already"):
                import_state(kv, workflow_id="other", file=io.BytesIO(content))

            after = StateService(kv, workflow_id="other")
            assert [each.file_name for each in after.files.all()] == ["theirs.csv"]
            if not store.is_over:
                return
    pytest.fail("the import never ended")


def test_an_import_that_another_one_overtakes_writes_nothing_more() -> None:
    content = an_export("a.csv").getvalue()
    with open_kv("memory:") as kv:

        def overtake() -> None:
            import_state(kv, workflow_id="other", file=io.BytesIO(content))
            # The same part of the sync state as the export has: one that was written over would count too little.
            state = StateService(kv, workflow_id="other", random_source=Random(1))
            state.update_sync_state([a_file("b.csv")])

        for before in range(100):
            kv.delete(Schema(kv, "other").key)
            for entry in kv.list(("other",)):
                kv.delete(entry.key)
            store = Eventful(kv, before=before, meanwhile=overtake)
            try:
                import_state(store, workflow_id="other", file=io.BytesIO(content))
            except StateConflictError:
                after = StateService(kv, workflow_id="other")
                assert after.get_sync_state().files_completed == 2
            else:
                assert not store.is_over
                return
    pytest.fail("the import never ended")


def test_what_was_half_imported_is_finished_with_the_same_file_alone() -> None:
    content = an_export(*(f"{n}.csv" for n in range(40))).getvalue()

    def dies() -> None:
        raise KVUnavailableError("gone")

    for before in range(100):
        with open_kv("memory:") as kv:
            store = Eventful(kv, before=before, meanwhile=dies)
            with pytest.raises(KVUnavailableError):
                import_state(store, workflow_id="other", file=io.BytesIO(content))
            if not any(kv.list(("other", "file"))):
                continue
            with pytest.raises(StateConflictError, match="another file"):
                import_state(kv, workflow_id="other", file=an_export("b.csv"))

            import_state(kv, workflow_id="other", file=io.BytesIO(content))

            assert len(list(StateService(kv, workflow_id="other").files.all())) == 40
            return
    pytest.fail("nothing was ever half imported")


def test_an_import_that_an_earlier_version_began_is_finished() -> None:
    with open_kv("memory:") as kv:
        importing = StateSchema(version=1, condition=Condition.IMPORTING)
        kv.set(Schema(kv, "other").key, to_json(importing))
        kv.set(("other", "fence", "a.csv"), 1)
        export = an_export("a.csv")
        keys = [json.loads(line).get("key", [None]) for line in export]
        begun_with = next(key for key in keys if key[0] == "sync")
        export.seek(0)
        kv.set(("other", *begun_with), {})

        import_state(kv, workflow_id="other", file=export)

        assert StateService(kv, workflow_id="other").get_sync_state().files_completed == 1


def test_fencing_tokens_of_a_cleared_state_do_not_go_back() -> None:
    with open_kv("memory:") as kv:
        state = StateService(kv, workflow_id="other")
        tokens = []
        for _ in range(3):
            with state.lock("a.csv") as lease:
                tokens.append(lease.token)
        state.clear()

        import_state(kv, workflow_id="other", file=an_export("a.csv"))

        with state.lock("a.csv") as lease:
            assert lease.token > max(tokens)


def test_a_worker_that_holds_a_lock_and_has_written_nothing_yet_is_seen() -> None:
    with open_kv("memory:") as kv:
        state = StateService(kv, workflow_id="other")

        with state.lock("theirs.csv") as lease:
            with pytest.raises(StateConflictError, match="already"):
                import_state(kv, workflow_id="other", file=an_export("a.csv"))
            state.save_file(a_file("theirs.csv"), lease)

        assert [each.file_name for each in StateService(kv, workflow_id="other").files.all()] == [
            "theirs.csv"
        ]


def test_a_state_of_a_newer_version_takes_no_import() -> None:
    with open_kv("memory:") as kv:
        kv.set(Schema(kv, "other").key, to_json(StateSchema(version=99)))

        with pytest.raises(KVCorruptError, match="newer version"):
            import_state(kv, workflow_id="other", file=an_export("a.csv"))


def test_a_state_that_is_being_upgraded_takes_no_import() -> None:
    upgrading = StateSchema(version=1, condition=Condition.UPGRADING)
    with open_kv("memory:") as kv:
        kv.set(Schema(kv, "other").key, to_json(upgrading))

        with pytest.raises(StateConflictError, match="already"):
            import_state(kv, workflow_id="other", file=an_export("a.csv"))

        assert Schema(kv, "other").get() == upgrading
