"""Sends one call until it is done, refused or in doubt; every error leaves here in our terms, secrets masked."""

from __future__ import annotations

import logging
import random
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from fc_connect.clock import Clock
from fc_connect.errors import AuthenticationError, FluentAPIError, FluentUnavailableError
from fc_connect.faults import point
from fc_connect.fluent.auth import Credentials, Grant, TokenSource, read_grant
from fc_connect.fluent.deadline import DeadlineTransport
from fc_connect.fluent.exchange import Answer, Call
from fc_connect.fluent.masking import Mask
from fc_connect.fluent.retry import (
    Verdict,
    backoff,
    judge_failure,
    judge_status,
    parse_http_date,
    parse_retry_after,
)
from fc_connect.fluent.wording import Wording, in_words
from fc_connect.observe import current_correlation_id

__all__ = ["Channel", "Retries"]

logger = logging.getLogger(__name__)

# Bytes, unpacked. A page of 5,000 results takes a few MiB; as objects an answer takes up to 20 times its size.
_MAX_ANSWER = 16 * 1024 * 1024
_RENEWALS = 2
_REQUEST_ID_HEADERS = ("x-request-id", "x-amzn-requestid", "x-amz-cf-id")
_HEADER_SAFE = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and how patiently to try."""

    max_attempts: int
    base: timedelta
    cap: timedelta
    max_retry_after: timedelta


class Channel:
    """The way to one Fluent account: connections, token, retries. Safe to share between threads."""

    def __init__(
        self,
        *,
        transport: DeadlineTransport,
        base_url: str,
        credentials: Credentials,
        headers: Mapping[str, str],
        mask: Mask,
        timeout: timedelta,
        connect_timeout: timedelta,
        max_connections: int,
        retries: Retries,
        clock: Clock,
        rng: random.Random,
        stop: threading.Event | None,
    ) -> None:
        self._transport = transport
        self._timeout = timeout
        self._retries = retries
        self._clock = clock
        self._rng = rng
        self._stop = stop
        self._mask = mask
        self.wording = Wording(mask=mask, timeout=timeout, clock=clock)
        self._slots = threading.BoundedSemaphore(max_connections)
        seconds = timeout.total_seconds()
        self._http = httpx.Client(
            base_url=base_url,
            transport=transport,
            headers=headers,
            timeout=httpx.Timeout(seconds, connect=min(seconds, connect_timeout.total_seconds())),
            follow_redirects=False,  # a redirect would carry the token to another host
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
        )
        self.tokens = TokenSource(credentials, request=self._request_token, clock=clock)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def send(self, call: Call) -> Answer:
        """Send `call` until there is an answer with a 2xx status, within the attempts allowed.

        Raises:
            FluentOutcomeUnknownError: a write may have been done. It wasn't sent again.
            FluentUnavailableError: nothing was done, and every attempt was in vain.
            AuthenticationError: the credentials or the token were refused.
            FluentAPIError: the request was refused for good.
        """
        if self._http.is_closed:
            raise FluentUnavailableError(f"{call}: the client is closed; nothing was sent. Make another.")
        attempt = 1
        renewals = 0
        while True:
            token = self.tokens.token() if call.authorised else None
            request_id = str(uuid.uuid4())
            answer: Answer | None = None
            failure: httpx.RequestError | None = None
            with self._slot(call):
                try:
                    answer = self._exchange(call, token=token, request_id=request_id)
                except httpx.RequestError as exc:
                    failure = exc
            if answer is not None:
                verdict = judge_status(answer.status, writes=call.writes)
            else:
                assert failure is not None  # noqa: S101 - one of the two is there
                verdict = judge_failure(failure, writes=call.writes)
            if answer is not None and verdict is Verdict.DONE:
                return answer
            if verdict is Verdict.RENEW and token is not None and renewals < _RENEWALS:
                renewals += 1
                logger.info("%s: token not accepted, renewing it", call)
                self.tokens.reject(token, login_again=renewals > 1)
                continue
            if verdict is not Verdict.AGAIN:
                raise self.wording.final(call, verdict, answer, failure, request_id) from failure
            wait = self._wait_before_next(call, attempt, answer, failure, request_id)
            logger.warning(
                "%s: attempt %d of %d failed (%s), next in %.1f s",
                call,
                attempt,
                self._retries.max_attempts,
                self.wording.reason(answer, failure),
                wait.total_seconds(),
            )
            self._pause(call, wait)
            attempt += 1

    def wait_again(self, call: Call, attempt: int, *, at_least: timedelta | None) -> bool:
        """Wait before a call is sent again whose answer was an error that passes; False where that is of no use.

        Raises:
            FluentUnavailableError: told to stop meanwhile.
        """
        least = at_least or timedelta(0)
        if attempt >= self._retries.max_attempts or least > self._retries.max_retry_after:
            return False
        wait = backoff(attempt, base=self._retries.base, cap=self._retries.cap, rng=self._rng)
        wait = least + self._rng.uniform(0, 0.25) * wait if least else wait
        logger.warning(
            "%s: its answer holds an error that passes; again in %.1f s", call, wait.total_seconds()
        )
        self._pause(call, wait)
        return True

    @contextmanager
    def _slot(self, call: Call) -> Iterator[None]:
        # Waited for before the deadline starts: a write must not run out of time because others were slow.
        if not self._slots.acquire(timeout=self._timeout.total_seconds()):
            raise FluentUnavailableError(
                f"{call}: no free connection within {in_words(self._timeout)}; nothing was sent. "
                "Raise max_connections, or send from fewer threads."
            )
        try:
            yield
        finally:
            self._slots.release()

    def _exchange(self, call: Call, *, token: str | None, request_id: str) -> Answer:
        headers = {**call.headers, "X-Request-ID": request_id, "Accept": "application/json"}
        correlation_id = current_correlation_id()
        if correlation_id is not None and _HEADER_SAFE.fullmatch(correlation_id):
            headers["X-Correlation-ID"] = correlation_id
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        request = self._http.build_request(
            call.method, call.path, content=call.body, params=call.query, headers=headers
        )
        with self._transport.within(self._timeout, demand=call.demand):
            point("http.request")
            response = self._http.send(request, stream=True)
            point("http.sent")
            try:
                content = self._content(response)
            finally:
                response.close()
        point("http.answered")
        named = next(
            (response.headers[n] for n in _REQUEST_ID_HEADERS if response.headers.get(n)), request_id
        )
        return Answer(
            status=response.status_code,
            headers=response.headers,
            content=content,
            request_id=self._mask.text(named, limit=128),
        )

    def _content(self, response: httpx.Response) -> bytes:
        content = bytearray()
        try:
            if "," in response.headers.get("content-encoding", ""):
                # Packed twice, 64 KiB unpack to 64 GiB before anyone could count them.
                raise httpx.DecodingError("the answer is packed more than once")
            for piece in response.iter_bytes():
                content += piece
                if len(content) > _MAX_ANSWER:
                    raise httpx.DecodingError(f"the answer is longer than {_MAX_ANSWER} bytes")
        except httpx.RequestError:
            # The status of a refusal says enough; of a success the body is needed.
            if response.status_code < 400:
                raise
        return bytes(content)

    def _request_token(self, form: dict[str, str]) -> Grant:
        call = Call(
            method="POST",
            path="/oauth/token",
            writes=False,  # one token more does no harm
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=str(httpx.QueryParams(form)).encode(),
            authorised=False,
        )
        try:
            answer = self.send(call)
        except FluentAPIError as exc:
            if exc.status != 400:
                raise
            raise AuthenticationError(
                f"{exc} Check client_id, client_secret, username and password.",
                status=exc.status,
                code=exc.code,
                request_id=exc.request_id,
                body=exc.body,
            ) from exc
        content = answer.json()
        if isinstance(content, dict):
            for name in ("access_token", "refresh_token"):  # known before anything is said about them
                if isinstance(content.get(name), str):
                    self._mask.add_token(content[name])
            grant = read_grant(content)
            if grant is not None:
                return grant
        raise self.wording.unusable(call, answer, "it holds no access_token")

    def _wait_before_next(
        self,
        call: Call,
        attempt: int,
        answer: Answer | None,
        failure: httpx.RequestError | None,
        request_id: str,
    ) -> timedelta:
        asked = self._retry_after(answer)
        if attempt >= self._retries.max_attempts or (asked or timedelta(0)) > self._retries.max_retry_after:
            raise self.wording.unavailable(call, attempt, answer, failure, request_id, asked) from failure
        wait = backoff(attempt, base=self._retries.base, cap=self._retries.cap, rng=self._rng)
        if asked is None:
            return wait
        # A little later than asked for, so that those who were told the same don't return together.
        return asked + self._rng.uniform(0, 0.25) * min(wait, timedelta(seconds=1))

    def _retry_after(self, answer: Answer | None) -> timedelta | None:
        if answer is None:
            return None
        # A date is relative to the server's clock where it tells it, so that a wrong clock here does no harm.
        now = parse_http_date(answer.headers.get("date")) or self._clock.now()
        return parse_retry_after(answer.headers.get("retry-after"), now=now)

    def _pause(self, call: Call, wait: timedelta) -> None:
        if self._stop is None:
            self._clock.sleep(wait)
        elif self._clock.wait(self._stop, wait):
            raise FluentUnavailableError(f"{call}: stopped while waiting to send it again; nothing was done.")
