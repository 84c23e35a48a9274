"""A store in Amazon DynamoDB: one table, one transaction per commit.

    pk (binary)                        sk (binary)          holds
    namespace 0 "d" first part         the whole key        value, stamp, and when it expires
    namespace 0 "p" the whole key      number of the piece  a piece of a value too large for one item
    namespace 0 "c"                    first part           the counter of the versionstamps of these keys
    namespace 0 "s"                    "schema"             the version of this layout

DynamoDB sorts binary as `keys` does, and a sort key holds just what a key may. A commit first draws its versionstamp
from the counter of its first part, by a request of its own: inside the transaction that one item would make all
commits of a workflow collide. So stamps may overtake each other on the way; a write therefore demands that what it
replaces is older, and draws again where it isn't. The counters also tell which first parts there are.

Expiry is judged by the server's time, which DynamoDB tells in whole seconds only. That is too coarse for a lease, so
this store counts as having no clock, and leases are judged by watching them.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from fc_connect.clock import Clock, SystemClock
from fc_connect.errors import KVCorruptError, KVError, KVUnavailableError
from fc_connect.kv.base import CommitResult, Entry, Guarantee, Key, OneKey
from fc_connect.kv.commit import Commit
from fc_connect.kv.dynamodb_calls import Address, Cancelled, DynamoDBCalls, NoTableError
from fc_connect.kv.dynamodb_items import Item, Layout, Transaction, content_of, is_live, stamp_of, text_of
from fc_connect.kv.keys import decode_key, decode_value, encode_key, key_range

__all__ = ["DynamoDBKV"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SCHEMA: Final = 1
_PAGE: Final = 500
_READ_AT_ONCE: Final = 100
_LONGEST_BOUND: Final = 1024  # bytes of a sort key
_REDRAWS: Final = 50
_LOOKS: Final = 10
_WAIT_FOR_TABLE: Final = 60  # tries, of a second at most


class DynamoDBKV(OneKey):
    """A `KVStore` in a table of DynamoDB. Safe to share between threads, and after a fork.

    Versionstamps increase among keys with the same first part. `get_many` shows up to 100 keys at one moment. A page of
    a list doesn't: of a commit that is still under way it may show a part. One that has returned it shows whole.

    Raises:
        ConfigurationError: the URL can't be used.
        KVUnavailableError: the table can't be reached or made, or the credentials are refused.
        KVCorruptError: what it holds was written by a newer version, or it is another program's table.
    """

    has_clock = False

    def __init__(
        self, url: str, *, clock: Clock | None = None, random_source: random.Random | None = None
    ) -> None:
        self._address = Address.of(url)
        self._layout = Layout(self._address.namespace)
        self._calls = DynamoDBCalls(
            self._address, clock=clock or SystemClock(), random_source=random_source or random.Random()
        )
        try:
            self._check_schema()
        except BaseException:
            self._calls.close()
            raise

    def __repr__(self) -> str:
        return f"DynamoDBKV({self._address.table!r}, region={self._calls.region!r})"

    def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        names = [encode_key(key) for key in keys]
        places = {name: self._layout.place(key, name) for key, name in zip(keys, names, strict=True)}
        found = dict(zip(places, self._read(list(places.values())), strict=True))
        return [self._entry(key, name, found[name]) for key, name in zip(keys, names, strict=True)]

    def list(
        self,
        prefix: Key,
        *,
        start: Key | None = None,
        end: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Entry]:
        low, high = key_range(prefix, start=start, end=end)
        left = limit
        firsts = [encode_key(prefix[:1])] if prefix else self._firsts(reverse=reverse)
        for first in firsts:
            for entry in self._listed(first, low, high, left, reverse=reverse):
                yield entry
                if left is not None:
                    left -= 1
            if left is not None and left <= 0:
                return

    def atomic(self) -> Commit:
        return Commit(self._apply)

    def now(self) -> datetime:
        return self._calls.now()

    def lacks(self) -> Mapping[Guarantee, str]:
        lacks = {}
        if not self._address.is_amazon and not self._address.is_vouched_for:
            lacks[Guarantee.DURABLE] = (
                "its endpoint_url isn't Amazon's, and whether it keeps every commit isn't known; if you know that it "
                "does, put durable=yes in its URL"
            )
        try:
            table = self._ask("describe_table")["Table"]
        except KVUnavailableError as exc:
            lacks[Guarantee.LINEARIZABLE] = (
                "whether it is a global table, written to in several regions, can't be seen: allow "
                f"dynamodb:DescribeTable ({exc})"
            )
            return lacks
        return {**lacks, **_lacks_of(table)}

    def close(self) -> None:
        self._calls.close()

    # Committing

    def _apply(self, commit: Commit) -> CommitResult:
        if not commit.keys:
            return CommitResult(ok=True, versionstamp=None)
        transaction = Transaction(self._address.table, self._layout, commit)
        if transaction.is_hopeless:
            return CommitResult(ok=False, versionstamp=None)
        firsts = sorted({encode_key(key[:1]) for key in commit.keys.values()})
        for tries in range(_REDRAWS):
            stamp, now = self._draw(firsts), self.now()
            items = transaction.items(stamp, now)
            try:
                self._transact(items)
                is_done: bool | None = True
            except Cancelled as cancelled:
                is_done = transaction.judge(cancelled, stamp, now)
            if is_done is not None:
                return CommitResult(ok=is_done, versionstamp=text_of(stamp) if is_done else None)
            self._calls.pause(tries)  # another commit drew later, and was here first
        raise KVUnavailableError("DynamoDB: the keys of a commit keep changing. Nothing was written.")

    def _transact(self, items: Sequence[Item]) -> None:
        self._demanding_table(lambda: self._calls.transact(uuid.uuid4().hex, items))

    def _draw(self, firsts: Sequence[bytes]) -> int:
        """Return a stamp that is ours alone in each first part, and above all that were drawn before."""
        drawn = {first: self._count(first, 1) for first in firsts}
        while len(set(drawn.values())) > 1:
            highest = max(drawn.values())
            drawn = {
                first: own if own == highest else self._count(first, highest - own)
                for first, own in drawn.items()
            }
        return drawn[firsts[0]]

    def _count(self, first: bytes, by: int) -> int:
        answer = self._ask(
            "update_item",
            Key=self._layout.counter(first),
            UpdateExpression="ADD drawn :by",
            ExpressionAttributeValues={":by": {"N": str(by)}},
            ReturnValues="UPDATED_NEW",
        )
        return int(answer["Attributes"]["drawn"]["N"])

    # Reading

    def _listed(
        self, first: bytes, low: bytes, high: bytes, limit: int | None, *, reverse: bool
    ) -> Iterator[Entry]:
        left = limit
        for item in self._query(self._layout.partition(first), low, high, limit, reverse=reverse):
            if left is not None and left <= 0:
                return
            name = item["sk"]["B"]
            entry = self._entry(decode_key(name), name, item)
            if entry is not None:
                yield entry
                left = None if left is None else left - 1

    def _firsts(self, *, reverse: bool) -> Sequence[bytes]:
        found = self._query(self._layout.counters, b"\x00", b"\xff", None, reverse=reverse)
        return [item["sk"]["B"] for item in found]

    def _query(
        self, partition: bytes, low: bytes, high: bytes, limit: int | None, *, reverse: bool
    ) -> Iterator[Item]:
        if low >= high or len(low) > _LONGEST_BOUND or (limit is not None and limit <= 0):
            return  # below a key of the greatest length there is none
        request: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :low AND :high",
            "ExpressionAttributeValues": {":pk": {"B": partition}, ":low": {"B": low}, ":high": {"B": high}},
            "ConsistentRead": True,
            "ScanIndexForward": not reverse,
            "Limit": _PAGE if limit is None else min(_PAGE, limit),
        }
        while True:
            page = self._ask("query", **request)
            for item in page["Items"]:
                if item["sk"]["B"] < high:  # BETWEEN includes its end
                    yield item
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _read(self, places: Sequence[Item]) -> Sequence[Item | None]:
        found: Sequence[Item | None] = []
        for at in range(0, len(places), _READ_AT_ONCE):
            found = [*found, *self._read_at_once(places[at : at + _READ_AT_ONCE])]
        return found

    def _read_at_once(self, places: Sequence[Item]) -> Sequence[Item | None]:
        return self._demanding_table(lambda: self._calls.ask_for_many(places))

    def _entry(self, key: Key, name: bytes, item: Item | None) -> Entry | None:
        """Return what an item holds, unless it expired; where it is in pieces, read them."""
        for tries in range(_LOOKS):
            if item is None or not is_live(item, self.now()):
                return None
            content = content_of(key, item, self._pieces(name, item))
            if content is not None:
                return Entry(key=key, value=decode_value(key, content), versionstamp=text_of(stamp_of(item)))
            self._calls.pause(tries)  # it was replaced between the two reads
            [item] = self._read([self._layout.place(key, name)])
        raise KVCorruptError(f"DynamoDB holds the value of {key!r} without all of its pieces.")

    def _pieces(self, name: bytes, item: Item) -> Sequence[Item]:
        count = int(item["pieces"]["N"]) if "pieces" in item else 0
        if count == 0:
            return []
        found = self._read([self._layout.piece(name, number) for number in range(count)])
        return [piece for piece in found if piece is not None]

    # The table

    def _check_schema(self) -> None:
        try:
            found = self._calls.ask("get_item", Key=self._layout.schema, ConsistentRead=True).get("Item")
        except NoTableError as missing:
            self._make_table(str(missing))
            found = None
        except KVError as exc:
            if "ValidationException" not in str(exc):
                raise
            raise KVCorruptError(
                f"The table {self._address.table!r} in DynamoDB wasn't made for this: its keys must be pk and sk, both "
                f"binary. Name another, or one that isn't there yet. Nothing was changed."
            ) from exc
        if found is None:
            found = self._ask(
                "update_item",
                Key=self._layout.schema,
                UpdateExpression="SET layout = if_not_exists(layout, :ours)",
                ExpressionAttributeValues={":ours": {"N": str(_SCHEMA)}},
                ReturnValues="ALL_NEW",
            )["Attributes"]
        schema = int(found["layout"]["N"])
        if schema > _SCHEMA:
            raise KVCorruptError(
                f"What DynamoDB holds was written by a newer version of fc-connect (schema {schema}, this one knows "
                f"{_SCHEMA}). Upgrade fc-connect; nothing was changed."
            )

    def _make_table(self, place: str) -> None:
        try:
            self._calls.create_table()
        except KVError as exc:
            raise KVUnavailableError(
                f"There is no {place}, and it can't be made: {exc}\nCheck the name and the region, or make it:\n"
                f"  {self._calls.creation_command()}"
            ) from exc
        logger.info("made the %s", place)
        for tries in range(_WAIT_FOR_TABLE):
            try:
                if self._calls.ask("describe_table")["Table"]["TableStatus"] == "ACTIVE":
                    break
            except NoTableError:
                pass  # descriptions lag behind
            self._calls.pause(tries)
        self._calls.enable_expiry()

    def _ask(self, operation: str, **request: Any) -> dict[str, Any]:
        return self._demanding_table(lambda: self._calls.ask(operation, **request))

    def _demanding_table(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except NoTableError as exc:
            raise KVUnavailableError(f"There is no {exc} any more, or not yet. Nothing was written.") from exc


def _lacks_of(table: Mapping[str, Any]) -> Mapping[Guarantee, str]:
    regions = sorted(each.get("RegionName", "?") for each in table.get("Replicas", ()))
    if not regions:
        return {}
    where = f"it is a global table with replicas in {', '.join(regions)}"
    if table.get("MultiRegionConsistency") == "STRONG":
        return {
            Guarantee.ATOMIC: f"{where} and strong consistency, which has no transactions; use a table of one region"
        }
    return {
        Guarantee.LINEARIZABLE: f"{where}, and a write in another region replaces one here unseen; use a table of one "
        "region"
    }
