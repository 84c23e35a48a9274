"""A store in Deno KV, reached over KV Connect: Deno Deploy, denokv, or `deno_bridge.ts` over any store of that shape.

`deno+https://:TOKEN@host/path`: the address of the store after `deno+`, its access token as the password, or in a file
that `?token_file=…` names and that is read each time a token is needed. `?namespace=…` keeps installations apart.

An entry's value is JSON text in bytes, `{"value": …}`, with `expires_at` (milliseconds since 1970) where it expires:
numbers beyond 53 bits survive, and Deno's programs can read it. Deno deletes expired entries late, so whether one has
expired is judged here, by the server's time as its answers tell it; Deno is told to delete it a day later. That time is
good to a few seconds: `has_clock` is False, and leases are judged by watching their records instead.

A commit is one atomic write. What doesn't fit into one (64 KiB a value, 800 KiB in all) is written as chunks before it.
The protocol doesn't tell whether the server writes to disk: `?durable=yes` vouches for one that does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import msgspec

from fc_connect.clock import Clock
from fc_connect.errors import ConfigurationError, KVCorruptError, KVUnavailableError
from fc_connect.kv.base import MAX_VALUE_BYTES, CommitResult, Entry, Guarantee, Key, OneKey
from fc_connect.kv.commit import Commit
from fc_connect.kv.deno_blobs import Blobs, ChunksName, Spilled, point_range
from fc_connect.kv.deno_connect import KVConnect
from fc_connect.kv.deno_keys import decode_deno_key, encode_deno_key, encode_part
from fc_connect.kv.deno_messages import BYTES, ReadRange, Stored
from fc_connect.kv.keys import decode_value, encode_key

__all__ = ["DenoKV"]

_SCHEMA = 1
_PAGE = 500
_RANGES = 10  # in one snapshot read
_MAX_READ = 16 * 1024 * 1024  # of values in chunks, for one page
_MAX_INLINE = 60_000
_MAX_COMMIT = 700_000  # of the keys and values of one atomic write; 800 KiB with room for what is around them
_OVERHEAD = 120  # of an entry, besides its value
_TRIES = 20
_DELETED_AFTER = timedelta(days=1)
_REMEMBERED = 10_000  # versions whose expiry is known
_VERSIONSTAMP = re.compile(r"[0-9a-f]{20}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DURABLE_HOSTS = {"api.deno.com"}


class _Content(msgspec.Struct, omit_defaults=True):
    """An entry's value as it is stored."""

    value: msgspec.Raw = msgspec.Raw(b"")
    expires_at: int = 0
    chunks: ChunksName | None = None
    """The name of its chunks, and `size` their bytes, where it is too large to be here."""
    size: Annotated[int, msgspec.Meta(ge=0, le=MAX_VALUE_BYTES)] = 0


@dataclass(frozen=True, slots=True)
class _Version:
    """What is known of one version of an entry."""

    versionstamp: str
    expires_at: int
    is_large: bool


@dataclass(frozen=True, slots=True)
class _Page:
    """Entries in the order of their keys, or of the ranges that hold one each."""

    entries: Sequence[Entry]
    last: bytes
    """The last key that was looked at, expired or not."""
    is_end: bool
    """Whether the store has no more."""


class DenoKV(OneKey):
    """A `KVStore` in Deno KV. Safe to share between threads, and after a fork.

    Raises:
        ConfigurationError: the URL can't be used.
        KVUnavailableError: the server can't be reached, or refuses the token.
        KVCorruptError: what it holds was written by a newer version.
    """

    has_clock = False

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        address, options = _split(url)
        self._is_durable = options["durable"] == "yes" or urlsplit(address).hostname in _DURABLE_HOSTS
        self._clock = clock
        self._connection = KVConnect(address, read_token=_token_reader(url, options["token_file"]))
        space = encode_part(options["namespace"])
        self._area = space + encode_part("state")
        self._schema = space + encode_part("schema")
        self._blobs = Blobs(
            self._connection,
            now=self.now,
            entries=self._area,
            blobs=space + encode_part("large"),
            chunks=space + encode_part("chunks"),
            pending=space + encode_part("pending"),
        )
        self._known: dict[bytes, _Version] = {}
        try:
            self._connection.connect()
            self._check_schema()
        except BaseException:
            self._connection.close()
            raise
        self._blobs.sweep()

    def __repr__(self) -> str:
        return "DenoKV(…)"  # the URL may hold the token

    def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        names = [self._named(key) for key in keys]
        entries: list[Entry | None] = []
        for at in range(0, len(keys), _RANGES):
            ranges = [point_range(name) for name in names[at : at + _RANGES]]
            found = {entry.key: entry for entry in self._page(ranges).entries}
            entries += [found.get(key) for key in keys[at : at + _RANGES]]
        return entries

    def list(
        self,
        prefix: Key,
        *,
        start: Key | None = None,
        end: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Entry]:
        encode_key(prefix, as_prefix=True)
        base = encode_deno_key(prefix, below=self._area)
        low, high = base + b"\x00", base + b"\xff"
        if start is not None:
            low = max(low, self._named(start))
        if end is not None:
            high = min(high, self._named(end))
        left = limit
        while (left is None or left > 0) and low < high:
            size = _PAGE if left is None else min(_PAGE, left)
            page = self._page([ReadRange(start=low, end=high, limit=size, reverse=reverse)])
            yield from page.entries
            if page.is_end:
                return
            left = None if left is None else left - len(page.entries)
            low, high = (low, page.last) if reverse else (page.last + b"\0", high)

    def atomic(self) -> Commit:
        return Commit(self._apply)

    def now(self) -> datetime:
        return self._clock.now() if self._clock is not None else self._connection.now()

    def lacks(self) -> Mapping[Guarantee, str]:
        if self._is_durable:
            return {}
        return {
            Guarantee.DURABLE: "KV Connect doesn't tell how the server writes to disk; if you know that it keeps every "
            "commit, put durable=yes in its URL"
        }

    def close(self) -> None:
        self._connection.close()

    def _apply(self, commit: Commit) -> CommitResult:
        if not commit.keys:
            return CommitResult(ok=True, versionstamp=None)
        names = {name: self._named(key) for name, key in commit.keys.items()}
        stamped = {names[each]: stamp for each, stamp in commit.checks.items() if stamp is not None}
        absent = [names[each] for each, stamp in commit.checks.items() if stamp is None]
        if not self._are_live(stamped):
            return CommitResult(ok=False, versionstamp=None)
        contents = {
            names[each]: None
            if write.value is None
            else _Content(value=msgspec.Raw(write.value), expires_at=self._expiry(write.expire_in))
            for each, write in commit.writes.items()
        }
        spilled = self._spilled(contents, sum(map(len, names.values())))
        versionstamp = self._written(stamped, absent, contents, spilled)
        if versionstamp is None:
            if spilled is not None:
                self._blobs.discard(spilled)
            return CommitResult(ok=False, versionstamp=None)
        self._settle(contents, versionstamp)
        return CommitResult(ok=True, versionstamp=versionstamp)

    def _written(
        self,
        stamped: Mapping[bytes, str],
        absent: Sequence[bytes],
        contents: Mapping[bytes, _Content | None],
        spilled: Spilled | None,
    ) -> str | None:
        """Write; where a key that has to be absent is there but expired, by its versionstamp."""
        writes = [
            (
                name,
                None if content is None else msgspec.json.encode(content),
                0 if content is None or not content.expires_at else content.expires_at + _ms(_DELETED_AFTER),
            )
            for name, content in contents.items()
        ]
        checks: list[tuple[bytes, str | None]] = list(stamped.items())
        if spilled is not None:
            checks += spilled.checks
            writes += spilled.writes
        expired: dict[bytes, str | None] = dict.fromkeys(absent)
        for _ in range(_TRIES):
            versionstamp = self._connection.write([*checks, *expired.items()], writes)
            if versionstamp is not None or not expired:
                return versionstamp
            now_expired = self._absent_as(absent)
            if now_expired is None or now_expired == expired:
                # One of the absent is there; or none is, and none was, for nothing changed: another check failed.
                return None
            expired = now_expired
        raise KVUnavailableError("Deno KV: the keys of a commit keep changing; nothing was written.")

    def _absent_as(self, names: Sequence[bytes]) -> dict[bytes, str | None] | None:
        """Return the versionstamps by which keys are absent (None, or that of an expired entry); None if one isn't."""
        found: dict[bytes, str | None] = dict.fromkeys(names)
        for stored in self._stored(names):
            if not self._has_expired(_content_of(stored).expires_at):
                return None
            found[stored.key] = stored.versionstamp
        return found

    def _are_live(self, stamped: Mapping[bytes, str]) -> bool:
        """Say whether these versions may still be checked: those that have expired count as gone."""
        if not all(_VERSIONSTAMP.fullmatch(stamp) for stamp in stamped.values()):
            return False
        known = dict(self._known)
        unknown = [
            name for name, stamp in stamped.items() if name not in known or known[name].versionstamp != stamp
        ]
        for stored in self._stored(unknown):  # as a rule none: whoever has a versionstamp got it here
            content = _content_of(stored)
            known[stored.key] = _Version(stored.versionstamp, content.expires_at, bool(content.chunks))
        return all(
            name in known
            and known[name].versionstamp == stamp
            and not self._has_expired(known[name].expires_at)
            for name, stamp in stamped.items()
        )

    def _spilled(self, contents: dict[bytes, _Content | None], names_size: int) -> Spilled | None:
        """Write what doesn't fit as chunks, and put their names in its place."""
        sizes = {name: len(content.value) for name, content in contents.items() if content is not None}
        total = names_size + sum(size + _OVERHEAD for size in sizes.values())
        large: dict[bytes, bytes] = {}
        for name, size in sorted(sizes.items(), key=lambda each: -each[1]):
            content = contents[name]
            if content is not None and (size > _MAX_INLINE or total > _MAX_COMMIT):
                large[name[len(self._area) :]] = bytes(content.value)
                total -= size
        if not large:
            return None
        spilled = self._blobs.spill(large)
        for rest, chunks in spilled.names.items():
            content = contents[self._area + rest]
            contents[self._area + rest] = _Content(
                value=msgspec.Raw(b"null"),
                expires_at=content.expires_at if content is not None else 0,
                chunks=chunks,
                size=len(large[rest]),
            )
        return spilled

    def _settle(self, contents: Mapping[bytes, _Content | None], versionstamp: str) -> None:
        """Note what was written, and delete chunks that no longer belong to anything."""
        before = self._known
        swept = []
        for name, content in contents.items():
            known = before.get(name)
            is_large = content is not None and bool(content.chunks)
            if is_large or (known is not None and known.is_large):
                swept.append(name[len(self._area) :])
            if content is not None:
                self._note(name, _Version(versionstamp, content.expires_at, is_large))
        for rest in swept:
            self._blobs.sweep(below=rest)

    def _page(self, ranges: Sequence[ReadRange]) -> _Page:
        """Return the entries of the ranges that haven't expired, as they were at one moment."""
        for _ in range(_TRIES):
            stored = [each for found in self._connection.read(ranges) for each in found]
            contents = [(each, _content_of(each)) for each in stored]
            for each, content in contents:
                self._note(
                    each.key, _Version(each.versionstamp, content.expires_at, is_large=bool(content.chunks))
                )
            live, last = self._live(contents)
            large = self._blobs.read({content.chunks: content.size for _, content in live if content.chunks})
            if all(not content.chunks or content.chunks in large for _, content in live):
                entries = []
                for each, content in live:
                    key = decode_deno_key(each.key, below=self._area)
                    text = large[content.chunks] if content.chunks else bytes(content.value)
                    entries.append(
                        Entry(key=key, value=decode_value(key, text), versionstamp=each.versionstamp)
                    )
                is_end = not stored or (last == stored[-1].key and len(stored) < ranges[0].limit)
                return _Page(entries, last, is_end)
            # An entry was written anew between the two reads: look again.
        raise KVUnavailableError("Deno KV: large values keep changing while they are read.")

    def _live(
        self, contents: Sequence[tuple[Stored, _Content]]
    ) -> tuple[Sequence[tuple[Stored, _Content]], bytes]:
        """Return those that haven't expired, up to where their chunks would fill the memory, and the last key seen."""
        live: list[tuple[Stored, _Content]] = []
        size, last = 0, b""
        for stored, content in contents:
            if not self._has_expired(content.expires_at):
                size += content.size
                if live and size > _MAX_READ:
                    break
                live.append((stored, content))
            last = stored.key
        return live, last

    def _stored(self, names: Sequence[bytes]) -> Iterator[Stored]:
        for at in range(0, len(names), _RANGES):
            for found in self._connection.read([point_range(name) for name in names[at : at + _RANGES]]):
                yield from found

    def _note(self, name: bytes, version: _Version) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known = {}  # what is forgotten is read again when it is needed
        self._known[name] = version

    def _has_expired(self, expires_at: int) -> bool:
        return bool(expires_at) and _ms(self.now() - _EPOCH) >= expires_at

    def _expiry(self, expire_in: timedelta | None) -> int:
        return 0 if expire_in is None else _ms(self.now() - _EPOCH + expire_in)

    def _named(self, key: Key) -> bytes:
        encode_key(key)
        return encode_deno_key(key, below=self._area)

    def _check_schema(self) -> None:
        for _ in range(2):
            for stored in self._stored([self._schema]):
                schema = decode_value((), bytes(_content_of(stored).value))
                if schema > _SCHEMA:
                    raise KVCorruptError(
                        f"What Deno KV holds was written by a newer version of fc-connect (schema {schema}, this one "
                        f"knows {_SCHEMA}). Upgrade fc-connect; nothing was changed."
                    )
                return
            content = _Content(value=msgspec.Raw(msgspec.json.encode(_SCHEMA)))
            self._connection.write([(self._schema, None)], [(self._schema, msgspec.json.encode(content), 0)])


def _content_of(stored: Stored) -> _Content:
    try:
        if stored.encoding != BYTES:
            raise ValueError("it isn't an array of bytes")
        return msgspec.json.decode(stored.value, type=_Content)
    except ValueError as exc:  # msgspec's own among them
        raise KVCorruptError(f"Deno KV holds a value that isn't ours at {stored.key!r}: {exc}.") from exc


def _ms(duration: timedelta) -> int:
    return math.ceil(duration.total_seconds() * 1000)


def _split(url: str) -> tuple[str, dict[str, str]]:
    """Return the address without the token, and our options."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    options = {
        "namespace": query.pop("namespace", "fc-connect"),
        "durable": query.pop("durable", "ask"),
        "token_file": query.pop("token_file", ""),
    }
    if options["durable"] not in {"ask", "yes"}:
        raise ConfigurationError("durable in the Deno KV URL must be yes (you vouch for the server) or ask.")
    if query:
        raise ConfigurationError(
            f"The Deno KV URL has an option that isn't one: {', '.join(sorted(query))}. Known: {', '.join(options)}."
        )
    if not parts.hostname or parts.fragment:
        raise ConfigurationError(
            "The Deno KV URL names no host, or holds a `#`: write deno+https://:TOKEN@host/path."
        )
    if not 0 < len(options["namespace"].encode()) <= 64 or "\0" in options["namespace"]:
        raise ConfigurationError("namespace in the Deno KV URL must be a short text.")
    if parts.username or bool(parts.password) == bool(options["token_file"]):
        raise ConfigurationError(
            "The Deno KV URL needs one access token: as the password (deno+https://:TOKEN@host/path), or with "
            "token_file=… in a file."
        )
    scheme = parts.scheme.removeprefix("deno+")
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((scheme, host, parts.path or "/", "", "")), options


def _token_reader(url: str, token_file: str) -> Any:
    def from_file() -> str:
        try:
            return Path(token_file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as exc:
            raise ConfigurationError(f"The access token for Deno KV can't be read: {exc}.") from exc

    token = unquote(urlsplit(url).password or "")
    return from_file if token_file else lambda: token
