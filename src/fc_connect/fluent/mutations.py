"""One mutation for many inputs: several in a request, under aliases, and what became of each.

GraphQL runs the mutations of a request one after another (specification, 6.2.2). An error without a path is of the
request as a whole, which wasn't run then (7.1.2). An error at an alias is of that mutation, and where a type doesn't
allow it to be null, all the data of the request is null: what the others did is not known then.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from graphql import GraphQLSyntaxError, parse

from fc_connect.errors import (
    AuthenticationError,
    ConfigurationError,
    FluentAPIError,
    FluentOutcomeUnknownError,
    FluentUnavailableError,
    GraphQLError,
)
from fc_connect.fluent.body import encoded
from fc_connect.fluent.classify import Category, classify_error
from fc_connect.fluent.cost import MAX_COMPLEXITY, estimate_cost
from fc_connect.fluent.outcomes import ItemResult, ItemResults, Outcome

__all__ = ["Mutations"]

_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
_VARIABLE = re.compile(r"\$input([0-9]{1,9})\b")
_MAX_BYTES = 1_900_000  # below 2 MB in any reading of it, with room for what is around the inputs
_MAX_TOKENS = 20_000
_TOO_MUCH = 413

Send = Callable[[str, Mapping[str, Any]], dict[str, Any]]
_Part = list[tuple[int, Mapping[str, Any]]]


class Mutations:
    """Sends one mutation for each input."""

    def __init__(self, mutation: str, *, input_type: str | None, returning: str, at_once: int) -> None:
        input_type = input_type or f"{mutation[:1].upper()}{mutation[1:]}Input"
        problems = [
            f"{what} must be a name, not {name[:50]!r}"
            for what, name in (("mutation", mutation), ("input_type", input_type))
            if not _NAME.fullmatch(name)
        ]
        if at_once < 1:
            problems.append(f"at_once must be at least 1, not {at_once}")
        if problems:
            raise ConfigurationError("The mutations can't be sent:", problems=problems)
        self._mutation = mutation
        self._input_type = input_type
        self._returning = returning
        one = self._query(1)
        try:
            is_one = len(parse(one, max_tokens=_MAX_TOKENS).definitions) == 1
        except (GraphQLSyntaxError, RecursionError) as exc:
            raise ConfigurationError(f"`returning` can't be read: {exc}") from exc
        if not is_one:
            raise ConfigurationError("`returning` must be fields alone, such as `id ref`.")
        self._at_once = min(at_once, max(MAX_COMPLEXITY // estimate_cost(one).complexity, 1))

    def run(self, inputs: Sequence[Mapping[str, Any]], send: Send) -> ItemResults[Any]:
        """Send all of them by `send`, which gives an answer's data or raises the client's errors."""
        results: dict[int, ItemResult[Any]] = {}
        parts: deque[_Part] = deque(self._parts(inputs, results))
        stopped: FluentAPIError | None = None
        while parts:
            part = parts.popleft()
            if stopped is not None:
                _settle(results, part, Outcome.NOT_DONE, FluentUnavailableError(f"Not sent: {stopped}"))
                continue
            variables = {f"input{number}": value for number, (_, value) in enumerate(part, 1)}
            try:
                data = send(self._query(len(part)), variables)
            except FluentOutcomeUnknownError as exc:
                stopped = exc
                _settle(results, part, Outcome.UNKNOWN, exc)
            except (FluentUnavailableError, AuthenticationError) as exc:
                stopped = exc
                _settle(results, part, Outcome.NOT_DONE, exc)
            except FluentAPIError as exc:
                if not _was_refused_whole(exc):
                    self._read(results, part, getattr(exc, "data", None), getattr(exc, "errors", ()), exc)
                else:
                    # Nothing of it was run, so what isn't to blame may go again.
                    parts.extendleft(reversed(self._mended(results, part, exc)))
            else:
                self._read(results, part, data, (), None)
        return ItemResults(items=tuple(results[index] for index in range(len(inputs))))

    def _query(self, count: int) -> str:
        numbers = range(1, count + 1)
        given = ", ".join(f"$input{number}: {self._input_type}!" for number in numbers)
        fields = "\n".join(
            f"  {self._mutation}{number}: {self._mutation}(input: $input{number}) {{ {self._returning}\n  }}"
            for number in numbers
        )
        return f"mutation {self._mutation}Each({given}) {{\n{fields}\n}}"

    def _parts(
        self, inputs: Sequence[Mapping[str, Any]], results: dict[int, ItemResult[Any]]
    ) -> Iterator[_Part]:
        part: _Part = []
        size = 0
        around = len(self._query(1))
        for index, each in enumerate(inputs):
            try:
                length = len(encoded(each, f"input {index}")) + around
                if length > _MAX_BYTES:
                    raise ConfigurationError(
                        f"Input {index} has {length:,} bytes, more than Fluent takes in one request. It wasn't sent."
                    )
            except ConfigurationError as exc:
                results[index] = ItemResult(index=index, outcome=Outcome.NOT_DONE, error=exc)
                continue
            if part and (len(part) == self._at_once or size + length > _MAX_BYTES):
                yield part
                part, size = [], 0
            part.append((index, each))
            size += length
        if part:
            yield part

    def _mended(self, results: dict[int, ItemResult[Any]], part: _Part, error: FluentAPIError) -> list[_Part]:
        """Return what to send in place of a part that was refused whole, each smaller than it."""
        half = len(part) // 2
        if half and _is_too_much(error):
            return [part[:half], part[half:]]
        blamed = {
            int(number) - 1
            for entry in (error.errors if isinstance(error, GraphQLError) else ())
            for number in _VARIABLE.findall(str(entry.get("message")))
        }
        rest = [each for place, each in enumerate(part) if place not in blamed]
        if not rest or len(rest) == len(part):
            _settle(results, part, Outcome.NOT_DONE, error)
            return []
        _settle(
            results, [each for place, each in enumerate(part) if place in blamed], Outcome.NOT_DONE, error
        )
        return [rest]

    def _read(
        self,
        results: dict[int, ItemResult[Any]],
        part: _Part,
        data: Mapping[str, Any] | None,
        errors: Sequence[Mapping[str, Any]],
        error: FluentAPIError | None,
    ) -> None:
        for number, (index, _) in enumerate(part, 1):
            alias = f"{self._mutation}{number}"
            own = [each for each in errors if _path(each)[:1] == [alias]]
            value = data.get(alias) if data is not None else None
            if value is not None:
                outcome = Outcome.DONE
            elif own and all(_is_certainly_refused(each) for each in own):
                outcome = Outcome.NOT_DONE
            else:
                outcome = Outcome.UNKNOWN
            reason: FluentAPIError | None = None
            if own:
                reason = _own_error(alias, own, error)
            elif outcome is Outcome.UNKNOWN:
                reason = error or FluentOutcomeUnknownError(
                    f"Fluent's answer holds nothing for {alias}. It may have been done: look before sending again."
                )
            results[index] = ItemResult(index=index, outcome=outcome, value=value, error=reason)


def _settle(
    results: dict[int, ItemResult[Any]], part: _Part, outcome: Outcome, error: FluentAPIError
) -> None:
    for index, _ in part:
        results[index] = ItemResult(index=index, outcome=outcome, error=error)


def _was_refused_whole(error: FluentAPIError) -> bool:
    """Say whether nothing of the request was run: by its status, or because errors of the request alone say so."""
    if isinstance(error, GraphQLError):
        if error.data is not None:
            return False
        if not any(_path(each) for each in error.errors):
            # Of its own failures a server doesn't say at what point they came.
            return all(classify_error(each).category is Category.CLIENT for each in error.errors)
    return error.status is not None and 400 <= error.status < 500


def _is_certainly_refused(entry: Mapping[str, Any]) -> bool:
    """Say whether the mutation failed by what it was given; deeper errors are of what it returned, once it was done."""
    return len(_path(entry)) == 1 and classify_error(entry).category is Category.CLIENT


def _is_too_much(error: FluentAPIError) -> bool:
    return error.status == _TOO_MUCH or (classify_error(error).code or "").startswith("C0001")


def _own_error(alias: str, own: Sequence[Mapping[str, Any]], whole: FluentAPIError | None) -> GraphQLError:
    said = "; ".join(str(each.get("message")) for each in own)
    found = classify_error(own[0])
    return GraphQLError(
        f"{alias}: {said}",
        errors=[dict(each) for each in own],
        status=None if whole is None else whole.status,
        code=found.code,
        request_id=None if whole is None else whole.request_id,
    )


def _path(entry: Mapping[str, Any]) -> list[Any]:
    path = entry.get("path")
    return list(path) if isinstance(path, list | tuple) else []
