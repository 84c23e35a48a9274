"""What every key-value store must keep, as a suite of tests: run it on a store of your own.

class TestMyStore(KVConformance):
    @pytest.fixture
    def kv(self) -> Iterator[KVStore]:
        with MyStore() as store:
            yield store
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from typing import Any

import pytest

from fc_connect.errors import KVUnavailableError, KVValueError
from fc_connect.kv import MAX_COMMIT_KEYS, MAX_VALUE_BYTES, Guarantee, Key, KVStore

__all__ = ["KVConformance"]

ODD_PARTS = (
    "",
    ":",
    "/",
    "a/b:c",
    "\0",
    "\0\0",
    "a\0",
    "é",
    "日本",
    "🙂",
    "{x}",
    "}{",
    "*",
    "%",
    "'",
    '"',
    "\n",
    " ",
)
SHORT = timedelta(milliseconds=250)


class KVConformance:
    """Needs a fixture `kv` that gives an open store; every test keeps to a first part of its own."""

    @pytest.fixture
    def space(self) -> str:
        return uuid.uuid4().hex

    def test_what_was_set_is_got(self, kv: KVStore, space: str) -> None:
        values: list[Any] = [None, True, 0, -1, 2**63 - 1, 1.5, "", "ü\0", [1, [2]], {"a": {"b": []}}]

        for number, value in enumerate(values):
            kv.set((space, number), value)

        for number, value in enumerate(values):
            entry = kv.get((space, number))
            assert entry is not None
            assert entry.value == value
            assert type(entry.value) is type(value)
            assert entry.key == (space, number)

    def test_an_absent_key_is_none(self, kv: KVStore, space: str) -> None:
        assert kv.get((space, "nothing")) is None
        assert kv.get_many([(space, "nothing"), (space, 0)]) == [None, None]

    def test_get_many_keeps_the_order_of_its_keys(self, kv: KVStore, space: str) -> None:
        for number in range(700):
            kv.atomic().set((space, number), number).commit()

        entries = kv.get_many([(space, number) for number in reversed(range(-1, 700))])

        assert [None if each is None else each.value for each in entries] == [*reversed(range(700)), None]

    def test_no_two_keys_collide(self, kv: KVStore, space: str) -> None:
        keys: list[Key] = [(space, part) for part in ODD_PARTS]
        keys += [(space, part, "x") for part in ODD_PARTS]
        keys += [(space, 1), (space, "1"), (space, -1), (space, 1, 1), (space, "1", 1)]

        for number, key in enumerate(keys):
            kv.set(key, number)

        assert [entry.value for entry in kv.get_many(keys) if entry is not None] == list(range(len(keys)))

    def test_a_list_is_in_the_order_of_keys(self, kv: KVStore, space: str) -> None:
        parts: list[str | int] = [
            -(2**63),
            -300,
            -1,
            0,
            1,
            2,
            10,
            2**63 - 1,
            *sorted(ODD_PARTS, key=str.encode),
        ]

        for part in reversed(parts):
            kv.set((space, part), None)

        assert [entry.key[1] for entry in kv.list((space,))] == parts
        assert [entry.key[1] for entry in kv.list((space,), reverse=True)] == parts[::-1]

    def test_a_list_holds_what_is_below_its_prefix_alone(self, kv: KVStore, space: str) -> None:
        for key in [
            (space,),
            (space, "a"),
            (space, "a", 1),
            (space, "a", "b", 2),
            (space, "ab"),
            (space + "x", "a"),
        ]:
            kv.set(key, None)

        assert [entry.key for entry in kv.list((space, "a"))] == [(space, "a", 1), (space, "a", "b", 2)]
        assert len(list(kv.list((space,)))) == 4
        assert (space,) in {entry.key for entry in kv.list(())}

    def test_a_list_has_bounds_and_a_limit(self, kv: KVStore, space: str) -> None:
        for number in range(10):
            kv.set((space, number), number)

        def listed(**bounds: Any) -> list[int]:
            return [entry.value for entry in kv.list((space,), **bounds)]

        assert listed(start=(space, 3), end=(space, 6)) == [3, 4, 5]
        assert listed(start=(space, 3), end=(space, 6), reverse=True) == [5, 4, 3]
        assert listed(limit=2) == [0, 1]
        assert listed(limit=2, reverse=True) == [9, 8]
        assert listed(limit=0) == []
        assert listed(start=(space, 6), end=(space, 3)) == []

    def test_a_list_goes_over_many_pages(self, kv: KVStore, space: str) -> None:
        for at in range(0, 1300, 100):
            write = kv.atomic()
            for number in range(at, at + 100):
                write.set((space, number), number)
            write.commit()

        assert [entry.value for entry in kv.list((space,))] == list(range(1300))
        assert [entry.value for entry in kv.list((space,), reverse=True)] == list(reversed(range(1300)))
        assert [entry.value for entry in kv.list((space,), limit=1001)] == list(range(1001))

    def test_a_deleted_key_is_gone(self, kv: KVStore, space: str) -> None:
        kv.set((space, "a"), 1)

        kv.delete((space, "a"))
        kv.delete((space, "a"))

        assert kv.get((space, "a")) is None
        assert list(kv.list((space,))) == []

    def test_versionstamps_grow(self, kv: KVStore, space: str) -> None:
        stamps = [kv.set((space, "a"), number) for number in range(5)]
        stamps += [kv.set((space, "b"), number) for number in range(12)]

        assert stamps == sorted(set(stamps))

    def test_a_commit_gives_its_keys_one_versionstamp(self, kv: KVStore, space: str) -> None:
        result = kv.atomic().set((space, "a"), 1).set((space, "b"), 2).commit()

        entries = kv.get_many([(space, "a"), (space, "b")])

        assert result.ok
        assert [entry and entry.versionstamp for entry in entries] == [result.versionstamp] * 2

    def test_a_check_of_the_present_version_holds(self, kv: KVStore, space: str) -> None:
        stamp = kv.set((space, "a"), 1)

        assert kv.atomic().check((space, "a"), stamp).set((space, "a"), 2).commit().ok
        assert not kv.atomic().check((space, "a"), stamp).set((space, "a"), 3).commit().ok
        entry = kv.get((space, "a"))
        assert entry is not None
        assert entry.value == 2

    def test_a_check_for_absence_holds_until_there_is_a_key(self, kv: KVStore, space: str) -> None:
        assert kv.atomic().check((space, "a"), None).set((space, "a"), 1).commit().ok
        assert not kv.atomic().check((space, "a"), None).set((space, "a"), 2).commit().ok
        kv.delete((space, "a"))
        assert kv.atomic().check((space, "a"), None).set((space, "a"), 3).commit().ok

    def test_a_commit_is_all_or_nothing(self, kv: KVStore, space: str) -> None:
        for number in range(MAX_COMMIT_KEYS - 1):
            kv.set((space, number), "old")
        write = kv.atomic().check((space, "guard"), "no such version")
        for number in range(MAX_COMMIT_KEYS - 1):
            write.set((space, number), "new")

        result = write.commit()

        assert not result.ok
        assert result.versionstamp is None
        assert {entry.value for entry in kv.list((space,))} == {"old"}

    def test_a_commit_takes_its_full_number_of_keys(self, kv: KVStore, space: str) -> None:
        write = kv.atomic()
        for number in range(MAX_COMMIT_KEYS):
            write.set((space, number), number)

        assert write.commit().ok
        assert len(list(kv.list((space,)))) == MAX_COMMIT_KEYS

    def test_too_many_keys_are_refused(self, kv: KVStore, space: str) -> None:
        write = kv.atomic()
        for number in range(MAX_COMMIT_KEYS + 1):
            write.set((space, number), number)

        with pytest.raises(KVValueError, match="100"):
            write.commit()
        assert list(kv.list((space,))) == []

    def test_the_last_write_to_a_key_of_a_commit_counts(self, kv: KVStore, space: str) -> None:
        kv.atomic().set((space, "a"), 1).delete((space, "a")).set((space, "a"), 2).commit()

        entry = kv.get((space, "a"))
        assert entry is not None
        assert entry.value == 2

    def test_a_value_up_to_the_limit_is_kept(self, kv: KVStore, space: str) -> None:
        largest = "x" * (MAX_VALUE_BYTES - 2)

        kv.set((space, "a"), largest)

        entry = kv.get((space, "a"))
        assert entry is not None
        assert entry.value == largest
        with pytest.raises(KVValueError, match="1,048,576"):
            kv.set((space, "a"), largest + "x")

    @pytest.mark.parametrize(
        "value", [float("nan"), float("inf"), {1: 2}, {1, 2}, b"x", "\ud800", 2**70, object()]
    )
    def test_what_is_not_json_is_refused(self, kv: KVStore, space: str, value: Any) -> None:
        with pytest.raises(KVValueError):
            kv.set((space, "a"), value)

    @pytest.mark.parametrize(
        "key", [(), ("a", 1.5), ("a", None), ("a", True), ("x" * 1100,), ("\ud800",), "text", (2**64,)]
    )
    def test_what_is_no_key_is_refused(self, kv: KVStore, key: Any) -> None:
        with pytest.raises(KVValueError):
            kv.set(key, 1)

    def test_an_expired_key_is_absent_at_once(self, kv: KVStore, space: str) -> None:
        kv.atomic().set((space, "a"), 1, expire_in=SHORT).set((space, "b"), 2).commit()
        assert kv.get((space, "a")) is not None

        _until_gone(kv, (space, "a"))

        assert [entry.key for entry in kv.list((space,))] == [(space, "b")]
        assert kv.get_many([(space, "a")]) == [None]
        assert kv.atomic().check((space, "a"), None).set((space, "a"), 3).commit().ok

    def test_the_versionstamp_of_an_expired_key_no_longer_checks(self, kv: KVStore, space: str) -> None:
        stamp = kv.set((space, "a"), 1, expire_in=SHORT)

        _until_gone(kv, (space, "a"))

        assert not kv.atomic().check((space, "a"), stamp).set((space, "a"), 2).commit().ok

    def test_setting_without_an_expiry_makes_a_key_stay(self, kv: KVStore, space: str) -> None:
        kv.set((space, "a"), 1, expire_in=SHORT)
        kv.set((space, "b"), 1, expire_in=SHORT)

        kv.set((space, "a"), 2)
        _until_gone(kv, (space, "b"))

        assert kv.get((space, "a")) is not None

    def test_the_clock_is_aware_and_does_not_go_back(self, kv: KVStore) -> None:
        times = [kv.now() for _ in range(20)]

        assert all(each.tzinfo is UTC for each in times)
        assert times == sorted(times)

    def test_one_of_many_racing_writers_wins(self, kv: KVStore, space: str) -> None:
        def claim(worker: int) -> bool:
            return kv.atomic().check((space, "k"), None).set((space, "k"), worker).commit().ok

        with ThreadPoolExecutor(16) as pool:
            assert sum(pool.map(claim, range(64))) == 1

    def test_no_increment_of_racing_writers_is_lost(self, kv: KVStore, space: str) -> None:
        kv.set((space, "n"), 0)

        def increment(_: int) -> None:
            while True:
                entry = kv.get((space, "n"))
                assert entry is not None
                write = kv.atomic().check((space, "n"), entry.versionstamp).set((space, "n"), entry.value + 1)
                if write.commit().ok:
                    return

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(increment, range(80)))

        entry = kv.get((space, "n"))
        assert entry is not None
        assert entry.value == 80

    def test_commits_that_cross_do_not_both_hold(self, kv: KVStore, space: str) -> None:
        def guarded(mine: str, other: str) -> bool:
            return kv.atomic().check((space, other), None).set((space, mine), 1).commit().ok

        for number in range(15):
            a, b = f"a{number}", f"b{number}"
            with ThreadPoolExecutor(2) as pool:
                first, second = pool.submit(guarded, a, b), pool.submit(guarded, b, a)
                assert first.result() + second.result() == 1

    def test_what_it_lacks_is_told_with_the_reason(self, kv: KVStore) -> None:
        for guarantee, reason in kv.lacks().items():
            assert guarantee in Guarantee
            assert len(reason) > 10

    def test_a_closed_store_says_so(self, kv: KVStore, space: str) -> None:
        kv.close()
        kv.close()

        with pytest.raises(KVUnavailableError):
            kv.get((space, "a"))


def _until_gone(kv: KVStore, key: tuple[str, ...]) -> None:
    deadline = time.monotonic() + 10
    while kv.get(key) is not None:
        assert time.monotonic() < deadline, "the key never expired"
        time.sleep(0.02)
