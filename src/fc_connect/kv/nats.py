"""A store in NATS JetStream (2.12 or newer for commits of several keys): a message per key, in one stream.

The bucket is the stream `KV_<bucket>`, as NATS' own key-value buckets are. A key's subject holds its parts in
hexadecimal, so that a prefix is a filter of subjects. A commit is an atomic batch: each message demands the sequence
that was read of its key; a key that is checked and not written is demanded by the message of another, or by one that
writes nothing else. The versionstamp is the sequence of the batch's first message, to which each of a batch leads back.

What an older server or a stream without `allow_atomic` can't do is refused: there a commit names one key. With several
replicas the leader alone is asked, key by key, and its clock is no steady one; with one, a page is one view.

An answer that doesn't come within 15 s (`?answer_timeout=` seconds in the URL) is given up; only names are waited for
as long as the server shows that it lives.

Durability is the server's, and it doesn't tell: by default it waits for its disk every two minutes only
(`sync_interval`). `?durable=yes` vouches for it.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from fc_connect.errors import ConfigurationError, KVUnavailableError, KVValueError
from fc_connect.kv.base import CommitResult, Entry, Guarantee, Key, OneKey
from fc_connect.kv.commit import Commit
from fc_connect.kv.keys import decode_key, decode_value, encode_key, key_range
from fc_connect.kv.nats_bucket import Bucket
from fc_connect.kv.nats_link import ANSWER_TIMEOUT, Link, Login
from fc_connect.kv.nats_message import EXPECTED, EXPECTED_OF, BusyError, Draft, Message
from fc_connect.kv.nats_setup import open_bucket

__all__ = ["NATSKV"]

T = TypeVar("T")

_PAGE = 500
_GIVE_UP = 5  # pages in a row that changed too much while they were read
_ATTEMPTS = 12  # of a commit that the server turned away though its checks hold
_NO_BATCHES = (
    "commits of several keys need NATS 2.12 or newer and a stream with `allow_atomic`; this one has none. "
    "On a newer server: `nats stream edit {stream} --allow-batch`"
)


class NATSKV(OneKey):
    """A `KVStore` in a bucket of NATS JetStream. Safe to share between threads; a forked child opens its own link.

    Raises:
        ConfigurationError: the URL can't be used, or the stream is set up so that it would lose records.
        KVUnavailableError: the server can't be reached, refuses the user, or has no JetStream.
        KVCorruptError: the bucket is of another program or a newer version, or ends in half a commit.
    """

    def __init__(self, url: str) -> None:
        self._address = _address(url)
        self._lock = threading.Lock()
        self._inherited: list[Bucket] = []
        self._latest = datetime.min.replace(tzinfo=UTC)
        self._is_closed = False
        self._bucket: Bucket | None = None
        # The leader's clock is the store's; where the leader may change, so may the clock.
        self.has_clock = self._current().replicas == 1

    def __repr__(self) -> str:
        return "NATSKV(…)"  # the URL may hold a password

    def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        for key in keys:
            encode_key(key)  # refuses what is no key
        found = self._ask(lambda bucket: bucket.read([bucket.subject_of(key) for key in keys]))
        subjects = [self._current().subject_of(key) for key in keys]
        return [_entry(key, found.get(subject)) for key, subject in zip(keys, subjects, strict=True)]

    def list(
        self,
        prefix: Key,
        *,
        start: Key | None = None,
        end: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Entry]:
        low, high = key_range(prefix, start=start, end=end)
        left, failed, at = limit, 0, 0
        # The server can't sort: the names below the prefix are fetched first. Values come in pages.
        names: Sequence[bytes] | None = None
        while low < high and left != 0:
            if names is None:
                found, since = self._ask(lambda bucket: bucket.names(prefix))
                names, at = sorted((name for name in found if low <= name < high), reverse=reverse), 0
            size = _PAGE >> failed if left is None else min(_PAGE >> failed, left + 20)  # some may be deleted
            page = names[at : at + size]
            at += len(page)
            is_last = at == len(names)
            messages = self._view(prefix, page, since)
            if messages is None:
                if failed == _GIVE_UP:
                    raise KVUnavailableError("The NATS bucket changes faster than it can be listed.")
                names, failed = None, failed + 1
                continue
            # The page reaches as far as its last name, and the last page to the end of the range.
            first, beyond = low, high
            if not is_last and reverse:
                first = high = page[-1]
            elif not is_last:
                low = beyond = page[-1] + b"\x00"
            for name in sorted((each for each in messages if first <= each < beyond), reverse=reverse):
                entry = _entry(decode_key(name), messages[name])
                if entry is not None:
                    yield entry
                    left = None if left is None else left - 1
                    if left == 0:
                        return
            if is_last:
                return
            failed = 0

    def atomic(self) -> Commit:
        return Commit(self._apply)

    def now(self) -> datetime:
        now = self._ask(lambda bucket: bucket.now())
        with self._lock:
            self._latest = max(self._latest, now)
            return self._latest

    def lacks(self) -> Mapping[Guarantee, str]:
        self._ask(lambda bucket: bucket.now())  # how it is set up now
        bucket = self._current()
        lacks: dict[Guarantee, str] = {}
        if not bucket.has_batches:
            lacks[Guarantee.ATOMIC] = _NO_BATCHES.format(stream=bucket.stream)
        if bucket.replicas > 1:
            lacks[Guarantee.LINEARIZABLE] = (
                f"the stream has {bucket.replicas} replicas: a leader that is cut off from the others may answer "
                "reads from the past for some seconds, until it notices (commits are safe); only a stream with one "
                "replica has no such leader"
            )
        if bucket.config.get("storage") != "file":
            lacks[Guarantee.DURABLE] = "the stream is kept in memory: make it anew with `storage: file`"
        elif bucket.config.get("persist_mode", "default") not in {"", "default"}:
            lacks[Guarantee.DURABLE] = "the stream acknowledges before it writes: set `persist_mode: default`"
        elif not self._address.is_durable:
            lacks[Guarantee.DURABLE] = (
                "the server doesn't tell how it writes to disk, and by default it waits for the disk every two "
                "minutes only: set `sync_interval: always` in its configuration; if you know that it keeps every "
                "commit, put durable=yes in its URL"
            )
        return lacks

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            bucket, self._bucket = self._bucket, None
        if bucket is not None:
            bucket.link.close()

    def _view(self, prefix: Key, page: Sequence[bytes], since: int) -> dict[bytes, Message] | None:
        return self._ask(lambda bucket: bucket.view(prefix, page, since))

    def _apply(self, commit: Commit) -> CommitResult:
        if not commit.keys:
            return CommitResult(ok=True, versionstamp=None)
        bucket = self._current()
        if len(commit.keys) > 1 and not bucket.has_batches:
            raise KVValueError(f"NATS: {_NO_BATCHES.format(stream=bucket.stream)}. Nothing was written.")
        return bucket.link.run(_commit(bucket, commit))

    def _ask(self, work: Callable[[Bucket], Coroutine[Any, Any, T]]) -> T:
        """Ask something that may be asked twice; a link that broke in the meantime is replaced once."""
        bucket = self._current()
        try:
            return bucket.link.run(work(bucket))
        except KVUnavailableError:
            bucket = self._current()
            return bucket.link.run(work(bucket))

    def _current(self) -> Bucket:
        with self._lock:
            if self._is_closed:
                raise KVUnavailableError("This store was closed.")
            bucket = self._bucket
            if bucket is not None and bucket.link.is_up:
                return bucket
            if bucket is not None and bucket.link.pid != os.getpid():
                self._inherited.append(
                    bucket
                )  # the parent's: its sockets must not be closed with ceremony here
            elif bucket is not None:
                bucket.link.close()
            self._bucket = None
            self._bucket = _open(self._address)
            return self._bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class _Address:
    login: Login
    bucket: str
    replicas: int
    is_durable: bool


def _address(url: str) -> _Address:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    durable, replicas = query.pop("durable", "ask"), query.pop("replicas", "1")
    others, ca = query.pop("servers", ""), query.pop("ca", None)
    credentials = query.pop("credentials", None)
    try:
        answer_timeout = float(query.pop("answer_timeout", str(ANSWER_TIMEOUT)))
    except ValueError:
        answer_timeout = 0.0
    bucket = unquote(parts.path).strip("/") or "fc-connect"
    problems = []
    if query:
        problems.append(f"there is no option {', '.join(sorted(query))}")
    if durable not in {"ask", "yes"}:
        problems.append("durable must be yes (you vouch for the server) or ask")
    if not 0.5 <= answer_timeout <= 600:
        problems.append("answer_timeout must be 0.5 to 600 seconds")
    if replicas not in {"1", "3", "5"}:
        problems.append("replicas must be 1, 3 or 5")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", bucket):
        problems.append("the bucket, its path, may hold letters, digits, `-` and `_`")
    if not parts.hostname:
        problems.append("it names no host")
    if credentials is not None and not Path(credentials).is_file():
        problems.append(f"there is no credentials file {credentials!r}")
    context = None
    if parts.scheme == "nats+tls" or ca is not None:
        try:
            context = ssl.create_default_context(cafile=ca)
        except OSError as exc:
            problems.append(f"the certificates in {ca!r} can't be read ({exc})")
    if problems:
        raise ConfigurationError("The NATS URL can't be used.", problems=problems)
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    login = Login(
        servers=[f"{host}:{parts.port or 4222}", *filter(None, others.split(","))],
        user=None if password is None else user,
        password=password,
        token=user if password is None else None,
        credentials=credentials,
        tls=context,
        answer_timeout=answer_timeout,
    )
    return _Address(login=login, bucket=bucket, replicas=int(replicas), is_durable=durable == "yes")


def _open(address: _Address) -> Bucket:
    link = Link(address.login)
    try:
        return link.run(open_bucket(link, address.bucket, replicas=address.replicas))
    except BaseException:
        link.close()
        raise


async def _commit(bucket: Bucket, commit: Commit) -> CommitResult:
    """Make the commit, again and again where the server turned it away though a look shows that its checks hold."""
    subjects = {name: bucket.subject_of(key) for name, key in commit.keys.items()}
    refusal: BusyError | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            await asyncio.sleep(random.uniform(0, 0.005 * 2 ** min(attempt, 6)))
        demands: dict[bytes, int] = {}
        found = await bucket.read([subjects[name] for name in commit.checks]) if commit.checks else {}
        for name, versionstamp in commit.checks.items():
            message = found.get(subjects[name])
            is_there = message is not None and message.is_live
            if (message.versionstamp if message is not None and is_there else None) != versionstamp:
                return CommitResult(ok=False, versionstamp=None)
            demands[name] = 0 if message is None else message.sequence
        if len(commit.keys) == 1 and not commit.writes:
            return CommitResult(ok=True, versionstamp=None)  # the look was the check
        try:
            first = await bucket.write(_drafts(bucket, commit, subjects, demands))
        except BusyError as exc:
            refusal = exc
            continue
        if first is not None:
            return CommitResult(ok=True, versionstamp=f"{first:020d}")
    raise refusal or KVUnavailableError(
        f"NATS turned a commit away {_ATTEMPTS} times, though its checks hold. Nothing was written."
    )


def _drafts(
    bucket: Bucket, commit: Commit, subjects: Mapping[bytes, str], demands: Mapping[bytes, int]
) -> list[Draft]:
    drafts = []
    free = []  # messages that can demand something of another key than their own
    for name, write in commit.writes.items():
        headers = bucket.marker() if write.value is None else bucket.expiry(write.expire_in)
        draft = Draft(subject=subjects[name], data=write.value or b"", headers=headers)
        if name in demands:
            draft.headers[EXPECTED] = str(demands[name])
        else:
            free.append(draft)
        drafts.append(draft)
    for name, sequence in demands.items():
        if name not in commit.writes:
            if free:
                draft = free.pop()
            else:
                draft = Draft(subject=bucket.guard)
                drafts.append(draft)
            draft.headers |= {EXPECTED: str(sequence), EXPECTED_OF: subjects[name]}
    return drafts


def _entry(key: Key, message: Message | None) -> Entry | None:
    if message is None or not message.is_live:
        return None
    return Entry(key=key, value=decode_value(key, message.data), versionstamp=message.versionstamp)
