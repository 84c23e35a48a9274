"""Every backend keeps the contract of a store; and what each has of its own."""

from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.clock import ManualClock
from fc_connect.errors import (
    ConfigurationError,
    KVCorruptError,
    KVError,
    KVUnavailableError,
    KVValueError,
)
from fc_connect.kv import Entry, Guarantee, Key, KVStore, open_kv
from fc_connect.kv.keys import decode_key, encode_key, key_range
from fc_connect.kv.sqlite import SQLiteKV
from fc_connect.kv.steady import Anchor, ServedTime, SteadyClock
from fc_connect.testing.kv import KVConformance
from tests.servers import spare_port

parts = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
keys = st.lists(parts, min_size=1, max_size=4).map(tuple)


def rank(part: str | int) -> tuple[int, int, bytes]:
    return (0, part, b"") if isinstance(part, int) else (1, 0, part.encode())


@given(keys, keys)
def test_bytes_sort_as_keys_do_and_no_two_collide(a: Key, b: Key) -> None:
    assert (encode_key(a) < encode_key(b)) == ([*map(rank, a)] < [*map(rank, b)])
    assert (encode_key(a) == encode_key(b)) == (a == b)


@given(keys)
def test_a_key_comes_back_from_its_bytes(key: Key) -> None:
    assert decode_key(encode_key(key)) == key


@given(keys, keys)
def test_a_prefix_covers_exactly_what_is_below_it(prefix: Key, key: Key) -> None:
    low, high = key_range(prefix, start=None, end=None)

    is_below = len(key) > len(prefix) and key[: len(prefix)] == prefix

    assert (low <= encode_key(key) < high) == is_below


@given(st.binary(max_size=12))
def test_other_bytes_are_refused_as_a_key(content: bytes) -> None:
    try:
        key = decode_key(content)
    except KVCorruptError:
        return
    assert key == () or encode_key(key) == content


class TestMemoryKV(KVConformance):
    @pytest.fixture
    def kv(self) -> Iterator[KVStore]:
        with open_kv("memory:") as store:
            yield store


class TestSQLiteKV(KVConformance):
    @pytest.fixture
    def kv(self, tmp_path: Path) -> Iterator[KVStore]:
        with open_kv(f"sqlite:///{tmp_path}/state.db") as store:
            yield store


@pytest.mark.service
class TestRedisKV(KVConformance):
    @pytest.fixture
    def kv(self, redis_url: str) -> Iterator[KVStore]:
        with open_kv(f"{redis_url}?namespace={uuid.uuid4().hex}") as store:
            yield store


@pytest.mark.service
class TestPostgreSQLKV(KVConformance):
    @pytest.fixture
    def kv(self, postgres_url: str) -> Iterator[KVStore]:
        with open_kv(postgres_url) as store:
            yield store


@pytest.mark.service
class TestDenoKV(KVConformance):
    @pytest.fixture
    def kv(self, deno_url: str) -> Iterator[KVStore]:
        with open_kv(f"{deno_url}&namespace={uuid.uuid4().hex}") as store:
            yield store


@pytest.mark.service
class TestNATSKV(KVConformance):
    @pytest.fixture
    def kv(self, nats_url: str) -> Iterator[KVStore]:
        with open_kv(f"{nats_url}/{uuid.uuid4().hex}") as store:
            yield store


@pytest.mark.service
@pytest.mark.timeout(400)  # moto takes 10 ms a request where nothing else runs
class TestDynamoDBKV(KVConformance):
    @pytest.fixture
    def kv(self, dynamodb_url: str) -> Iterator[KVStore]:
        with open_kv(dynamodb_url) as store:
            yield store


@pytest.fixture(params=["sqlite", "redis", "postgresql", "deno", "nats"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shared.db"
    if request.param == "redis":
        return f"{request.getfixturevalue('redis_url')}?namespace={uuid.uuid4().hex}"
    if request.param == "deno":
        return str(request.getfixturevalue("deno_url"))
    if request.param == "nats":
        return f"{request.getfixturevalue('nats_url')}/{uuid.uuid4().hex}"
    return str(request.getfixturevalue("postgres_url"))


def increment(url: str, space: str, times: int) -> None:
    with open_kv(url) as kv:
        for _ in range(times):
            while True:
                entry = kv.get((space, "n"))
                count = 0 if entry is None else entry.value
                stamp = None if entry is None else entry.versionstamp
                if kv.atomic().check((space, "n"), stamp).set((space, "n"), count + 1).commit().ok:
                    break


@pytest.mark.service
def test_eight_processes_that_start_together_lose_no_commit(shared_url: str) -> None:
    space = uuid.uuid4().hex

    with ProcessPoolExecutor(8, mp_context=multiprocessing.get_context("spawn")) as pool:
        for each in [pool.submit(increment, shared_url, space, 25) for _ in range(8)]:
            each.result()

    with open_kv(shared_url) as kv:
        entry = kv.get((space, "n"))
        assert entry is not None
        assert entry.value == 200


@pytest.mark.service
def test_a_page_of_a_list_shows_one_moment(shared_url: str) -> None:
    """Who looks for a batch on its way must not miss the one that a commit handed on to the next key."""
    space = uuid.uuid4().hex
    stop = threading.Event()

    def hand_on() -> None:
        with open_kv(shared_url) as kv:
            for number in range(300):
                kv.atomic().delete((space, number)).set((space, number + 1), "here").commit()
            stop.set()

    with open_kv(shared_url) as kv, ThreadPoolExecutor(1) as pool:
        kv.set((space, 0), "here")
        writer = pool.submit(hand_on)
        while not stop.is_set() and not writer.done():
            assert len(list(kv.list((space,)))) == 1
        writer.result()


@pytest.mark.service
def test_a_key_is_gone_only_once_no_commit_is_under_way_that_found_it_there(postgres_url: str) -> None:
    space = uuid.uuid4().hex
    with (
        open_kv(postgres_url) as kv,
        psycopg.connect(postgres_url) as holder,
        ThreadPoolExecutor(2) as pool,
    ):
        kv.set((space, "b"), "old")
        stamp = kv.set((space, "a"), 1, expire_in=timedelta(milliseconds=400))
        holder.execute("SELECT 1 FROM fc_connect_kv WHERE key = %s FOR UPDATE", (encode_key((space, "b")),))
        commit = pool.submit(kv.atomic().check((space, "a"), stamp).set((space, "b"), "new").commit)
        time.sleep(0.6)  # its check held, its write waits for the row, and the key expires

        def look() -> tuple[object, object]:
            return kv.get((space, "a")), kv.get((space, "b"))

        looked = pool.submit(look)
        time.sleep(0.2)
        holder.rollback()
        a, b = looked.result()

        assert commit.result().ok
        assert a is None
        assert isinstance(b, Entry)
        assert b.value == "new"


class HeldClock(ManualClock):
    """Tells the time late: a commit takes long after it was judged."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.is_slow = False

    def now(self) -> datetime:
        now = super().now()
        if self.is_slow:
            self.asked.set()
            assert self.go_on.wait(30)
        return now


def test_in_a_file_a_commit_checks_and_writes_under_one_lock(tmp_path: Path) -> None:
    statements: list[str] = []

    class Traced(SQLiteKV):
        def _connect(self) -> sqlite3.Connection:
            connection = super()._connect()
            connection.set_trace_callback(statements.append)
            return connection

    with Traced(tmp_path / "state.db") as kv:
        statements.clear()
        assert kv.atomic().check(("a",), None).set(("a",), 1).commit().ok

    verbs = [each.split()[0] for each in statements]
    assert verbs == ["BEGIN", "SELECT", "UPDATE", "INSERT", "COMMIT"]
    assert statements[0] == "BEGIN IMMEDIATE"


def test_in_a_file_a_key_is_gone_only_once_no_commit_is_under_way_that_found_it_there(tmp_path: Path) -> None:
    slow, clock = HeldClock(), ManualClock()
    url = f"sqlite:///{tmp_path}/state.db"
    with (
        open_kv(url, clock=slow) as writer,
        open_kv(url, clock=clock) as kv,
        ThreadPoolExecutor(2) as pool,
    ):
        stamp = kv.set(("a",), 1, expire_in=timedelta(minutes=1))
        slow.is_slow = True
        commit = pool.submit(writer.atomic().check(("a",), stamp).set(("b",), "new").commit)
        assert slow.asked.wait(30)  # its check holds, its write is still to come
        clock.advance(timedelta(minutes=2))

        looked = pool.submit(lambda: (list(kv.list(())), kv.get(("b",))))
        time.sleep(0.2)
        slow.go_on.set()
        listed, b = looked.result()

        assert commit.result().ok
        assert [entry.key for entry in listed] == [("b",)]
        assert b is not None


@pytest.mark.service
def test_a_key_that_was_made_to_stay_stays_in_lists(shared_url: str) -> None:
    space = uuid.uuid4().hex
    with open_kv(shared_url) as kv:
        kv.set((space, "a"), 1, expire_in=timedelta(milliseconds=50))
        kv.set((space, "a"), 2)
        time.sleep(1.3)  # until what has expired is swept away

        for number in range(70):
            kv.set((space, "b"), number)

        assert [entry.key for entry in kv.list((space,))] == [(space, "a"), (space, "b")]


@pytest.mark.service
def test_a_list_goes_on_below_the_last_key_of_a_page(shared_url: str) -> None:
    space = uuid.uuid4().hex
    with open_kv(shared_url) as kv:
        for at in range(0, 500, 100):
            write = kv.atomic()
            for number in range(at, at + 100):
                write.set((space, number), number)
            write.commit()
        kv.set((space, 499, "below"), "below")

        assert [entry.value for entry in kv.list((space,))] == [*range(500), "below"]


def test_a_key_demanded_at_two_versions_fails_the_commit() -> None:
    with open_kv("memory:") as kv:
        stamp = kv.set(("a",), 1)

        assert not kv.atomic().check(("a",), stamp).check(("a",), None).set(("a",), 2).commit().ok


def test_time_injected_decides_over_expiry(tmp_path: Path) -> None:
    clock = ManualClock()
    for url in ("memory:", f"sqlite:///{tmp_path}/state.db"):
        with open_kv(url, clock=clock) as kv:
            kv.set(("a",), 1, expire_in=timedelta(minutes=1))

            clock.advance(timedelta(seconds=59))
            before = kv.get(("a",))
            clock.advance(timedelta(seconds=1))

            assert before is not None
            assert kv.get(("a",)) is None


def test_an_anchor_outlives_a_step_of_the_wall_clock_but_not_a_boot() -> None:
    first = SteadyClock.anchor_now()

    assert SteadyClock.anchor_now(first) is first
    future = Anchor(boot_id="another boot", wall=first.wall + 10**12, since_boot=0)
    assert SteadyClock.anchor_now(future).wall == future.wall
    assert SteadyClock.anchor_now(future).boot_id == first.boot_id


def test_a_time_that_answers_tell_counts_only_where_ours_is_off() -> None:
    clock = ManualClock(datetime(2026, 1, 15, 12, 0, tzinfo=UTC))
    served = ServedTime(clock)

    served.observe("Thu, 15 Jan 2026 12:00:00 GMT", sent_at=clock.monotonic())
    near = served.now()
    clock.step_wall_clock(timedelta(hours=3))
    stepped = served.now()
    served.observe("Thu, 15 Jan 2026 13:00:00 GMT", sent_at=clock.monotonic())
    far = served.now()
    for date in (None, "", "nonsense", "Thu, 99 Jan 2026 12:00:01 GMT", "Thu, 15 Jan 2026 12:00:01"):
        served.observe(date, sent_at=clock.monotonic())

    assert near == stepped == datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
    assert datetime(2026, 1, 15, 13, 0, tzinfo=UTC) <= far <= datetime(2026, 1, 15, 13, 0, 1, tzinfo=UTC)
    assert served.now() == far


def test_a_file_that_is_no_store_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database at all, but long enough to be one" * 50)

    with pytest.raises(KVCorruptError, match=r"state\.db"):
        open_kv(f"sqlite:///{path}")


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()

    with pytest.raises(KVCorruptError, match="another program"):
        open_kv(f"sqlite:///{path}")


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    open_kv(f"sqlite:///{path}").close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(KVCorruptError, match="newer version"):
        open_kv(f"sqlite:///{path}")


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(KVUnavailableError, match="folder"):
        open_kv(f"sqlite:///{tmp_path}/file/state.db")


@pytest.mark.parametrize("url", ["mysql://x", "nonsense", "sqlite://", "sqlite:///", "sqlite://host/x"])
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_kv(url)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{}/0", "postgresql://u:secret@127.0.0.1:{}/x"])
def test_a_server_that_is_not_there_is_unavailable_and_no_password_shows(url: str) -> None:
    with pytest.raises(KVUnavailableError) as caught:
        open_kv(url.format(spare_port()))

    assert "secret" not in str(caught.value)


@pytest.mark.service
def test_redis_refuses_a_commit_across_first_parts(redis_url: str) -> None:
    with open_kv(redis_url) as kv, pytest.raises(KVValueError, match="first part"):
        kv.atomic().set(("a", 1), 1).set(("b", 1), 1).commit()


@pytest.mark.service
def test_redis_that_may_forget_is_told_apart(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    with open_kv(redis_url) as kv, open_kv(f"{redis_url}?durable=yes") as trusted:
        assert kv.lacks() == {}
        client.config_set("appendfsync", "everysec")
        try:
            assert "appendfsync always" in kv.lacks()[Guarantee.DURABLE]
            assert trusted.lacks() == {}
        finally:
            client.config_set("appendfsync", "always")
            client.close()


@pytest.mark.service
def test_postgresql_that_may_forget_is_told_apart(postgres_url: str) -> None:
    with open_kv(postgres_url) as kv:  # the server of the tests doesn't wait for its disk
        assert "fsync = on" in kv.lacks()[Guarantee.DURABLE]


def test_a_second_process_sees_the_first_ones_time(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    code = (
        f"from fc_connect.kv import open_kv; kv = open_kv({url!r}); print(kv.now().timestamp()); kv.close()"
    )

    with open_kv(url) as kv:
        before = kv.now().timestamp()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert before <= float(done.stdout) <= kv.now().timestamp()


def test_every_error_of_a_store_is_ours() -> None:
    assert issubclass(KVUnavailableError, KVError)
    assert KVUnavailableError.retryable
