"""Many at once over a link that breaks: what the client tells of each must be what the sandbox has."""

from __future__ import annotations

import pytest

from fc_connect.fluent import Outcome
from fc_connect.sandbox import Fault, FaultKind, Sandbox
from tests.test_fluent_sandbox import connected

EVENTS = 24


def struck(kind: FaultKind, *, after: bool, status: int = 503) -> list[Fault]:
    """Two of every few events, never three in a row: at three the rest is held back."""
    return [
        Fault(
            kind=kind, method="POST", path="*/event/*", nth=nth, times=1, after_accepting=after, status=status
        )
        for nth in (2, 3, 7, 12)
    ]


@pytest.mark.parametrize("mode", ["async", "sync"])
@pytest.mark.parametrize(
    ("kind", "after", "status"),
    [
        (FaultKind.STATUS, False, 500),
        (FaultKind.STATUS, True, 503),
        (FaultKind.STATUS, False, 429),
        (FaultKind.STATUS, False, 401),
        (FaultKind.DROP, False, 0),
        (FaultKind.DROP, True, 0),
        (FaultKind.TRUNCATED, True, 0),
        (FaultKind.NOT_JSON, True, 0),
        (FaultKind.EMPTY, True, 0),
    ],
)
def test_each_event_arrives_at_most_once_and_is_told_as_it_is(
    mode: str, kind: FaultKind, after: bool, status: int
) -> None:
    events = [{"name": "E", "entityType": "ORDER", "entityRef": f"O{n}"} for n in range(EVENTS)]

    with Sandbox() as sandbox, connected(sandbox) as client:
        for fault in struck(kind, after=after, status=status or 503):
            sandbox.inject(fault)
        results = client.events.send_each(events, mode=mode, concurrency=1)  # type: ignore[arg-type]
        arrived = [each["context"]["entityRef"] for each in client.events.search(name="E")]

    assert len(set(arrived)) == len(arrived)
    assert len(results.items) == EVENTS
    for each in results.items:
        has_it = f"O{each.index}" in arrived
        assert each.outcome is Outcome.UNKNOWN or has_it == (each.outcome is Outcome.DONE), each
    assert len(results.done) >= EVENTS - 4
