"""A client of KV Connect, the protocol of Deno KV: which endpoint and token to use, snapshot reads, atomic writes.

https://github.com/denoland/denokv/blob/main/proto/kv-connect.md, versions 1 to 3. Only strongly consistent endpoints
are asked, and an answer that doesn't claim to be strongly consistent is none. A write is never sent twice unless the
server said that it did nothing.
"""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import httpx
import msgspec

from fc_connect.clock import SystemClock
from fc_connect.errors import (
    ConfigurationError,
    KVCommitUnknownError,
    KVError,
    KVUnavailableError,
    KVValueError,
)
from fc_connect.kv.deno_messages import (
    DecodeError,
    ReadAnswer,
    ReadRange,
    Stored,
    WriteAnswer,
    WriteStatus,
    decode_read_answer,
    decode_write_answer,
    encode_read,
    encode_write,
)
from fc_connect.kv.steady import ServedTime

__all__ = ["KVConnect"]

T = TypeVar("T")

_VERSIONS = (1, 2, 3)
_TIMEOUT = 15.0  # seconds, for one answer
_MAX_ANSWER = 64 * 1024 * 1024
_MAX_REDIRECTS = 5
_TOKEN = re.compile(r"[\x21-\x7e]+")
_VERSIONSTAMP = re.compile(r"[0-9a-f]{20}")
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class _Endpoint(msgspec.Struct):
    url: str
    consistency: str


class _Metadata(msgspec.Struct, rename="camel"):
    """The answer to a metadata exchange, as it travels."""

    version: int
    endpoints: list[_Endpoint]
    token: str
    expires_at: datetime
    uuid: str | None = None
    database_id: str | None = None  # what denokv calls it


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Route:
    """Where to ask, and with what; until when, by this process' monotonic clock."""

    version: int
    urls: tuple[str, ...]
    headers: dict[str, str]
    token: str
    until: float


class KVConnect:
    """One database that is reached over KV Connect. Safe to share between threads, and after a fork.

    Args:
        url: where metadata is exchanged.
        read_token: gives the access token each time one is needed, so that it may be changed under way.
    """

    def __init__(self, url: str, *, read_token: Callable[[], str]) -> None:
        self._url = url
        self._read_token = read_token
        self._host = urlsplit(url).netloc
        self._clock = SystemClock()
        self._time = ServedTime(self._clock)
        self._renew_locks()
        self._route: _Route | None = None
        self._clients: dict[int, httpx.Client] = {}
        self._is_closed = False
        self._secrets: set[str] = set()
        itself = weakref.WeakMethod(self._renew_locks)

        def renew() -> None:
            if (method := itself()) is not None:
                method()

        os.register_at_fork(after_in_child=renew)

    def read(self, ranges: Sequence[ReadRange]) -> list[Sequence[Stored]]:
        """Return the entries of each range, all as they were at one moment of this call.

        Raises:
            KVUnavailableError: no answer, or none that is strongly consistent.
            KVError: the request was refused.
        """
        body = encode_read(ranges)

        def ask() -> ReadAnswer:
            return self._ask(
                "snapshot_read",
                body,
                decode_read_answer_of,
                is_usable=lambda answer: not answer.is_disabled and answer.is_strong,
                is_write=False,
            )

        def decode_read_answer_of(content: bytes, version: int) -> ReadAnswer:
            return decode_read_answer(content, version=version)

        try:
            answer = ask()
        except KVUnavailableError:
            answer = ask()  # over a fresh connection; a read may be asked twice
        if answer.is_disabled or not answer.is_strong:
            raise KVUnavailableError(f"Deno KV at {self._host} can't read with strong consistency now.")
        if len(answer.ranges) != len(ranges) or not all(map(_fits, answer.ranges, ranges)):
            raise KVUnavailableError(f"Deno KV at {self._host} answered other ranges than were asked for.")
        return list(answer.ranges)

    def write(
        self,
        checks: Sequence[tuple[bytes, str | None]],
        writes: Sequence[tuple[bytes, bytes | None, int]],
    ) -> str | None:
        """Write all or, where a check fails, nothing: then return None, else the versionstamp.

        Raises:
            KVUnavailableError: nothing was written.
            KVCommitUnknownError: it may have been written.
            KVValueError: the server refused it; nothing was written.
        """
        answer = self._ask(
            "atomic_write",
            encode_write(checks, writes),
            lambda content, _version: decode_write_answer(content),
            is_usable=lambda answer: answer.status != WriteStatus.DISABLED,
            is_write=True,
        )
        return self._outcome(answer)

    def _outcome(self, answer: WriteAnswer) -> str | None:
        if answer.status == WriteStatus.SUCCESS and _VERSIONSTAMP.fullmatch(answer.versionstamp):
            return answer.versionstamp
        if answer.status == WriteStatus.CHECK_FAILURE:
            return None
        if answer.status == WriteStatus.DISABLED:
            raise KVUnavailableError(f"Deno KV at {self._host} takes no writes now; nothing was written.")
        raise KVCommitUnknownError(
            f"Deno KV at {self._host} doesn't say how a commit ended (status {answer.status})."
        )

    def _renew_locks(self) -> None:
        # In a forked child nobody would ever free those that another thread held.
        self._lock = threading.Lock()  # around the clients
        self._exchanging = threading.Lock()  # around the route

    def connect(self) -> None:
        """Exchange metadata now, to find out whether URL and token are good.

        Raises:
            KVUnavailableError: it can't be reached, or refuses the token.
            KVError: it doesn't speak KV Connect.
        """
        self._routed(instead_of=None)

    def now(self) -> datetime:
        """Return the server's time, as far as its answers tell it."""
        return self._time.now()

    def close(self) -> None:
        """Close all connections. Twice is no fault."""
        with self._lock:
            self._is_closed = True
            client = self._clients.pop(os.getpid(), None)  # another process' connections aren't ours to end
        if client is not None:
            client.close()

    def _ask(
        self,
        method: str,
        body: bytes,
        decode: Callable[[bytes, int], T],
        *,
        is_usable: Callable[[T], bool],
        is_write: bool,
    ) -> T:
        """Send once; again by a new route where the server did nothing because the route is out of date."""
        route = self._routed(instead_of=None)
        for is_last in (False, True):
            status, content = self._send(route, method, body, is_write=is_write)
            if status in {401, 403, 404, 410} and not is_last:
                route = self._routed(instead_of=route)
                continue
            self._judge(status, content, is_write=is_write)
            try:
                answer = decode(content, route.version)
            except DecodeError as exc:
                raise self._no_answer(
                    "something that is no message of KV Connect", is_write=is_write
                ) from exc
            if is_last or is_usable(answer):
                break
            route = self._routed(instead_of=route)
        return answer

    def _send(self, route: _Route, method: str, body: bytes, *, is_write: bool) -> tuple[int, bytes]:
        failure: httpx.RequestError | None = None
        for url in route.urls:
            try:
                answer, content = self._post(
                    f"{url}/{method}",
                    body,
                    token=route.token,
                    headers={"Content-Type": "application/x-protobuf", **route.headers},
                )
            except _NOT_SENT as exc:
                failure = exc  # the next endpoint may be there
            except httpx.RequestError as exc:
                text = f"no whole answer: {type(exc).__name__} {exc}"
                raise self._no_answer(text, is_write=is_write) from exc
            else:
                return answer.status_code, content
        self._forget(route)
        raise self._unreachable(failure) from failure

    def _judge(self, status: int, content: bytes, *, is_write: bool) -> None:
        if status == 200:
            return
        told = f"status {status}: {self._text(content)}"
        if status in {401, 403}:
            raise KVUnavailableError(
                f"Deno KV at {self._host} refuses the token ({told}). Nothing was written."
            )
        if status == 429:
            raise KVUnavailableError(f"Deno KV at {self._host} asks to wait ({told}). Nothing was written.")
        if 400 <= status < 500 and status != 408:
            kind = KVValueError if is_write and status in {400, 413, 422} else KVError
            raise kind(f"Deno KV at {self._host} refuses the request ({told}). Nothing was written.")
        raise self._no_answer(told, is_write=is_write)

    def _no_answer(self, reason: str, *, is_write: bool) -> KVError:
        if is_write:
            return KVCommitUnknownError(f"Deno KV at {self._host}: a commit got no good answer ({reason}).")
        return KVUnavailableError(f"Deno KV at {self._host}: a read got no good answer ({reason}).")

    def _unreachable(self, failure: httpx.RequestError | None) -> KVUnavailableError:
        return KVUnavailableError(
            f"Deno KV at {self._host} can't be reached: {failure}. Nothing was written; run again once it is up."
        )

    def _routed(self, *, instead_of: _Route | None) -> _Route:
        """Return a route that is good for now; a new one `instead_of` what didn't do."""
        with self._exchanging:
            route = self._route
            if route is None or route is instead_of or self._clock.monotonic() >= route.until:
                route = self._route = self._exchange()
            return route

    def _forget(self, route: _Route) -> None:
        with self._exchanging:
            if self._route is route:
                self._route = None

    def _exchange(self) -> _Route:
        token = self._read_token()
        if not _TOKEN.fullmatch(token):  # without it in the message
            raise ConfigurationError(
                f"The access token for Deno KV at {self._host} can't be one: it is empty, or holds a space or an odd "
                "character."
            )
        self._kept(token)
        body = msgspec.json.encode({"supportedVersions": _VERSIONS})
        url = self._url
        for _ in range(_MAX_REDIRECTS + 1):
            asked_at = self._clock.monotonic()
            try:
                answer, content = self._post(
                    url, body, token=token, headers={"Content-Type": "application/json"}
                )
            except _NOT_SENT as exc:
                raise self._unreachable(exc) from exc
            except httpx.RequestError as exc:
                raise KVUnavailableError(
                    f"Deno KV at {self._host} gave no whole answer: {type(exc).__name__} {exc}."
                ) from exc
            if not answer.is_redirect:
                break
            url = self._redirected(url, answer.headers.get("location", ""))
        if answer.status_code != 200:
            advice = "" if answer.status_code >= 500 else " Check its URL and the access token."
            raise KVUnavailableError(
                f"Deno KV at {self._host} doesn't let us in (status {answer.status_code}: "
                f"{self._text(content)}).{advice}"
            )
        self._time.observe(answer.headers.get("date"), sent_at=asked_at)
        now = self._time.now()
        try:
            return self._route_of(msgspec.json.decode(content, type=_Metadata), url, now)
        except (msgspec.MsgspecError, ValueError) as exc:
            raise KVError(f"What answers at {self._host} doesn't speak KV Connect: {exc}.") from exc

    def _route_of(self, metadata: _Metadata, base: str, now: datetime) -> _Route:
        if metadata.version not in _VERSIONS:
            raise ValueError(f"it wants version {metadata.version}")
        database = metadata.uuid or metadata.database_id or ""
        if not _TOKEN.fullmatch(database) or not _TOKEN.fullmatch(metadata.token):
            raise ValueError("it names no database, or gives no token")
        urls = tuple(
            self._endpoint(each.url, base) for each in metadata.endpoints if each.consistency == "strong"
        )
        if not urls:
            raise ValueError("it has no strongly consistent endpoint")
        if metadata.expires_at.tzinfo is None:
            raise ValueError("its token ends at no certain time")
        lifetime = (metadata.expires_at - now).total_seconds()
        headers = {"x-transaction-domain-id": database}
        if metadata.version >= 2:
            headers = {"x-denokv-database-id": database, "x-denokv-version": str(metadata.version)}
        return _Route(
            version=metadata.version,
            urls=urls,
            headers=headers,
            token=self._kept(metadata.token),
            # A little early; where the token is that short-lived, the server's refusal renews it.
            until=self._clock.monotonic() + max(lifetime - 10, lifetime / 2, 1.0),
        )

    def _endpoint(self, address: str, base: str) -> str:
        url = urlsplit(urljoin(base, address))
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ValueError("it names an endpoint that isn't a URL")
        if urlsplit(base).scheme == "https" and url.scheme != "https":
            raise ValueError("it names an endpoint without TLS")
        return url.geturl().rstrip("/")

    def _redirected(self, base: str, location: str) -> str:
        there, here = urlsplit(urljoin(base, location)), urlsplit(base)
        if (there.scheme, there.netloc) not in {(here.scheme, here.netloc), ("https", here.netloc)}:
            # The access token goes to nobody but whom the user named.
            raise KVUnavailableError(
                f"Deno KV at {self._host} sends us to {there.scheme}://{there.hostname}. If that is right, "
                "put this address into the store's URL."
            )
        return there.geturl()

    def _post(
        self, url: str, body: bytes, *, token: str, headers: dict[str, str]
    ) -> tuple[httpx.Response, bytes]:
        deadline = self._clock.monotonic() + _TIMEOUT
        request = self._client().build_request(
            "POST", url, content=body, headers={"Authorization": f"Bearer {token}", **headers}
        )
        response = self._client().send(request, stream=True)
        content = bytearray()
        try:
            for piece in response.iter_raw():
                content += piece
                if len(content) > _MAX_ANSWER:
                    raise httpx.DecodingError(f"the answer is longer than {_MAX_ANSWER:,} bytes")
                if self._clock.monotonic() > deadline:
                    raise httpx.ReadTimeout(f"the answer took longer than {_TIMEOUT:.0f} s")
        finally:
            response.close()
        return response, bytes(content)

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._is_closed:
                raise KVUnavailableError("This store was closed.")
            client = self._clients.get(os.getpid())
            if client is None:
                # After a fork the parent's client stays in the dictionary: dropped, its connections would be closed.
                client = self._clients[os.getpid()] = httpx.Client(
                    timeout=_TIMEOUT,
                    headers={"User-Agent": "fc-connect", "Accept-Encoding": "identity"},
                    follow_redirects=False,
                    cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
                    trust_env=False,
                )
            return client

    def _kept(self, token: str) -> str:
        self._secrets.add(token)
        return token

    def _text(self, content: bytes) -> str:
        """Return what the server says, fit to be shown: it may repeat a token."""
        text = content.decode(errors="replace")
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        text = "".join(each if each.isprintable() else " " for each in text).strip()
        return text[:300] or "no reason given"


def _fits(found: Sequence[Stored], asked: ReadRange) -> bool:
    """Say whether an answer may be one: a list would never end if a server gave keys from elsewhere."""
    keys = [each.key for each in found]
    return (
        len(keys) <= asked.limit
        and all(asked.start <= key < asked.end for key in keys)
        and keys == sorted(set(keys), reverse=asked.reverse)
    )
