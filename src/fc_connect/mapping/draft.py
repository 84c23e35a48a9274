"""A mapping to begin with: filled in as far as a schema and a sample go, TODO where a person must decide."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    get_named_type,
    get_nullable_type,
)

from fc_connect.mapping.analyze import FieldProfile, relative_path
from fc_connect.mapping.batch_entities import ALTERNATIVES, CONSTANTS
from fc_connect.mapping.entity_check import is_needed
from fc_connect.mapping.matching import Match, best_matches
from fc_connect.mapping.outline import TODO

__all__ = ["RESOLVERS", "Draft", "DraftOptions", "draft_for_type", "noun_of"]

RESOLVERS = {
    "String": "sdk.toString",
    "ID": "sdk.toString",
    "Int": "sdk.parseInt",
    "Float": "sdk.parseFloat",
    "Boolean": "sdk.boolean",
    "DateTime": "sdk.parseDate",
    "Date": "sdk.parseDate",
}
"""For values of a type whose source isn't known."""

# Names that say nothing by themselves: a column `ref` isn't the `ref` of a nested key.
_GENERIC = {"ref", "id", "type", "name", "status", "value", "key", "code"}
_SHOWN_SAMPLES = 3
_SHOWN_ENUM = 12
_NOWHERE = "\0"
"""A source that nothing lies below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftOptions:
    """How much to write."""

    optional: Literal["all", "matched", "none"] | None = None
    """Optional fields to write; None: those that the sample has, or all where there is no sample."""
    max_depth: int = 3
    """Of objects in objects."""
    source_prefix: str = ""
    """Before the names in the TODOs of sources."""


@dataclass(slots=True)
class Draft:
    """Fields of a mapping, and what became of the rest."""

    fields: dict[str, Any] = field(default_factory=dict)
    todos: list[str] = field(default_factory=list)
    """Targets that wait for a person."""
    unmapped: list[str] = field(default_factory=list)
    """Optional targets that were left out."""
    maybe: dict[str, str] = field(default_factory=dict)
    """Sources of optional targets that were left out, because they are no more than guesses."""
    unused: list[str] = field(default_factory=list)
    """Paths of the source that no field reads."""
    notes: list[str] = field(default_factory=list)
    matched: int = 0


def draft_for_type(
    expected: GraphQLInputObjectType,
    profiles: Sequence[FieldProfile] | None = None,
    *,
    is_flat: bool = False,
    options: DraftOptions | None = None,
) -> Draft:
    """Return fields that fill an input type from a source with these profiles; without any, TODOs.

    Required fields come first. With `is_flat` the source has columns and nothing below them.
    """
    builder = _Builder(profiles, is_flat=is_flat, options=options or DraftOptions())
    draft = builder.draft
    draft.fields = builder.object(expected, _Place(noun=noun_of(expected.name)), (expected.name,))
    if profiles is not None:
        draft.unused = [each.path for each in profiles if each.is_plain and each.path not in builder.used]
    return draft


def noun_of(type_name: str) -> str:
    """Return what an input type is of: `CreateStandardProductInput` of a `StandardProduct`."""
    match = re.fullmatch(r"(?:Create|Update|Upsert)?(.+?)(?:Input|BatchEntity)?", type_name)
    return match[1] if match else type_name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where in target and source the builder stands."""

    noun: str
    target: str = ""
    source: str = ""
    """Path of the object, or of the items, that sources are relative to."""
    inside: str = ""
    """Name of the object above, where it is made of values of the same record."""
    depth: int = 0

    def target_of(self, name: str) -> str:
        return f"{self.target}.{name}" if self.target else name


class _Builder:
    def __init__(
        self, profiles: Sequence[FieldProfile] | None, *, is_flat: bool, options: DraftOptions
    ) -> None:
        self._has_sample = profiles is not None
        self._profiles = profiles or ()
        self._is_flat = is_flat
        self._options = options
        self._optional = options.optional or ("matched" if self._has_sample else "all")
        self.draft = Draft()
        self.used: set[str] = set()

    def object(
        self, expected: GraphQLInputObjectType, place: _Place, above: tuple[str, ...]
    ) -> dict[str, Any]:
        """Return the fields of an object; empty where nothing of it is needed or known."""
        ordered = dict(sorted(expected.fields.items(), key=lambda each: not is_needed(each[1])))
        plain = {name: given for name, given in ordered.items() if _inner_object(given) is None}
        matches = self._matches(expected, plain, place)
        # Of fields that stand for one another the one that is there is as good as required.
        wanted = {
            next((name for name in group if name in matches), group[0])
            for group in ALTERNATIVES.get(expected.name, ())
        }
        fields: dict[str, Any] = {}
        for name, given in ordered.items():
            needed = is_needed(given) or name in wanted
            if name in plain:
                written = self._plain(expected, name, given, needed, matches.get(name), place)
            else:
                written = self._nested(name, given, place, above)
            if written is not None:
                fields[name] = written
        return fields

    def _matches(
        self, expected: GraphQLInputObjectType, plain: Mapping[str, Any], place: _Place
    ) -> dict[str, Match]:
        types = {name: get_named_type(each.type).name for name, each in plain.items()}
        near = [
            each
            for each in self._profiles
            if each.is_plain and (self._is_flat or self._lies_below(each, place.source))
        ]
        if not place.inside:
            found = best_matches(types, near, noun=place.noun)
        else:
            # The same record as what is above: `catalogue_ref` may be the `ref` of a catalogue, and `ref` isn't.
            own = {name: each for name, each in types.items() if name not in _GENERIC}
            found = _certain(best_matches(own, near))
            taken = {match.profile.path for match in found.values()}
            left = {f"{place.inside} {name}": each for name, each in types.items() if name not in found}
            whole = _certain(best_matches(left, [each for each in near if each.path not in taken]))
            found |= {name.partition(" ")[2]: match for name, match in whole.items()}
        for group in ALTERNATIVES.get(expected.name, ()):
            there = sorted((name for name in group if name in found), key=lambda name: -found[name].score)
            for name in there[1:]:
                if found[name].confidence != "sure":
                    del found[name]
        return found

    def _lies_below(self, profile: FieldProfile, source: str) -> bool:
        """Say whether it is a value of the record at `source` itself, and not of a list in it."""
        return profile.path.startswith(source) and "[*]" not in relative_path(profile.path, source)

    # A plain value

    def _plain(
        self,
        expected: GraphQLInputObjectType,
        name: str,
        given: Any,
        needed: bool,
        match: Match | None,
        place: _Place,
    ) -> dict[str, Any] | None:
        about = f"{given.type}, {'required' if needed else 'optional'}{_enum_values(given)}"
        if match is not None and not needed and match.confidence == "a guess" and self._optional != "all":
            self.draft.maybe[place.target_of(name)] = match.profile.path
            match = None
        if match is not None and (needed or self._optional != "none"):
            return self._matched(name, given, needed, match, place, about)
        constant = CONSTANTS.get(expected.name, {}).get(name)
        if constant is not None and self._has_sample:
            return {"value": constant, "comment": f"{about}; the source has none: this is the usual value"}
        if not needed and self._optional != "all":
            self.draft.unmapped.append(place.target_of(name))
            return None
        self.draft.todos.append(place.target_of(name))
        hint = (
            "path, or a constant as `value`"
            if self._has_sample
            else f"path of {self._options.source_prefix}{name}"
        )
        written: dict[str, Any] = {"source": f"{TODO}: {hint}"}
        if needed:
            written["required"] = True
        if (resolver := RESOLVERS.get(get_named_type(given.type).name)) is not None:
            written["resolver"] = resolver
        described = f"; {' '.join(given.description.split())[:160]}" if given.description else ""
        return {**written, "comment": about + described}

    def _matched(
        self, name: str, given: Any, needed: bool, match: Match, place: _Place, about: str
    ) -> dict[str, Any]:
        profile = match.profile
        self.used.add(profile.path)
        self.draft.matched += 1
        path = profile.path if self._is_flat else relative_path(profile.path, place.source)
        written: dict[str, Any] = {"source": path}
        if needed:
            written["required"] = True
        resolver, notes = _resolver(get_named_type(given.type).name, profile, needed, self._is_flat)
        if resolver is not None:
            written["resolver"] = resolver
        parts = [about, f"{match.confidence}: {match.why}"]
        if profile.samples:
            parts.append(f"such as {', '.join(profile.samples[:_SHOWN_SAMPLES])}")
        parts += notes
        if profile.missing and needed:
            parts.append(f"{profile.missing:,} of {profile.parents:,} have none, and will be rejected")
        elif profile.missing and resolver is not None:
            written["when"] = {"source": path}
            parts.append(f"left out where the source has none: {profile.missing:,} of {profile.parents:,}")
        if any(each.startswith(TODO) for each in notes):
            self.draft.todos.append(place.target_of(name))
        return {**written, "comment": "; ".join(parts)}

    # Objects and lists of them

    def _nested(self, name: str, given: Any, place: _Place, above: tuple[str, ...]) -> dict[str, Any] | None:
        inner, needed = _inner_object(given), is_needed(given)
        assert inner is not None  # noqa: S101 - the caller looked
        target = place.target_of(name)
        about = f"{given.type}, {'required' if needed else 'optional'}"
        is_list = isinstance(get_nullable_type(given.type), GraphQLList)
        found = self._object_profile(name, place, is_list=is_list, is_alone=needed)
        must_write = needed or self._optional == "all"
        is_cut = place.depth + 1 >= self._options.max_depth or inner.name in above
        if not must_write and (self._optional == "none" or is_cut or (is_list and found is None)):
            self.draft.unmapped.append(target)
            return None
        if is_cut:
            return self._cut(inner, target, about, needed, above)
        written: dict[str, Any] = {}
        below = _Place(
            noun=noun_of(inner.name),
            target=f"{target}[]" if is_list else target,
            source=place.source,
            inside=name,
            depth=place.depth + 1,
        )
        if found is not None:
            self.used.add(found.path)
            written["source"] = relative_path(found.path, place.source)
            if is_list and found.name != name:
                about += f"; a guess: {found.name}"
            path = f"{found.path}[*]" if "list" in found.value_types else found.path
            below = replace(below, source=path, inside="")
        elif is_list:
            self.draft.todos.append(target)
            written["source"] = f"{TODO}: path of the list {self._options.source_prefix}{name}"
            below = replace(below, source=_NOWHERE, inside="")
        fields = self._fields_of(inner, below, above, is_wanted=must_write or found is not None)
        if not fields:
            return self._open_object(inner, target, about, needed)
        written |= {"isArray": True} if is_list else {}
        written |= {"required": True} if needed and "source" in written else {}
        return {**written, "comment": about, "fields": fields}

    def _fields_of(
        self, inner: GraphQLInputObjectType, place: _Place, above: tuple[str, ...], *, is_wanted: bool
    ) -> dict[str, Any]:
        """Return the fields of an object; none, and no trace, where it isn't wanted and no value of it is there."""
        before = self.draft
        self.draft = Draft()
        fields = self.object(inner, place, (*above, inner.name))
        drawn, self.draft = self.draft, before
        if not is_wanted and not drawn.matched:
            return {}
        before.todos += drawn.todos
        before.unmapped += drawn.unmapped
        before.maybe |= drawn.maybe
        before.notes += drawn.notes
        before.matched += drawn.matched
        return fields

    def _cut(
        self, inner: GraphQLInputObjectType, target: str, about: str, needed: bool, above: tuple[str, ...]
    ) -> dict[str, Any] | None:
        why = (
            "it holds itself" if inner.name in above else f"the depth is limited to {self._options.max_depth}"
        )
        self.draft.notes.append(f"{target}: the fields of {inner.name} aren't written, because {why}")
        return self._open_object(inner, target, about, needed)

    def _open_object(
        self, inner: GraphQLInputObjectType, target: str, about: str, needed: bool
    ) -> dict[str, Any] | None:
        """Leave a whole object to a person if it is needed; else leave it out."""
        if not needed:
            self.draft.unmapped.append(target)
            return None
        self.draft.todos.append(target)
        hint = f"{TODO}: path of an object of {inner.name}, or write its `fields`"
        return {"source": hint, "required": True, "comment": about}

    def _object_profile(
        self, name: str, place: _Place, *, is_list: bool, is_alone: bool
    ) -> FieldProfile | None:
        """Return the object, or the list of objects, of the source that is meant."""
        parents = {each.parent for each in self._profiles}
        there = {
            each.path: each
            for each in self._profiles
            if each.holds_fields
            and self._lies_below(each, place.source)
            and (is_list or "list" not in each.value_types)
            and parents & {each.path, f"{each.path}[*]"}
        }
        # Matching looks at plain values; here only the name counts.
        stand_ins = [FieldProfile(path=each.path, name=each.name) for each in there.values()]
        match = best_matches({name: "Json"}, stand_ins).get(name)
        if match is None and is_list and is_alone:
            # `lines` for `items`: any other list would do no better.
            lists = [each for each in there.values() if "list" in each.value_types]
            return lists[0] if len(lists) == 1 else None
        return None if match is None else there[match.profile.path]


def _certain(matches: Mapping[str, Match]) -> dict[str, Match]:
    return {name: match for name, match in matches.items() if match.confidence != "a guess"}


def _resolver(type_name: str, profile: FieldProfile, needed: bool, is_flat: bool) -> tuple[Any, list[str]]:
    """Return the resolver for a value of this type, and what a person should know."""
    found = profile.suggestion()
    given = found.resolver if isinstance(found.resolver, dict) else {}
    match type_name:
        case "Int" | "Float":
            usual = RESOLVERS[type_name]
            if found.must_decide and profile.shape.count:
                return usual, [f"{TODO}: {found.why}"]
            return given if given.get("name") == "sdk.parseFloat" else usual, []
        case "DateTime" | "Date":
            if found.must_decide and profile.shape.dates:
                return "sdk.parseDate", [f"{TODO}: {found.looks_like}: {found.why}"]
            return given if given.get("name") == "sdk.parseDate" else "sdk.parseDate", []
        case "String" | "ID":
            notes = [found.why] if profile.shape.leading_zeros else []
            if profile.shape.padded:
                return "sdk.trim", [*notes, f"{profile.shape.padded:,} have spaces around them"]
            # Outside a file of columns an absent value would become an empty text: optional text goes as it is.
            is_text = profile.value_types <= {"text"}
            return ("sdk.toString" if needed or is_flat or not is_text else None), notes
        case "Boolean":
            return "sdk.boolean", []
        case _:
            return ("sdk.trim" if profile.shape.padded else None), []


def _inner_object(given: Any) -> GraphQLInputObjectType | None:
    inner = get_named_type(given.type)
    return inner if isinstance(inner, GraphQLInputObjectType) else None


def _enum_values(given: Any) -> str:
    inner = get_named_type(given.type)
    if not isinstance(inner, GraphQLEnumType):
        return ""
    names = list(inner.values)
    return f", one of {', '.join(names[:_SHOWN_ENUM])}" + (", …" if len(names) > _SHOWN_ENUM else "")
