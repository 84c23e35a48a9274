"""How keys and values lie in a table of DynamoDB, and what a commit demands of them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fc_connect.errors import KVCommitUnknownError, KVCorruptError, KVError, KVValueError
from fc_connect.kv.base import Key
from fc_connect.kv.commit import Commit, Write
from fc_connect.kv.dynamodb_calls import Cancelled
from fc_connect.kv.keys import encode_key

__all__ = ["Item", "Layout", "Transaction", "content_of", "is_live", "stamp_of", "text_of"]

Item = dict[str, Any]

_MAX_ITEMS: Final = 100
"""Of a transaction."""
_MAX_BYTES: Final = 4_000_000
"""Of a transaction: DynamoDB's 4 MB, with a margin for what it counts besides."""
_PLAIN: Final = 4096
"""Values up to this are stored as they are, for people to read; larger ones packed."""
_PIECE: Final = 350_000
"""Of a packed value; an item is at most 400 KB."""
_SWEPT_AFTER: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Layout:
    """Where things lie; namespaces share a table and nothing else."""

    def __init__(self, namespace: str) -> None:
        self._space = namespace.encode() + b"\0"
        self.counters = self._space + b"c"
        self.schema: Item = {"pk": {"B": self._space + b"s"}, "sk": {"B": b"schema"}}

    def partition(self, first: bytes) -> bytes:
        return self._space + b"d" + first

    def place(self, key: Key, name: bytes) -> Item:
        return {"pk": {"B": self.partition(encode_key(key[:1]))}, "sk": {"B": name}}

    def piece(self, name: bytes, number: int) -> Item:
        return {"pk": {"B": self._space + b"p" + name}, "sk": {"B": bytes([number])}}

    def counter(self, first: bytes) -> Item:
        return {"pk": {"B": self.counters}, "sk": {"B": first}}


class Transaction:
    """A commit as DynamoDB takes it. `items` may be asked for again, with another stamp."""

    def __init__(self, table: str, layout: Layout, commit: Commit) -> None:
        self._table = table
        self._layout = layout
        self._commit = commit
        self._packed = {
            name: _packed(write.value) for name, write in commit.writes.items() if write.value is not None
        }
        self.is_hopeless = any(
            stamp is not None and not (len(stamp) == 20 and stamp.isascii() and stamp.isdecimal())
            for stamp in commit.checks.values()
        )
        """Whether it demands a versionstamp that no key ever had."""

    def items(self, stamp: int, now: datetime) -> list[Item]:
        """Return one item per key, in the order of `commit.keys`, and after them the pieces of large values.

        Raises:
            KVValueError: they are more, or larger, than one transaction takes.
        """
        items: list[Item] = []
        pieces: list[Item] = []
        size = 0
        for name, key in self._commit.keys.items():
            place, write = self._layout.place(key, name), self._commit.writes.get(name)
            request: Item = {"TableName": self._table, **self._condition(name, stamp, now)}
            size += 2 * len(name) + 300
            if write is None:
                items.append({"ConditionCheck": {**request, "Key": place}})
            elif write.value is None:
                items.append({"Delete": {**request, "Key": place}})
            else:
                content, parts = self._packed[name]
                about = {"stamp": {"N": str(stamp)}, **_expiry(write, now)}
                items.append({"Put": {**request, "Item": {**place, **content, **about}}})
                for number, part in enumerate(parts):
                    item = {**self._layout.piece(name, number), "val": {"B": part}, **about}
                    pieces.append({"Put": {"TableName": self._table, "Item": item}})
                    size += len(part) + len(name) + 300
                size += _size(content)
        if len(items) + len(pieces) > _MAX_ITEMS or size > _MAX_BYTES:
            raise KVValueError(
                f"One commit to DynamoDB takes at most {_MAX_ITEMS} items of {_MAX_BYTES:,} bytes in all; this one has "
                f"{len(items) + len(pieces)} of {size:,} (a value above {_PIECE:,} bytes, packed, is several). Nothing "
                "was written: commit fewer keys at once."
            )
        return items + pieces

    def judge(self, cancelled: Cancelled, stamp: int, now: datetime) -> bool | None:
        """Say whether a cancelled commit was done before (True), or may not be (False); None: with a later stamp.

        Raises:
            KVCommitUnknownError: an earlier try's answer was lost, and nothing tells what became of it.
        """
        failed = [
            (name, reason.get("Item"))
            for name, reason in zip(self._commit.keys, cancelled.reasons, strict=False)
            if reason.get("Code") == "ConditionalCheckFailed"
        ]
        if any(old is not None and stamp_of(old) == stamp for _, old in failed):
            return True  # this very commit wrote it: the stamp is nobody else's
        if cancelled.is_repeat:
            # A token holds, so it wasn't done; but its first try may still be on its way, held up in the network.
            raise KVCommitUnknownError(
                "DynamoDB: the answer to a commit was lost, and its repetition refused."
            )
        if not failed:
            reasons = sorted({f"{each.get('Code')}: {each.get('Message')}" for each in cancelled.reasons})
            raise KVError(f"DynamoDB cancelled a commit: {'; '.join(reasons) or 'it says not why'}.")
        return None if all(self._is_overtaken(name, old, now) for name, old in failed) else False

    def _is_overtaken(self, name: bytes, old: Item | None, now: datetime) -> bool:
        """Say whether a key's condition failed only because a later stamp was there."""
        if name not in self._commit.checks:
            return True
        return self._commit.checks[name] is None and old is not None and not is_live(old, now)

    def _condition(self, name: bytes, stamp: int, now: datetime) -> Item:
        """Return what is demanded of a key: its check, and of one that is written that it has no later stamp."""
        is_written, is_checked = name in self._commit.writes, name in self._commit.checks
        checked = self._commit.checks.get(name)
        values: Item = {}
        if checked is not None:
            condition = "stamp = :checked AND (attribute_not_exists(expires_ms) OR expires_ms > :now)"
            values[":checked"] = {"N": str(int(checked))}
        elif is_checked and is_written:
            condition = "attribute_not_exists(sk) OR (expires_ms <= :now AND stamp < :stamp)"
        elif is_checked:
            condition = "attribute_not_exists(sk) OR expires_ms <= :now"
        else:
            condition = "attribute_not_exists(sk) OR stamp < :stamp"
        if ":stamp" in condition:
            values[":stamp"] = {"N": str(stamp)}
        if ":now" in condition:
            values[":now"] = {"N": str(_milliseconds(now))}
        return {
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


def stamp_of(item: Item) -> int:
    return int(item["stamp"]["N"])


def text_of(stamp: int) -> str:
    """Return a versionstamp: text that sorts as the numbers do."""
    return f"{stamp:020d}"


def is_live(item: Item, now: datetime) -> bool:
    return "expires_ms" not in item or int(item["expires_ms"]["N"]) > _milliseconds(now)


def content_of(key: Key, item: Item, pieces: Sequence[Item]) -> bytes | str | None:
    """Return the value as JSON text; None where the pieces are of another commit than the item.

    Raises:
        KVCorruptError: it isn't what was stored.
    """
    try:
        if "pieces" in item:
            if len(pieces) != int(item["pieces"]["N"]) or any(
                stamp_of(each) != stamp_of(item) for each in pieces
            ):
                return None
            return zlib.decompress(b"".join(each["val"]["B"] for each in pieces))
        val = item["val"]
        return str(val["S"]) if "S" in val else zlib.decompress(val["B"])
    except (KeyError, zlib.error) as exc:
        raise KVCorruptError(f"DynamoDB holds a value of {key!r} that isn't one of ours ({exc}).") from exc


def _packed(value: bytes) -> tuple[Item, list[bytes]]:
    """Return a value as attributes of its item, and the pieces that lie elsewhere."""
    if len(value) <= _PLAIN:
        return {"val": {"S": value.decode()}}, []
    packed = zlib.compress(value)
    if len(packed) <= _PIECE:
        return {"val": {"B": packed}}, []
    pieces = [packed[at : at + _PIECE] for at in range(0, len(packed), _PIECE)]
    return {"pieces": {"N": str(len(pieces))}}, pieces


def _expiry(write: Write, now: datetime) -> Item:
    if write.expire_in is None:
        return {}
    at = now + write.expire_in
    # `ttl` is DynamoDB's own sweeping: when it likes, and well after the key counts as gone.
    swept = math.ceil((at + _SWEPT_AFTER).timestamp())
    return {"expires_ms": {"N": str(_milliseconds(at))}, "ttl": {"N": str(swept)}}


def _size(content: Item) -> int:
    return sum(len(name) + sum(len(each) for each in value.values()) for name, value in content.items())


def _milliseconds(at: datetime) -> int:
    return math.ceil((at - _EPOCH) / timedelta(milliseconds=1))
