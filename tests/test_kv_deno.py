"""Deno KV over KV Connect: its keys, its large values, what is said of faults; and the bridge that serves it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.clock import ManualClock
from fc_connect.errors import (
    ConfigurationError,
    KVCommitUnknownError,
    KVCorruptError,
    KVError,
    KVUnavailableError,
    KVValueError,
)
from fc_connect.kv import MAX_VALUE_BYTES, Guarantee, Key, KVStore, open_kv
from fc_connect.kv.deno_connect import KVConnect
from fc_connect.kv.deno_keys import decode_deno_key, encode_deno_key, encode_part
from fc_connect.kv.deno_messages import (
    DecodeError,
    ReadRange,
    Stored,
    decode_read_answer,
    decode_write_answer,
)
from fc_connect.sandbox import Sandbox
from tests.deno_front import Front, Spoilt
from tests.servers import DenoServer, spare_port
from tests.shop import Shop
from tests.test_kv import keys, rank

TOKEN = DenoServer.TOKEN
pytestmark = pytest.mark.service
AREA = encode_part("fc-connect") + encode_part("state")


@given(keys, keys)
def test_denos_bytes_sort_as_keys_do_and_no_two_collide(a: Key, b: Key) -> None:
    left, right = encode_deno_key(a, below=AREA), encode_deno_key(b, below=AREA)

    assert (left < right) == ([*map(rank, a)] < [*map(rank, b)])
    assert (left == right) == (a == b)


@given(keys)
def test_a_key_comes_back_from_denos_bytes(key: Key) -> None:
    assert decode_deno_key(encode_deno_key(key, below=AREA), below=AREA) == key


@given(keys, keys)
def test_a_prefix_in_denos_bytes_covers_exactly_what_is_below_it(prefix: Key, key: Key) -> None:
    base = encode_deno_key(prefix)

    is_below = len(key) > len(prefix) and key[: len(prefix)] == prefix

    assert (base + b"\x00" <= encode_deno_key(key) < base + b"\xff") == is_below


@given(st.one_of(st.binary(max_size=20), st.binary(max_size=20).map(lambda tail: AREA + tail)))
def test_bytes_that_are_no_key_of_ours_are_refused(content: bytes) -> None:
    try:
        key = decode_deno_key(content, below=AREA)
    except KVCorruptError:
        return
    assert encode_deno_key(key, below=AREA) == content


@given(st.binary(max_size=200))
def test_an_answer_that_is_no_message_is_refused_in_one_way(content: bytes) -> None:
    for decode in (lambda: decode_read_answer(content, version=3), lambda: decode_write_answer(content)):
        with contextlib.suppress(DecodeError):
            decode()


def test_a_key_that_deno_would_refuse_is_refused_before_it_is_sent() -> None:
    with pytest.raises(KVValueError, match="limit there"):
        encode_deno_key((-(2**63),) * 113, below=AREA)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("deno+https://host/", "one access token"),
        ("deno+https://secret@host/", "one access token"),
        ("deno+https://:secret@host/?token_file=x", "one access token"),
        ("deno+https://:secret@host/?durable=maybe", "durable"),
        ("deno+https://:secret@host/?nonsense=1", "nonsense"),
        ("deno+https://:secret@host/?namespace=", "namespace"),
        ("deno+https://:secret@host/#x", "#"),
        ("deno+https://:secret@/x", "no host"),
        ("deno+https://:se%20cret@host/", "odd character"),
        ("deno+https://host/?token_file=/nowhere/secret", "can't be read"),
    ],
)
def test_a_url_that_can_not_be_used_is_refused_without_showing_its_token(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        open_kv(url)

    assert "se%20cret" not in str(caught.value)
    assert ":secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(KVUnavailableError, match="can't be reached"):
        open_kv(f"deno+http://:{TOKEN}@127.0.0.1:{spare_port()}")


@pytest.mark.usefixtures("deno_server")  # where Deno can't be had, that one says so
def test_denos_own_client_sees_through_the_bridge_what_it_sees_in_a_file(tmp_path: Path) -> None:
    script = Path(__file__).with_name("deno_client.ts")
    empty = DenoServer(tmp_path)  # the client lists everything there is
    empty.start()

    try:
        in_a_file = empty.run(script, ":memory:")
        connected = empty.run(script, empty.address)
    finally:
        empty.remove()

    assert in_a_file.returncode == connected.returncode == 0, in_a_file.stderr + connected.stderr
    assert len(in_a_file.stdout.splitlines()) > 300
    assert connected.stdout == in_a_file.stdout


@pytest.fixture
def space() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def front(deno_server: DenoServer) -> Iterator[Front]:
    with Front(deno_server.address) as front:
        yield front


def url_of(port: int, space: str, more: str = "") -> str:
    return f"deno+http://:{TOKEN}@127.0.0.1:{port}?namespace={space}{more}"


@pytest.fixture
def kv(deno_server: DenoServer, space: str) -> Iterator[KVStore]:
    with open_kv(url_of(deno_server.port, space)) as store:
        yield store


@pytest.fixture
def spoilt_kv(front: Front, space: str) -> Iterator[KVStore]:
    with open_kv(url_of(front.port, space)) as store:
        yield store


def stored(port: int, space: str, area: str) -> list[Stored]:
    """Return what Deno has in one of the areas of a namespace."""
    connection = KVConnect(f"http://127.0.0.1:{port}/", read_token=lambda: TOKEN)
    base = encode_part(space) + encode_part(area)
    try:
        [found] = connection.read([ReadRange(start=base + b"\x00", end=base + b"\xff", limit=1000)])
        return list(found)
    finally:
        connection.close()


def noise(size: int, seed: int = 0) -> str:
    """Text that takes `size` bytes as JSON, and that nothing can pack."""
    return "".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz0123456789+/", k=size - 2))


def test_a_program_in_deno_can_read_what_is_stored(
    deno_server: DenoServer, space: str, tmp_path: Path
) -> None:
    script = tmp_path / "read.ts"
    script.write_text(
        "const kv = await Deno.openKv(Deno.args[0]);\n"
        "const entry = await kv.get([Deno.args[1], 'state', 'w', 'file', 'stock.csv']);\n"
        "console.log(JSON.parse(new TextDecoder().decode(entry.value)).value.status, entry.versionstamp);\n"
        "kv.close();\n"
    )

    with open_kv(url_of(deno_server.port, space)) as kv:
        stamp = kv.set(("w", "file", "stock.csv"), {"status": "completed"})

    done = deno_server.run(script, deno_server.address, space)
    assert done.stdout == f"completed {stamp}\n", done.stderr


def test_what_the_protocol_does_not_tell_is_lacking_until_vouched_for(
    deno_server: DenoServer, space: str
) -> None:
    with (
        open_kv(url_of(deno_server.port, space)) as kv,
        open_kv(url_of(deno_server.port, space, "&durable=yes")) as trusted,
    ):
        assert "durable=yes" in kv.lacks()[Guarantee.DURABLE]
        assert trusted.lacks() == {}


def test_the_token_may_lie_in_a_file_and_be_changed(deno_server: DenoServer, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("not-the-right-one\n")
    url = f"deno+http://127.0.0.1:{deno_server.port}?token_file={path}"
    with pytest.raises(KVUnavailableError, match="access token") as caught:
        open_kv(url)
    path.write_text(f"{TOKEN}\n")

    with open_kv(url) as kv:
        assert kv.get(("nothing",)) is None
    assert "not-the-right-one" not in str(caught.value)


def test_a_token_that_ran_out_is_replaced(tmp_path: Path) -> None:
    server = DenoServer(tmp_path, lifetime=1)
    server.start()
    try:
        with open_kv(server.url) as kv:
            deadline = datetime.now(UTC) + timedelta(seconds=2.5)
            while datetime.now(UTC) < deadline:
                kv.set(("a",), 1)
    finally:
        server.remove()


def test_a_refused_token_is_replaced_and_the_write_sent_again(spoilt_kv: KVStore, front: Front) -> None:
    front.spoil("atomic_write", Spoilt(status=401, body=b"expired"))

    spoilt_kv.set(("a",), 1)

    assert front.asked[-3:] == ["atomic_write", "", "atomic_write"]
    assert spoilt_kv.get(("a",)) is not None


@pytest.mark.parametrize(
    ("spoilt", "error"),
    [
        (Spoilt(status=400, body=b"too many checks"), KVValueError),
        (Spoilt(status=403, body=b"no"), KVUnavailableError),
        (Spoilt(status=429, body=b"slowly"), KVUnavailableError),
        (Spoilt(status=404, body=b"gone"), KVError),
        (Spoilt(status=200, body=b"\x08\x05"), KVUnavailableError),  # AW_WRITE_DISABLED
        (Spoilt(status=200, body=b"\x08\x02"), None),  # AW_CHECK_FAILURE
    ],
)
def test_a_write_that_was_refused_was_not_done(
    spoilt_kv: KVStore, front: Front, spoilt: Spoilt, error: type[KVError] | None
) -> None:
    front.spoil("atomic_write", spoilt, spoilt)
    write = spoilt_kv.atomic().set(("a",), 1)

    if error is None:
        assert not write.commit().ok
    else:
        with pytest.raises(error) as caught:
            write.commit()
        assert not isinstance(caught.value, KVCommitUnknownError)
    assert spoilt_kv.get(("a",)) is None


@pytest.mark.parametrize(
    "spoilt",
    [
        Spoilt(reaches_server=True),
        Spoilt(reaches_server=True, status=500, body=b"oh"),
        Spoilt(reaches_server=True, status=503),
        Spoilt(reaches_server=True, status=302, headers={"Location": "/elsewhere"}),
        Spoilt(reaches_server=True, status=200, body=b"<html>a gateway</html>"),
        Spoilt(reaches_server=True, status=200, body=b"\x08\x00"),  # AW_UNSPECIFIED
        Spoilt(reaches_server=True, status=200, body=b"\x08\x63"),  # a status of the future
        Spoilt(reaches_server=True, status=200, body=b"\x08\x01"),  # a success without a versionstamp
        Spoilt(reaches_server=False),
    ],
)
def test_a_write_without_a_good_answer_is_of_unknown_outcome_and_is_sent_once(
    spoilt_kv: KVStore, front: Front, spoilt: Spoilt
) -> None:
    front.spoil("atomic_write", spoilt)

    with pytest.raises(KVCommitUnknownError):
        spoilt_kv.atomic().check(("a",), None).set(("a",), 1).commit()

    assert (spoilt_kv.get(("a",)) is not None) == spoilt.reaches_server
    assert front.asked.count("atomic_write") == 2  # the other one was the schema's


@pytest.mark.parametrize("spoilt", [Spoilt(), Spoilt(status=502), Spoilt(status=200, body=b"<html>")])
def test_a_read_is_asked_twice_before_it_is_given_up(
    spoilt_kv: KVStore, front: Front, spoilt: Spoilt
) -> None:
    spoilt_kv.set(("a",), 1)

    front.spoil("snapshot_read", spoilt)
    entry = spoilt_kv.get(("a",))
    front.spoil("snapshot_read", spoilt, spoilt)
    with pytest.raises(KVUnavailableError):
        spoilt_kv.get(("a",))

    assert entry is not None


def test_a_read_that_does_not_claim_to_be_strongly_consistent_is_none(
    spoilt_kv: KVStore, front: Front
) -> None:
    spoilt_kv.set(("a",), 1)
    strong = b"\x20\x01"
    front.changed = lambda method, answer: (
        answer.replace(strong, b"") if method == "snapshot_read" else answer
    )

    with pytest.raises(KVUnavailableError, match="strong consistency"):
        spoilt_kv.get(("a",))


def test_an_answer_with_keys_that_were_not_asked_for_is_none(spoilt_kv: KVStore, front: Front) -> None:
    spoilt_kv.set(("a",), 1)
    front.changed = lambda method, answer: answer.replace(b"\x02a\x00", b"\x02b\x00")

    with pytest.raises(KVUnavailableError, match="other ranges"):
        spoilt_kv.get(("a",))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "speak KV Connect"),
        (b"{}", "speak KV Connect"),
        ({"version": 9}, "version 9"),
        ({"endpoints": []}, "strongly consistent"),
        ({"endpoints": [{"url": "/x", "consistency": "eventual"}]}, "strongly consistent"),
        ({"endpoints": [{"url": "ftp://x/", "consistency": "strong"}]}, "isn't a URL"),
        ({"uuid": ""}, "no database"),
        ({"token": "a b"}, "no token"),
        ({"expiresAt": "2026-01-01T00:00:00"}, "no certain time"),
    ],
)
def test_what_does_not_speak_kv_connect_is_told_apart(
    front: Front, space: str, body: Any, reason: str
) -> None:
    metadata = {
        "version": 2,
        "uuid": "x",
        "endpoints": [{"url": "/kv-connect", "consistency": "strong"}],
        "token": "t",
        "expiresAt": "2100-01-01T00:00:00Z",
    }
    content = body if isinstance(body, bytes) else msgspec.json.encode({**metadata, **body})
    front.spoil("", Spoilt(status=200, body=content))

    with pytest.raises(KVError, match=reason):
        open_kv(url_of(front.port, space))


def test_a_redirect_is_followed_on_the_same_host_alone(front: Front, space: str) -> None:
    front.spoil("", Spoilt(status=308, headers={"Location": "/there/"}))
    open_kv(url_of(front.port, space)).close()

    front.spoil("", Spoilt(status=308, headers={"Location": "http://localhost:1/there"}))
    with pytest.raises(KVUnavailableError, match="localhost"):
        open_kv(url_of(front.port, space))


def test_what_a_server_says_is_shown_without_the_token(front: Front, space: str) -> None:
    front.spoil("", Spoilt(status=401, body=f"\x1b[1mno such token: {TOKEN}".encode()))

    with pytest.raises(KVUnavailableError, match=r"no such token: \*\*\*") as caught:
        open_kv(url_of(front.port, space))

    assert "\x1b" not in str(caught.value)


def test_a_store_of_a_newer_version_is_refused(deno_server: DenoServer, space: str) -> None:
    open_kv(url_of(deno_server.port, space)).close()
    connection = KVConnect(f"{deno_server.address}/", read_token=lambda: TOKEN)
    connection.write([], [(encode_part(space) + encode_part("schema"), b'{"value":99}', 0)])
    connection.close()

    with pytest.raises(KVCorruptError, match="newer version"):
        open_kv(url_of(deno_server.port, space))


def test_what_another_program_put_there_is_told_apart(
    kv: KVStore, deno_server: DenoServer, space: str
) -> None:
    connection = KVConnect(f"{deno_server.address}/", read_token=lambda: TOKEN)
    key = encode_deno_key(("a",), below=encode_part(space) + encode_part("state"))
    for content in (b"not JSON", b'{"value":1,"size":-1}', b'{"chunks":"x","size":1}', b"{}"):
        connection.write([], [(key, content, 0)])

        with pytest.raises(KVCorruptError):
            kv.get(("a",))
    connection.close()


def test_the_largest_values_come_back_also_many_in_one_commit(kv: KVStore) -> None:
    values = [noise(MAX_VALUE_BYTES if number < 3 else 50_000, number) for number in range(30)]
    write = kv.atomic()
    for number, value in enumerate(values):
        write.set(("large", number), value)

    assert write.commit().ok

    assert [entry.value for entry in kv.list(("large",))] == values
    assert [entry and entry.value for entry in kv.get_many([("large", 2), ("large", 7)])] == [
        values[2],
        values[7],
    ]


def test_a_list_of_large_values_is_cut_into_pages_that_fit_into_memory(
    kv: KVStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fc_connect.kv.deno._MAX_READ", 150_000)
    for number in range(7):
        kv.set(("large", number), noise(70_000, number))
    kv.set(("large", 7), "small")

    assert [entry.key[1] for entry in kv.list(("large",))] == [*range(8)]
    assert [entry.key[1] for entry in kv.list(("large",), reverse=True)] == [*reversed(range(8))]
    assert [entry.key[1] for entry in kv.list(("large",), limit=5)] == [*range(5)]


def test_chunks_go_with_their_value(kv: KVStore, deno_server: DenoServer, space: str) -> None:
    counts = []
    for change in (
        lambda: kv.set(("a",), noise(100_000, 1)),
        lambda: kv.set(("a",), noise(200_000, 2)),
        lambda: kv.atomic().check(("a",), None).set(("a",), noise(300_000, 3)).commit(),  # fails
        lambda: kv.set(("a",), "small"),
        lambda: kv.set(("a",), noise(100_000, 4)),
        lambda: kv.delete(("a",)),
    ):
        change()
        counts.append(len(stored(deno_server.port, space, "chunks")))

    assert counts == [2, 4, 4, 0, 2, 0]
    assert stored(deno_server.port, space, "large") == stored(deno_server.port, space, "pending") == []


def test_chunks_of_a_commit_that_never_came_are_swept_a_day_later(
    front: Front, deno_server: DenoServer, space: str
) -> None:
    clock = ManualClock()
    url = url_of(front.port, space)
    with open_kv(url, clock=clock) as kv:
        front.spoil("atomic_write", Spoilt(reaches_server=True, status=500))
        with pytest.raises(KVUnavailableError):  # the chunks' answer was lost: the commit isn't begun
            kv.set(("a",), noise(100_000))
        assert kv.get(("a",)) is None
    assert len(stored(deno_server.port, space, "chunks")) == 2

    clock.advance(timedelta(hours=23))
    open_kv(url, clock=clock).close()
    kept = len(stored(deno_server.port, space, "chunks"))
    clock.advance(timedelta(hours=2))
    open_kv(url, clock=clock).close()

    assert kept == 2
    assert [stored(deno_server.port, space, area) for area in ("chunks", "large", "pending")] == [[], [], []]


def test_a_large_commit_whose_chunks_were_swept_writes_nothing(
    front: Front, deno_server: DenoServer, space: str
) -> None:
    clock, late = ManualClock(), ManualClock()
    late.advance(timedelta(days=2))
    with open_kv(url_of(front.port, space), clock=clock) as kv:

        def sweep_before(method: str, answer: bytes) -> bytes:
            if method == "atomic_write":  # the chunks were written
                front.changed = lambda method, answer: answer
                open_kv(url_of(deno_server.port, space), clock=late).close()
            return answer

        front.changed = sweep_before
        result = kv.atomic().set(("a",), noise(100_000)).commit()

        assert not result.ok
        assert kv.get(("a",)) is None


def test_a_large_value_of_unknown_outcome_is_there_whole(spoilt_kv: KVStore, front: Front) -> None:
    value = noise(100_000)
    commits = iter([False, True])

    def lose_the_second(method: str, answer: bytes) -> bytes:
        return b"<html>" if method == "atomic_write" and next(commits, False) else answer

    front.changed = lose_the_second
    with pytest.raises(KVCommitUnknownError):
        spoilt_kv.set(("a",), value)

    entry = spoilt_kv.get(("a",))
    assert entry is not None
    assert entry.value == value


def test_readers_of_a_large_value_that_changes_see_whole_ones(kv: KVStore) -> None:
    values = {letter: letter * 100_000 for letter in "abcd"}
    kv.set(("a",), values["a"])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for value in values.values():
                kv.set(("a",), value)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [kv.get(("a",)) for _ in range(100)]
    finally:
        stop.set()
        writer.join()

    assert all(entry is not None and entry.value in values.values() for entry in seen)


def test_expiry_is_judged_without_deno_and_deno_deletes_a_day_later(
    deno_server: DenoServer, space: str
) -> None:
    clock = ManualClock(datetime.now(UTC))
    with open_kv(url_of(deno_server.port, space), clock=clock) as kv:
        kv.set(("a",), 1, expire_in=timedelta(minutes=1))
        kv.set(("b",), noise(100_000), expire_in=timedelta(minutes=1))

        clock.advance(timedelta(seconds=59))
        before = [entry.key for entry in kv.list(())]
        clock.advance(timedelta(seconds=1))

        assert before == [("a",), ("b",)]
        assert list(kv.list(())) == []
        assert len(stored(deno_server.port, space, "state")) == 2
        assert kv.atomic().check(("a",), None).check(("b",), None).set(("a",), 2).commit().ok


def test_a_versionstamp_from_another_client_is_checked_for_expiry_too(
    deno_server: DenoServer, space: str
) -> None:
    clock = ManualClock()
    url = url_of(deno_server.port, space)
    with open_kv(url, clock=clock) as one, open_kv(url, clock=clock) as other:
        brief = one.set(("a",), 1, expire_in=timedelta(minutes=1))
        lasting = one.set(("b",), 1)
        clock.advance(timedelta(minutes=2))

        assert not other.atomic().check(("a",), brief).set(("a",), 2).commit().ok
        assert other.atomic().check(("b",), lasting).set(("b",), 2).commit().ok
        assert not other.atomic().check(("b",), lasting).set(("b",), 3).commit().ok


def test_a_store_outlives_the_server_being_killed_and_started_again(tmp_path: Path) -> None:
    server = DenoServer(tmp_path)
    server.start()
    try:
        with open_kv(server.url) as kv:
            stamp = kv.set(("a",), 1)
            server.stop(signal.SIGKILL)

            with pytest.raises(KVUnavailableError):
                kv.get(("a",))
            with pytest.raises(KVError):
                kv.set(("a",), 2)
            server.start()

            entry = kv.get(("a",))
            assert entry is not None
            assert (entry.value, entry.versionstamp) == (1, stamp)
            assert kv.atomic().check(("a",), stamp).set(("a",), 2).commit().ok
    finally:
        server.remove()


def count_up(kv: KVStore, times: int) -> None:
    for _ in range(times):
        while True:
            entry = kv.get(("n",))
            stamp = None if entry is None else entry.versionstamp
            count = 0 if entry is None else entry.value
            if kv.atomic().check(("n",), stamp).set(("n",), count + 1).commit().ok:
                break


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_uses_connections_of_its_own(kv: KVStore) -> None:
    count_up(kv, 1)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=count_up, args=(kv, 10)) for _ in range(3)]

    for child in children:
        child.start()
    count_up(kv, 10)
    for child in children:
        child.join()

    entry = kv.get(("n",))
    assert entry is not None
    assert entry.value == 41
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert os.getpid() in kv._connection._clients  # type: ignore[attr-defined]


@pytest.fixture
def shop(tmp_path: Path, front: Front, space: str) -> Iterator[Shop]:
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        yield Shop(tmp_path / "shop", sandbox, state=url_of(front.port, space))


def test_a_pipeline_that_demands_exactly_once_runs_where_the_store_is_vouched_for(
    shop: Shop, front: Front, space: str
) -> None:
    shop.stock("a.csv", warehouse="W1", rows=25, age=1)
    shop.stock("b.csv", warehouse="W2", rows=5, age=2)
    shop.configure(exactly_once="required")
    with pytest.raises(ConfigurationError, match="durable=yes"):
        shop.run()

    shop.configure(state=url_of(front.port, space, "&durable=yes"))
    first, second = shop.run(), shop.run()

    assert (first.files_processed, second.files_processed, second.files_skipped) == (2, 0, 2), first.errors
    assert set(shop.deliveries().values()) == {1}
    assert len(shop.deliveries()) == 30


def test_a_pipeline_whose_stores_answers_are_lost_delivers_each_record_once(shop: Shop, front: Front) -> None:
    shop.stock("a.csv", warehouse="W1", rows=60, age=1)
    rng = random.Random(7)
    losses = []

    def lose_some(method: str, answer: bytes) -> bytes:
        if method == "atomic_write" and len(front.asked) > 8 and rng.random() < 0.2:
            losses.append(method)
            return b"<html>a gateway</html>"
        return answer

    front.changed = lose_some
    for _ in range(30):
        try:
            result = shop.run()
        except KVError:
            continue  # it is told, and the next run carries on
        if result.success and result.files_processed + result.files_completed_before == 1:
            break

    assert losses
    assert len(shop.deliveries()) == 60
    assert set(shop.deliveries().values()) == {1}


def test_a_run_goes_on_where_it_stopped_when_the_server_was_killed(tmp_path: Path) -> None:
    server = DenoServer(tmp_path)
    server.start()
    try:
        with Sandbox(processing_time=timedelta(0)) as sandbox:
            shop = Shop(tmp_path / "shop", sandbox, state=server.url)
            shop.stock("a.csv", warehouse="W1", rows=400)
            process = shop.start()
            shop.wait_for_batches(5)
            server.stop(signal.SIGKILL)
            process.communicate(timeout=60)
            server.start()

            result = shop.pipeline().run(wait=True)

            assert result.success, result.errors
            assert len(shop.deliveries()) == 400
            assert set(shop.deliveries().values()) == {1}
    finally:
        server.remove()
