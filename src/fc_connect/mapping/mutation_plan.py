"""A mutation mapping in strict mode: compiled once, applied to records, every fault of a record told at once.

What can't be meant is refused when the mapping is read: unknown resolvers, keys that are spelled wrong, a constant
beside fields of its own. What can't be read in a record is a fault of that record, never a value that stands in for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from fc_connect.errors import ConfigurationError
from fc_connect.mapping.calls import own_call, resolver_call
from fc_connect.mapping.config import ResolverCall
from fc_connect.mapping.mutation_fields import Concat, Target, is_finite
from fc_connect.mapping.paths import ORIGINS, Path, parse_path
from fc_connect.mapping.resolvers import boolean, resolver_names
from fc_connect.mapping.rules import Call

__all__ = ["FIELD_OPTIONS", "Compiler", "own_calls"]

_ENVIRONMENT = re.compile(r"\$\{([^}]+)\}")
FIELD_OPTIONS: Final = frozenset(
    {
        "source",
        "value",
        "resolver",
        "transform",
        "defaultValue",
        "required",
        "isArray",
        "autoWrap",
        "validation",
        "fields",
        "mapping",
        "comment",
    }
)
"""Keys of a field that aren't fields inside it."""
_UNDERSCORED = {"_array": "isArray", "_nested": "", "_type": ""}
_SPELLINGS: Final = {
    "toUpperCase": "sdk.uppercase",
    "toLowerCase": "sdk.lowercase",
    "toISO8601": "sdk.formatDate",
    "toDate": "sdk.formatDate",
}
_MAX_DEPTH = 50


class Compiler:
    """Makes targets of what people write, and notes what can't be meant."""

    def __init__(
        self,
        *,
        nodes: Sequence[str],
        own: Mapping[str, Call],
        environment: Mapping[str, str],
        problems: list[str],
        imports: bool,
    ) -> None:
        self._origins = (*ORIGINS, *nodes)
        self._own = own
        self._environment = environment
        self._problems = problems
        self._imports = imports

    def children(self, fields: Mapping[str, Any], at: str, depth: int = 0) -> tuple[Target, ...]:
        """Return the targets of an object; a name with dots lies in objects of its own."""
        if depth > _MAX_DEPTH:
            self._problems.append(f"{at}: is nested more than {_MAX_DEPTH} deep")
            return ()
        return tuple(
            self._group(name, each, f"{at}.{name}", depth)
            if isinstance(each, _Group)
            else self.target(name, each[1], f"{at}.{each[0]}", depth)
            for name, each in self._by_name(fields, at).items()
        )

    def target(self, name: str, config: Any, at: str, depth: int = 0) -> Target:
        """Return the target that one field's configuration means."""
        if isinstance(config, str):
            return Target(name=name, at=at, path=self._path(config, f"{at}"))
        if not isinstance(config, Mapping):
            self._problems.append(f"{at}: expected a path or an object, not {_kind(config)}")
            return Target(name=name, at=at)
        options, children = self._split(config, at, is_list=name.endswith("[]"))
        is_list = _flag(options, "isArray", at, self._problems) or name.endswith("[]")
        source = options.get("source")
        path = None
        if source is not None and not isinstance(source, str):
            self._problems.append(f"{at}.source: expected a path, not {_kind(source)}")
        elif source is not None:
            path = self._path(source, f"{at}.source")
        calls = self._calls(options, at)
        least, most = self._limits(options, at, is_list=is_list)
        if not ({"source", "value", "defaultValue"} & options.keys() or calls or children is not None):
            self._problems.append(f"{at}: needs a source, a value, a defaultValue, a resolver or fields")
        if is_list and "source" not in options and "value" not in options:
            self._problems.append(f"{at}: a list needs a source")
        if "value" in options and (source is not None or children is not None):
            both = "a source" if source is not None else "fields of its own; write those as `fields`"
            self._problems.append(f"{at}: has a value, and also {both}")
        return Target(
            name=name.removesuffix("[]"),
            at=at,
            path=path,
            has_value="value" in options,
            value=self._literal(options.get("value"), f"{at}.value"),
            calls=calls,
            has_default="defaultValue" in options,
            default=self._literal(options.get("defaultValue"), f"{at}.defaultValue"),
            required=_flag(options, "required", at, self._problems),
            is_list=is_list,
            wraps=_flag(options, "autoWrap", at, self._problems),
            least=least,
            most=most,
            children=None if children is None else self.children(children, at, depth + 1),
        )

    def _group(self, name: str, group: _Group, at: str, depth: int) -> Target:
        children = tuple(
            self._group(part, each, f"{at}.{part}", depth + 1)
            if isinstance(each, _Group)
            else self.target(part, each[1], f"{at}.{part}", depth + 1)
            for part, each in group.items()
        )
        return Target(name=name, at=at, children=children)

    def _by_name(self, fields: Mapping[str, Any], at: str) -> _Group:
        tree = _Group()
        for name, config in fields.items():
            if _is_note(name):
                continue
            parts = name.split(".")
            if not all(part.removesuffix("[]") for part in parts) or any("[" in p[:-2] for p in parts):
                self._problems.append(f"{at}.{name}: a target is a name, or names with dots between them")
                continue
            level: _Group | None = tree
            for part in parts[:-1]:
                inner = level.setdefault(part, _Group()) if level is not None else None
                level = inner if isinstance(inner, _Group) else None
            if level is None or parts[-1] in level or f"{parts[-1]}[]" in level:
                self._problems.append(f"{at}.{name}: lies where another field has a value of its own")
            else:
                level[parts[-1]] = (name, config)
        return tree

    def _split(
        self, config: Mapping[str, Any], at: str, *, is_list: bool
    ) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
        """Part the options of a field from the fields inside it."""
        options = {name: each for name, each in config.items() if name in FIELD_OPTIONS}
        options |= {_UNDERSCORED[name]: each for name, each in config.items() if _UNDERSCORED.get(name)}
        others = {
            name: each for name, each in config.items() if name not in FIELD_OPTIONS and not _is_note(name)
        }
        inside = [options.pop(name) for name in ("fields", "mapping") if name in options]
        if len(inside) > 1:
            self._problems.append(f"{at}: has `fields` and `mapping`; give one")
        is_object = not options.keys() & {"source", "value", "resolver", "transform", "defaultValue"}
        takes_children = (
            is_object or is_list or options.get("isArray") is True or config.get("_nested") is True
        )
        if inside or not takes_children:
            for name in others:
                close = get_close_matches(name, sorted(FIELD_OPTIONS), n=1)
                hint = (
                    f"; did you mean {close[0]!r}?" if close else "; fields inside this one go into `fields`"
                )
                self._problems.append(f"{at}.{name}: unknown{hint}")
        if inside:
            if isinstance(inside[0], Mapping):
                return options, inside[0]
            self._problems.append(
                f"{at}.fields: expected an object of fields by name, not {_kind(inside[0])}"
            )
            return options, {}
        return options, (others or None) if takes_children else None

    def _path(self, text: str, at: str) -> Path | None:
        try:
            return parse_path(text, origins=self._origins)
        except ConfigurationError as exc:
            self._problems.append(f"{at}: {exc}")
            return None

    def _limits(self, options: Mapping[str, Any], at: str, *, is_list: bool) -> tuple[int, int | None]:
        validation = options.get("validation")
        if validation is None:
            return 0, None
        if not isinstance(validation, Mapping) or not validation.keys() <= {"minItems", "maxItems"}:
            self._problems.append(f"{at}.validation: expected minItems or maxItems")
            return 0, None
        if not is_list:
            self._problems.append(f"{at}.validation: minItems and maxItems are for lists (isArray)")
        found: list[int | None] = []
        for name in ("minItems", "maxItems"):
            limit = validation.get(name)
            if limit is not None and (type(limit) is not int or limit < 0):
                self._problems.append(f"{at}.validation.{name}: expected a number of items")
                limit = None
            found.append(limit)
        return found[0] or 0, found[1]

    def _literal(self, value: Any, at: str) -> Any:
        match = _ENVIRONMENT.fullmatch(value) if isinstance(value, str) else None
        if match is not None:
            if match[1] in self._environment:
                return self._environment[match[1]]
            self._problems.append(f"{at}: {value} isn't among the variables that this mapping may read")
        elif not is_finite(value):
            self._problems.append(f"{at}: isn't a number of JSON")
        return value

    def _calls(self, options: Mapping[str, Any], at: str) -> tuple[Call, ...]:
        written = (options.get("resolver"), options.get("transform"))
        given = [each for each in written if each is not None and each != ""]
        if len(given) > 1:
            self._problems.append(f"{at}: has a resolver and a transform; give one, or a list of both")
        chain = [each for one in given for each in (one if isinstance(one, list) else [one])]
        return tuple(call for each in chain if (call := self._made(each, at)) is not None)

    def _made(self, given: Any, at: str) -> Call | None:
        options: Mapping[str, Any] = {}
        if isinstance(given, Mapping) and isinstance(given.get("name"), str):
            options = {key: each for key, each in given.items() if key != "name"}
            given = given["name"]
        if not isinstance(given, str):
            self._problems.append(
                f'{at}.resolver: expected a name, or {{"name": …}} with its options, not {_kind(given)}'
            )
            return None
        name = given
        if name not in self._own:
            name = _SPELLINGS.get(name, f"sdk.{name}" if f"sdk.{name}" in resolver_names() else name)
        if name == "toBoolean" and name not in self._own:
            return Call(name=name, function=_on_or_off, keeps_none=True)
        if name == "sdk.concat":
            return self._concat(options, at)
        return resolver_call(
            ResolverCall(name=name, options=options),
            at,
            own=self._own,
            problems=self._problems,
            imports=self._imports,
        )

    def _concat(self, options: Mapping[str, Any], at: str) -> Call | None:
        sources, separator = options.get("sources"), options.get("separator", "")
        is_known = options.keys() <= {"sources", "separator"} and isinstance(separator, str)
        if (
            not is_known
            or not isinstance(sources, list)
            or not all(isinstance(each, str) for each in sources)
        ):
            self._problems.append(
                f'{at}.resolver: sdk.concat takes {{"sources": [paths], "separator": text}}'
            )
            return None
        paths = [path for each in sources if (path := self._path(each, f"{at}.resolver")) is not None]
        return Call(name="sdk.concat", function=Concat(tuple(paths), separator), is_raw=True)


def own_calls(resolvers: Mapping[str, Callable[..., Any]], problems: list[str]) -> dict[str, Call]:
    """Return the user's resolvers, ready to be called; what can't be is added to `problems`."""
    calls = {}
    for name, function in resolvers.items():
        if name in resolver_names():
            problems.append(f"the resolver {name!r} is built in, and can't be replaced")
        try:
            calls[name] = own_call(name, function)
        except ConfigurationError as exc:
            problems.append(str(exc))
    return calls


class _Group(dict[str, Any]):
    """Targets below one part of a dotted name."""


def _on_or_off(value: Any) -> Any:
    if isinstance(value, str) and value.strip().lower() in {"on", "off"}:
        return value.strip().lower() == "on"
    return boolean(value)


def _flag(options: Mapping[str, Any], name: str, at: str, problems: list[str]) -> bool:
    value = options.get(name, False)
    if not isinstance(value, bool):
        problems.append(f"{at}.{name}: expected true or false, not {value!r}")
        return False
    return value


def _is_note(name: str) -> bool:
    return name.startswith(("_", "//", "$comment"))


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}.get(
        type(value), "text" if isinstance(value, str) else type(value).__name__
    )
