"""The calls under `/_sandbox`: what tests in other processes ask of the sandbox, and its page. No token needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from fc_connect.errors import ConfigurationError
from fc_connect.sandbox.clock import MovableClock
from fc_connect.sandbox.data import Entities
from fc_connect.sandbox.exchange import Answer, RefusedError, Request, answer
from fc_connect.sandbox.faults import FaultPlan, fault_from_json, fault_to_json
from fc_connect.sandbox.log import SandboxLog
from fc_connect.sandbox.page import page_for_people
from fc_connect.sandbox.query import page
from fc_connect.sandbox.store import SandboxStore
from fc_connect.sandbox.validation import parse_json
from fc_connect.sandbox.webhook_control import webhook_calls
from fc_connect.sandbox.webhooks import WebhookSender

__all__ = ["CONTROL_PREFIX", "Control"]

CONTROL_PREFIX = "/_sandbox"
_PAGE = 1_000
_LARGEST_PAGE = 10_000_000
_SHOWN = 50


class Control:
    """Answers for the log and the faults."""

    def __init__(
        self,
        store: SandboxStore,
        log: SandboxLog,
        faults: FaultPlan,
        clock: MovableClock,
        webhooks: WebhookSender,
        entities: Entities,
        reset: Callable[[], None],
    ) -> None:
        self._store = store
        self._log = log
        self._faults = faults
        self._clock = clock
        self._entities = entities
        self._reset_all = reset
        self._calls = {
            ("GET", ""): self._calls_known,
            ("GET", "/overview"): self._overview,
            ("DELETE", ""): self._reset,
            ("GET", "/requests"): self._requests,
            ("GET", "/jobs"): self._jobs,
            ("POST", "/jobs/close"): self._close_job,
            ("GET", "/batches"): self._batches,
            ("GET", "/deliveries"): self._deliveries,
            ("GET", "/events"): self._events,
            ("GET", "/stock"): self._stock,
            ("GET", "/faults"): self._list_faults,
            ("POST", "/seed"): self._seed,
            ("POST", "/faults"): self._inject,
            ("DELETE", "/faults"): self._clear_faults,
            ("GET", "/clock"): self._tell_time,
            ("POST", "/clock"): self._move_clock,
            ("DELETE", "/clock"): self._reset_clock,
            **webhook_calls(webhooks, log),
        }

    def handle(self, request: Request) -> Answer:
        """Do what `request` asks, or raise RefusedError."""
        if request.path == "/":
            return page_for_people(request)
        rest = request.path.removeprefix(CONTROL_PREFIX).rstrip("/")
        call = self._calls.get((request.method, rest))
        if call is None:
            raise RefusedError(
                f"The sandbox has no {request.method} {request.path}; see GET {CONTROL_PREFIX}.",
                status=404,
                code="NOT_FOUND",
            )
        return call(request)

    def _overview(self, request: Request) -> Answer:
        log = self._log
        latest = {
            "requests": _told(log.requests(last=_SHOWN)),
            "jobs": _told(log.jobs(last=_SHOWN)),
            "batches": _told(log.batches(last=_SHOWN)),
            "events": _told(log.events(last=_SHOWN)),
            "webhooks": _told(log.webhooks(last=_SHOWN)),
            "faults": self._faults_told(),
        }
        return answer(
            {
                "database": str(self._store.path),
                "now": request.at.isoformat(),
                "ahead_seconds": self._clock.ahead.total_seconds(),
                "totals": log.totals(),
                "latest": latest,
            }
        )

    def _calls_known(self, _: Request) -> Answer:
        calls = [f"{method} {CONTROL_PREFIX}{rest}" for method, rest in self._calls]
        return answer({"database": str(self._store.path), "calls": calls})

    def _reset(self, _: Request) -> Answer:
        self._reset_all()
        return answer({"reset": True})

    def _seed(self, request: Request) -> Answer:
        try:
            planted = self._entities.seed(parse_json(request.body), at=request.at)
        except ConfigurationError as exc:
            raise RefusedError(str(exc), status=400, code="INVALID_SEED") from exc
        return answer({"seeded": planted}, status=201)

    def _requests(self, request: Request) -> Answer:
        found = self._log.requests(path=request.query.get("path"))
        if pattern := request.query.get("path_regex"):
            try:
                matches = re.compile(pattern).fullmatch
            except re.error as exc:
                raise RefusedError(f"path_regex: {exc}", status=400, code="INVALID_REGEX") from exc
            found = [each for each in found if matches(each.path)]
        return _page("requests", [_plain(asdict(each)) for each in found], request)

    def _jobs(self, request: Request) -> Answer:
        return _page("jobs", [_plain(asdict(each)) for each in self._log.jobs()], request)

    def _close_job(self, request: Request) -> Answer:
        job_id = parse_json(request.body).get("job_id")
        if not isinstance(job_id, str | int) or not self._store.close_job(str(job_id), at=request.at):
            raise RefusedError(
                'There is no such job: send {"job_id": "…"} with the id of one.',
                status=404,
                code="JOB_NOT_FOUND",
            )
        return answer({"job_id": str(job_id), "status": "CLOSED"})

    def _batches(self, request: Request) -> Answer:
        found = self._log.batches(job_id=request.query.get("job_id"))
        return _page("batches", [_plain(asdict(each)) for each in found], request)

    def _events(self, request: Request) -> Answer:
        return _page("events", [_plain(asdict(each)) for each in self._log.events()], request)

    def _deliveries(self, _: Request) -> Answer:
        return answer(asdict(self._log.summary()))

    def _stock(self, request: Request) -> Answer:
        levels = [
            {
                "retailer_id": retailer,
                "location": location,
                "product": product,
                "type": kind,
                "qty": level.qty,
                "status": level.status,
                "ref": level.ref,
                "batch_id": level.batch_id,
            }
            for (retailer, location, product, kind), level in self._log.stock().items()
        ]
        return _page("stock", levels, request)

    def _list_faults(self, _: Request) -> Answer:
        return answer({"faults": self._faults_told()})

    def _faults_told(self) -> list[dict[str, Any]]:
        return [
            {"fault": fault_to_json(state.fault), "matched": state.matched, "struck": state.struck}
            for state in self._faults.states()
        ]

    def _inject(self, request: Request) -> Answer:
        try:
            fault = fault_from_json(parse_json(request.body))
        except ConfigurationError as exc:
            raise RefusedError(str(exc), status=400, code="INVALID_FAULT") from exc
        self._faults.inject(fault)
        return answer({"fault": fault_to_json(fault)}, status=201)

    def _tell_time(self, _: Request) -> Answer:
        return answer({"now": self._clock().isoformat(), "ahead_seconds": self._clock.ahead.total_seconds()})

    def _move_clock(self, request: Request) -> Answer:
        try:
            _move(self._clock, parse_json(request.body))
        except (ConfigurationError, ValueError, OverflowError) as exc:
            raise RefusedError(
                f'{exc} Send {{"at": "2026-03-01T23:59:00Z"}} or {{"forward_seconds": 86400}}.',
                status=400,
                code="INVALID_TIME",
            ) from exc
        return self._tell_time(request)

    def _reset_clock(self, request: Request) -> Answer:
        self._clock.reset()
        return self._tell_time(request)

    def _clear_faults(self, _: Request) -> Answer:
        self._faults.clear()
        return answer({"faults": []})


def _move(clock: MovableClock, payload: Mapping[str, Any]) -> None:
    at, forward = payload.get("at"), payload.get("forward_seconds")
    if isinstance(at, str) and forward is None:
        clock.set(datetime.fromisoformat(at))
    elif isinstance(forward, int | float) and not isinstance(forward, bool) and at is None:
        clock.move(timedelta(seconds=forward))
    else:
        raise ConfigurationError("The clock is set to a time, or moved by seconds: one of the two.")


def _page(name: str, items: list[dict[str, Any]], request: Request) -> Answer:
    start, count = page(request.query, size=_PAGE, largest=_LARGEST_PAGE)
    shown = items[start : start + count]
    return answer({name: shown, "start": start, "count": len(shown), "total": len(items)})


def _told(records: list[Any]) -> list[dict[str, Any]]:
    """Return records as JSON has them, the newest first."""
    return [_plain(asdict(each)) for each in reversed(records)]


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}
