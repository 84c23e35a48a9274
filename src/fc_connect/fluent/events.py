"""Events: sent to Fluent's workflows, looked up, searched.

An `async` event is queued, and what its workflow makes of it is seen by looking it up; a `sync` event is answered once
its rules have run. See the event API in Fluent's documentation (https://docs.fluentcommerce.com).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from fc_connect.errors import (
    AuthenticationError,
    ConfigurationError,
    EventFailedError,
    FluentAPIError,
    FluentOutcomeUnknownError,
    FluentUnavailableError,
)
from fc_connect.fluent.address import path_id_problem
from fc_connect.fluent.answers import id_of, objects_of, spelled, text_of
from fc_connect.fluent.body import encoded
from fc_connect.fluent.exchange import Call
from fc_connect.fluent.http import Channel
from fc_connect.fluent.outcomes import ItemResult, ItemResults, Outcome

__all__ = ["EventReceipt", "Events"]

_PATH = "/api/v4.1/event"
_MOST_AT_ONCE = 5000
_MOST_PAGES = 100_000  # a server may always say that there are more
_MOST_LOST = 3  # in a row: then it isn't the events, and each costs a time-out and a look-up
_FAILED = {"FAILED", "ERROR"}
_CONTEXT = {
    "root_entity_type": "context.rootEntityType",
    "root_entity_id": "context.rootEntityId",
    "root_entity_ref": "context.rootEntityRef",
    "entity_type": "context.entityType",
    "entity_id": "context.entityId",
    "entity_ref": "context.entityRef",
    "source_events": "context.sourceEvents",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReceipt:
    """What Fluent said to an event."""

    id: str | None
    """None where Fluent took an async event without naming it."""
    status: str | None
    """Of a sync event: what its workflow came to, such as `COMPLETE` or `NO_MATCH`."""
    raw: Mapping[str, Any]

    @property
    def is_matched(self) -> bool:
        """Whether a rule took a sync event; an async one isn't known to be otherwise."""
        return self.status is None or spelled(self.status) != "NO_MATCH"


class Events:
    """The event calls of one client. Safe to share between threads."""

    def __init__(self, channel: Channel, *, retailer_id: str | None) -> None:
        self._channel = channel
        self._retailer_id = retailer_id

    def send(self, event: Mapping[str, Any], *, mode: Literal["async", "sync"] = "async") -> EventReceipt:
        """Send one event; the client's retailer is added where it names none.

        Sent once: where the outcome is unknown nobody can tell from here whether it was taken.

        Raises:
            ConfigurationError: what it lacks. Nothing was sent.
            EventFailedError: a sync event was taken, and its workflow failed. Sending it again runs it again.
            FluentOutcomeUnknownError: it may have been taken.
        """
        if mode not in {"async", "sync"}:
            raise ConfigurationError(f"An event is sent async or sync, not {mode!r}.")
        payload = {**event}
        if payload.get("retailerId") in {None, ""} and self._retailer_id is not None:
            payload["retailerId"] = self._retailer_id
        if problems := _problems(payload):
            raise ConfigurationError("The event can't be sent:", problems=problems)
        call = Call(
            method="POST",
            path=f"{_PATH}/{mode}",
            writes=True,
            headers={"Content-Type": "application/json"},
            body=encoded(payload, "the event"),
        )
        answer = self._channel.send(call)
        content = answer.json() if answer.content.strip() else {}
        if not isinstance(content, dict):
            raise self._channel.wording.unusable(call, answer, "it isn't a JSON object")
        receipt = EventReceipt(
            id=id_of(content, "eventId", "id"),
            status=text_of(content, "eventStatus") or text_of(content, "status"),
            raw=content,
        )
        if mode == "sync":
            if receipt.status is None:
                raise self._channel.wording.unusable(call, answer, "it holds no eventStatus")
            if spelled(receipt.status) in _FAILED:
                raise EventFailedError(
                    f"{call}: Fluent took the event {payload['name']!r} ({receipt.id}), and its workflow failed "
                    f"({receipt.status}). Look at the event in Fluent; sending it again would run it again.",
                    event_id=receipt.id,
                    **self._channel.wording.details(answer),
                )
        return receipt

    def send_each(
        self,
        events: Sequence[Mapping[str, Any]],
        *,
        mode: Literal["async", "sync"] = "async",
        concurrency: int = 4,
    ) -> ItemResults[EventReceipt]:
        """Send each of `events` once, several at a time, and say what became of each, in their order.

        A sync event whose workflow failed is `done`, with its error: it was taken. With a `concurrency` of 1 they are
        sent one after another. Where Fluent can't be reached or refuses the login, or three in a row come to no known
        end, no more are sent: the rest is `not done`.

        Raises:
            ConfigurationError: nothing was sent. What is wrong with one event is in its result.
        """
        if mode not in {"async", "sync"}:
            raise ConfigurationError(f"An event is sent async or sync, not {mode!r}.")
        if concurrency < 1:
            raise ConfigurationError(f"concurrency must be at least 1, not {concurrency}.")
        halt = _Halt()

        def send(numbered: tuple[int, Mapping[str, Any]]) -> ItemResult[EventReceipt]:
            index, event = numbered
            if (reason := halt.reason) is not None:
                return ItemResult(
                    index=index, outcome=Outcome.NOT_DONE, error=FluentUnavailableError(f"Not sent: {reason}")
                )
            try:
                receipt = self.send(event, mode=mode)
            except EventFailedError as exc:
                halt.heard_of()
                taken = EventReceipt(id=exc.event_id, status="FAILED", raw={})
                return ItemResult(index=index, outcome=Outcome.DONE, value=taken, error=exc)
            except FluentOutcomeUnknownError as exc:
                halt.lost(exc)
                return ItemResult(index=index, outcome=Outcome.UNKNOWN, error=exc)
            except (FluentUnavailableError, AuthenticationError) as exc:
                halt.stop(exc)
                return ItemResult(index=index, outcome=Outcome.NOT_DONE, error=exc)
            except (FluentAPIError, ConfigurationError) as exc:
                halt.heard_of()
                return ItemResult(index=index, outcome=Outcome.NOT_DONE, error=exc)
            halt.heard_of()
            return ItemResult(index=index, outcome=Outcome.DONE, value=receipt)

        with ThreadPoolExecutor(concurrency, thread_name_prefix="fluent-event") as pool:
            try:
                return ItemResults(items=tuple(pool.map(send, enumerate(events))))
            except BaseException as exc:
                halt.stop(exc)  # those that wait their turn aren't sent after all
                raise

    def get(self, event_id: str) -> dict[str, Any]:
        """Return an event by its id."""
        if problem := path_id_problem("event_id", event_id):
            raise ConfigurationError(f"{problem}.")
        call = Call(method="GET", path=f"{_PATH}/{event_id}", writes=False, headers={})
        answer = self._channel.send(call)
        content = answer.json()
        if not isinstance(content, dict) or id_of(content, "id", "eventId") is None:
            raise self._channel.wording.unusable(call, answer, "it holds no event")
        return content

    def search(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        name: str | None = None,
        category: str | None = None,
        event_type: str | None = None,
        event_status: str | None = None,
        retailer_id: str | None = None,
        page_size: int = 1000,
        **context: str,
    ) -> Iterator[dict[str, Any]]:
        """Yield the events that fit, page after page as they are asked for; without times, of the last 30 days.

        `context` narrows by `root_entity_type`, `root_entity_id`, `root_entity_ref`, `entity_type`, `entity_id`,
        `entity_ref`, `source_events`. Fluent keeps events for four months.

        Raises:
            ConfigurationError: a time without a zone, a name that there isn't.
        """
        problems = [
            f"{label} has no time zone: {at.isoformat()}"
            for label, at in (("since", since), ("until", until))
            if at is not None and at.tzinfo is None
        ]
        problems += [f"there is no {each!r} to search by" for each in context if each not in _CONTEXT]
        if not 1 <= page_size <= _MOST_AT_ONCE:
            problems.append(f"page_size must be from 1 to {_MOST_AT_ONCE:,}, not {page_size:,}")
        if problems:
            raise ConfigurationError("Events can't be searched:", problems=problems)
        wanted = {
            "from": _instant(since),
            "to": _instant(until),
            "name": name,
            "category": category,
            "eventType": event_type,
            "eventStatus": event_status,
            "retailerId": retailer_id,
            **{_CONTEXT[each]: value for each, value in context.items()},
        }
        given = {key: value for key, value in wanted.items() if value}
        return self._pages(Call(method="GET", path=_PATH, writes=False, headers={}, query=given), page_size)

    def _pages(self, call: Call, page_size: int) -> Iterator[dict[str, Any]]:
        start, last = 0, None
        for _ in range(_MOST_PAGES):
            asked = replace(call, query={**(call.query or {}), "start": start, "count": page_size})
            answer = self._channel.send(asked)
            content = answer.json()
            found = objects_of(content, "results") if isinstance(content, dict) else None
            if found is None:
                raise self._channel.wording.unusable(call, answer, "it holds no list of results")
            if found and found == last:
                raise self._channel.wording.unusable(
                    call,
                    answer,
                    f"the page from {start:,} is the one before it again: the rest can't be read",
                )
            yield from found
            if not content.get("hasMore"):
                return
            if not found:
                raise self._channel.wording.unusable(
                    call, answer, "it says that there are more, and gives none"
                )
            start, last = start + len(found), found


class _Halt:
    """Why no more events are to be sent. Shared between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost = 0
        self.reason: BaseException | None = None

    def heard_of(self) -> None:
        with self._lock:
            self._lost = 0

    def lost(self, error: FluentOutcomeUnknownError) -> None:
        with self._lock:
            self._lost += 1
            if self._lost >= _MOST_LOST:
                self.reason = self.reason or error

    def stop(self, error: BaseException) -> None:
        with self._lock:
            self.reason = self.reason or error


def _problems(event: Mapping[str, Any]) -> list[str]:
    found = [
        f"{key} is missing or empty"
        for key in ("name", "entityType", "retailerId")
        if not str(event.get(key) or "").strip()
    ]
    for kind, ref, number in (
        ("entityType", "entityRef", "entityId"),
        ("rootEntityType", "rootEntityRef", "rootEntityId"),
    ):
        if event.get(kind) and not (event.get(ref) or event.get(number)):
            found.append(f"{ref} or {number} is missing: which entity is it about?")
    return found


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
