"""What the store in NATS has of its own: old servers, streams set up wrongly, outages, forks, clusters."""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import os
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.msg import Msg

from fc_connect.errors import (
    ConfigurationError,
    KVCommitUnknownError,
    KVCorruptError,
    KVUnavailableError,
    KVValueError,
)
from fc_connect.kv import Guarantee, KVStore, open_kv
from fc_connect.kv.nats_link import ANSWER_TIMEOUT, Link, Login
from fc_connect.proof.proxy import Proxy
from tests.servers import NATSServer, spare_port

pytestmark = pytest.mark.service

SOUND = {"max_msgs_per_subject": 1, "discard": "new", "allow_direct": True, "num_replicas": 1}


@pytest.fixture
def bucket() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def server(tmp_path: Path, nats_url: str) -> Iterator[NATSServer]:
    """A server of our own, to be stopped at will; where there is none at all, `nats_url` has skipped."""
    server = NATSServer(tmp_path)
    server.start()
    yield server
    server.stop(kill=True)


def api(url: str, subject: str, question: Any = None) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        client = await nats.connect(url)
        answer = await client.request(f"$JS.API.{subject}", json.dumps(question).encode(), timeout=10)
        await client.close()
        return dict(json.loads(answer.data))

    answer = asyncio.run(ask())
    assert "error" not in answer, answer
    return answer


def publish(url: str, subject: str, content: bytes) -> None:
    async def send() -> None:
        client = await nats.connect(url)
        await client.request(subject, content, timeout=10)
        await client.close()

    asyncio.run(send())


def make_stream(url: str, bucket: str, **settings: Any) -> None:
    stream = {"name": f"KV_{bucket}", "subjects": [f"$KV.{bucket}.>"], **SOUND, **settings}
    api(
        url,
        f"STREAM.CREATE.KV_{bucket}",
        {name: value for name, value in stream.items() if value is not None},
    )


@pytest.mark.parametrize(
    ("rest", "fault"),
    [
        ("/a.b", "bucket"),
        ("/a/b", "bucket"),
        ("/a?replicas=2", "replicas"),
        ("/a?durable=no", "durable"),
        ("/a?history=5&x=1", "history, x"),
        ("/a?credentials=/no/such/file", "no credentials file"),
        ("/a?ca=/no/such/file", "certificates"),
        ("/a?answer_timeout=soon", "answer_timeout"),
        ("/a?answer_timeout=0", "answer_timeout"),
        ("/a?answer_timeout=nan", "answer_timeout"),
    ],
)
def test_a_url_that_can_not_be_is_refused(rest: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        open_kv(f"nats://u:secret@127.0.0.1{rest}")


def test_a_stream_without_batches_commits_one_key_at_a_time_and_says_so(nats_url: str, bucket: str) -> None:
    make_stream(nats_url, bucket)
    with open_kv(f"{nats_url}/{bucket}?durable=yes") as kv:
        stamp = kv.set(("a",), 1)

        assert "allow_atomic" in kv.lacks()[Guarantee.ATOMIC]
        assert kv.atomic().check(("a",), stamp).set(("a",), 2).commit().ok
        assert not kv.atomic().check(("a",), stamp).set(("a",), 3).commit().ok
        assert kv.atomic().check(("b",), None).commit().ok
        with pytest.raises(KVValueError, match=r"allow_atomic.*Nothing was written"):
            kv.atomic().set(("a",), 4).set(("b",), 4).commit()
        with pytest.raises(KVValueError, match="allow_atomic"):
            kv.atomic().check(("b",), None).set(("a",), 4).commit()
        assert [entry.value for entry in kv.list(())] == [2]


def test_without_direct_answers_the_leader_is_asked(nats_url: str, bucket: str) -> None:
    make_stream(nats_url, bucket, allow_direct=False, allow_atomic=True)
    with open_kv(f"{nats_url}/{bucket}") as kv:
        stamp = kv.atomic().set(("a", 1), "ü" * 1000).set(("a", 2), 2).delete(("a", 3)).commit().versionstamp
        kv.set(("a", 4), 4, expire_in=timedelta(hours=1))

        assert [(e.key, e.versionstamp == stamp) for e in kv.list(("a",))] == [
            (("a", 1), True),
            (("a", 2), True),
            (("a", 4), False),
        ]
        assert kv.atomic().check(("a", 1), stamp).check(("a", 3), None).set(("a", 3), 3).commit().ok


def test_a_mirror_that_answers_for_the_bucket_is_not_believed(nats_url: str, bucket: str) -> None:
    with open_kv(f"{nats_url}/{bucket}") as kv:
        kv.set(("a",), 1)
        mirror = {"mirror": {"name": f"KV_{bucket}"}, "mirror_direct": True, "num_replicas": 1}
        api(nats_url, f"STREAM.CREATE.M_{bucket}", {"name": f"M_{bucket}", **mirror})
        wait_for_answers_of(nats_url, f"M_{bucket}", bucket)
        api(nats_url, f"STREAM.PURGE.M_{bucket}", {"filter": f"$KV.{bucket}.k.>"})  # as if it lagged

        values = [kv.get(("a",)) for _ in range(40)]

        assert [entry and entry.value for entry in values] == [1] * 40


def wait_for_answers_of(url: str, mirror: str, bucket: str) -> None:
    async def ask() -> None:
        client = await nats.connect(url)
        question = json.dumps({"last_by_subj": f"$KV.{bucket}.fc-connect"}).encode()
        for _ in range(2000):
            answer = await client.request(f"$JS.API.DIRECT.GET.KV_{bucket}", question, timeout=10)
            if (answer.headers or {}).get("Nats-Stream") == mirror:
                return await client.close()
            await asyncio.sleep(0.01)
        raise AssertionError("the mirror never answers")

    asyncio.run(ask())


def test_the_bucket_of_another_program_is_left_alone(nats_url: str, bucket: str) -> None:
    make_stream(nats_url, bucket)
    publish(nats_url, f"$KV.{bucket}.theirs", b"x")

    with pytest.raises(KVCorruptError, match="another program"):
        open_kv(f"{nats_url}/{bucket}")
    assert api(nats_url, f"STREAM.INFO.KV_{bucket}")["state"]["last_seq"] == 1


def test_a_bucket_of_a_newer_version_is_refused(nats_url: str, bucket: str) -> None:
    open_kv(f"{nats_url}/{bucket}").close()
    publish(nats_url, f"$KV.{bucket}.fc-connect", b'{"schema": 99}')

    with pytest.raises(KVCorruptError, match="newer version"):
        open_kv(f"{nats_url}/{bucket}")


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"max_msgs_per_subject": 5}, "history: 1"),
        ({"max_age": 3600 * 10**9}, "max_age"),
        ({"discard": "old", "max_bytes": 10**6}, "discard: new"),
        ({"retention": "workqueue"}, "retention: limits"),
        ({"no_ack": True}, "no_ack"),
        ({"subjects": ["$KV.{}.>", "more.{}"]}, "subjects"),
    ],
)
def test_a_stream_that_would_lose_records_is_refused(
    nats_url: str, bucket: str, settings: dict[str, Any], fault: str
) -> None:
    if "subjects" in settings:
        settings = {"subjects": [each.format(bucket) for each in settings["subjects"]]}
    make_stream(nats_url, bucket, **settings)

    with pytest.raises(ConfigurationError, match=fault):
        open_kv(f"{nats_url}/{bucket}")


def test_what_the_server_does_not_tell_is_named_until_the_user_vouches_for_it(
    nats_url: str, bucket: str
) -> None:
    with open_kv(f"{nats_url}/{bucket}") as kv, open_kv(f"{nats_url}/{bucket}?durable=yes") as trusted:
        assert set(kv.lacks()) == {Guarantee.DURABLE}
        assert "sync_interval: always" in kv.lacks()[Guarantee.DURABLE]
        assert trusted.lacks() == {}


def test_nobody_can_vouch_for_memory(nats_url: str, bucket: str) -> None:
    make_stream(nats_url, bucket, storage="memory", allow_atomic=True)

    with open_kv(f"{nats_url}/{bucket}?durable=yes") as kv:
        assert "storage: file" in kv.lacks()[Guarantee.DURABLE]


def test_a_full_bucket_refuses_and_keeps_what_it_has(nats_url: str, bucket: str) -> None:
    make_stream(nats_url, bucket, max_bytes=20_000, allow_atomic=True)
    with open_kv(f"{nats_url}/{bucket}") as kv:
        kv.set(("a",), "x" * 9000)

        with pytest.raises(KVUnavailableError, match="Nothing was written"):
            kv.set(("b",), "x" * 20_000)
        with pytest.raises(KVUnavailableError, match="Nothing was written"):
            kv.atomic().set(("b",), "x" * 9000).set(("c",), "x" * 9000).commit()

        assert [entry.key for entry in kv.list(())] == [("a",)]


def test_a_value_that_the_server_does_not_take_is_refused_with_the_setting(
    tmp_path: Path, nats_url: str
) -> None:
    server = NATSServer(tmp_path, settings="max_payload: 64KB")
    server.start()
    try:
        with open_kv(server.url) as kv:
            kv.set(("a",), "x" * 60_000)
            with pytest.raises(KVValueError, match="max_payload: 2MB"):
                kv.atomic().set(("a",), 1).set(("b",), "x" * 66_000).commit()
            entry = kv.get(("a",))
    finally:
        server.stop(kill=True)

    assert entry is not None
    assert entry.value == "x" * 60_000


def test_more_keys_are_checked_than_written(nats_url: str, bucket: str) -> None:
    with open_kv(f"{nats_url}/{bucket}") as kv:
        stamps = [kv.set(("a", number), number) for number in range(60)]

        def commit(last: str | None) -> bool:
            write = kv.atomic().set(("b",), 1).delete(("c",)).check(("a", 60), last)
            for number, stamp in enumerate(stamps):
                write.check(("a", number), stamp)
            return write.commit().ok

        assert commit(None)
        assert not commit(stamps[0])
        assert kv.atomic().check(("a", 0), stamps[0]).check(("a", 1), stamps[1]).commit().ok
        assert not kv.atomic().check(("a", 0), stamps[0]).check(("a", 1), stamps[0]).commit().ok


def test_more_batches_than_the_server_takes_at_once_are_all_made(tmp_path: Path, nats_url: str) -> None:
    server = NATSServer(tmp_path, limits="batch { max_inflight_per_stream: 1 }")
    server.start()
    try:
        with open_kv(server.url) as kv, ThreadPoolExecutor(8) as pool:

            def commit(number: int) -> bool:
                return kv.atomic().set(("a", number), "x" * 50_000).set(("b", number), 1).commit().ok

            assert all(pool.map(commit, range(64)))
            assert len(list(kv.list(()))) == 128
    finally:
        server.stop(kill=True)


def test_a_password_is_needed_and_never_shown(tmp_path: Path, nats_url: str) -> None:
    server = NATSServer(tmp_path, settings='authorization { user: "u@x", password: "s/cret" }')
    server.start()
    address = server.url.removeprefix("nats://")
    try:
        with open_kv(f"nats://u%40x:s%2Fcret@{address}") as kv:
            kv.set(("a",), 1)
            assert "cret" not in repr(kv)
        with pytest.raises(KVUnavailableError, match="Authorization") as caught:
            open_kv(f"nats://u%40x:s%2Fcret2@{address}")
        with pytest.raises(KVUnavailableError, match="TLS") as plain:
            open_kv(f"nats+tls://u%40x:s%2Fcret@{address}")
    finally:
        server.stop(kill=True)

    assert "cret" not in str(caught.value) + str(plain.value)


def test_a_server_without_jetstream_is_told(tmp_path: Path, nats_url: str) -> None:
    server = NATSServer(tmp_path, jetstream=False)
    server.start()
    try:
        with pytest.raises(KVUnavailableError, match="JetStream"):
            open_kv(server.url)
    finally:
        server.stop(kill=True)


def test_a_store_outlives_the_crash_of_its_server(server: NATSServer) -> None:
    with open_kv(server.url) as kv:
        stamp = kv.atomic().set(("a",), 1).set(("b",), 2).delete(("c",)).commit().versionstamp

        server.stop(kill=True)
        server.start()

        assert [(entry.key, entry.versionstamp) for entry in kv.list(())] == [
            (("a",), stamp),
            (("b",), stamp),
        ]
        assert kv.atomic().check(("a",), stamp).set(("b",), 3).commit().ok


def test_nothing_is_sent_later_that_was_reported_as_not_sent(server: NATSServer) -> None:
    with open_kv(server.url) as kv:
        kv.set(("a",), 1)

        server.stop(kill=True)
        with pytest.raises(KVUnavailableError):
            kv.get(("a",))  # from here on the link is known to be cut
        with pytest.raises(KVUnavailableError):
            kv.set(("a",), 2)
        server.start()

        entry = kv.get(("a",))
        assert entry is not None
        assert entry.value == 1


def test_a_commit_without_an_answer_is_unknown(server: NATSServer) -> None:
    with open_kv(server.url) as kv, open_kv(f"{server.url}?answer_timeout=0.5") as impatient:
        stamp = kv.set(("a",), 1)

        server.pause()
        with pytest.raises(KVCommitUnknownError):
            impatient.set(("a",), 2)
        server.resume()

        entry = kv.get(("a",))
        assert entry is not None
        assert (entry.value == 1) == (entry.versionstamp == stamp)
        if not kv.atomic().check(("a",), entry.versionstamp).set(("a",), 3).commit().ok:
            late = kv.get(("a",))  # it was still on its way: now it is made
            assert late is not None
            assert (entry.value, late.value) == (1, 2)


def test_a_server_that_hangs_does_not_hang_what_sends_much(server: NATSServer) -> None:
    with open_kv(server.url) as kv, open_kv(f"{server.url}?answer_timeout=0.5") as impatient:
        server.pause()
        write = impatient.atomic()
        for number in range(40):
            write.set(("a", number), "x" * 1_000_000)

        with pytest.raises(KVCommitUnknownError):
            write.commit()

        server.resume()
        assert list(kv.list(("a",))) == []  # the batch never ended


@pytest.fixture
def slow_subject(nats_url: str) -> Iterator[str]:
    """Where somebody answers after two seconds."""
    subject = f"slow.{uuid.uuid4().hex}"
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        client = await nats.connect(nats_url)

        async def answer(message: Msg) -> None:
            await asyncio.sleep(2)
            await message.respond(b"at last")

        await client.subscribe(subject, cb=answer)
        await client.flush()
        ready.set()
        while not done.is_set():
            await asyncio.sleep(0.05)
        await client.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    yield subject
    done.set()
    thread.join()


def test_a_question_that_is_much_work_is_waited_for_while_the_server_lives(
    nats_url: str, slow_subject: str
) -> None:
    link = Link(Login(servers=[nats_url.removeprefix("nats://")], answer_timeout=0.7))
    try:
        answer = link.run(link.ask(slow_subject, is_patient=True))
        assert answer.data == b"at last"

        with pytest.raises(KVUnavailableError, match="no answer"):
            link.run(link.ask(slow_subject))
    finally:
        link.close()


def test_a_question_that_is_much_work_is_given_up_where_the_server_is_silent(server: NATSServer) -> None:
    link = Link(Login(servers=[server.url.removeprefix("nats://")], answer_timeout=0.5))
    try:
        server.pause()
        with pytest.raises(KVUnavailableError, match="no answer"):
            link.run(link.ask("$JS.API.INFO", is_patient=True))
    finally:
        server.resume()
        link.close()


def test_a_forked_child_opens_a_link_of_its_own(nats_url: str, bucket: str) -> None:
    with open_kv(f"{nats_url}/{bucket}") as kv:
        kv.set(("a",), os.getpid())
        child = multiprocessing.get_context("fork").Process(target=lambda: kv.set(("b",), os.getpid()))

        child.start()
        child.join(30)

        assert child.exitcode == 0
        assert [entry.value for entry in kv.list(())] == [os.getpid(), child.pid]


def test_a_closed_store_leaves_no_thread(nats_url: str, bucket: str) -> None:
    before = set(threading.enumerate())
    for _ in range(3):
        with open_kv(f"{nats_url}/{bucket}") as kv:
            kv.set(("a",), 1)
        with pytest.raises(KVUnavailableError):
            open_kv(f"nats://127.0.0.1:{spare_port()}")

    assert set(threading.enumerate()) == before


def test_stores_that_open_together_make_one_bucket(nats_url: str, bucket: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: open_kv(f"{nats_url}/{bucket}"), range(8)))
    for number, kv in enumerate(stores):
        kv.set(("a", number), number)
        kv.close()

    with open_kv(f"{nats_url}/{bucket}") as kv:
        assert len(list(kv.list(("a",)))) == 8


def test_half_a_commit_after_a_power_cut_is_refused(server: NATSServer) -> None:
    with open_kv(f"{server.url}/cut") as kv:
        kv.set(("a",), 1)
        kv.atomic().set(("a",), 2).set(("b",), 2).commit()
    server.stop(kill=True)
    messages = server.folder / "data" / "jetstream" / "$G" / "streams" / "KV_cut" / "msgs"
    (messages / "index.db").unlink(missing_ok=True)
    [block] = messages.glob("*.blk")
    os.truncate(block, block.stat().st_size - 3)  # of the second message, what reached the disk
    server.start()

    with pytest.raises(KVCorruptError, match="half a commit"):
        open_kv(f"{server.url}/cut")


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("is_direct", [True, False])
def test_a_list_knows_what_was_written_since_its_names_were_asked(
    nats_url: str, bucket: str, is_direct: bool, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fc_connect.kv.nats._PAGE", 64)
    make_stream(nats_url, bucket, allow_direct=is_direct, allow_atomic=True)
    with open_kv(f"{nats_url}/{bucket}") as kv:
        for number in range(0, 400, 2):
            kv.set(("a", number), "old")
        entries = kv.list(("a",), reverse=reverse)
        first = next(entries)
        kv.atomic().set(("a", 201), "new").delete(("a", 200)).set(("a", 202), "other").commit()

        seen = [(entry.key[1], entry.value) for entry in [first, *entries]]

    expected = dict.fromkeys(range(0, 400, 2), "old") | {201: "new", 202: "other"}
    del expected[200]
    assert seen == sorted(expected.items(), reverse=reverse)


@pytest.mark.parametrize("is_direct", [True, False])
def test_a_list_asks_for_its_names_again_where_too_much_was_written_since(
    nats_url: str, bucket: str, is_direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fc_connect.kv.nats._PAGE", 64)
    make_stream(nats_url, bucket, allow_direct=is_direct, allow_atomic=True)
    with open_kv(f"{nats_url}/{bucket}") as kv:
        for number in range(100):
            kv.set(("a", number), number)
        entries = kv.list(("a",))
        first = next(entries)
        for at in range(100, 1300, 100):
            write = kv.atomic()
            for number in range(at, at + 100):
                write.set(("a", number), number)
            write.commit()

        assert [entry.value for entry in [first, *entries]] == list(range(1300))


def test_who_waits_on_a_connection_that_is_reset_is_told_at_once(
    server: NATSServer, caplog: pytest.LogCaptureFixture
) -> None:
    def write_much(kv: KVStore) -> None:
        write = kv.atomic()
        for number in range(40):
            write.set(("a", number), "x" * 1_000_000)
        write.commit()

    with (
        Proxy.before(server.url) as proxy,
        open_kv(proxy.url(server.url)) as kv,
        ThreadPoolExecutor(1) as pool,
    ):
        server.pause()
        writer = pool.submit(write_much, kv)
        while proxy.passed["upstream"] < 100_000:
            time.sleep(0.01)
        proxy.down()

        with pytest.raises(KVCommitUnknownError):
            writer.result(timeout=ANSWER_TIMEOUT - 5)
        server.resume()

    gc.collect()
    assert "never retrieved" not in caplog.text
