"""Requests to DynamoDB: where it is, what is tried again, and what its errors mean for a write."""

from __future__ import annotations

import logging
import os
import random
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

import boto3
from botocore import exceptions as boto
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from fc_connect.clock import Clock, SystemClock
from fc_connect.errors import ConfigurationError, KVCommitUnknownError, KVError, KVUnavailableError
from fc_connect.kv.steady import ServedTime

__all__ = ["Address", "Cancelled", "DynamoDBCalls", "NoTableError"]

logger = logging.getLogger(__name__)

_PATIENCE: Final = 15.0
"""Seconds for which a busy table is asked again; far below the 10 minutes for which a request's token holds."""
_TRIES: Final = 5
"""Of what broke off or can't be reached."""
_LARGEST_AT_ONCE: Final = 10
"""Items of the greatest size: a read of 100 is refused when it comes to more than 4 MB."""
_OPTIONS: Final = ("region", "namespace", "endpoint_url", "profile", "durable")

_TABLE: Final[dict[str, Any]] = {
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "B"},
        {"AttributeName": "sk", "AttributeType": "B"},
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}

_BUSY: Final = {
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "Throttling",
    "TransactionConflictException",
    "TransactionInProgressException",
}
_BUSY_REASONS: Final = {"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"}
# An answer that was cut within its headers reads as one without a body, and the driver takes that for an empty one.
_HOLDS: Final = {
    "describe_table": "Table",
    "query": "Items",
    "transact_get_items": "Responses",
    "update_item": "Attributes",
}
_CREDENTIALS: Final = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_NO_CREDENTIALS: Final = (
    boto.CredentialRetrievalError,
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.SSOError,
    boto.TokenRetrievalError,
)
_NOT_SENT: Final = (boto.ConnectTimeoutError, boto.EndpointConnectionError, boto.ProxyConnectionError)


class NoTableError(Exception):
    """There is no such table: for the store to make it, or to say so."""


class Cancelled(Exception):  # noqa: N818 (an answer, no error)
    """A transaction's conditions didn't hold: nothing of this request was written."""

    def __init__(self, reasons: list[dict[str, Any]], *, is_repeat: bool) -> None:
        super().__init__()
        self.reasons = reasons
        self.is_repeat = is_repeat
        """Whether the answer to an earlier try of the same request was lost."""


class _Outcome(Enum):
    NOT_SENT = auto()
    BUSY = auto()  # refused for now
    UNKNOWN = auto()  # it may have been carried out
    REFUSED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What a `dynamodb://` URL says."""

    table: str
    namespace: str
    region: str | None
    endpoint_url: str | None
    profile: str | None
    is_vouched_for: bool

    @classmethod
    def of(cls, url: str) -> Self:
        """Take `dynamodb://table?region=eu-west-1`.

        Raises:
            ConfigurationError: it names no table, or holds what isn't an option.
        """
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(set(options) - set(_OPTIONS)):
            raise ConfigurationError(
                f"The DynamoDB URL holds {', '.join(unknown)}; its options are {', '.join(_OPTIONS)}. "
                "Credentials come from the environment, a profile or a role, never from the URL."
            )
        if (
            not re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", parts.netloc)
            or parts.path not in {"", "/"}
            or parts.fragment
        ):
            raise ConfigurationError(
                "The DynamoDB URL names no table: write dynamodb://table?region=eu-west-1, the table's name being "
                "3 to 255 of A-Z a-z 0-9 _ . -"
            )
        namespace = options.get("namespace", "fc-connect")
        if not 1 <= len(namespace.encode()) <= 200 or "\0" in namespace:
            raise ConfigurationError("namespace in the DynamoDB URL must be 1 to 200 bytes.")
        if options.get("durable", "ask") not in {"ask", "yes"}:
            raise ConfigurationError("durable in the DynamoDB URL must be yes (you vouch for it) or ask.")
        endpoint_url = options.get("endpoint_url")
        if endpoint_url is not None and not re.match(r"https?://[^/@]+", endpoint_url):
            raise ConfigurationError("endpoint_url in the DynamoDB URL must begin with http:// or https://.")
        return cls(
            table=parts.netloc,
            namespace=namespace,
            region=options.get("region"),
            endpoint_url=endpoint_url,
            profile=options.get("profile"),
            is_vouched_for=options.get("durable") == "yes",
        )

    @property
    def is_amazon(self) -> bool:
        """Whether it is Amazon's own service that answers."""
        host = (urlsplit(self.endpoint_url).hostname or "") if self.endpoint_url else "amazonaws.com"
        return bool(re.search(r"(^|\.)(amazonaws\.com(\.cn)?|api\.aws|amazonwebservices\.com\.cn)$", host))


class DynamoDBCalls:
    """One table's requests. Safe to share between threads; a forked child opens its own connections.

    The driver repeats nothing: what is repeated, and what that says about the outcome, is decided here. A
    transaction carries a token, so that repeating it after a lost answer has no second effect.
    """

    def __init__(self, address: Address, *, clock: Clock, random_source: random.Random) -> None:
        self.address = address
        self._clock = clock
        self._time = ServedTime(clock)
        self._random = random_source
        self._lock = threading.Lock()
        self._is_closed = False
        self._pid = os.getpid()
        self._client = self._open()

    @property
    def region(self) -> str:
        return str(self._client.meta.region_name)

    def now(self) -> datetime:
        """Return the server's time, as far as its answers tell it."""
        return self._time.now() if isinstance(self._clock, SystemClock) else self._clock.now()

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """Send what may be carried out twice: reads, and the counter.

        Raises:
            NoTableError: there is no such table.
            KVUnavailableError: it can't be reached, is too busy, or refuses the credentials.
        """
        return self._send(operation, {"TableName": self.address.table, **request}, is_write=False)

    def ask_for_many(self, keys: Sequence[dict[str, Any]]) -> list[dict[str, Any] | None]:
        """Return up to 100 items, as they are at one moment, in the order of their keys.

        Other reads of DynamoDB may see a transaction that is under way by half: one key as it will be and another as
        it was. This one is refused then, and asked again.
        """
        get = [{"Get": {"TableName": self.address.table, "Key": key}} for key in keys]
        try:
            answer = self._send("transact_get_items", {"TransactItems": get}, is_write=False)
        except (Cancelled, KVError) as exc:
            if isinstance(exc, KVUnavailableError) or len(keys) <= _LARGEST_AT_ONCE:
                raise
            groups = [keys[at : at + _LARGEST_AT_ONCE] for at in range(0, len(keys), _LARGEST_AT_ONCE)]
            return [item for group in groups for item in self.ask_for_many(group)]
        return [each.get("Item") for each in answer["Responses"]]

    def transact(self, token: str, items: Sequence[dict[str, Any]]) -> None:
        """Carry out the writes together, once, however often they have to be sent.

        Raises:
            Cancelled: a condition didn't hold.
            NoTableError: there is no such table.
            KVUnavailableError: nothing was written.
            KVCommitUnknownError: the answer was lost, and can't be had.
        """
        request = {"TransactItems": items, "ClientRequestToken": token}
        self._send("transact_write_items", request, is_write=True)

    def create_table(self) -> None:
        """Begin to make the table; one that another makes just now is no fault."""
        try:
            self.ask("create_table", **_TABLE)
        except KVError as exc:
            if "ResourceInUseException" not in str(exc):
                raise

    def creation_command(self) -> str:
        return (
            f"aws dynamodb create-table --table-name {self.address.table} --region {self.region} "
            "--billing-mode PAY_PER_REQUEST --attribute-definitions AttributeName=pk,AttributeType=B "
            "AttributeName=sk,AttributeType=B --key-schema AttributeName=pk,KeyType=HASH "
            "AttributeName=sk,KeyType=RANGE"
        )

    def enable_expiry(self) -> None:
        """Let DynamoDB sweep what has expired; where that isn't allowed, it merely takes up room."""
        setting = {"Enabled": True, "AttributeName": "ttl"}
        try:
            self.ask("update_time_to_live", TimeToLiveSpecification=setting)
        except KVError as exc:
            logger.info("expired keys of %s will not be swept: %s", self.address.table, exc)

    def pause(self, tries: int) -> None:
        """Wait before another try, at random, so that those who collided don't again."""
        longest = min(1.0, 0.025 * 2**tries)
        self._clock.sleep(timedelta(seconds=self._random.uniform(longest / 4, longest)))

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
        if self._pid == os.getpid():
            self._client.close()

    def _send(self, operation: str, request: dict[str, Any], *, is_write: bool) -> dict[str, Any]:
        deadline = self._clock.monotonic() + _PATIENCE
        is_repeat = False
        tries = 0
        while True:
            tries += 1
            sent_at = self._clock.monotonic()
            try:
                answer: dict[str, Any] = getattr(self._current(), operation)(**request)
                if _HOLDS.get(operation, "ResponseMetadata") not in answer:
                    raise HTTPError(f"the answer to {operation} was cut short")
            except (BotoCoreError, ClientError, HTTPError) as exc:
                outcome = _outcome(exc)
                is_repeat = is_repeat or (is_write and outcome is _Outcome.UNKNOWN)
                if outcome is _Outcome.REFUSED and _code(exc) == "TransactionCanceledException":
                    raise Cancelled(_reasons(exc), is_repeat=is_repeat) from exc
                is_last = tries >= _TRIES and outcome is not _Outcome.BUSY
                if outcome is _Outcome.REFUSED or is_last or self._clock.monotonic() > deadline:
                    if is_repeat:
                        raise KVCommitUnknownError(
                            f"DynamoDB: the answer to a commit was lost, and can't be had: {_said(exc)}"
                        ) from exc
                    raise self._as_ours(exc, outcome) from exc
                self.pause(tries)
            else:
                self._time.observe(
                    answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date"), sent_at=sent_at
                )
                return answer

    def _as_ours(self, exc: Exception, outcome: _Outcome) -> Exception:
        code, place = _code(exc), f"table {self.address.table!r} in {self.region}"
        if code == "ResourceNotFoundException":
            return NoTableError(place)
        if code in _CREDENTIALS:  # without its message: that may repeat a session's token
            return KVUnavailableError(
                f"DynamoDB refuses the credentials ({code}). Check the access key, secret and session token, whether "
                "they have expired, and this machine's clock."
            )
        if code == "AccessDeniedException":
            return KVUnavailableError(f"DynamoDB denies access to {place}: {_said(exc)}")
        if isinstance(exc, _NO_CREDENTIALS):
            return KVUnavailableError(
                f"DynamoDB: no usable credentials ({exc}). Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "put profile=… in the URL, or give this machine a role."
            )
        if outcome is _Outcome.BUSY:
            return KVUnavailableError(
                f"DynamoDB is too busy for {place} ({_said(exc)}). Nothing was written."
            )
        if outcome is _Outcome.REFUSED:
            return KVError(f"DynamoDB refused a request to {place}: {_said(exc)}")
        return KVUnavailableError(f"DynamoDB can't be reached: {_said(exc)}. Run again once it is up.")

    def _current(self) -> Any:
        with self._lock:
            if self._is_closed:
                raise KVUnavailableError("This store was closed.")
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._client = self._open()  # the parent's connections are the parent's
            return self._client

    def _open(self) -> Any:
        address = self.address
        config = Config(
            retries={"total_max_attempts": 1},
            connect_timeout=5,
            read_timeout=10,
            max_pool_connections=32,
            tcp_keepalive=True,
            user_agent_extra="fc-connect",
        )
        try:
            session = boto3.Session(region_name=address.region, profile_name=address.profile)
            region = session.region_name or ("us-east-1" if address.endpoint_url else None)
            return session.client(
                "dynamodb", region_name=region, endpoint_url=address.endpoint_url, config=config
            )
        except (BotoCoreError, ValueError) as exc:
            raise ConfigurationError(
                f"The DynamoDB table {address.table!r} can't be opened: {exc} Put region=… or profile=… in the URL."
            ) from exc


def _outcome(exc: Exception) -> _Outcome:
    if isinstance(exc, ClientError):
        code, status = _code(exc), exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "TransactionCanceledException":
            reasons = {each["Code"] for each in _reasons(exc)} - {"None"}
            is_busy = bool(reasons) and reasons <= _BUSY_REASONS
        else:
            is_busy = code in _BUSY or status == 429
        if is_busy:
            return _Outcome.BUSY
        is_cut_short = not code or code.isdecimal()  # the status alone
        return _Outcome.REFUSED if 400 <= status < 500 and not is_cut_short else _Outcome.UNKNOWN
    if isinstance(exc, _NOT_SENT):
        return _Outcome.NOT_SENT
    is_lasting = isinstance(exc, (*_NO_CREDENTIALS, boto.ParamValidationError, boto.NoRegionError))
    return _Outcome.REFUSED if is_lasting else _Outcome.UNKNOWN


def _code(exc: Exception) -> str:
    return str(exc.response.get("Error", {}).get("Code", "")) if isinstance(exc, ClientError) else ""


def _reasons(exc: Exception) -> list[dict[str, Any]]:
    return (
        [{**each} for each in exc.response.get("CancellationReasons", ())]
        if isinstance(exc, ClientError)
        else []
    )


def _said(exc: Exception) -> str:
    if isinstance(exc, ClientError):
        return f"{_code(exc)}: {exc.response.get('Error', {}).get('Message', '')}".rstrip(": ")
    return str(exc)
