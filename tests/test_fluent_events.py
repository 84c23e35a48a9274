from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from fc_connect.errors import (
    ConfigurationError,
    EventFailedError,
    FluentAPIError,
    FluentOutcomeUnknownError,
)
from tests.fluent_server import FluentServer, Reply, client_of

EVENT = {
    "name": "OrderCancel",
    "entityType": "ORDER",
    "entityRef": "O-1",
    "rootEntityType": "ORDER",
    "rootEntityRef": "O-1",
    "attributes": {"reason": "late"},
}


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


def test_an_event_is_sent_as_documented_with_the_retailer_of_the_client(server: FluentServer) -> None:
    server.replies.append(Reply(status=202))

    with client_of(server) as client:
        receipt = client.events.send(EVENT)

    [sent] = server.calls()
    assert (sent.method, sent.path) == ("POST", "/api/v4.1/event/async")
    assert sent.json() == {**EVENT, "retailerId": "1"}
    assert (receipt.id, receipt.status, receipt.is_matched) == (None, None, True)


def test_a_sync_event_tells_what_its_workflow_came_to(server: FluentServer) -> None:
    server.replies += [
        Reply(body={"eventId": "e1", "entityId": "7", "eventStatus": "COMPLETE"}),
        Reply(body={"eventId": "e2", "eventStatus": "NO_MATCH"}),
    ]

    with client_of(server) as client:
        done, unmatched = (client.events.send(EVENT, mode="sync") for _ in range(2))

    assert (done.id, done.status, done.is_matched) == ("e1", "COMPLETE", True)
    assert (unmatched.status, unmatched.is_matched) == ("NO_MATCH", False)


def test_a_sync_event_whose_workflow_failed_is_an_error(server: FluentServer) -> None:
    server.replies.append(Reply(body={"eventId": "e1", "eventStatus": "FAILED"}))

    with client_of(server) as client, pytest.raises(EventFailedError, match="workflow failed") as caught:
        client.events.send(EVENT, mode="sync")

    assert (caught.value.event_id, caught.value.status) == ("e1", 200)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=500),
        Reply(mode="drop"),
        Reply(body=b"<html>hello</html>"),
        Reply(body=[1]),
    ],
)
def test_an_event_of_unknown_outcome_is_not_sent_again(server: FluentServer, reply: Reply) -> None:
    server.replies.append(reply)

    with client_of(server) as client, pytest.raises(FluentOutcomeUnknownError):
        client.events.send(EVENT)

    assert len(server.calls()) == 1


def test_a_sync_answer_that_does_not_say_what_came_of_it_is_in_doubt(server: FluentServer) -> None:
    server.replies.append(Reply(body={}))

    with client_of(server) as client, pytest.raises(FluentOutcomeUnknownError, match="no eventStatus"):
        client.events.send(EVENT, mode="sync")


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refused_event_is_told(server: FluentServer, status: int) -> None:
    server.replies.append(Reply(status=status, body={"message": "no rule matches"}))

    with client_of(server) as client, pytest.raises(FluentAPIError, match="no rule matches") as caught:
        client.events.send(EVENT, mode="sync")

    assert caught.value.status == status


def test_what_an_event_lacks_is_told_at_once_and_nothing_is_sent(server: FluentServer) -> None:
    with client_of(server) as client, pytest.raises(ConfigurationError) as caught:
        client.events.send({"name": " ", "entityType": "ORDER", "rootEntityType": "ORDER", "qty": 1})

    assert [each.partition(" ")[0] for each in caught.value.problems] == [
        "name",
        "entityRef",
        "rootEntityRef",
    ]
    assert not server.seen


def found(*ids: str) -> list[dict[str, Any]]:
    return [{"id": each, "name": "x"} for each in ids]


def test_a_search_reads_page_after_page_and_no_more_than_is_asked_for(server: FluentServer) -> None:
    server.replies += [
        Reply(body={"start": 0, "count": 2, "hasMore": True, "results": found("1", "2")}),
        Reply(body={"start": 2, "count": 1, "hasMore": False, "results": found("3")}),
    ]

    with client_of(server) as client:
        events = client.events.search(
            since=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            event_status="FAILED",
            root_entity_ref="a&b",
            page_size=2,
        )
        first = next(events)
        asked_by_then = len(server.calls())
        rest = list(events)

    assert [each["id"] for each in (first, *rest)] == ["1", "2", "3"]
    assert asked_by_then == 1
    queries = [parse_qs(urlsplit(each.path).query) for each in server.calls()]
    assert queries[0] == {
        "from": ["2026-01-02T03:04:05.678Z"],
        "eventStatus": ["FAILED"],
        "context.rootEntityRef": ["a&b"],
        "start": ["0"],
        "count": ["2"],
    }
    assert queries[1]["start"] == ["2"]


@pytest.mark.parametrize(
    "second",
    [
        {"hasMore": True, "results": found("1", "2")},
        {"hasMore": True, "results": []},
        {"hasMore": True},
        {"results": "none"},
    ],
)
def test_a_search_that_can_not_go_on_says_so(server: FluentServer, second: dict[str, Any]) -> None:
    server.replies += [Reply(body={"hasMore": True, "results": found("1", "2")}), Reply(body=second)]

    with client_of(server) as client:
        events = client.events.search()
        with pytest.raises(FluentAPIError):
            list(events)


def test_a_search_for_what_there_is_not_is_refused(server: FluentServer) -> None:
    with client_of(server) as client, pytest.raises(ConfigurationError) as caught:
        client.events.search(since=datetime(2026, 1, 1), page_size=0, colour="red")  # noqa: DTZ001

    assert len(caught.value.problems) == 3


def test_an_event_is_found_by_its_id_and_no_id_leads_elsewhere(server: FluentServer) -> None:
    server.replies.append(Reply(body={"id": "e-1", "name": "x"}))

    with client_of(server) as client:
        event = client.events.get("e-1")
        with pytest.raises(ConfigurationError):
            client.events.get("1/../../graphql")

    assert event["name"] == "x"
    assert len(server.calls()) == 1


def events_of(count: int) -> list[dict[str, Any]]:
    return [{"name": "E", "entityType": "ORDER", "entityRef": f"O{number}"} for number in range(count)]


def sent_refs(server: FluentServer) -> list[str]:
    return [call.json()["entityRef"] for call in server.calls("/api/v4.1/event", method="POST")]


def test_of_many_events_each_is_sent_once_and_told_in_its_place(server: FluentServer) -> None:
    server.replies += [Reply(body={"id": f"e{number}"}) for number in range(50)]

    with client_of(server) as client:
        results = client.events.send_each(events_of(50), concurrency=8)

    assert results.is_all_well
    assert [each.index for each in results.items] == list(range(50))
    assert sorted(sent_refs(server)) == sorted(f"O{number}" for number in range(50))


def test_what_becomes_of_one_event_does_not_touch_the_others(server: FluentServer) -> None:
    server.replies += [
        Reply(body={"eventId": "1", "eventStatus": "COMPLETE"}),
        Reply(body={"eventId": "2", "eventStatus": "FAILED"}),
        Reply(status=400, body={"errors": [{"message": "no such rule"}]}),
        Reply(mode="drop"),
        Reply(body={"eventId": "5", "eventStatus": "NO_MATCH"}),
    ]

    with client_of(server) as client:
        results = client.events.send_each([*events_of(5), {"name": "E"}], mode="sync", concurrency=1)

    assert [str(each.outcome) for each in results.items] == [
        "done",
        "done",
        "not done",
        "unknown",
        "done",
        "not done",
    ]
    assert isinstance(results.items[1].error, EventFailedError)
    assert results.items[1].value is not None
    assert results.items[1].value.id == "2"
    assert "entityType is missing" in str(results.items[5].error)
    assert not results.is_all_well
    assert sent_refs(server) == [f"O{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("replies", "outcomes"),
    [
        ([Reply(status=403)], ["not done", "not done", "not done", "not done", "not done"]),
        ([Reply(mode="drop")] * 3, ["unknown", "unknown", "unknown", "not done", "not done"]),
    ],
)
def test_no_more_events_are_sent_where_it_is_fluent_that_does_not_take_them(
    server: FluentServer, replies: list[Reply], outcomes: list[str]
) -> None:
    server.replies += replies

    with client_of(server) as client:
        results = client.events.send_each(events_of(5), concurrency=1)

    assert [str(each.outcome) for each in results.items] == outcomes
    assert len(sent_refs(server)) == len(replies)
    assert str(results.items[-1].error).startswith("Not sent: ")
