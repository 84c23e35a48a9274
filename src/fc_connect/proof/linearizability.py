"""Whether a concurrent history could have come from one store that does one thing at a time.

    python -m fc_connect.proof.linearizability FILE...

The search is Wing and Gong's with Lowe's memory: put the operations in an order that keeps to real time, one after
another, undo what leads nowhere, and never try the same set of operations with the same state twice. Operations whose
outcome is unknown come in only where they help. It is bounded: what can't be decided with so much work is `unknown`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import click

from fc_connect.errors import ParseError
from fc_connect.proof.history import History, Operation, Outcome, read_history, read_jepsen_log
from fc_connect.proof.models import MODELS, Model

__all__ = ["WORK_LIMIT", "Result", "Verdict", "check", "check_operations", "read_jepsen_log"]

WORK_LIMIT = 2_000_000
"""Steps of a model until a history counts as undecided: some ten seconds, and some 500 MB."""


class Verdict(StrEnum):
    """What came of a check."""

    LINEARIZABLE = "linearizable"
    NOT_LINEARIZABLE = "not linearizable"
    UNKNOWN = "unknown"
    """It would take too much work to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The verdict on a history; for one that isn't linearizable, where every order of it ends."""

    verdict: Verdict
    steps: int
    order: tuple[Operation, ...] = ()
    """One that gets as far as any: then `state` holds, and `stuck` can't come next nor later."""
    state: Any = None
    stuck: Operation | None = None
    reason: str = ""
    """For a person."""


def check(history: History, *, work_limit: int = WORK_LIMIT) -> Result:
    """Judge a history by its model."""
    if history.model not in MODELS:
        raise ValueError(f"There is no model {history.model!r}. Known: {', '.join(MODELS)}.")
    return check_operations(history.operations, MODELS[history.model](), work_limit=work_limit)


def check_operations(
    operations: Sequence[Operation], model: Model, *, work_limit: int = WORK_LIMIT
) -> Result:
    """Judge operations by `model`, part by part; of the parts the worst verdict counts."""
    counting = [each for each in operations if each.outcome is not Outcome.FAILED]
    if (reason := model.contradiction(counting)) is not None:
        return Result(verdict=Verdict.NOT_LINEARIZABLE, steps=0, reason=reason)
    worst = Result(verdict=Verdict.LINEARIZABLE, steps=0)
    steps = 0
    for part_model, part in model.parts(counting):
        result = _Search(part_model, part, work_limit - steps).run()
        steps += result.steps
        if result.verdict is Verdict.NOT_LINEARIZABLE:
            return result
        if result.verdict is Verdict.UNKNOWN:
            worst = result
    return Result(verdict=worst.verdict, steps=steps, reason=worst.reason)


class _Search:
    """One part's search. Events are calls and returns of answered operations, in a linked list by time."""

    def __init__(self, model: Model, operations: Sequence[Operation], work_limit: int) -> None:
        self._model = model
        self._limit = work_limit
        done = [each for each in operations if each.outcome is Outcome.DONE]
        unknown = [each for each in operations if each.outcome is Outcome.UNKNOWN]
        self._operations = [*sorted(done, key=_invoked), *sorted(unknown, key=_invoked)]
        self._done = len(done)
        # At the same instant calls come first: then the two overlap, and either order is allowed.
        events = sorted(
            [(each.invoked, 0, number) for number, each in enumerate(self._operations[: self._done])]
            + [(each.returned, 1, number) for number, each in enumerate(self._operations[: self._done])]
        )
        self._count = len(events)
        self._operation_at = [number for _, _, number in events]
        self._is_return = [bool(kind) for _, kind, _ in events]
        self._call_of = [0] * self._done
        self._return_of = [0] * self._done
        for position, (_, kind, number) in enumerate(events):
            (self._return_of if kind else self._call_of)[number] = position
        self._time_of = [time for time, _, _ in events]
        # Position `count` is the list's head and its end.
        self._next = [*range(1, self._count + 1), 0]
        self._previous = [self._count, *range(self._count)]
        self._twin_before = self._twins()

    def run(self) -> Result:
        model, operations, done = self._model, self._operations, self._done
        next_, end = self._next, self._count
        state: Any = model.initial()
        used = 0
        left = done
        steps = 0
        seen: set[tuple[int, Any]] = {(0, state)}
        stack: list[tuple[int, Any, int, list[tuple[int, Any]]]] = []  # used, state, left, what else to try
        taken: list[int] = []
        furthest, best_state = -1, state
        best_order: tuple[int, ...] = ()
        choices: list[tuple[int, Any]] | None = None
        while left:
            if choices is None:  # a new place: what may come next
                choices = []
                position = next_[end]
                while not self._is_return[position]:
                    number = self._operation_at[position]
                    steps += 1
                    for after in model.step(state, operations[number]):
                        choices.append((number, after))
                    position = next_[position]
                for number in range(done, len(operations)):
                    bit = 1 << number
                    before = self._twin_before[number]
                    if operations[number].invoked > self._time_of[position]:
                        break
                    if used & bit or (before is not None and not used & 1 << before):
                        continue
                    steps += 1
                    for after in model.step(state, operations[number]):
                        if after != state:
                            choices.append((number, after))
                choices.reverse()
                if position > furthest:
                    furthest, best_order, best_state = position, tuple(taken), state
                if steps > self._limit:
                    return Result(
                        verdict=Verdict.UNKNOWN,
                        steps=steps,
                        reason=f"Undecided after {steps:,} steps over {len(operations)} operations.",
                    )
            while choices:
                number, after = choices.pop()
                place = (used | 1 << number, after)
                if place in seen:
                    continue
                seen.add(place)
                stack.append((used, state, left, choices))
                taken.append(number)
                used, state = place
                if number < done:
                    left -= 1
                    self._lift(number)
                choices = None
                break
            else:
                if not stack:
                    return self._failure(furthest, best_order, best_state, steps)
                used, state, left, choices = stack.pop()
                number = taken.pop()
                if number < done:
                    self._put_back(number)
        return Result(
            verdict=Verdict.LINEARIZABLE,
            steps=steps,
            order=tuple(operations[each] for each in taken),
            state=state,
        )

    def _twins(self) -> list[int | None]:
        """Return for every unknown operation an equal one that began earlier: used first, one order stands for both."""
        last: dict[tuple[Any, ...], int] = {}
        twins: list[int | None] = [None] * len(self._operations)
        for number in range(self._done, len(self._operations)):
            call = self._operations[number].call
            twins[number] = last.get(call)
            last[call] = number
        return twins

    def _lift(self, number: int) -> None:
        for position in (self._call_of[number], self._return_of[number]):
            before, after = self._previous[position], self._next[position]
            self._next[before], self._previous[after] = after, before

    def _put_back(self, number: int) -> None:
        for position in (self._return_of[number], self._call_of[number]):
            before, after = self._previous[position], self._next[position]
            self._next[before] = self._previous[after] = position

    def _failure(self, furthest: int, order: Sequence[int], state: Any, steps: int) -> Result:
        stuck = self._operations[self._operation_at[furthest]]
        placed = tuple(self._operations[each] for each in order)
        start = min((each.invoked for each in self._operations), default=0)
        lines = [f"No order of the {len(self._operations)} operations explains all answers."]
        lines.append(
            f"The best that gets furthest places {len(placed)} of them" + (", at last:" if placed else ".")
        )
        lines += [f"  {_span(each, start)}  {each}" for each in placed[-8:]]
        lines.append(f"Then the state is: {self._model.describe(state)}.")
        lines.append("This one had to follow by the time it was answered, but can't:")
        lines.append(f"  {_span(stuck, start)}  {stuck}")
        overlapping = [
            each
            for number, each in enumerate(self._operations)
            if number not in order
            and each is not stuck
            and each.invoked <= stuck.returned
            and (each.outcome is Outcome.UNKNOWN or each.returned >= stuck.invoked)
        ]
        if overlapping:
            lines.append("These overlap it and were tried in every order:")
            lines += [f"  {_span(each, start)}  {each}" for each in overlapping[:8]]
        return Result(
            verdict=Verdict.NOT_LINEARIZABLE,
            steps=steps,
            order=placed,
            state=state,
            stuck=stuck,
            reason="\n".join(lines),
        )


def _invoked(operation: Operation) -> int:
    return operation.invoked


def _span(operation: Operation, start: int) -> str:
    end = "…" if operation.outcome is Outcome.UNKNOWN else f"{operation.returned - start:,}"
    return f"[{operation.invoked - start:,} – {end}]"


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--explain", is_flag=True, help="Say of each file that isn't linearizable where every order ends."
)
@click.option(
    "--work-limit", default=WORK_LIMIT, show_default=True, help="Steps until a file counts as unknown."
)
def main(files: Sequence[Path], *, explain: bool, work_limit: int) -> None:
    """Judge histories: Jepsen's register logs, or files that a recording left.

    Exits with 0 if all are linearizable, 1 if one isn't, 2 if one can't be read, 3 if one couldn't be decided.
    """
    codes = {0}
    for path in files:
        try:
            result = check(read_history(path), work_limit=work_limit)
        except (ParseError, ValueError) as exc:
            click.echo(f"{path} can't be read: {exc}", err=True)
            codes.add(2)
            continue
        click.echo(f"{path} {result.verdict}")
        if explain and result.reason:
            click.echo("  " + result.reason.replace("\n", "\n  "))
        codes.add({Verdict.LINEARIZABLE: 0, Verdict.NOT_LINEARIZABLE: 1, Verdict.UNKNOWN: 3}[result.verdict])
    sys.exit(next(each for each in (2, 1, 3, 0) if each in codes))


if __name__ == "__main__":
    main()
