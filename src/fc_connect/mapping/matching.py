"""Which column is meant for which field: by name, by words that mean the same, and by what the values look like."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from fc_connect.mapping.analyze import FieldProfile

__all__ = ["Match", "best_matches"]

# Words that mean the same in files of shops; the first is the one that stands for all.
_SYNONYMS = (
    ("product", "sku", "item", "article", "material", "style", "variant", "skus", "items", "products"),
    (
        "location",
        "loc",
        "store",
        "warehouse",
        "wh",
        "whs",
        "site",
        "shop",
        "facility",
        "branch",
        "outlet",
        "depot",
        "plant",
        "dc",
    ),
    (
        "quantity",
        "qty",
        "onhand",
        "stock",
        "units",
        "count",
        "available",
        "soh",
        "balance",
        "inventory",
        "unrestricted",
        "atp",
        "amount",
    ),
    ("gtin", "ean", "upc", "barcode", "isbn", "ean13", "gtin13", "gtin14"),
    ("name", "title", "label"),
    ("summary", "description", "desc", "details"),
    ("postcode", "zip", "zipcode", "postalcode"),
    ("state", "province", "region", "county"),
    ("city", "town"),
    ("street", "address", "addr", "address1", "line1"),
    ("phone", "telephone", "tel", "mobile"),
    ("email", "mail"),
    ("first", "given", "fname", "forename"),
    ("last", "surname", "lname", "family"),
    ("latitude", "lat"),
    ("longitude", "lng", "lon", "long"),
    ("expected", "eta", "due", "arrival"),
    ("kind", "type"),
    ("price", "cost", "value"),
    ("tax", "vat", "gst"),
    ("customer", "client", "buyer"),
    ("order", "invoice"),
    ("timezone", "tz"),
)
_MEANING = {word: group[0] for group in _SYNONYMS for word in group}
_IDENTIFIER = {"ref", "reference", "code", "id", "number", "no", "num", "nr", "key", "identifier"}
_NOISE = {"the", "of", "in", "on", "at", "current", "is", "a", "unit"}
_JOINED = {
    ("on", "hand"): "onhand",
    ("zip", "code"): "zip",
    ("postal", "code"): "postcode",
    ("time", "zone"): "timezone",
    ("last", "name"): "surname",
    ("family", "name"): "surname",
    ("first", "name"): "forename",
    ("given", "name"): "forename",
    ("stock", "code"): "sku",
    ("stock", "number"): "sku",
    ("stock", "no"): "sku",
}
_NEAR = 0.82

_NUMERIC = {"whole number", "number"}
_NUMBERS = {"Int", "Float", "Json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A column for a field."""

    profile: FieldProfile
    confidence: Literal["sure", "likely", "a guess"]
    why: str
    score: float


def best_matches(
    fields: Mapping[str, str], profiles: Sequence[FieldProfile], *, noun: str = ""
) -> dict[str, Match]:
    """Return a column for each field that has one; the better matches choose first.

    A column that is certainly meant may serve several fields; one that is guessed at serves one.

    Args:
        fields: the type of each, by name; the important ones first.
        profiles: of columns, or of paths that hold plain values.
        noun: what the entity is, so that `product_code` may be the `ref` of a product.
    """
    found: list[tuple[float, int, str, Match]] = []
    for place, (name, type_name) in enumerate(fields.items()):
        for profile in profiles:
            match = _match(name, type_name, profile, noun)
            if match is not None:
                found.append((-match.score, place, name, match))
    found.sort(key=lambda each: each[:3])
    chosen: dict[str, Match] = {}
    taken: set[str] = set()
    for _, _, name, match in found:
        if name in chosen or (match.profile.path in taken and match.confidence != "sure"):
            continue
        chosen[name] = match
        taken.add(match.profile.path)
    return chosen


def _match(name: str, type_name: str, profile: FieldProfile, noun: str) -> Match | None:
    if not _fits(type_name, profile):
        return None
    wanted, given = _words(name), _words(profile.name)
    column = profile.name
    if "".join(wanted) == "".join(given):
        return Match(profile=profile, confidence="sure", why="the same name", score=1.0)
    meant, offered = _meanings(wanted), _meanings(given)
    nouns = _meanings(_words(noun))
    if meant and meant == offered and not (meant == {"quantity"} and type_name not in _NUMBERS):
        why = f"{column} is another word for {name}"
        return Match(profile=profile, confidence="likely", why=why, score=0.9)
    if not meant and set(wanted) & _IDENTIFIER:
        if offered and offered == nouns:
            why = f"{column} names the {noun}"
            return Match(profile=profile, confidence="likely", why=why, score=0.85)
        if not offered and set(given) & _IDENTIFIER:
            why = f"{column} and {name} both name the record"
            return Match(profile=profile, confidence="a guess", why=why, score=0.7)
    if meant == {"product"} and offered == {"gtin"}:
        why = f"{column} may be what {name} calls a product by"
        return Match(profile=profile, confidence="a guess", why=why, score=0.68)
    if meant and offered and (meant < offered or offered < meant) and meant & offered:
        return Match(
            profile=profile, confidence="a guess", why=f"{column} shares a word with {name}", score=0.65
        )
    ratio = SequenceMatcher(None, "".join(wanted), "".join(given)).ratio()
    if ratio >= _NEAR:
        return Match(
            profile=profile, confidence="a guess", why=f"{column} is spelt like {name}", score=0.6 * ratio
        )
    return None


def _fits(type_name: str, profile: FieldProfile) -> bool:
    """Say whether the values could be of the type: no text for a number, no list for a text."""
    kinds = profile.value_types
    if kinds & {"list", "object"}:
        return False
    if not kinds or not (profile.distinct or profile.shape.count):
        return True  # nothing was seen that speaks against it
    if type_name in {"Int", "Float"}:
        if kinds <= {"text"}:
            return profile.shape.whole if type_name == "Int" else bool(profile.shape.numbers)
        return kinds <= (_NUMERIC if type_name == "Float" else {"whole number"})
    if type_name == "Boolean":
        return kinds <= {"boolean"} or profile.shape.booleans or set(profile.distinct) <= {"0", "1"}
    if type_name == "DateTime":
        return bool(profile.shape.dates) or bool(kinds & _NUMERIC)
    return True


def _words(name: str) -> tuple[str, ...]:
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return tuple(re.sub(r"[^a-z0-9]+", " ", parted.lower()).split())


def _meanings(words: Sequence[str]) -> frozenset[str]:
    """Return what the words mean, without those that say no more than that something is named."""
    joined: list[str] = []
    for word in words:
        if joined and (joined[-1], word) in _JOINED:
            joined[-1] = _JOINED[(joined[-1], word)]
        else:
            joined.append(word)
    return frozenset(_MEANING.get(word, word) for word in joined if word not in _IDENTIFIER | _NOISE)
