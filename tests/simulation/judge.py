"""The judge: watches the store's true history and what Fluent really got, and believes no worker.

Some commits are judged as they happen, the rest at the end. A promise that is broken is a fault of the run.

Two kinds of repetition are counted apart. A `gap`: a worker is paused between its intent and its request for longer
than its lease, wakes up, and sends before it knows. Fluent checks no fencing token, so no ledger can prevent that.
A `doubt`: two files had batches on their way in one job when an answer was lost, so that what Fluent has can't be told
to be the one's or the other's; the product says so, disowns what it found, and repeats an UPSERT.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from fc_connect.kv.commit import Commit
from fc_connect.state import FileRecord
from tests.simulation.world import Process, World

__all__ = ["Delivery", "Judge", "KnownFile"]

_decode = msgspec.json.decode
_TERMINAL = {"completed", "quarantined", "skipped", "superseded"}


@dataclass(slots=True)
class _Held:
    acquisition: str
    token: int
    process: Process
    at: float
    timeout: float


@dataclass(slots=True, kw_only=True)
class KnownFile:
    """A file that the workers are to deliver."""

    record: FileRecord
    batches: int
    entities: int
    arrives: float
    file_id: str = ""
    lock_name: str = ""
    status: str = "pending"
    has_failed: bool = False
    deliveries: dict[int, list[Delivery]] = field(default_factory=dict)
    """By number of batch."""

    def __post_init__(self) -> None:
        self.file_id = self.record.file_id
        self.lock_name = self.record.lock_name

    @property
    def is_finished(self) -> bool:
        return self.status in _TERMINAL


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One acceptance of one batch by Fluent."""

    batch_id: str
    job_id: str
    at: float
    process: Process
    was_fenced: bool
    """Whether the sender held its locks when the request left."""


class Judge:
    """Judges one run."""

    def __init__(self, world: World, files: list[KnownFile], *, has_clock: bool, keeps_order: bool) -> None:
        self.world = world
        self.files = files
        self.by_id = {each.file_id: each for each in files}
        self.gaps = 0
        self.doubts = 0
        self.done_at: float | None = None
        """When the last file was finished."""
        self._has_clock = has_clock
        self._keeps_order = keeps_order
        self._held: dict[str, _Held] = {}
        self._tokens: dict[str, int] = {}
        self._given_up: set[str | None] = set()
        self._sync_parts: dict[Any, dict[str, Any]] = {}
        """Acquisitions that got no answer, or whose end got none: who asked may ask again."""
        self._sent: set[tuple[Any, ...]] = set()
        self._sending: dict[tuple[Any, ...], float | None] = {}
        """Batches that were on their way, by key: until when, None for now."""
        self._disowned: set[str] = set()
        self._watermark: tuple[str, str] | None = None
        self._completed: list[KnownFile] = []
        self.is_closed: Callable[[str], bool] = lambda job_id: False
        """Whether Fluent has closed a job."""
        self.daily: dict[str, list[str]] = {}
        """The jobs that each day's record named, in their order."""

    # While it runs

    def holds(self, process: Process, lock: str) -> bool:
        """Say whether the process really holds the lock, by the store."""
        held = self._held.get(lock)
        return held is not None and held.process is process and self._is_live(held)

    def committed(self, process: Process, commit: Commit) -> None:
        """Judge a commit that was carried out."""
        sync: dict[Any, dict[str, Any]] | None = None
        for name, write in commit.writes.items():
            key, value = commit.keys[name], write.value
            kind = key[1]
            if kind == "lock":
                self._judge_lock(process, str(key[2]), value)
            elif kind == "fence":
                self._judge_token(process, str(key[2]), value)
            elif kind == "file":
                self._judge_file(process, str(key[2]), value)
            elif kind == "batch":
                self._judge_batch(process, key, value)
            elif kind == "sent":
                if value == b"null":
                    self._judge_disowning(process, str(key[2]), str(key[3]))
            elif kind == "sync":
                sync = self._sync_parts
                sync[key] = {} if value is None else _decode(value)
            elif kind == "job" and key[2] == "daily" and value is not None:
                self._judge_daily_job(process, str(key[3]), _decode(value)["job_id"])
        if sync is not None:
            self._judge_sync(process, sync)

    def unanswered(self, process: Process, commit: Commit) -> None:
        """Note a commit of which its sender won't hear what came of it."""
        for name, write in commit.writes.items():
            key = commit.keys[name]
            if key[1] != "lock":
                continue
            held = self._held.get(str(key[2]))
            mine = held.acquisition if held is not None and held.process is process else None
            acquisition = mine if write.value is None else _decode(write.value)["acquisition"]
            if write.value is None or acquisition != mine:  # no renewal: those who hold a lock go on
                self._given_up.add(acquisition)

    def delivered(self, file: KnownFile, number: int, delivery: Delivery) -> None:
        """Judge a batch that Fluent has taken."""
        earlier = file.deliveries.setdefault(number, [])
        earlier.append(delivery)
        if len(earlier) > 1:
            what = f"batch {number} of {file.record.file_name} was delivered {len(earlier)} times"
            if not all(each.was_fenced for each in earlier):
                self.gaps += 1
                self.world.note(f"gap: {what}")
            elif all(each.batch_id in self._disowned for each in earlier[:-1]):
                self.doubts += 1
                self.world.note(f"doubt: {what}")
            else:
                self.world.fault(what)
        elif file.status == "completed":
            self.world.fault(f"batch {number} of {file.record.file_name} was delivered after its completion")
        if self._keeps_order and delivery.was_fenced:
            for each in self.files:
                if (
                    each.record.position < file.record.position
                    and each.status not in _TERMINAL
                    and each.status != "failed"
                ):
                    self.world.fault(
                        f"{file.record.file_name} was sent before {each.record.file_name}, which is {each.status}"
                    )

    def _is_live(self, held: _Held) -> bool:
        return not self._has_clock or self.world.now < held.at + held.timeout

    def _judge_lock(self, process: Process, name: str, value: bytes | None) -> None:
        held = self._held.get(name)
        if value is None:
            if held is not None and held.process is not process and self._is_live(held):
                self.world.fault(f"{process.name} released the lock {name} of {held.process.name}")
            self._held.pop(name, None)
            return
        info = _decode(value)
        now = self.world.now
        if held is not None and held.acquisition == info["acquisition"]:
            if held.process is not process or not self._is_live(held):
                self.world.fault(f"{process.name} renewed the lock {name}, which it doesn't hold")
            held.at = now
            return
        is_again = held is not None and held.process is process and held.acquisition in self._given_up
        is_held = held is not None and not held.process.is_dead and now < held.at + held.timeout - 1e-5
        if held is not None and is_held and not is_again:
            self.world.fault(f"{process.name} took the lock {name}, which {held.process.name} holds")
        token = info["token"]
        if self._tokens.get(name) != token:
            self.world.fault(f"the lock {name} has token {token}, its fence {self._tokens.get(name)}")
        self._held[name] = _Held(info["acquisition"], token, process, now, info["timeout"])

    def _judge_token(self, process: Process, name: str, value: bytes | None) -> None:
        token = None if value is None else int(value)
        if token is None or token <= self._tokens.get(name, 0):
            self.world.fault(
                f"{process.name} moved the token of {name} from {self._tokens.get(name, 0)} to {token}"
            )
        if token is not None:
            self._tokens[name] = token

    def _judge_file(self, process: Process, file_id: str, value: bytes | None) -> None:
        file = self.by_id[file_id]
        if value is None:
            self.world.fault(f"{process.name} forgot {file.record.file_name}")
            return
        record = _decode(value)
        self._demand_fence(process, file, f"marked it {record['status']}")
        before, file.status = file.status, record["status"]
        if before in _TERMINAL:
            self.world.fault(f"{file.record.file_name}: was {before}, became {file.status}")
        if file.status == "failed":
            file.has_failed = True
        elif file.status == "completed":
            self._judge_completion(file, record)
        elif file.status == "superseded":
            if not (self._keeps_order and file.has_failed):
                self.world.fault(f"{file.record.file_name} was superseded, though it never failed")
        elif file.status in _TERMINAL:
            self.world.fault(f"{file.record.file_name} was {file.status}: {record['error']}")
        if file.status in _TERMINAL and all(each.status in _TERMINAL for each in self.files):
            self.done_at = self.world.now

    def _judge_completion(self, file: KnownFile, record: dict[str, Any]) -> None:
        self._completed.append(file)
        missing = [number for number in range(file.batches) if number not in file.deliveries]
        if missing:
            self.world.fault(f"{file.record.file_name} counts as completed without its batches {missing}")
        if record["record_count"] != file.entities or record["batch_count"] != file.batches:
            self.world.fault(
                f"{file.record.file_name}: {record['record_count']} entities in {record['batch_count']} batches "
                f"are counted, not {file.entities} in {file.batches}"
            )

    def _judge_batch(self, process: Process, key: tuple[str | int, ...], value: bytes | None) -> None:
        file = self.by_id[str(key[2])]
        if value is None:
            if file.status not in _TERMINAL:
                self._demand_fence(process, file, f"removed its batch {key[4]}")
                self._sent.discard(key)
            if key in self._sending:
                self._sending[key] = self.world.now
            return
        record = _decode(value)
        self._demand_fence(process, file, f"marked its batch {key[4]} as {record['state']}")
        if self._keeps_order and not self.holds(process, "turn"):
            self.world.fault(f"{process.name} sends {file.record.file_name} out of its turn")
        if record["state"] == "sending":
            self._sending[key] = None
        elif key in self._sending:
            self._sending[key] = self.world.now
        if record["state"] == "sent":
            self._sent.add(key)
        elif key in self._sent:
            self.world.fault(f"the confirmed batch {key[4]} of {file.record.file_name} is on its way again")

    def _judge_daily_job(self, process: Process, day: str, job_id: str) -> None:
        jobs = self.daily.setdefault(day, [])
        if jobs and jobs[-1] != job_id and not self.is_closed(jobs[-1]):
            self.world.fault(f"{process.name} made {job_id} the job of {day}, though {jobs[-1]} is open")
        jobs.append(job_id)

    def _judge_disowning(self, process: Process, job_id: str, batch_id: str) -> None:
        self._disowned.add(batch_id)
        takings = [
            (file.file_id, each.at)
            for file in self.files
            for deliveries in file.deliveries.values()
            for each in deliveries
            if each.batch_id == batch_id
        ]
        owners = {owner for owner, _ in takings}
        since = min(at for _, at in takings)  # whoever looks it up may have been held up for any time since
        if not any(
            key[2] not in owners and (until is None or until >= since) for key, until in self._sending.items()
        ):
            self.world.fault(
                f"{process.name} disowned {batch_id} of {job_id}, though nobody else was sending"
            )

    def _demand_fence(self, process: Process, file: KnownFile, what: str) -> None:
        if not self.holds(process, file.lock_name):
            self.world.fault(f"{process.name} doesn't hold {file.record.file_name}, but {what}")

    def _judge_sync(self, process: Process, parts: dict[Any, dict[str, Any]]) -> None:
        completed = self._completed
        marked = [each for each in parts.values() if each.get("last_processed_timestamp") is not None]
        sync = {
            "files_completed": sum(each.get("files_completed", 0) for each in parts.values()),
            "records_completed": sum(each.get("records_completed", 0) for each in parts.values()),
        }
        farthest = max(
            ((each["last_processed_timestamp"], each["last_processed_file"]) for each in marked), default=None
        )
        files, records = len(completed), sum(each.entities for each in completed)
        if (sync["files_completed"], sync["records_completed"]) != (files, records):
            self.world.fault(
                f"{process.name} counts {sync['files_completed']} files and {sync['records_completed']} records, "
                f"not {files} and {records}"
            )
        top = max((each.record.position for each in completed), default=None)
        expected = None if top is None else (msgspec.to_builtins(top[0]), top[1])
        if farthest != expected:
            self.world.fault(f"{process.name} sets the watermark to {farthest}, not {expected}")

    # At the end

    def judge_end(self, left: list[tuple[str | int, ...]]) -> None:
        """Judge what remains once every worker is through; `left` are the keys in the store."""
        for file in self.files:
            if file.status not in _TERMINAL:
                self.world.fault(f"{file.record.file_name} was lost: it is {file.status}")
        for key in left:
            if key[1] == "batch":
                self.world.fault(f"batches of a finished file are left: {key[2:]}")
            if key[1] == "lock" and self._has_clock:
                self.world.fault(f"the lock {key[2]} is left")
