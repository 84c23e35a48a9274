"""Events in the sandbox, by our own client: what is sent is found again, and ends as it was told to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fc_connect.errors import ConfigurationError, EventFailedError, FluentAPIError
from fc_connect.fluent import Credentials, FluentClient
from fc_connect.sandbox import Sandbox

CREDENTIALS = Credentials(client_id="tests", client_secret="tests-secret")


def event(ref: str, name: str = "OrderCancel", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "entityType": "ORDER",
        "entityRef": ref,
        "rootEntityType": "ORDER",
        "rootEntityRef": ref,
        **more,
    }


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(event_outcomes={"Bad": "FAILED", "Unknown": "NO_MATCH"}, page_size=3) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[FluentClient]:
    with FluentClient(base_url=sandbox.url, auth=CREDENTIALS, retailer_id="1") as opened:
        yield opened


def test_an_event_that_was_sent_is_found_by_its_id_and_in_the_log(
    sandbox: Sandbox, client: FluentClient
) -> None:
    receipt = client.events.send(event("O-1", attributes={"reason": "late", "qty": 2}))

    assert receipt.id is not None
    found = client.events.get(receipt.id)
    assert (found["name"], found["eventStatus"], found["retailerId"]) == ("OrderCancel", "COMPLETE", "1")
    assert found["context"]["entityRef"] == "O-1"
    assert found["attributes"] == [
        {"name": "reason", "value": "late", "type": "STRING"},
        {"name": "qty", "value": 2, "type": "INTEGER"},
    ]
    [taken] = sandbox.events()
    assert (taken.mode, taken.body["entityRef"]) == ("async", "O-1")


def test_a_sync_event_ends_as_its_rule_says(client: FluentClient) -> None:
    done = client.events.send(event("O-1"), mode="sync")
    unmatched = client.events.send(event("O-1", "Unknown"), mode="sync")

    assert (done.status, done.is_matched) == ("COMPLETE", True)
    assert (unmatched.status, unmatched.is_matched) == ("NO_MATCH", False)
    with pytest.raises(EventFailedError):
        client.events.send(event("O-1", "Bad"), mode="sync")


def test_a_search_narrows_and_pages(client: FluentClient) -> None:
    for number in range(8):
        client.events.send(event(f"O-{number}", "Even" if number % 2 == 0 else "Odd"))

    everything = list(client.events.search(page_size=3))
    even = list(client.events.search(name="Even", page_size=1))
    one = list(client.events.search(entity_ref="O-5"))
    earlier = list(client.events.search(until=datetime.now(UTC) - timedelta(minutes=1)))

    assert len(everything) == len({each["id"] for each in everything}) == 8
    assert [each["context"]["entityRef"] for each in even] == ["O-6", "O-4", "O-2", "O-0"]
    assert [each["name"] for each in one] == ["Odd"]
    assert earlier == []


def test_a_search_without_times_is_of_the_last_thirty_days() -> None:
    now = datetime.now(UTC)
    with (
        Sandbox(clock=lambda: now, token_lifetime=timedelta(days=40)) as sandbox,
        FluentClient(base_url=sandbox.url, auth=CREDENTIALS, retailer_id="1") as client,
    ):
        client.events.send(event("O-1"))
        now = now + timedelta(days=31)

        recent = list(client.events.search())
        older = list(client.events.search(since=now - timedelta(days=60)))
        with pytest.raises(FluentAPIError, match="four months"):
            list(client.events.search(since=now - timedelta(days=200)))

    assert (len(recent), len(older)) == (0, 1)


@pytest.mark.parametrize("lacking", ["name", "entityType", "entityRef"])
def test_an_event_that_lacks_something_is_refused(sandbox: Sandbox, lacking: str) -> None:
    import httpx

    token = httpx.post(f"{sandbox.url}/oauth/token", data=CREDENTIALS.login()).json()["access_token"]
    body = {key: value for key, value in event("O-1", retailerId="1").items() if key != lacking}

    answer = httpx.post(
        f"{sandbox.url}/api/v4.1/event/sync", json=body, headers={"Authorization": f"Bearer {token}"}
    )

    assert answer.status_code == 400
    assert lacking in answer.text
    assert sandbox.events() == []


def test_an_unknown_event_and_an_unknown_outcome_are_told(client: FluentClient) -> None:
    with pytest.raises(FluentAPIError) as caught:
        client.events.get("no-such-event")
    with pytest.raises(ConfigurationError, match="FAILED"):
        Sandbox(event_outcomes={"x": "FAILD"})

    assert caught.value.status == 404


def test_a_database_of_an_earlier_sandbox_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    with (
        Sandbox(database=path) as sandbox,
        FluentClient(base_url=sandbox.url, auth=CREDENTIALS, retailer_id="1") as client,
    ):
        client.create_job("kept")
    connection = sqlite3.connect(path)
    connection.executescript(
        "DROP TABLE event; ALTER TABLE job DROP COLUMN closed_at; PRAGMA user_version = 1"
    )
    connection.close()

    with (
        Sandbox(database=path) as sandbox,
        FluentClient(base_url=sandbox.url, auth=CREDENTIALS, retailer_id="1") as client,
    ):
        client.events.send(event("O-1"))

        assert [job.name for job in sandbox.jobs()] == ["kept"]
        assert len(sandbox.events()) == 1
