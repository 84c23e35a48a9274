"""Values of Parquet as those of records: exact, or the record is a bad one."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

import pyarrow as pa

__all__ = ["Conversion", "Fault", "UnreadableTypeError", "faults_in"]

Convert = Callable[[Any, Any], list[Any]]
"""From an array of Arrow, and the same array read with INT96 in microseconds where there is any, to values."""

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - of timestamps that have no zone
_EPOCH_UTC: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = _EPOCH.toordinal()
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_MODULUS: Final = 1 << 64


class UnreadableTypeError(Exception):
    """A column's type has no form in a record."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Stands where a value can't be read."""

    reason: str


def faults_in(value: Any) -> Iterator[Fault]:
    """Yield every fault in a value."""
    if isinstance(value, Fault):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from faults_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from faults_in(item)


class Conversion:
    """Makes converters for columns; `has_faults` says whether one of them met what it can't read."""

    def __init__(self, *, binary: Literal["text", "base64"]) -> None:
        self._binary = binary
        self.has_faults = False

    def of(self, kind: Any) -> Convert:
        """Return what converts arrays of a type.

        Raises:
            UnreadableTypeError: nothing does.
        """
        types = pa.types
        if isinstance(kind, pa.BaseExtensionType):
            return self._extension(kind)
        if types.is_null(kind):
            return lambda array, _: [None] * len(array)
        if types.is_float32(kind):
            return _shortest_floats
        if (
            types.is_boolean(kind)
            or types.is_integer(kind)
            or types.is_floating(kind)
            or types.is_decimal(kind)
        ):
            return lambda array, _: array.to_pylist()
        if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
            return self._texts
        if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
            return self._bytes
        if types.is_fixed_size_binary(kind):
            return _base64  # digests and keys: no program writes text so
        if types.is_dictionary(kind):
            return self._dictionary(self.of(kind.value_type))
        if types.is_timestamp(kind):
            return self._instants(kind)
        if types.is_date(kind):
            per_day = 86_400_000 if types.is_date64(kind) else 1
            return self._each(lambda value: _day(value, per_day), pa.int64() if per_day > 1 else pa.int32())
        if types.is_time(kind):
            per = _PER_SECOND[kind.unit]
            storage = pa.int32() if types.is_time32(kind) else pa.int64()
            return self._each(lambda value: _clock(value, per), storage)
        if types.is_duration(kind):
            per = _PER_SECOND[kind.unit]
            return self._each(lambda value: _duration(value, per), pa.int64())
        if types.is_map(kind):
            return self._map(kind)
        if types.is_struct(kind):
            return self._struct(kind)
        if types.is_nested(kind) and not types.is_union(kind):
            return self._list(kind)
        raise UnreadableTypeError(str(kind))

    def _fault(self, reason: str) -> Fault:
        self.has_faults = True
        return Fault(reason)

    # One value

    def _each(self, convert: Callable[[Any], Any], storage: Any) -> Convert:
        def values(array: Any, _: Any) -> list[Any]:
            return self._converted(array.view(storage).to_pylist(), convert)

        return values

    def _converted(self, stored: list[Any], convert: Callable[[Any], Any]) -> list[Any]:
        try:
            return [None if value is None else convert(value) for value in stored]
        except (ValueError, OverflowError):
            return [None if value is None else self._tried(value, convert) for value in stored]

    def _tried(self, value: Any, convert: Callable[[Any], Any]) -> Any:
        try:
            return convert(value)
        except UnicodeDecodeError as exc:
            return self._fault(
                f"isn't text in UTF-8: byte 0x{value[exc.start]:02x} at offset {exc.start}"
                + ("" if self._binary == "base64" else ". If it is no text at all, set binary to `base64`")
            )
        except OverflowError:
            return self._fault("is a time outside of the years 1 to 9999")
        except ValueError as exc:
            return self._fault(str(exc))

    def _texts(self, array: Any, _: Any) -> list[Any]:
        try:
            texts: list[Any] = array.to_pylist()
        except UnicodeDecodeError:
            stored = array.cast(pa.large_binary()).to_pylist()
            return self._converted(stored, bytes.decode)
        return texts

    def _bytes(self, array: Any, _: Any) -> list[Any]:
        if self._binary == "base64":
            return _base64(array, _)
        return self._converted(array.to_pylist(), bytes.decode)

    def _instants(self, kind: Any) -> Convert:
        epoch = _EPOCH if kind.tz is None else _EPOCH_UTC
        per = _PER_SECOND[kind.unit]

        unit = 1_000_000 // per

        def instants(stored: list[Any]) -> list[Any]:
            return [None if value is None else epoch + timedelta(0, 0, value * unit) for value in stored]

        def exact(nanoseconds: int) -> datetime | str:
            microseconds, rest = divmod(nanoseconds, 1000)
            whole = epoch + timedelta(microseconds=microseconds)
            if not rest:
                return whole
            # A datetime would lose digits.
            text = whole.replace(tzinfo=None).isoformat(timespec="microseconds")
            return f"{text}{rest:03}" + ("" if kind.tz is None else "Z")

        def values(array: Any, microseconds: Any) -> list[Any]:
            stored = array.view(pa.int64()).to_pylist()
            if microseconds is not None and microseconds.type != kind:
                stored = self._int96(stored, microseconds.view(pa.int64()).to_pylist())
            if kind.unit == "ns":
                return self._converted(stored, exact)
            try:
                return instants(stored)  # most columns of times, without a call for each
            except OverflowError:
                return self._converted(stored, lambda value: instants([value])[0])

        return values

    def _int96(self, nanoseconds: list[Any], microseconds: list[Any]) -> list[Any]:
        """Put together what 64 bits can't hold: nanoseconds went round, microseconds lack three digits."""
        return [
            None if nano is None else micro * 1000 + (nano - micro * 1000) % _MODULUS
            for nano, micro in zip(nanoseconds, microseconds, strict=True)
        ]

    # Several values

    def _extension(self, kind: Any) -> Convert:
        if kind.extension_name == "arrow.uuid":
            import uuid

            def uuids(array: Any, _: Any) -> list[Any]:
                stored = array.storage.to_pylist()
                return [None if value is None else str(uuid.UUID(bytes=value)) for value in stored]

            return uuids
        if kind.extension_name == "parquet.variant":
            raise UnreadableTypeError("variant")
        inner = self.of(kind.storage_type)
        return lambda array, micro: inner(array.storage, None if micro is None else micro.storage)

    def _dictionary(self, inner: Convert) -> Convert:
        def values(array: Any, _: Any) -> list[Any]:
            known = inner(array.dictionary, None)
            return [None if at is None else known[at] for at in array.indices.to_pylist()]

        return values

    def _list(self, kind: Any) -> Convert:
        inner = self.of(kind.value_type)

        def values(array: Any, micro: Any) -> list[Any]:
            items = inner(array.flatten(), None if micro is None else micro.flatten())
            return _split(items, array.value_lengths().to_pylist())

        return values

    def _struct(self, kind: Any) -> Convert:
        names = [field.name for field in kind]
        if len(set(names)) < len(names):
            raise UnreadableTypeError(f"{kind}: it names a field twice")
        inner = [self.of(field.type) for field in kind]

        def values(array: Any, micro: Any) -> list[Any]:
            micros = [None] * len(inner) if micro is None else micro.flatten()
            columns = [
                convert(child, other)
                for convert, child, other in zip(inner, array.flatten(), micros, strict=True)
            ]
            present = array.is_valid().to_pylist()
            rows = zip(*columns, strict=True) if columns else ((),) * len(array)
            return [
                dict(zip(names, row, strict=True)) if is_valid else None
                for is_valid, row in zip(present, rows, strict=True)
            ]

        return values

    def _map(self, kind: Any) -> Convert:
        keys_of, items_of = self.of(kind.key_type), self.of(kind.item_type)
        is_object = pa.types.is_string(kind.key_type) or pa.types.is_large_string(kind.key_type)

        def values(array: Any, micro: Any) -> list[Any]:
            offsets = array.offsets.to_pylist()
            keys, items = _entries(array)
            other_keys, other_items = (None, None) if micro is None else _entries(micro)
            pairs = list(zip(keys_of(keys, other_keys), items_of(items, other_items), strict=True))
            found: list[Any] = []
            for begin, end, is_valid in zip(offsets, offsets[1:], array.is_valid().to_pylist(), strict=False):
                each = pairs[begin - offsets[0] : end - offsets[0]]
                found.append(None if not is_valid else self._object(each) if is_object else _pairs(each))
            return found

        return values

    def _object(self, pairs: list[tuple[Any, Any]]) -> Any:
        found = dict(pairs)
        if (bad := next((key for key in found if isinstance(key, Fault)), None)) is not None:
            return bad
        if len(found) < len(pairs):
            return self._fault("a map holds a key twice")
        if None in found:
            return self._fault("a map holds a key that is null")
        return found


def _entries(maps: Any) -> tuple[Any, Any]:
    """Return the keys and the items of all maps, one after the other."""
    begin, end = maps.offsets[0].as_py(), maps.offsets[-1].as_py()
    return maps.keys.slice(begin, end - begin), maps.items.slice(begin, end - begin)


def _pairs(pairs: list[tuple[Any, Any]]) -> list[Mapping[str, Any]]:
    return [{"key": key, "value": value} for key, value in pairs]


def _split(items: list[Any], lengths: list[int | None]) -> list[Any]:
    lists: list[Any] = []
    at = 0
    for length in lengths:
        if length is None:
            lists.append(None)
        else:
            lists.append(items[at : at + length])
            at += length
    return lists


def _base64(array: Any, _: Any) -> list[Any]:
    return [None if value is None else base64.b64encode(value).decode() for value in array.to_pylist()]


def _shortest_floats(array: Any, _: Any) -> list[Any]:
    """Return the numbers that were written: as a double, 0.1 of 32 bits would be 0.10000000149011612."""
    return [None if text is None else float(text) for text in array.cast(pa.string()).to_pylist()]


def _day(value: int, per_day: int) -> date:
    days, rest = divmod(value, per_day)
    if rest:
        raise ValueError("is a date that isn't a whole day")
    try:
        return date.fromordinal(days + _EPOCH_DAY)
    except (ValueError, OverflowError) as exc:
        raise ValueError("is a date outside of the years 1 to 9999") from exc


def _clock(value: int, per: int) -> str:
    """Return a time of day by ISO 8601, with the digits that it has."""
    seconds, fraction = divmod(value, per)
    if not 0 <= seconds < 86_400:
        raise ValueError("is a time of day outside of 24 hours")
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{_digits(fraction, per)}"


def _duration(value: int, per: int) -> str:
    """Return a duration by ISO 8601, in seconds."""
    seconds, fraction = divmod(abs(value), per)
    return f"{'-' if value < 0 else ''}PT{seconds}{_digits(fraction, per)}S"


def _digits(fraction: int, per: int) -> str:
    return f".{fraction:0{len(str(per)) - 1}}".rstrip("0") if fraction else ""
