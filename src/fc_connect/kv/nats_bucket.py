"""The stream behind a bucket, read and written over one link. All of it runs on the link's loop."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import msgspec

from fc_connect.errors import (
    KVCommitUnknownError,
    KVCorruptError,
    KVUnavailableError,
    KVValueError,
)
from fc_connect.kv.base import Key
from fc_connect.kv.keys import decode_key, encode_key
from fc_connect.kv.nats_link import Link, NobodyAnswersError
from fc_connect.kv.nats_message import (
    CONFLICT,
    EXPIRES_IN,
    NO_STREAM,
    Draft,
    Message,
    decoded,
    message_of_answer,
    message_of_api,
    refusal_of,
)

__all__ = ["Bucket"]

_ROUND = 500  # subjects asked for in one question; the server takes 1,024
_ROUND_BYTES = 16 * 1024 * 1024  # of values in one answer
_BATCHES = 8  # of one store under way; the server takes 50 per stream, from all
_AT_ONCE = 64  # questions under way, where each subject is asked for by itself
_TOO_MANY = {"204", "413"}  # the answer was cut short; refused
_CHASE = 500  # changes that are followed one by one, where they can't be asked for together
_OVERLAP = 1000  # names that one page shares with the one before
_CLOCK_GOOD_FOR = 1.0  # seconds
_MARKER_KEPT = timedelta(minutes=15)
"""How long a deleted or expired key is kept as a message. The server writes down every two minutes what it removed; did
a marker go sooner, then a crash could bring back what it replaced."""
_LONGEST_TTL = timedelta(days=36500)


class Bucket:
    """One bucket over one link. `nats_setup.open_bucket` makes and checks it."""

    def __init__(self, link: Link, name: str) -> None:
        self.link = link
        self.name = name
        self.stream = f"KV_{name}"
        self.config: Mapping[str, Any] = {}
        self.root = f"$KV.{name}"
        self.about = f"{self.root}.fc-connect"
        self._is_direct = False
        self._batches = asyncio.Semaphore(_BATCHES)
        self._clock: tuple[datetime, float] | None = None  # the server's time; our monotonic time thereafter

    @property
    def replicas(self) -> int:
        """How many servers hold the stream."""
        return int(self.config["num_replicas"])

    @property
    def has_batches(self) -> bool:
        """Whether several messages can be written together or not at all."""
        return bool(self.config.get("allow_atomic")) and self.link.version >= (2, 12)

    @property
    def guard(self) -> str:
        """The subject of messages that are written for what they demand."""
        return f"{self.root}.guard"

    def subject_of(self, key: Key) -> str:
        """Return the subject of a key: a token per part."""
        return ".".join([self.root, "k", *(encode_key((part,)).hex() for part in key)])

    def name_of(self, subject: str) -> bytes:
        """Return the encoded key of a subject."""
        try:
            return bytes.fromhex(subject.removeprefix(f"{self.root}.k.").replace(".", ""))
        except ValueError as exc:
            raise KVCorruptError(
                f"The NATS bucket holds a subject that isn't one of ours: {subject!r}."
            ) from exc

    def ttl(self, kept: timedelta = timedelta(0)) -> dict[str, str]:
        """Return the header by which the server sweeps a message up, some time after it is `kept` no longer."""
        if not self.config.get("allow_msg_ttl") or kept > _LONGEST_TTL:
            return {}
        return {"Nats-TTL": f"{int((kept + _MARKER_KEPT).total_seconds()) + 1}s"}

    def marker(self) -> dict[str, str]:
        """Return the headers of a message that says that its key was deleted."""
        return {"KV-Operation": "DEL", **self.ttl()}

    def expiry(self, expire_in: timedelta | None) -> dict[str, str]:
        """Return the headers of a message that expires."""
        if expire_in is None:
            return {}
        return {EXPIRES_IN: str(max(1, -(expire_in // -timedelta(milliseconds=1)))), **self.ttl(expire_in)}

    async def look(self, *, is_patient: bool = False, **question: Any) -> dict[str, Any] | None:
        """Ask the leader about the stream, and note how it is set up and what time it is there."""
        answer = await self.api(f"STREAM.INFO.{self.stream}", question, is_patient=is_patient)
        if "error" in answer:
            if answer["error"].get("err_code") == NO_STREAM:
                return None
            raise refusal_of(answer["error"])
        self.config = answer["config"]
        self._is_direct = (
            bool(self.config.get("allow_direct")) and self.replicas == 1 and self.link.version >= (2, 11)
        )
        self._clock = (datetime.fromisoformat(answer["ts"]), time.monotonic())
        return answer

    async def now(self) -> datetime:
        """Return the leader's time."""
        if await self.look() is None or self._clock is None:
            raise KVUnavailableError(f"The NATS bucket {self.name!r} is gone.")
        return self._clock[0]

    async def read(self, subjects: Sequence[str]) -> dict[str, Message]:
        """Return what the stream holds of the subjects; `is_live` tells what is neither deleted nor expired.

        Time is asked before the values are: so what counts as expired was so when it was read. It may count as
        live for as long as an answer takes.
        """
        floor, is_fresh = self._floor()
        found = await self._fetch(subjects)
        ends = [each.expires_at for each in found.values() if each.expires_at is not None]
        if ends and not (is_fresh and floor is not None and min(ends) > floor):
            floor = await self.now()
            found = await self._fetch(subjects)
        return {subject: each.judged_at(floor) for subject, each in found.items()}

    async def names(self, prefix: Key) -> tuple[list[bytes], int]:
        """Return the encoded keys below `prefix`, in no order, deleted and expired ones among them.

        And a sequence: whatever isn't there by name was written after it.
        """
        found: list[bytes] = []
        offset, last, since = 0, "", -1
        while True:
            # The server goes through all its names for every page of 100,000: a million may take it longer than
            # an answer may.
            info = await self.look(
                is_patient=True, subjects_filter=f"{self.subject_of(prefix)}.>", offset=offset
            )
            if info is None:
                raise KVUnavailableError(f"The NATS bucket {self.name!r} is gone.")
            page = sorted(info["state"].get("subjects") or ())
            if offset and page and page[0] > last:  # names before it were removed: some may have slipped past
                found.clear()
                offset, last, since = 0, "", -1
                continue
            if since < 0:
                since = int(info["state"]["last_seq"])
            found.extend(self.name_of(subject) for subject in page if subject > last)
            last = max([last, *page[-1:]])
            if offset + len(page) >= info.get("total", 0) or not page:
                return found, since
            offset += max(1, len(page) - _OVERLAP)

    async def view(self, prefix: Key, names: Sequence[bytes], since: int) -> dict[bytes, Message] | None:
        """Return the messages of `names`, and of whatever below `prefix` was written after `since`, at one moment.

        What wasn't written since was the same all the time; what was is laid over it. None where that is too much:
        the names have to be asked for again.
        """
        subjects = [self.subject_of(decode_key(name)) for name in names]
        found = await self.read(subjects)
        floor, _ = self._floor()
        changed = await self._changes(f"{self.subject_of(prefix)}.>", since)
        if changed is None:
            return None
        found |= {subject: each.judged_at(floor) for subject, each in changed.items()}
        return {self.name_of(subject): each for subject, each in found.items()}

    async def write(self, drafts: Sequence[Draft]) -> int | None:
        """Write all or none, and return the sequence of the first; None where one's demand isn't met.

        Raises:
            BusyError, KVUnavailableError: nothing was written.
            KVCommitUnknownError: they may have been written.
            KVValueError: a message is too large, or the server takes no batches; nothing was written.
        """
        batch = uuid.uuid4().hex
        if len(drafts) > 1:
            for number, draft in enumerate(drafts, 1):
                draft.headers |= {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
            drafts[-1].headers["Nats-Batch-Commit"] = "1"
        self._check_sizes(drafts)
        async with self._batches if len(drafts) > 1 else nullcontext():
            self.link.demand_up()  # until here, nothing can have been written
            try:
                answer = await self._send(drafts)
            except NobodyAnswersError:
                raise
            except KVUnavailableError as exc:
                raise KVCommitUnknownError(f"{exc} A commit was under way: it may have been made.") from exc
            except asyncio.CancelledError as exc:
                raise KVCommitUnknownError("The store was closed while a commit was under way.") from exc
        if "error" in answer:
            if answer["error"].get("err_code") in CONFLICT:
                return None
            raise refusal_of(answer["error"])
        count = int(answer.get("count", 1))
        if answer.get("stream") != self.stream or count != len(drafts):
            raise KVCommitUnknownError(f"NATS answered a commit with something else: {answer!r}.")
        return int(answer["seq"]) - count + 1

    async def _send(self, drafts: Sequence[Draft]) -> dict[str, Any]:
        first, last = drafts[0], drafts[-1]
        async with self.link.answers() as (inbox, answer):
            for draft in drafts:
                await self.link.send(
                    draft.subject,
                    draft.data,
                    draft.headers,
                    inbox=inbox if draft is first or draft is last else "",
                )
            if first is not last:
                begun = (await answer()).data
                if begun:  # otherwise the batch was begun
                    told = decoded(begun)
                    if "error" not in told:
                        raise KVCorruptError(
                            "NATS took the first message of a batch for itself: is it of 2.12?"
                        )
                    return told
            return decoded((await answer()).data)

    def _check_sizes(self, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            size = (
                len(draft.data) + 14 + sum(len(name) + len(text) + 4 for name, text in draft.headers.items())
            )
            if size > self.link.max_payload:
                raise KVValueError(
                    f"A message of {size:,} bytes is too large for the NATS server, which takes "
                    f"{self.link.max_payload:,}: set `max_payload: 2MB` in its configuration. Nothing was written."
                )

    def _floor(self) -> tuple[datetime | None, bool]:
        """Return a time that the server's clock has reached, and whether it was asked just now."""
        if self._clock is None:
            return None, False
        told, at = self._clock
        since = time.monotonic() - at
        return told + timedelta(seconds=since), since <= _CLOCK_GOOD_FOR

    async def _fetch(self, subjects: Sequence[str]) -> dict[str, Message]:
        found: dict[str, Message] = {}
        left = list(dict.fromkeys(subjects))
        while left and self._is_direct:
            some = list(_some(left, self.link.max_payload // 2))
            is_whole = True
            async for subject, message in self._ask_directly([self.about, *some]):
                if subject == "":
                    is_whole = False
                else:
                    found[subject] = message
            rest = left[len(some) :]
            left = rest if is_whole else [each for each in some if each not in found] + rest
        if left:
            gate = asyncio.Semaphore(_AT_ONCE)

            async def ask(subject: str) -> None:
                async with gate:
                    if (last := await self.last(last_by_subj=subject)) is not None:
                        found[subject] = last[1]

            await asyncio.gather(*map(ask, left))
        found.pop(self.about, None)
        return found

    async def _changes(self, subjects: str, since: int) -> dict[str, Message] | None:
        """Return what was written to the subjects after `since`, as it is at one moment; None if it is too much."""
        changed: dict[str, Message] = {}
        last = since
        for _ in range(_CHASE):
            following = await self.last(next_by_subj=subjects, seq=last + 1)
            if following is None:  # nothing more at this moment, and nothing that was passed over
                return changed
            changed[following[0]], last = following[1], following[1].sequence
            if self._is_direct:
                told = {
                    subject: message
                    async for subject, message in self._ask_directly([subjects], seq=since + 1)
                }
                if "" not in told:
                    return told
                if told[""].headers["Status"] in _TOO_MANY:
                    return None
        return None

    async def _ask_directly(self, subjects: Sequence[str], **more: int) -> AsyncIterator[tuple[str, Message]]:
        """Yield the last messages of the subjects as they are at one moment; a subject "" tells that some are left.

        One at least must exist, so that each answer shows whose it is: a mirror may answer too, and lags.
        """
        question = msgspec.json.encode({"multi_last": subjects, "max_bytes": _ROUND_BYTES, **more})
        async with self.link.answers() as (inbox, answer):
            await self.link.send(f"$JS.API.DIRECT.GET.{self.stream}", question, inbox=inbox)
            while True:
                told = await answer()
                headers = told.headers or {}
                if headers.get("Status") == "204":
                    if int(headers.get("Nats-Num-Pending", 0)):
                        yield "", message_of_answer(told)
                    return
                if "Status" in headers or headers.get("Nats-Stream") != self.stream:
                    if headers.get("Status") not in _TOO_MANY:
                        self._is_direct = False  # it was a mirror: from now on the leader is asked
                        told.headers = {**headers, "Status": headers.get("Status", "404")}
                    yield "", message_of_answer(told)
                    return
                yield headers["Nats-Subject"], message_of_answer(told)

    async def last(self, **which: Any) -> tuple[str, Message] | None:
        """Return a message and its subject, told by the leader."""
        answer = await self.api(f"STREAM.MSG.GET.{self.stream}", which)
        if "error" in answer:
            if answer["error"].get("code") == 404 and answer["error"].get("err_code") != NO_STREAM:
                return None
            raise refusal_of(answer["error"])
        return answer["message"]["subject"], message_of_api(answer["message"])

    async def api(
        self, subject: str, question: Mapping[str, Any], *, is_patient: bool = False
    ) -> dict[str, Any]:
        """Ask JetStream's interface, and return its answer, or its error."""
        content = msgspec.json.encode(question)
        return decoded((await self.link.ask(f"$JS.API.{subject}", content, is_patient=is_patient)).data)


def _some(subjects: Sequence[str], max_bytes: int) -> Iterator[str]:
    """Yield the first subjects, as many as one question may have."""
    size = 0
    for subject in subjects[:_ROUND]:
        size += len(subject) + 3
        if size > max_bytes:
            return
        yield subject
