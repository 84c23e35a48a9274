"""Writes a mapping out as Python code: one function of a record.

The source holds only names and numbers of ours: every text and value of the config is bound to a name, or put among the
constants of the compiled code, so none of it becomes code. The function either gives what the interpreter gives, or
raises: then the interpreter says what of the record can't be mapped, or maps what is too odd to be worth code.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from types import CodeType
from typing import Any

from fc_connect.mapping.rules import Call, Read, Rule, put, taken
from fc_connect.mapping.values import ABSENT

__all__ = ["Compiled", "OddError", "compile_rules"]

_EMPTY = "v is ABSENT or not v and (v == '' or v is None)"  # in this order: ABSENT tells its truth in Python


class OddError(Exception):
    """The record isn't one that the compiled code knows what to do with."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A mapping as code, in two shapes."""

    function: Callable[[Any, Any], dict[str, Any]]
    """Of (record, skipped): gives the entity, and puts the names of absent fields into `skipped`. It raises KeyError,
    with the key, where a record lacks one that was taken to be there."""
    method: Callable[[Any, Any], dict[str, Any]]
    """Of (mapper, record): gives the entity; asks `mapper.without_key(record, error)` after a KeyError, and
    `mapper.interpret(record)` after any other error. As the mapper's own `__call__` it saves the second call, which
    takes as long as five fields."""


def compile_rules(
    rules: Sequence[Rule],
    *,
    columns: Sequence[str] | None,
    context: Mapping[str, Any],
    compat: bool,
    put: Callable[..., None] = put,
    items: Callable[[Any], list[Any]],
    optional: Set[str] = frozenset(),
) -> Compiled:
    """Return the code for records of these columns, or for dicts where `columns` is None.

    A key that isn't among the `optional` is taken to be there: it is read in half the time.
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
        "skipped": deque(maxlen=0),  # what the method has in the place of the parameter: it keeps no name
    }
    writing.names = names
    writing.level(rules, is_top=True, is_row=columns is not None)
    code = compile("\n".join(writing.functions), "<compiled mapping>", "exec")
    exec(_with_constants(code, writing.constants), names)  # noqa: S102 (nothing of the config is in it)
    return Compiled(function=names["level0"], method=names["method"])


def _with_constants(code: CodeType, constants: Mapping[str, Any]) -> CodeType:
    """Put values in the place of what stands for them: a constant is read faster than a name."""

    def real(constant: Any) -> Any:
        if isinstance(constant, str):
            return constants.get(constant, constant)
        if isinstance(constant, tuple):  # the keys of an object that is made in one go
            return tuple(map(real, constant))
        return _with_constants(constant, constants) if isinstance(constant, CodeType) else constant

    return code.replace(co_consts=tuple(map(real, code.co_consts)))


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
        self.constants: dict[str, Any] = {}
        """By what stands for them in the source: texts that no code of ours holds otherwise."""
        self.functions: list[str] = []

    def _bind(self, value: Any) -> str:
        """Make a value known to the code by a name of ours."""
        name = f"x{self._bound}"
        self._bound += 1
        self.names[name] = value
        return name

    def _constant(self, value: Any) -> str:
        """Make a value a constant of the code, and return how it is written."""
        stand_in = f"\0{len(self.constants)}"
        self.constants[stand_in] = value
        return repr(stand_in)

    def level(self, rules: Sequence[Rule], *, is_top: bool, is_row: bool) -> str:
        """Write the function of one level, and return its name."""
        name = f"level{self._levels}"
        self._levels += 1
        lines: list[str] = []
        if any(call.arity > 1 and not call.is_raw for rule in rules for call in rule.calls):
            lines.append(" named = dict(zip(columns, r))" if is_row else " named = r")
        nested = _shape(rules)
        if nested is None:
            lines.append(" e = {}")
            for rule in rules:
                lines += _indented(self._placed(rule, is_top=is_top, is_row=is_row))
        else:
            lines += _indented(self._display(rules, nested, is_top=is_top, is_row=is_row))
        lines.append(" return e")
        head = [f"def {name}(r, {'skipped' if is_top else 'root'}):"]
        if is_row:
            if is_top:
                head.append(f" if len(r) != {len(self._columns or ())}: raise Odd")
        elif rules:
            head.append(" if r.__class__ is not dict: raise Odd")
        body = "\n".join(lines)
        head += [" root = r"] if is_top and "root" in body else []
        head += [" get = r.get"] if " get(" in body else []
        self.functions.append("\n".join([*head, body]))
        if is_top:
            self.functions += [
                "def method(mapper, r):",
                " try:",
                *_indented([*head[1:], *lines]),
                " except KeyError as error: return mapper.without_key(r, error)",
                " except Exception: return mapper.interpret(r)",
            ]
        return name

    def _display(
        self, rules: Sequence[Rule], nested: Mapping[str, Sequence[Rule]], *, is_top: bool, is_row: bool
    ) -> list[str]:
        """Write a level whose fields have places of their own: all values first, then the object in one go."""
        lines: list[str] = []
        locals_: dict[int, str] = {}
        missing: list[Rule] = []
        for number, rule in enumerate(rules):
            more, may_miss = self._value(rule, is_row=is_row)
            more, last = more[:-1], more[-1]
            missing += [rule] if may_miss else []
            if rule.when is None and not may_miss and (inline := _inline(more, last)) is not None:
                locals_[id(rule)] = inline
                continue
            # One assignment less, where the last line is one.
            is_plain = last.startswith("v = ") and rule.when is None
            lines += [*more, *([f"v{number} = {last[4:]}"] if is_plain else [last, f"v{number} = v"])]
            locals_[id(rule)] = f"v{number}"
        parts = []
        for outer, inside in nested.items():
            if len(inside[0].target) == 1:
                parts.append(f"{self._constant(outer)}: {locals_[id(inside[0])]}")
            else:
                inner = ", ".join(f"{self._constant(rule.target[1])}: {locals_[id(rule)]}" for rule in inside)
                parts.append(f"{self._constant(outer)}: {{{inner}}}")
        lines.append(f"e = {{{', '.join(parts)}}}")
        for rule in missing:
            skip = f"; skipped.append({self._constant(rule.name)})" if is_top else ""
            keys = "".join(f"[{self._constant(step)}]" for step in rule.target)
            lines.append(f"if {locals_[id(rule)]} is ABSENT: del e{keys}{skip}")
        for outer, inside in nested.items():
            if len(inside[0].target) == 2 and all(rule in missing for rule in inside):
                lines.append(f"if not e[{self._constant(outer)}]: del e[{self._constant(outer)}]")
        return lines

    def _placed(self, rule: Rule, *, is_top: bool, is_row: bool) -> list[str]:
        """Write a field of a level where places lie in one another, or in lists."""
        lines, may_miss = self._value(rule, is_row=is_row)
        target = rule.target
        placing = (
            f"e[{self._constant(target[0])}] = v" if len(target) == 1 else f"put(e, {self._bind(target)}, v)"
        )
        if not may_miss:
            return [*lines, placing]
        skip = [f"else: skipped.append({self._bind(rule.name)})"] if is_top else []
        return [*lines, f"if v is not ABSENT: {placing}", *skip]

    def _value(self, rule: Rule, *, is_row: bool) -> tuple[list[str], bool]:
        """Write the lines that set `v` to what a field comes to; say whether that may be nothing."""
        if rule.fault is not None:
            return ["raise Odd"], False
        if rule.is_array:
            lines, may_miss = self._array(rule), False
        elif rule.fields is not None:
            lines, may_miss = self._object(rule, is_row=is_row)
        else:
            lines, may_miss = self._scalar(rule)
        if rule.when is None:
            return lines, may_miss
        return [f"if {self._bind(rule.when)}(r, root):", *_indented(lines), "else: v = ABSENT"], True

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
            lines, may_miss = [f"v = {self._constant(rule.value)}"], False
        elif rule.read is not None:
            lines, may_miss = self._read(rule.read), self._may_miss(rule.read)
        else:
            lines, may_miss = ["v = ABSENT"], True
        if rule.required and not rule.is_resolver_only:
            lines.append(f"if {_EMPTY}: raise Odd")
            may_miss = False
        resolved = _resolved_default(rule)
        if rule.has_default:
            default = rule.default if resolved is None else resolved[0]
            lines.append(f"if {_EMPTY}: v = {self._constant(default)}")
            may_miss = False
        if rule.copies:
            lines.append(f"v = taken({self._bind(rule)}, v)")
        calls: list[str] = []
        for call in rule.calls:
            more, may_miss = self._called(call, may_miss)
            calls += more
        lines += calls if resolved is None else ["else:", *_indented(calls)]
        if rule.required and (rule.is_resolver_only if self._compat else rule.calls):
            lines.append(f"if {_EMPTY}: raise Odd")
            may_miss = False
        if rule.ends:
            ends = " ".join(f"v = {self._bind(end)}(v);" for end in rule.ends)
            lines.append(f"if not ({_EMPTY}): {ends}")
        return lines, may_miss

    def _called(self, call: Call, may_miss: bool) -> tuple[list[str], bool]:
        function = self._bind(call.function)
        around = ("r", "root") if call.is_raw else ("named", "context")
        result = f"{function}({', '.join(('v', *around)[: call.arity])})"
        of_text = call.code
        if call.is_remembered:
            of_text = f"{self._bind(_Remembered(call.function))}[v]"
        if self._compat or not may_miss:
            may_miss = self._compat or call.is_own
        elif call.keeps_none:
            result = f"v if v is ABSENT else {result}"
        else:
            with_none = result.replace("(v", "(None", 1)
            if of_text is None:
                return [
                    "if v is ABSENT:",
                    f" v = {with_none}",
                    " if v is None: v = ABSENT",
                    f"else: v = {result}",
                ], True
            result = f"{self._bind(_of_nothing(call.function))}(v)"
        return [
            f"v = {result}" if of_text is None else f"v = {of_text} if v.__class__ is str else {result}"
        ], may_miss

    def _may_miss(self, read: Read) -> bool:
        """Say whether the lines of `_read` may find nothing: not where they raise KeyError then.

        A record that holds `ABSENT` as a value is no JSON; only in compat mode it means what it says.
        """
        if read.column is not None:
            return False
        steps = read.steps or ()
        return (
            self._compat
            or read.of_root
            or len(steps) != 1
            or not isinstance(steps[0], str)
            or steps[0] in self._optional
        )

    def _read(self, read: Read) -> list[str]:
        """Write the lines that set `v`: a chain of keys goes through objects, and leaves all else to the function."""
        record = "root" if read.of_root else "r"
        if read.column is not None:
            return [f"v = {record}[{read.column}]"]
        whole = f"v = {self._bind(read.function)}({record})"
        steps = read.steps
        if not steps or read.of_root or not isinstance(steps[0], str):
            return [whole]
        first = self._constant(steps[0])
        lines = [f"v = get({first}, ABSENT)" if steps[0] in self._optional else f"v = r[{first}]"]
        for depth, step in enumerate(steps[1:]):
            if isinstance(step, int) and step >= 0:
                test, taking = f"v.__class__ is list and len(v) > {step}", f"v = v[{step}]"
            elif isinstance(step, str):
                test, taking = "v.__class__ is dict", f"v = v.get({self._constant(step)}, ABSENT)"
            else:
                return [whole]
            lines += [" " * depth + f"if {test}:", " " * (depth + 1) + taking]
        for depth in reversed(range(len(steps) - 1)):
            lines.append(" " * depth + f"else: {whole}")
        return lines


def _inline(before: Sequence[str], last: str) -> str | None:
    """Return the lines that set `v` as one expression, where they can be."""
    if not last.startswith("v = "):
        return None
    if not before:
        return last[4:]
    test = "v.__class__ is str"
    if len(before) == 1 and before[0].startswith("v = ") and last.count(test) == 1:
        return last[4:].replace(test, f"(v := {before[0][4:]}).__class__ is str")
    return None


def _shape(rules: Sequence[Rule]) -> dict[str, list[Rule]] | None:
    """Return the rules by the first key of their places, where each place is a key, or a key in an object that only
    such places make; None where places lie otherwise."""
    shape: dict[str, list[Rule]] = {}
    for rule in rules:
        if len(rule.target) > 2 or not all(isinstance(step, str) for step in rule.target):
            return None
        shape.setdefault(str(rule.target[0]), []).append(rule)
    for inside in shape.values():
        if (
            len({rule.target for rule in inside}) < len(inside)
            or len({len(rule.target) for rule in inside}) > 1
        ):
            return None
    return shape


def _resolved_default(rule: Rule) -> tuple[Any] | None:
    """Return what the default comes to, where that is the same each time and can't be changed."""
    if not rule.has_default or not rule.calls or rule.copies:
        return None
    value = rule.default
    for call in rule.calls:
        if call.is_own or (call.code is None and not call.is_remembered):
            return None
        try:
            value = call.function(value)
        except Exception:  # noqa: BLE001 (the interpreter says so, for the records that it is used for)
            return None
    return None if value is ABSENT or isinstance(value, dict | list) else (value,)


def _of_nothing(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that asks for what None comes to where there is nothing."""

    def call(value: Any) -> Any:
        if value is not ABSENT:
            return function(value)
        result = function(None)
        return ABSENT if result is None else result

    return call


def _indented(lines: list[str]) -> list[str]:
    return [f" {line}" for line in lines]
