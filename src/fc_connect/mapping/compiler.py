"""Writes a mapping out as one Python function.

The source holds only names and numbers of ours: every text and value of the config is bound as a constant, so none of
it becomes code. The function either gives what the interpreter gives, or raises: then the interpreter says what of
the record can't be mapped, or maps what is too odd to be worth code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from fc_connect.mapping.rules import Call, Read, Rule, put, taken
from fc_connect.mapping.values import ABSENT

__all__ = ["OddError", "compile_rules"]

_EMPTY = "not v and (v == '' or v is None or v is ABSENT)"


class OddError(Exception):
    """The record isn't one that the compiled code knows what to do with."""


def compile_rules(
    rules: Sequence[Rule],
    *,
    columns: Sequence[str] | None,
    context: Mapping[str, Any],
    compat: bool,
    put: Callable[..., None] = put,
    items: Callable[[Any], list[Any]],
    optional: Set[str] = frozenset(),
) -> Callable[[Any, Any], dict[str, Any]]:
    """Return a function of (record, skipped) that gives the entity; the names of absent fields go into `skipped`.

    It raises KeyError, with the key, where a record lacks one that isn't among the `optional`: a key that is taken
    to be there is read in half the time.
    """
    writing = _Writing(columns, compat, optional)
    names: dict[str, Any] = {
        "ABSENT": ABSENT,
        "Odd": OddError,
        "context": context,
        "columns": columns,
        "put": put,
        "items": items,
        "taken": taken,
    }
    writing.names = names
    writing.level(rules, is_top=True, is_row=columns is not None)
    exec(compile("\n".join(writing.functions), "<compiled mapping>", "exec"), names)  # noqa: S102 (nothing of the config is in it)
    function: Callable[[Any, Any], dict[str, Any]] = names["level0"]
    return function


class _Remembered(dict[str, Any]):
    """What a function gave for texts that turned up lately: the same dates and codes come in record after record."""

    _MOST = 16_384
    _LONGEST = 64

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, text: str) -> Any:
        result = self._function(text)
        if len(self) >= self._MOST:
            self.clear()
        if len(text) <= self._LONGEST:
            self[text] = result
        return result


class _Writing:
    def __init__(self, columns: Sequence[str] | None, compat: bool, optional: Set[str]) -> None:
        self._columns = columns
        self._optional = optional
        self._compat = compat
        self._levels = 0
        self._bound = 0
        self.names: dict[str, Any] = {}
        self.functions: list[str] = []

    def _bind(self, value: Any) -> str:
        """Make a value known to the code by a name of ours."""
        name = f"x{self._bound}"
        self._bound += 1
        self.names[name] = value
        return name

    def level(self, rules: Sequence[Rule], *, is_top: bool, is_row: bool) -> str:
        """Write the function of one level, and return its name."""
        name = f"level{self._levels}"
        self._levels += 1
        lines = [f"def {name}(r, {'skipped' if is_top else 'root'}):", *([" root = r"] if is_top else [])]
        if is_row:
            if is_top:
                lines.append(f" if len(r) != {len(self._columns or ())}: raise Odd")
        elif rules:
            lines += [" if r.__class__ is not dict: raise Odd", " get = r.get"]
        if any(call.arity > 1 and not call.is_raw for rule in rules for call in rule.calls):
            lines.append(" named = dict(zip(columns, r))" if is_row else " named = r")
        lines.append(" e = {}")
        for rule in rules:
            lines += _indented(self._field(rule, is_top=is_top, is_row=is_row))
        lines.append(" return e")
        self.functions.append("\n".join(lines))
        return name

    def _field(self, rule: Rule, *, is_top: bool, is_row: bool) -> list[str]:
        if rule.fault is not None:
            return ["raise Odd"]
        if rule.is_array:
            lines, may_miss = self._array(rule), False
        elif rule.fields is not None:
            lines, may_miss = self._object(rule, is_row=is_row)
        else:
            lines, may_miss = self._scalar(rule)
        placed = self._placed(rule)
        skip = f"skipped.append({self._bind(rule.name)})" if is_top else None
        if may_miss:
            lines += ["if v is not ABSENT:", *_indented(placed)]
            lines += [f"else: {skip}"] if skip else []
        else:
            lines += placed
        if rule.when is None:
            return lines
        lines = [f"if {self._bind(rule.when)}(r, root):", *_indented(lines)]
        return [*lines, f"else: {skip}"] if skip else lines

    def _placed(self, rule: Rule) -> list[str]:
        target = rule.target
        if len(target) == 1:
            return [f"e[{self._bind(target[0])}] = v"]
        whole = f"put(e, {self._bind(target)}, v)"
        if len(target) == 2 and all(isinstance(step, str) for step in target):
            outer, inner = map(self._bind, target)
            return [
                f"t = e.get({outer})",
                f"if t.__class__ is dict: t[{inner}] = v",
                f"elif t is None and {outer} not in e: e[{outer}] = {{{inner}: v}}",
                f"else: {whole}",
            ]
        return [whole]

    # What a field comes to

    def _array(self, rule: Rule) -> list[str]:
        lines = ["v = ABSENT"] if rule.read is None else self._read(rule.read)
        item = self.level(rule.fields or (), is_top=False, is_row=False)
        mapped = f"v = [{item}(i, root) for i in items(v)]"
        if self._compat:
            return [*lines, mapped]
        empty = "raise Odd"
        if not rule.required:
            empty = (
                f"v = taken({self._bind(rule)}, {self._bind(rule.default)})" if rule.has_default else "v = []"
            )
        return [*lines, f"if ({_EMPTY}) or v == []: {empty}", f"else: {mapped}"]

    def _object(self, rule: Rule, *, is_row: bool) -> tuple[list[str], bool]:
        if rule.read is None:
            inner = self.level(rule.fields or (), is_top=False, is_row=is_row)
            return [f"v = {inner}(r, root)"], False
        inner = self.level(rule.fields or (), is_top=False, is_row=False)
        lines = [*self._read(rule.read), f"if v.__class__ is dict: v = {inner}(v, root)"]
        if rule.required:
            return [*lines, "else: raise Odd"], False
        empty = "v is None or v is ABSENT" if self._compat else _EMPTY
        return [*lines, f"elif {empty}: v = ABSENT", "else: raise Odd"], True

    def _scalar(self, rule: Rule) -> tuple[list[str], bool]:
        if rule.has_value:
            lines, may_miss = [f"v = {self._bind(rule.value)}"], False
        elif rule.read is not None:
            lines, may_miss = self._read(rule.read), rule.read.column is None
        else:
            lines, may_miss = ["v = ABSENT"], True
        if rule.required and not rule.is_resolver_only:
            lines.append(f"if {_EMPTY}: raise Odd")
            may_miss = False
        if rule.has_default:
            lines.append(f"if {_EMPTY}: v = {self._bind(rule.default)}")
            may_miss = False
        if rule.copies:
            lines.append(f"v = taken({self._bind(rule)}, v)")
        for call in rule.calls:
            more, may_miss = self._called(call, may_miss)
            lines += more
        if rule.required and (rule.is_resolver_only if self._compat else rule.calls):
            lines.append(f"if {_EMPTY}: raise Odd")
            may_miss = False
        if rule.ends:
            ends = " ".join(f"v = {self._bind(end)}(v);" for end in rule.ends)
            lines.append(f"if not ({_EMPTY}): {ends}")
        return lines, may_miss

    def _called(self, call: Call, may_miss: bool) -> tuple[list[str], bool]:
        function = self._bind(call.function)
        if call.is_remembered:
            texts = self._bind(_Remembered(call.function))
            again = f"({texts}[v] if v.__class__ is str else {function}(v))"
            result = again if call.code is None else call.code.replace("f(v)", again)
        elif call.code is not None:
            result = call.code.replace("f(v)", f"{function}(v)")
        else:
            around = ("r", "root") if call.is_raw else ("named", "context")
            result = f"{function}({', '.join(('v', *around)[: call.arity])})"
        if self._compat:
            return [f"v = {result}"], True
        if not may_miss:
            return [f"v = {result}"], call.is_own
        if call.keeps_none:
            return [f"if v is not ABSENT: v = {result}"], True
        with_none = f"{function}(None)" if call.arity == 1 else result.replace("(v", "(None", 1)
        return [
            "if v is ABSENT:",
            f" v = {with_none}",
            " if v is None: v = ABSENT",
            f"else: v = {result}",
        ], True

    def _read(self, read: Read) -> list[str]:
        """Write the lines that set `v`: a chain of keys goes through objects, and leaves all else to the function."""
        record = "root" if read.of_root else "r"
        if read.column is not None:
            return [f"v = {record}[{read.column}]"]
        whole = f"v = {self._bind(read.function)}({record})"
        steps = read.steps
        if not steps or read.of_root or not isinstance(steps[0], str):
            return [whole]
        first = self._bind(steps[0])
        lines = [f"v = get({first}, ABSENT)" if steps[0] in self._optional else f"v = r[{first}]"]
        for depth, step in enumerate(steps[1:]):
            if isinstance(step, int) and step >= 0:
                test, taking = f"v.__class__ is list and len(v) > {step}", f"v = v[{step}]"
            elif isinstance(step, str):
                test, taking = "v.__class__ is dict", f"v = v.get({self._bind(step)}, ABSENT)"
            else:
                return [whole]
            lines += [" " * depth + f"if {test}:", " " * (depth + 1) + taking]
        for depth in reversed(range(len(steps) - 1)):
            lines.append(" " * depth + f"else: {whole}")
        return lines


def _indented(lines: list[str]) -> list[str]:
    return [f" {line}" for line in lines]
