"""Puts what went wrong into errors: what, where, what to do, and no secret."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from fc_connect.clock import Clock
from fc_connect.errors import (
    AuthenticationError,
    FluentAPIError,
    FluentOutcomeUnknownError,
    FluentUnavailableError,
    GraphQLError,
)
from fc_connect.fluent.classify import Action, classify_error
from fc_connect.fluent.cost import complexity_advice
from fc_connect.fluent.exchange import Answer, Call
from fc_connect.fluent.masking import Mask
from fc_connect.fluent.retry import Verdict

__all__ = ["Wording", "graphql_errors", "in_words"]

_BODY_START = 1000  # characters of an answer that an error keeps


class Wording:
    """Makes the errors of one client. Safe to share between threads."""

    def __init__(self, *, mask: Mask, timeout: timedelta, clock: Clock) -> None:
        self._mask = mask
        self._timeout = timeout
        self._clock = clock

    def unusable(self, call: Call, answer: Answer, why: str) -> FluentAPIError:
        """Return the error for a 2xx answer that doesn't say what it must; a write is then in doubt."""
        details = self.details(answer)
        if call.writes:
            return FluentOutcomeUnknownError(
                f"{call}: Fluent answered {answer.status}, but {why}. It may have been done: "
                f"look before sending again (request id {answer.request_id}).",
                **details,
            )
        return FluentAPIError(
            f"{call}: Fluent answered {answer.status}, but {why}. Check that base_url is Fluent's API and "
            f"that no proxy or login page answers in its place (request id {answer.request_id}).",
            **details,
        )

    def refused(self, call: Call, answer: Answer) -> FluentAPIError:
        """Return the error for an answer that says no."""
        details = self.details(answer)
        said = self._said(answer)
        where = f"(request id {answer.request_id})"
        if answer.status in {401, 403}:
            return AuthenticationError(
                f"{call}: Fluent answered {answer.status}{said}. Check the credentials, and that the user may "
                f"do this for this retailer {where}.",
                **details,
            )
        if 300 <= answer.status < 400:
            return FluentAPIError(
                f"{call}: redirected ({answer.status}). Give base_url as the address that it redirects to {where}.",
                **details,
            )
        content = answer.json() if call.is_graphql else None
        if isinstance(content, dict) and (errors := graphql_errors(content)):
            return self.graphql_error(call, answer, errors)
        if answer.status == 413:
            size = len(call.body or b"")
            return FluentAPIError(
                f"{call}: {size:,} bytes are more than Fluent takes in one request (413){said}; nothing was done. Send "
                f"less at once: fewer inputs or entities, or fewer fields {where}.",
                **details,
            )
        return FluentAPIError(f"{call}: Fluent refused it with {answer.status}{said} {where}.", **details)

    def graphql_error(self, call: Call, answer: Answer, errors: list[dict[str, Any]]) -> GraphQLError:
        """Return the error for an answer that holds GraphQL errors."""
        partly = " Parts of the mutation may have been done." if call.writes and answer.status < 300 else ""
        more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
        content = answer.json()
        data = content.get("data") if isinstance(content, dict) else None
        return GraphQLError(
            f"{call}: GraphQL error{self._said(answer)}{more}.{partly} {_advice(call, errors)} "
            f"(request id {answer.request_id}).",
            errors=[self._masked_tree(error) for error in errors],
            data=data if isinstance(data, dict) else None,
            **self.details(answer),
        )

    def details(self, answer: Answer) -> dict[str, Any]:
        """Return the attributes of an error about `answer`."""
        code, _ = _error_of(answer.json())
        return {
            "status": answer.status,
            "code": None if code is None else self._mask.text(code, limit=128),
            "request_id": answer.request_id,
            "body": self._mask.text(answer.content.decode("utf-8", "replace"), limit=_BODY_START),
        }

    def final(
        self,
        call: Call,
        verdict: Verdict,
        answer: Answer | None,
        failure: httpx.RequestError | None,
        request_id: str,
    ) -> FluentAPIError:
        """Return the error for a call that ends here: refused, or a write in doubt."""
        if answer is not None and verdict is not Verdict.UNKNOWN:
            return self.refused(call, answer)
        details = {"request_id": request_id} if answer is None else self.details(answer)
        return FluentOutcomeUnknownError(
            f"{call}: {self.reason(answer, failure)}. It may have been done: look before sending again "
            f"(request id {details['request_id']}).",
            **details,
        )

    def unavailable(
        self,
        call: Call,
        attempt: int,
        answer: Answer | None,
        failure: httpx.RequestError | None,
        request_id: str,
        asked: timedelta | None,
    ) -> FluentUnavailableError:
        """Return the error for a call that was tried in vain; `asked` is what Retry-After said."""
        details = {"request_id": request_id} if answer is None else self.details(answer)
        if asked is not None:
            at = (self._clock.now() + asked).replace(microsecond=0)
            advice = f"Fluent asks to come back at {at.isoformat()}, in {in_words(asked)}"
        elif answer is None:
            advice = "Check base_url, the network and any proxy, then try again"
        else:
            advice = "Try again later"
        tries = "attempt" if attempt == 1 else "attempts"
        return FluentUnavailableError(
            f"{call}: {self.reason(answer, failure)} after {attempt} {tries}; nothing was done. {advice} "
            f"(request id {details['request_id']}).",
            **details,
        )

    def reason(self, answer: Answer | None, failure: httpx.RequestError | None) -> str:
        """Say in a few words why an exchange came to nothing."""
        if answer is not None:
            return f"Fluent answered {answer.status}{self._said(answer)}"
        if isinstance(failure, httpx.TimeoutException):
            stage = "no connection" if isinstance(failure, httpx.ConnectTimeout) else "no whole answer"
            return f"{stage} within {in_words(self._timeout)}"
        kind = type(failure).__name__
        return self._mask.text(f"the connection failed: {failure or kind} [{kind}]", limit=_BODY_START)

    def _masked_tree(self, content: Any) -> Any:
        if isinstance(content, str):
            return self._mask.text(content)
        if isinstance(content, dict):
            return {key: self._masked_tree(value) for key, value in content.items()}
        if isinstance(content, list):
            return [self._masked_tree(value) for value in content]
        return content

    def _said(self, answer: Answer) -> str:
        code, message = _error_of(answer.json())
        said = " ".join(part for part in (code, message) if part)
        return f" ({self._mask.text(said, limit=300)})" if said else ""


def _advice(call: Call, errors: list[dict[str, Any]]) -> str:
    found = classify_error(GraphQLError("", errors=errors))
    if found.code is not None and found.code.startswith("C0001"):
        return complexity_advice(call.body)
    return _ADVICE[found.action]


_ADVICE = {
    Action.FIX: "Mend the query or its variables",
    Action.VERIFY: "Check the refs and values that were sent",
    Action.LATER: "Try again later",
    Action.SUPPORT: "Check what the user may do; else ask Fluent's support",
}


def _error_of(content: Any) -> tuple[str | None, str | None]:
    """Find code and message in an error body; its shape differs between Fluent's services."""
    if not isinstance(content, dict):
        return None, None
    errors = content.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    extensions = first.get("extensions") if isinstance(first.get("extensions"), dict) else {}
    code: Any = None
    for candidate in (first.get("code"), extensions, content.get("code"), content.get("errorCode")):
        code = candidate.get("code") if isinstance(candidate, dict) else candidate
        if isinstance(code, str | int) and not isinstance(code, bool):
            break
    else:
        error = content.get("error")  # as the token endpoint says it: RFC 6749, 5.2
        code = error if isinstance(error, str) else None
    message = (
        first.get("message")
        or content.get("message")
        or content.get("error_description")
        or content.get("errorMessage")
    )
    return None if code is None else str(code), message if isinstance(message, str) else None


def graphql_errors(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the errors of a GraphQL answer, each as an object."""
    errors = content.get("errors")
    if not errors:
        return []
    listed = errors if isinstance(errors, list) else [errors]
    return [error if isinstance(error, dict) else {"message": str(error)} for error in listed]


def in_words(duration: timedelta) -> str:
    """Return a duration as a person reads it."""
    return f"{duration.total_seconds():g} s"
