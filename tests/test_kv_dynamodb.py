"""DynamoDB: lost answers, throttling, large values, and what else the suite of all stores can't see."""

from __future__ import annotations

import json
import multiprocessing
import random
import string
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from fc_connect.clock import ManualClock, SystemClock
from fc_connect.errors import (
    ConfigurationError,
    KVCommitUnknownError,
    KVCorruptError,
    KVUnavailableError,
    KVValueError,
)
from fc_connect.kv import MAX_VALUE_BYTES, Guarantee, KVStore, open_kv
from fc_connect.kv.steady import ServedTime
from fc_connect.proof.disturbances import NetworkTrouble
from fc_connect.proof.histories import record, record_leases
from fc_connect.proof.history import History
from fc_connect.proof.linearizability import Verdict, check
from fc_connect.proof.proxy import Proxy

pytestmark = pytest.mark.service


class Between:
    """Forwards requests to the server, and does to some what networks and busy servers do."""

    def __init__(self, endpoint: str) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.before: Callable[[str], None] = lambda operation: None
        self.lose = 0
        """So many answers to transactions are lost on their way."""
        self.instead: list[tuple[str, dict[str, Any]]] = []
        """Operations that are answered with this instead, each once."""
        self.knows_tokens = True
        between, target = self, urlsplit(endpoint).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                operation = self.headers["X-Amz-Target"].partition(".")[2]
                body = self.rfile.read(int(self.headers["Content-Length"]))
                between.seen.append((operation, json.loads(body)))
                between.before(operation)
                for each in between.instead:
                    if each[0] == operation:
                        between.instead.remove(each)
                        status = 400 if "__type" in each[1] else 200
                        return self.answer(status, json.dumps(each[1]).encode(), None)
                if not between.knows_tokens:
                    body = json.dumps(
                        {k: v for k, v in json.loads(body).items() if k != "ClientRequestToken"}
                    ).encode()
                connection = HTTPConnection(target)
                headers = {k: v for k, v in self.headers.items() if k not in {"Host", "Content-Length"}}
                connection.request("POST", self.path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                if operation == "TransactWriteItems" and between.lose > 0:
                    between.lose -= 1
                    self.close_connection = True
                    return None
                return self.answer(answer.status, content, answer.headers["Date"])

            def answer(self, status: int, content: bytes, date: str | None) -> None:
                self.send_response_only(status)
                self.send_header("Date", date or self.date_time_string())
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def transactions(self) -> list[dict[str, Any]]:
        return [body for operation, body in self.seen if operation == "TransactWriteItems"]


@pytest.fixture
def between(dynamodb_endpoint: str) -> Iterator[Between]:
    proxy = Between(dynamodb_endpoint)
    yield proxy
    proxy.close()


@pytest.fixture
def url(dynamodb_url: str, dynamodb_endpoint: str, between: Between) -> str:
    return dynamodb_url.replace(dynamodb_endpoint, between.url)


@pytest.fixture
def kv(url: str) -> Iterator[KVStore]:
    with open_kv(url) as store:
        yield store


def admin(endpoint: str) -> Any:
    return boto3.client("dynamodb", region_name="eu-west-1", endpoint_url=endpoint)


def table_of(url: str) -> str:
    return urlsplit(url).netloc


def value_of(kv: KVStore, *key: str | int) -> Any:
    entry = kv.get(key)
    return None if entry is None else entry.value


def incompressible(size: int, seed: int = 1) -> str:
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits + "+/", k=size))


def test_a_commit_whose_answer_was_lost_is_repeated_to_no_second_effect(
    kv: KVStore, between: Between
) -> None:
    stamp = kv.set(("w", "n"), 1)
    between.seen.clear()
    between.lose = 1

    result = kv.atomic().check(("w", "n"), stamp).delete(("w", "n")).set(("w", "m"), 2).commit()

    first, second = between.transactions()
    assert result.ok
    assert first == second
    assert value_of(kv, "w", "n") is None
    assert value_of(kv, "w", "m") == 2


def test_a_server_that_knows_no_tokens_is_asked_whose_stamp_it_holds(kv: KVStore, between: Between) -> None:
    stamp = kv.set(("w", "n"), 1)
    between.knows_tokens, between.lose = False, 1

    assert kv.atomic().check(("w", "n"), stamp).set(("w", "n"), 2).commit().ok
    assert value_of(kv, "w", "n") == 2


def test_a_repetition_that_nothing_explains_is_unknown(kv: KVStore, between: Between) -> None:
    stamp = kv.set(("w", "n"), 1)
    between.knows_tokens, between.lose = False, 1

    with pytest.raises(KVCommitUnknownError):
        kv.atomic().check(("w", "n"), stamp).delete(("w", "n")).commit()


def test_a_commit_whose_answers_are_all_lost_is_unknown(kv: KVStore, between: Between) -> None:
    between.lose = 99

    with pytest.raises(KVCommitUnknownError):
        kv.set(("w", "n"), 1)

    assert len({each["ClientRequestToken"] for each in between.transactions()}) == 1
    assert value_of(kv, "w", "n") == 1


def cancelled(*codes: str, by: str = "TransactWriteItems") -> tuple[str, dict[str, Any]]:
    reasons = [{"Code": code} for code in codes]
    return by, {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "CancellationReasons": reasons,
    }


def throttled(operation: str) -> tuple[str, dict[str, Any]]:
    return operation, {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "slow"}


def test_what_is_refused_for_now_is_tried_again(kv: KVStore, between: Between) -> None:
    between.instead += [cancelled("TransactionConflict", "None"), throttled("TransactWriteItems")]
    between.instead += [throttled("UpdateItem"), cancelled("TransactionConflict", by="TransactGetItems")]

    assert kv.atomic().set(("w", "a"), 1).set(("w", "b"), 1).commit().ok
    assert value_of(kv, "w", "a") == 1
    assert between.instead == []


def test_an_answer_that_was_cut_short_is_asked_for_again(kv: KVStore, between: Between) -> None:
    kv.set(("w", "n"), 1)
    between.instead += [(each, {}) for each in ("TransactGetItems", "Query", "UpdateItem")]

    assert value_of(kv, "w", "n") == 1
    assert [entry.value for entry in kv.list(("w",))] == [1]
    assert kv.set(("w", "n"), 2)
    assert between.instead == []


def test_a_table_that_stays_too_busy_is_unavailable(url: str, between: Between) -> None:
    with open_kv(url, clock=ManualClock()) as kv:  # its sleeps take no time
        between.instead += [cancelled("None", "TransactionConflict")] * 1000

        with pytest.raises(KVUnavailableError, match=r"too busy.*Nothing was written"):
            kv.set(("w", "n"), 1)

        between.instead.clear()
        assert value_of(kv, "w", "n") is None


def test_a_check_that_fails_is_an_answer_even_beside_a_collision(kv: KVStore, between: Between) -> None:
    between.instead += [cancelled("ConditionalCheckFailed", "TransactionConflict")]

    assert not kv.atomic().check(("w", "a"), None).set(("w", "b"), 1).commit().ok
    assert value_of(kv, "w", "b") is None


def test_a_write_that_was_overtaken_gets_a_later_stamp(
    kv: KVStore, dynamodb_url: str, between: Between
) -> None:
    with open_kv(dynamodb_url) as other:
        stamps: list[str] = []

        def overtake(operation: str) -> None:
            if operation == "TransactWriteItems" and not stamps:
                stamps.append(other.set(("w", "n"), "theirs"))

        between.before = overtake

        ours = kv.set(("w", "n"), "ours")

    assert value_of(kv, "w", "n") == "ours"
    assert ours > stamps[0]


def test_a_value_that_does_not_pack_is_kept_in_pieces(kv: KVStore, dynamodb_url: str) -> None:
    large, other = incompressible(MAX_VALUE_BYTES - 2), incompressible(700_000, seed=2)

    for value in (large, other, "small", large):
        stamp = kv.set(("w", "n"), value)
        assert value_of(kv, "w", "n") == value
    kv.set(("w", "m"), 1)

    assert [entry.value for entry in kv.list(("w",))] == [1, large]
    assert [each and each.versionstamp for each in kv.get_many([("w", "n"), ("w", "n")])] == [stamp] * 2
    assert kv.atomic().check(("w", "n"), stamp).delete(("w", "n")).commit().ok
    assert value_of(kv, "w", "n") is None


def test_a_commit_beyond_four_megabytes_is_refused_with_the_limit(kv: KVStore) -> None:
    write = kv.atomic()
    for number in range(7):
        write.set(("w", number), incompressible(900_000, seed=number))

    with pytest.raises(KVValueError, match="4,000,000"):
        write.commit()
    assert list(kv.list(("w",))) == []


def test_values_too_large_to_be_read_at_once_are_read_in_groups(kv: KVStore, between: Between) -> None:
    for number in range(12):
        kv.set(("w", number), number)
    between.instead += [cancelled("ValidationError", by="TransactGetItems")]

    entries = kv.get_many([("w", number) for number in range(12)])

    assert [each and each.value for each in entries] == list(range(12))


def test_one_commit_may_span_workflows_and_keeps_the_order_of_each(kv: KVStore) -> None:
    for _ in range(5):
        before = kv.set(("a", 1), 1)
    kv.set(("b", 1), 1)

    both = kv.atomic().set(("a", 1), 2).set(("b", 1), 2).commit().versionstamp or ""

    assert before < both < kv.set(("b", 2), 1)
    assert both < kv.set(("a", 2), 1)
    assert [entry.key for entry in kv.list(())] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert [entry.key for entry in kv.list((), reverse=True, limit=3)] == [("b", 2), ("b", 1), ("a", 2)]


def test_namespaces_share_a_table_and_nothing_else(kv: KVStore, dynamodb_url: str) -> None:
    kv.set(("w", "n"), 1)

    with open_kv(f"{dynamodb_url}&namespace=other") as other:
        assert list(other.list(())) == []


def test_an_expiry_is_judged_by_the_time_injected(url: str) -> None:
    clock = ManualClock()
    with open_kv(url, clock=clock) as kv:
        stamp = kv.set(("w", "n"), 1, expire_in=timedelta(minutes=1))
        clock.advance(timedelta(seconds=59))
        assert kv.atomic().check(("w", "n"), stamp).commit().ok

        clock.advance(timedelta(seconds=1))

        assert kv.get(("w", "n")) is None
        assert not kv.atomic().check(("w", "n"), stamp).set(("w", "n"), 2).commit().ok
        assert kv.atomic().check(("w", "n"), None).set(("w", "n"), 2).commit().ok


@pytest.mark.parametrize("recorder", [record, record_leases])
def test_histories_recorded_with_cut_connections_are_linearizable(
    dynamodb_url: str, dynamodb_endpoint: str, recorder: Callable[..., History]
) -> None:
    port = urlsplit(dynamodb_endpoint).port or 0
    with Proxy("127.0.0.1", port, seed=1) as proxy, open_kv(dynamodb_url) as quiet:
        through = dynamodb_url.replace(dynamodb_endpoint, f"http://127.0.0.1:{proxy.port}")
        with open_kv(through) as one, open_kv(through) as two:
            trouble = NetworkTrouble(proxy, within=1.0)
            history = recorder([one, two, one], seed=1, operations=30, disturbance=trouble, quiet=quiet)

    assert check(history).verdict is Verdict.LINEARIZABLE


def increment(kv: KVStore, times: int) -> None:
    for _ in range(times):
        while True:
            entry = kv.get(("w", "n"))
            count, stamp = (0, None) if entry is None else (entry.value, entry.versionstamp)
            if kv.atomic().check(("w", "n"), stamp).set(("w", "n"), count + 1).commit().ok:
                break


def test_forked_processes_that_share_an_open_store_lose_no_commit(dynamodb_url: str) -> None:
    context = multiprocessing.get_context("fork")
    with open_kv(dynamodb_url) as kv:
        kv.set(("w", "n"), 0)
        workers = [context.Process(target=increment, args=(kv, 4)) for _ in range(3)]
        for each in workers:
            each.start()
        for each in workers:
            each.join()

        assert [each.exitcode for each in workers] == [0, 0, 0]
        assert value_of(kv, "w", "n") == 12


def test_what_a_newer_version_wrote_is_refused(kv: KVStore, url: str, dynamodb_endpoint: str) -> None:
    client = admin(dynamodb_endpoint)
    place = {"pk": {"B": b"fc-connect\0s"}, "sk": {"B": b"schema"}}
    client.put_item(TableName=table_of(url), Item={**place, "layout": {"N": "99"}})
    client.close()

    with pytest.raises(KVCorruptError, match="newer version"):
        open_kv(url)


def test_a_table_of_another_program_is_left_alone(url: str, dynamodb_endpoint: str) -> None:
    client = admin(dynamodb_endpoint)
    client.create_table(
        TableName=table_of(url),
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.close()

    with pytest.raises(KVCorruptError, match="wasn't made for this"):
        open_kv(url)


def test_a_table_that_may_not_be_made_is_told_with_the_command(url: str, between: Between) -> None:
    denied = {
        "__type": "com.amazon.coral.service#AccessDeniedException",
        "Message": "not authorized to perform: dynamodb:CreateTable",
    }
    between.instead += [("CreateTable", denied)]

    with pytest.raises(KVUnavailableError) as caught:
        open_kv(url)

    assert f"aws dynamodb create-table --table-name {table_of(url)} --region eu-west-1" in str(caught.value)
    assert "dynamodb:CreateTable" in str(caught.value)
    assert "not-a-secret" not in str(caught.value)


def test_credentials_that_are_refused_are_told_without_a_word_of_them(kv: KVStore, between: Between) -> None:
    refusal = {"__type": "x#InvalidSignatureException", "message": "x-amz-security-token:A1B2"}
    between.instead += [("TransactGetItems", refusal)]

    with pytest.raises(KVUnavailableError, match="credentials") as caught:
        kv.get(("w", "n"))

    assert "A1B2" not in str(caught.value)


def test_a_table_that_went_away_is_unavailable(kv: KVStore, url: str, dynamodb_endpoint: str) -> None:
    client = admin(dynamodb_endpoint)
    client.delete_table(TableName=table_of(url))
    client.close()

    with pytest.raises(KVUnavailableError, match="no table"):
        kv.set(("w", "n"), 1)


def test_a_server_that_is_not_amazons_has_to_be_vouched_for(kv: KVStore, url: str) -> None:
    with open_kv(url.replace("&durable=yes", "")) as unvouched:
        assert "durable=yes" in unvouched.lacks()[Guarantee.DURABLE]
    assert kv.lacks() == {}


@pytest.mark.parametrize(
    ("consistency", "lacking"), [("EVENTUAL", Guarantee.LINEARIZABLE), ("STRONG", Guarantee.ATOMIC)]
)
def test_a_global_table_is_told_apart(
    kv: KVStore, between: Between, consistency: str, lacking: Guarantee
) -> None:
    table = {"Replicas": [{"RegionName": "us-east-1"}], "MultiRegionConsistency": consistency}
    between.instead += [("DescribeTable", {"Table": table})]

    lacks = kv.lacks()

    assert set(lacks) == {lacking}
    assert "us-east-1" in lacks[lacking]


@pytest.mark.parametrize(
    "url",
    [
        "dynamodb://",
        "dynamodb:///table",
        "dynamodb://table/more",
        "dynamodb://key:secret@table",
        "dynamodb://table?acces_key=secret",
        "dynamodb://table?region=x&endpoint_url=ftp://x",
        "dynamodb://table?region=x&endpoint_url=http://key:secret@x",
        "dynamodb://table?region=x&durable=no",
        "dynamodb://table?region=x&namespace=",
        "dynamodb://table?region=not a region",
    ],
)
def test_a_url_that_can_not_be_used_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_kv(url)

    assert "secret" not in str(caught.value)


def test_a_wrong_wall_clock_is_held_to_what_the_server_says() -> None:
    class WrongClock(SystemClock):
        def now(self) -> datetime:
            return super().now() + timedelta(hours=3)

    time = ServedTime(WrongClock())
    for _ in range(3):
        time.observe(format_datetime(datetime.now(UTC), usegmt=True), sent_at=SystemClock().monotonic())

    assert abs(time.now() - datetime.now(UTC)) < timedelta(seconds=2)
