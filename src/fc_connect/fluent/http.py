"""Sends one call until it is done, refused or in doubt; every error leaves here in our terms, secrets masked."""

from __future__ import annotations

import gzip
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
from fc_connect.errors import AuthenticationError, FCConnectError, FluentAPIError, FluentUnavailableError
from fc_connect.faults import point
from fc_connect.fluent.auth import (
    Credentials,
    Grant,
    TokenProvider,
    TokenSource,
    is_header_safe,
    read_grant,
)
from fc_connect.fluent.deadline import DeadlineTransport
from fc_connect.fluent.exchange import Answer, Call
from fc_connect.fluent.hooks import RequestEvent, ResponseEvent, RetryEvent, Teller, whence
from fc_connect.fluent.masking import Mask
from fc_connect.fluent.options import ClientOptions
from fc_connect.fluent.pace import Rate, RetryBudget, Slots
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

__all__ = ["Channel"]

logger = logging.getLogger(__name__)

# Bytes, unpacked. A page of 5,000 results takes a few MiB; as objects an answer takes up to 20 times its size.
_MAX_ANSWER = 16 * 1024 * 1024
_RENEWALS = 2
_PUSHED_BACK = {429, 503}
_WORTH_PACKING = 1024  # bytes: below, a packed body isn't much smaller
_REQUEST_ID_HEADERS = ("x-request-id", "x-amzn-requestid", "x-amz-cf-id")
_HEADER_SAFE = re.compile(r"[\x21-\x7e]{1,128}")


class _Until(threading.local):
    """When the call that this thread is in must be over; None outside of one."""

    at: float | None = None


@dataclass(slots=True, kw_only=True)
class _Try:
    """One exchange of a call, and what came of it."""

    event: RequestEvent
    answer: Answer | None = None
    failure: httpx.RequestError | None = None

    @property
    def request_id(self) -> str:
        return self.event.request_id


class Channel:
    """The way to one Fluent account: connections, token, retries. Safe to share between threads."""

    def __init__(
        self,
        *,
        transport: DeadlineTransport,
        base_url: str,
        auth: Credentials | TokenProvider,
        headers: Mapping[str, str],
        mask: Mask,
        options: ClientOptions,
        clock: Clock,
        rng: random.Random,
        stop: threading.Event | None,
    ) -> None:
        self._transport = transport
        self._options = options
        self._clock = clock
        self._rng = rng
        self._stop = stop
        self._mask = mask
        self.wording = Wording(mask=mask, timeout=options.timeout, clock=clock)
        self._slots = Slots(options.max_connections)
        self._rate = Rate(options.requests_per_second, clock=clock)
        self._budget = RetryBudget(options.retry_budget, clock=clock)
        self._teller = Teller(options.hooks)
        self._until = _Until()
        self._packs = options.compress
        self._host = httpx.URL(base_url).host
        self._http = httpx.Client(
            base_url=base_url,
            transport=transport,
            headers=headers,
            timeout=_timeout(options),
            follow_redirects=False,  # a redirect would carry the token to another host
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
        )
        self.tokens: TokenProvider = (
            TokenSource(auth, request=self._request_token, clock=clock, left=self._left)
            if isinstance(auth, Credentials)
            else auth
        )

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
        with self._bounded():
            return self._send(call)

    def _send(self, call: Call) -> Answer:
        call_id = str(uuid.uuid4())
        attempt = 1
        refused: dict[str, _Try] = {}  # tokens that met a 401 in this call
        while True:
            token = self._token(call) if call.authorised else None
            if token is not None and token in refused:  # there is no other
                raise self.wording.refused(call, _answer_of(refused[token]))
            tried = self._try(call, call_id, attempt, token=token)
            answer, failure = tried.answer, tried.failure
            if answer is not None:
                verdict = judge_status(answer.status, writes=call.writes)
                if verdict is Verdict.DONE:
                    self._budget.earn()
                    return answer
                if answer.status == 415 and self._packs:
                    logger.info(
                        "%s: packed bodies aren't taken here; they are sent as they are from now on", call
                    )
                    self._packs = False
                    continue
            else:
                assert failure is not None  # noqa: S101 - one of the two is there
                verdict = judge_failure(failure, writes=call.writes)
            if verdict is Verdict.RENEW and token is not None and len(refused) < _RENEWALS:
                refused[token] = tried
                logger.info("%s: token not accepted, asking for another", call)
                self.tokens.refused(token)
                continue
            if verdict is not Verdict.AGAIN:
                raise self.wording.final(call, verdict, answer, failure, tried.request_id) from failure
            wait = self._wait_before_next(call, attempt, tried)
            reason = self.wording.reason(answer, failure)
            logger.warning(
                "%s: attempt %d of %d failed (%s), next in %.1f s",
                call,
                attempt,
                self._options.max_attempts,
                reason,
                wait.total_seconds(),
            )
            self._teller.retry(RetryEvent(request=tried.event, wait=wait, reason=reason))
            self._pause(call, wait)
            attempt += 1

    def wait_again(self, call: Call, attempt: int, *, at_least: timedelta | None) -> bool:
        """Wait before a call is sent again whose answer was an error that passes; False where that is of no use.

        Raises:
            FluentUnavailableError: told to stop meanwhile.
        """
        options = self._options
        least = at_least or timedelta(0)
        if attempt >= options.max_attempts or least > options.max_retry_after or not self._budget.spend():
            return False
        wait = backoff(attempt, base=options.backoff, cap=options.max_backoff, rng=self._rng)
        wait = least + self._rng.uniform(0, 0.25) * wait if least else wait
        logger.warning(
            "%s: its answer holds an error that passes; again in %.1f s", call, wait.total_seconds()
        )
        self._pause(call, wait)
        return True

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """Let the block take `total_timeout` at most; a login inside a call has what is left of that."""
        outer = self._until.at
        mine = self._clock.monotonic() + self._options.total_timeout.total_seconds()
        self._until.at = mine if outer is None else min(outer, mine)
        try:
            yield
        finally:
            self._until.at = outer

    def _left(self) -> timedelta:
        """Return what is left of this call's time, at least nothing."""
        if self._until.at is None:
            return self._options.total_timeout
        return timedelta(seconds=max(0.0, self._until.at - self._clock.monotonic()))

    def _token(self, call: Call) -> str:
        try:
            token = self.tokens.token()
        except FCConnectError:
            raise
        except Exception as exc:  # noqa: BLE001 (a provider is anyone's code)
            # Without the cause, whose text may hold what it tried to log in with.
            raise AuthenticationError(
                f"{call}: the token provider failed, and nothing was sent: {whence(exc)}. Mend it, or let it raise "
                "FluentUnavailableError where it may work later."
            ) from None
        if not is_header_safe(token):
            raise AuthenticationError(
                f"{call}: the token provider gave what no header can hold, and nothing was sent: a token is text of "
                "one line, without spaces."
            )
        self._mask.add_token(token)
        return token

    def _try(self, call: Call, call_id: str, attempt: int, *, token: str | None) -> _Try:
        """Wait for the turn of `call`, then send it once."""
        # Both before the deadline of the exchange starts: a write must not run out of time because others were slow.
        turn = self._rate.reserve(within=self._left())
        if turn is None:
            raise FluentUnavailableError(
                f"{call}: its turn would come after {in_words(self._options.total_timeout)}; nothing was sent. Raise "
                "requests_per_second or total_timeout, or send from fewer threads."
            )
        if turn:
            self._pause(call, turn)
        ticket = self._slots.acquire(timeout=min(self._left(), self._options.total_timeout))
        if ticket is None:
            raise FluentUnavailableError(
                f"{call}: no free connection within {in_words(self._options.total_timeout)}; nothing was sent. "
                "Raise max_connections, or send from fewer threads."
            )
        event = RequestEvent(
            call_id=call_id,
            request_id=str(uuid.uuid4()),
            correlation_id=_correlation_id(),
            attempt=attempt,
            method=call.method,
            host=self._host,
            path=call.path,
            writes=call.writes,
            body_bytes=len(call.body or b""),
        )
        tried = _Try(event=event)
        try:
            traced = self._teller.request(event)
            began = self._clock.monotonic()
            kind: str | None = "interrupted"
            try:
                tried.answer = self._exchange(call, token=token, event=event, traced=traced)
                kind = None
            except httpx.RequestError as exc:
                tried.failure = self._masked(exc)
                kind = type(exc).__name__
            finally:
                self._tell_end(tried, began, kind)
        finally:
            status = None if tried.answer is None else tried.answer.status
            self._slots.release(ticket, is_answered=status is not None, is_pushed_back=status in _PUSHED_BACK)
        return tried

    def _tell_end(self, tried: _Try, began: float, kind: str | None) -> None:
        answer = tried.answer
        self._teller.response(
            ResponseEvent(
                request=tried.event,
                duration=timedelta(seconds=self._clock.monotonic() - began),
                status=None if answer is None else answer.status,
                request_id=tried.request_id if answer is None else answer.request_id,
                body_bytes=0 if answer is None else len(answer.content),
                error=kind,
            )
        )

    def _masked(self, failure: httpx.RequestError) -> httpx.RequestError:
        """Return `failure` without secrets: what it came from may quote the server, and its request holds the token."""
        return type(failure)(self._mask.text(str(failure), limit=1000)).with_traceback(failure.__traceback__)

    def _exchange(
        self, call: Call, *, token: str | None, event: RequestEvent, traced: Mapping[str, str]
    ) -> Answer:
        headers = {
            **call.headers,
            **traced,
            "X-Request-ID": event.request_id,
            "Accept": "application/json",
        }
        if event.correlation_id is not None:
            headers["X-Correlation-ID"] = event.correlation_id
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        body = call.body
        if self._packs and call.authorised and body is not None and len(body) >= _WORTH_PACKING:
            body = gzip.compress(body, compresslevel=6, mtime=0)
            headers["Content-Encoding"] = "gzip"
        request = self._http.build_request(
            call.method, call.path, content=body, params=call.query, headers=headers
        )
        left = self._left()
        if not left:
            raise FluentUnavailableError(
                f"{call}: its {in_words(self._options.total_timeout)} were over before it could be sent; nothing was "
                "done. Raise total_timeout, or send from fewer threads."
            )
        with self._transport.within(min(left, self._options.timeout), demand=call.demand):
            point("http.request")
            response = self._http.send(request, stream=True)
            point("http.sent")
            try:
                content = self._content(response)
            finally:
                response.close()
        point("http.answered")
        named = next(
            (response.headers[n] for n in _REQUEST_ID_HEADERS if response.headers.get(n)), event.request_id
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

    def _wait_before_next(self, call: Call, attempt: int, tried: _Try) -> timedelta:
        options = self._options
        asked = self._retry_after(tried.answer)
        wait = backoff(attempt, base=options.backoff, cap=options.max_backoff, rng=self._rng)
        if asked is not None:
            # A little later than asked for, so that those who were told the same don't return together.
            wait = asked + self._rng.uniform(0, 0.25) * min(wait, timedelta(seconds=1))
        if (
            attempt >= options.max_attempts
            or (asked or timedelta(0)) > options.max_retry_after
            or wait >= self._left()
            # A wait that the server asked for adds nothing to its load.
            or (asked is None and not self._budget.spend())
        ):
            raise self.wording.unavailable(
                call, attempt, tried.answer, tried.failure, tried.request_id, asked
            ) from tried.failure
        return wait

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


def _timeout(options: ClientOptions) -> httpx.Timeout:
    whole = options.timeout
    return httpx.Timeout(
        whole.total_seconds(),
        connect=min(whole, options.connect_timeout).total_seconds(),
        read=min(whole, options.read_timeout or whole).total_seconds(),
    )


def _correlation_id() -> str | None:
    found = current_correlation_id()
    return found if found is not None and _HEADER_SAFE.fullmatch(found) else None


def _answer_of(tried: _Try) -> Answer:
    assert tried.answer is not None  # noqa: S101 - a 401 is an answer
    return tried.answer
