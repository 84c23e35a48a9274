"""What several clients asked of a store at the same time, and what each was answered: a history, and its files."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from fc_connect.errors import ParseError

__all__ = ["History", "Operation", "Outcome", "frozen", "read_history", "read_jepsen_log"]


class Outcome(StrEnum):
    """How an operation ended for the client that asked for it."""

    DONE = "done"
    """It was answered; it took effect between the asking and the answer."""
    UNKNOWN = "unknown"
    """No answer: it takes effect at any later time, or never."""
    FAILED = "failed"
    """The store said that nothing was done: it takes no effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call of one client."""

    client: int
    call: tuple[Any, ...]
    """Its name and what it was given; nothing but tuples, text, numbers, booleans and None."""
    result: Any = None
    outcome: Outcome = Outcome.DONE
    invoked: int
    """Nanoseconds on one clock for all clients; in a log without times, the number of the line."""
    returned: int
    """For an unknown outcome, when the client gave up: it says nothing of the effect."""

    def __str__(self) -> str:
        name, *given = self.call
        answer = {Outcome.DONE: f" -> {_shown(self.result)}", Outcome.UNKNOWN: " -> ?"}.get(
            self.outcome, " failed"
        )
        return f"client {self.client}: {name}({', '.join(map(_shown, given))}){answer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Operations of many clients on one store, with all that's needed to judge them again."""

    model: str
    """By what rules it is judged: `register`, `kv` or `lease`."""
    operations: tuple[Operation, ...]
    about: dict[str, Any] = field(default_factory=dict)
    """Seed, backend, faults: for a person."""

    @property
    def outcomes(self) -> Counter[Outcome]:
        return Counter(each.outcome for each in self.operations)

    def save(self, path: Path) -> None:
        """Write one JSON document a line: what it is, then an operation each."""
        lines = [json.dumps({"model": self.model, "about": self.about})]
        for each in self.operations:
            fields = (each.client, each.outcome, each.invoked, each.returned, each.call, each.result)
            lines.append(json.dumps(fields))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_history(path: Path) -> History:
    """Read a log of Jepsen's, or a file that `History.save` wrote.

    Raises:
        ParseError: it is neither.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline()
    return _read_saved(path) if first.startswith("{") else read_jepsen_log(path)


def _read_saved(path: Path) -> History:
    line = 1
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        head = json.loads(lines[0])
        operations = []
        for text in lines[1:]:
            line += 1
            client, outcome, invoked, returned, call, result = json.loads(text)
            operations.append(
                Operation(
                    client=client,
                    outcome=Outcome(outcome),
                    invoked=invoked,
                    returned=returned,
                    call=frozen(call),
                    result=frozen(result),
                )
            )
        return History(model=head["model"], operations=tuple(operations), about=head["about"])
    except (ValueError, KeyError, TypeError) as exc:
        raise ParseError(f"This is no saved history: {exc}.", path=str(path), line=line) from exc


_LINE = re.compile(r"(?:^|\s)(\d+)\s+:(invoke|ok|fail|info)\s+:([\w-]+)(?:\s+(.*?))?\s*$")
_ARITY = {"read": 0, "write": 1, "cas": 2}


def read_jepsen_log(path: Path | str) -> History:
    """Read a register's history as Jepsen logs it: process, phase, operation and value; other lines are left out.

    `:info`, and an operation that never ended, are of unknown outcome. A `:fail` was without effect; a
    compare-and-set that failed with its pair as the value met another value than it expected.

    Raises:
        ParseError: an operation ends that didn't begin, or there is one that a register doesn't have.
    """
    path = Path(path)
    operations: list[Operation] = []
    pending: dict[int, tuple[int, tuple[Any, ...]]] = {}
    number = 0

    def end(process: int, outcome: Outcome, result: Any = None) -> None:
        invoked, call = pending.pop(process)
        operations.append(
            Operation(
                client=process, call=call, result=result, outcome=outcome, invoked=invoked, returned=number
            )
        )

    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        match = _LINE.search(line)
        if match is None:
            continue
        process, phase, name, text = int(match[1]), match[2], match[3], match[4] or "nil"
        if name not in _ARITY:
            raise ParseError(f"A register has no {name!r}.", path=str(path), line=number)
        if phase == "invoke":
            if process in pending:  # it was started anew
                end(process, Outcome.UNKNOWN)
            pending[process] = (number, (name, *_given(name, text, path=path, line=number)))
            continue
        if process not in pending or pending[process][1][0] != name:
            raise ParseError(
                f"Process {process} ends a {name} that it didn't begin.", path=str(path), line=number
            )
        call = pending[process][1]
        if phase == "ok":
            end(process, Outcome.DONE, _value(text) if name == "read" else True)
        elif phase == "info":
            end(process, Outcome.UNKNOWN)
        elif name == "cas" and _value(text) == call[1:]:
            end(process, Outcome.DONE, False)
        else:
            end(process, Outcome.FAILED)
    for process in list(pending):
        end(process, Outcome.UNKNOWN)
    return History(model="register", operations=tuple(operations), about={"file": path.name})


def _given(name: str, text: str, *, path: Path, line: int) -> Sequence[Any]:
    value = _value(text)
    given = {"read": (), "write": (value,)}.get(name, value)
    if not isinstance(given, tuple) or len(given) != _ARITY[name]:
        raise ParseError(f"A {name} of {text!r} can't be read.", path=str(path), line=line)
    return given


def _value(text: str) -> Any:
    """Return nil as None, numbers, `[a b]` as a tuple, and whatever else as its text."""
    if text.startswith("[") and text.endswith("]"):
        return tuple(_value(each) for each in text[1:-1].replace(",", " ").split())
    if text == "nil":
        return None
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def frozen(value: Any) -> Any:
    """Return what was read from JSON with tuples in the place of lists."""
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + " ".join(map(_shown, value)) + "]"
    return "nil" if value is None else str(value)
