"""The answer to several mutations in one request: what became of each of them.

GraphQL answers such a request with data by alias and with errors, some of which name the alias they belong to. Nothing
of it may get lost: a mutation that is taken for failed is sent again, and then it is done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fc_connect.mapping.values import ABSENT

__all__ = [
    "AliasResult",
    "AliasedResponse",
    "format_error_summary",
    "get_error_message",
    "parse_aliased_response",
]

_NO_RESPONSE = "No response received from server"
_NULL = "Mutation returned null (likely validation error)"
_UNKNOWN = "Unknown error"


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasResult:
    """What became of one mutation."""

    alias: str
    index: int
    """Of the input, from 0."""
    success: bool
    """Whether it returned something, and no error names it."""
    data: Any
    """What it returned; `ABSENT` where the answer doesn't hold it."""
    message: Any = None
    """Why it failed; in compat mode whatever the answer has there."""
    errors: tuple[Mapping[str, Any], ...] = ()
    """The errors of the answer that name its alias."""
    input: Any = ABSENT
    input_ref: Any = ABSENT
    """What the input is known by: its `ref` or `id`, or what `extract_ref` says."""

    @property
    def is_done(self) -> bool:
        """Whether it returned data, errors or not: it has been done, and must not be sent again."""
        return self.data is not None and self.data is not ABSENT

    def to_dict(self) -> dict[str, Any]:
        """Return it as the TypeScript SDK names it."""
        result: dict[str, Any] = {
            "alias": self.alias,
            "index": self.index,
            "success": self.success,
            "data": self.data,
        }
        if not self.success:
            result["error"] = self.error_dict()
        return result

    def error_dict(self) -> dict[str, Any]:
        error: dict[str, Any] = {"alias": self.alias, "index": self.index}
        if self.message != _NO_RESPONSE:
            error["inputRef"] = self.input_ref
        error["message"] = self.message
        if self.message != _NO_RESPONSE:
            error["graphqlErrors"] = list(self.errors) or ABSENT
        error["input"] = self.input
        return error


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasedResponse:
    """What became of all of them, in their order."""

    results: tuple[AliasResult, ...]
    other_errors: tuple[Mapping[str, Any], ...] = ()
    """The errors of the answer that name none of the mutations."""
    compat: bool = False
    has_answer: bool = True
    """Whether there was an answer at all."""

    @property
    def executed(self) -> int:
        return sum(each.success for each in self.results)

    @property
    def failed(self) -> int:
        return len(self.results) - self.executed

    @property
    def failures(self) -> tuple[AliasResult, ...]:
        return tuple(each for each in self.results if not each.success)

    @property
    def successes(self) -> tuple[AliasResult, ...]:
        return tuple(each for each in self.results if each.success)

    @property
    def all_succeeded(self) -> bool:
        """Whether every mutation succeeded, of one at least."""
        return self.failed == 0 and (bool(self.results) or (self.compat and self.has_answer))

    @property
    def all_failed(self) -> bool:
        """Whether every mutation failed, of one at least."""
        return self.executed == 0 and (self.compat or bool(self.results))

    def to_dict(self) -> dict[str, Any]:
        """Return it as the TypeScript SDK names it; `otherErrors` is ours, and there only if there are any."""
        result: dict[str, Any] = {
            "executed": self.executed,
            "failed": self.failed,
            "results": [each.to_dict() for each in self.results],
            "errors": [each.error_dict() for each in self.failures],
            "allSucceeded": self.all_succeeded,
            "allFailed": self.all_failed,
        }
        if self.other_errors and not self.compat:
            result["otherErrors"] = list(self.other_errors)
        return result


def parse_aliased_response(
    response: Any,
    count: int,
    mutation: str,
    inputs: Sequence[Any] | None = None,
    *,
    extract_ref: Callable[[Any], Any] | None = None,
    compat: bool = False,
) -> AliasedResponse:
    """Say what became of each of `count` mutations that were asked as `<mutation>1`, `<mutation>2` and so on.

    An error that names no mutation tells why those failed that have none of their own; with `compat` it is lost, as in
    the TypeScript SDK.
    """
    answer = response if isinstance(response, Mapping) else None
    data = answer.get("data") if answer is not None else None
    told = answer.get("errors") if answer is not None else None
    errors = [each for each in told if isinstance(each, Mapping)] if isinstance(told, list | tuple) else []
    by_alias: dict[str, list[Mapping[str, Any]]] = {
        f"{mutation}{number}": [] for number in range(1, count + 1)
    }
    others: list[Mapping[str, Any]] = []
    for each in errors:
        path = each.get("path")
        named = path[0] if isinstance(path, list | tuple) and path else None
        (by_alias[named] if isinstance(named, str) and named in by_alias else others).append(each)
    results = []
    for index, (alias, own) in enumerate(by_alias.items()):
        value = data.get(alias, ABSENT) if isinstance(data, Mapping) else ABSENT
        source = inputs[index] if inputs is not None and index < len(inputs) else ABSENT
        success = value is not None and value is not ABSENT and not own
        message = None
        if not success:
            message = _NO_RESPONSE if answer is None else _message(value, own, [] if compat else others)
            if compat and own and answer is not None:
                message = own[0].get("message", ABSENT)
        results.append(
            AliasResult(
                alias=alias,
                index=index,
                success=success,
                data=None if answer is None else value,
                message=message,
                errors=tuple(own),
                input=source,
                input_ref=_ref(source, extract_ref),
            )
        )
    return AliasedResponse(
        results=tuple(results), other_errors=tuple(others), compat=compat, has_answer=answer is not None
    )


def get_error_message(error: Any) -> str:
    """Return the text of an error, whatever form it has."""
    if isinstance(error, AliasResult):
        return error.message or _UNKNOWN
    if isinstance(error, Mapping):
        text = error.get("message")
        return text if isinstance(text, str) and text else _UNKNOWN
    return str(error) if error else _UNKNOWN


def format_error_summary(response: AliasedResponse) -> str:
    """Return the failures as text, one line each."""
    lines = []
    for each in response.failures:
        ref = "" if each.input_ref is ABSENT else f" ({each.input_ref})"
        lines.append(f"[{each.index}] {each.alias}{ref}: {each.message}")
    lines += [f"(no alias): {get_error_message(each)}" for each in response.other_errors]
    return "\n".join(lines)


def _message(value: Any, own: list[Mapping[str, Any]], others: list[Mapping[str, Any]]) -> str:
    if own:
        return get_error_message(own[0])
    if others:
        return "; ".join(get_error_message(each) for each in others)
    return _NULL if value is None else _UNKNOWN


def _ref(source: Any, extract_ref: Callable[[Any], Any] | None) -> Any:
    if source is ABSENT:
        return ABSENT
    if extract_ref is not None:
        return extract_ref(source)
    if not isinstance(source, Mapping):
        return ABSENT
    return source.get("ref") or source.get("id") or ABSENT
