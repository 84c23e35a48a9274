"""A commit whose request or reply is lost on the way: what is said of it is true, and what comes late does no harm."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from fc_connect.errors import KVCommitUnknownError, KVUnavailableError, LockLostError
from fc_connect.kv import KVStore, open_kv
from fc_connect.proof.proxy import Direction, Proxy
from fc_connect.proof.toxics import Kind, Latency, LimitData, Timeout
from fc_connect.state import FileRecord, StateService
from fc_connect.state.batches import BatchRecord, BatchState
from tests.stores import Remote, Server

pytestmark = pytest.mark.service

FILE = FileRecord(
    source="inbox",
    file_name="a.csv",
    fingerprint="1",
    last_modified=datetime(2026, 1, 15, tzinfo=UTC),
    file_size=1,
)
CUTS = int(os.environ.get("FUZZ_EXAMPLES", "25"))


class Pair:
    """A store through the proxy, and the same past it, as the witness."""

    def __init__(self, through: KVStore, witness: KVStore) -> None:
        self.through = through
        self.witness = witness


@pytest.fixture
def pair(remote: Remote, server: Server, proxy: Proxy) -> Iterator[Pair]:
    url = remote.url(server, is_impatient=True)
    with open_kv(proxy.url(url)) as through, open_kv(url) as witness:
        yield Pair(through, witness)


def commit(kv: KVStore, space: str, name: str) -> None:
    key, other = (space, name), (space, "other", name)
    assert kv.atomic().check(key, None).set(key, 1).set(other, 1).commit().ok


def bytes_of_a_commit(pair: Pair, proxy: Proxy, direction: Direction, space: str) -> int:
    """Return how many pass; the least of some, since a driver may open another connection meanwhile."""
    sizes = []
    for number in range(5):
        before = proxy.passed[direction]
        commit(pair.through, space, f"size{number}")
        sizes.append(proxy.passed[direction] - before)
    return min(sizes)


@pytest.mark.parametrize("kind", [Kind.CLOSE, Kind.RESET])
@pytest.mark.parametrize("direction", ["downstream", "upstream"])
def test_a_commit_cut_at_any_byte_is_told_as_it_is(
    pair: Pair, proxy: Proxy, direction: Direction, kind: Kind
) -> None:
    space = uuid.uuid4().hex
    pair.through.set((space, "warm"), 1)
    size = bytes_of_a_commit(pair, proxy, direction, space)
    rng = random.Random(1)
    cuts = sorted({0, 1, size - 1, *(rng.randrange(size) for _ in range(CUTS))})
    outcomes: dict[int, str] = {}

    for cut in cuts:
        pair.through.get((space, "warm"))  # a connection that works
        with proxy.toxic(LimitData(max_bytes=cut, then=kind), direction=direction, spares_new=True):
            try:
                commit(pair.through, space, f"{cut:05d}")
                outcomes[cut] = "written"
            except KVCommitUnknownError:
                outcomes[cut] = "unknown"
            except KVUnavailableError:
                outcomes[cut] = "nothing"

    for cut, outcome in outcomes.items():
        found = pair.witness.get_many([(space, f"{cut:05d}"), (space, "other", f"{cut:05d}")])
        assert len({entry is None for entry in found}) == 1, "half of a commit was written"
        is_written = found[0] is not None
        assert outcome == "unknown" or is_written == (outcome == "written"), (
            f"cut after {cut} of {size} bytes"
        )
    assert Counter(outcomes.values())["unknown"]  # else nothing was cut where it hurts


def test_postgresql_knows_that_nothing_was_written_until_it_asked_for_the_commit(
    pair: Pair, proxy: Proxy, remote: Remote, server: Server
) -> None:
    if not server.url.startswith("postgresql"):
        pytest.skip("one request is the whole commit there")
    space = uuid.uuid4().hex
    size = bytes_of_a_commit(pair, proxy, "downstream", space)
    reply_to_commit = 18  # bytes: CommandComplete and ReadyForQuery
    with (
        proxy.toxic(LimitData(max_bytes=size - reply_to_commit - 1), direction="downstream", spares_new=True),
        pytest.raises(KVUnavailableError),
    ):
        commit(pair.through, space, "lost0")

    assert pair.witness.get((space, "lost0")) is None


def test_a_commit_that_arrives_late_does_not_undo_what_followed(pair: Pair, proxy: Proxy) -> None:
    state = StateService(pair.through, workflow_id=uuid.uuid4().hex)

    def batch(number: int, state: BatchState) -> BatchRecord:
        is_sent = state is BatchState.SENT
        return BatchRecord(
            number=number,
            state=state,
            sha256="0" * 64,
            count=1,
            job_id="1",
            batch_id="1" if is_sent else None,
            at=datetime(2026, 1, 15, tzinfo=UTC),
        )

    with state.lock("file", timeout=timedelta(minutes=2)) as lease:
        state.save_batches(FILE, [batch(0, BatchState.SENDING)], lease)
        sizes = []
        for _ in range(4):
            before = proxy.passed["upstream"]
            state.save_batches(FILE, [batch(1, BatchState.SENDING)], lease)
            sizes.append(proxy.passed["upstream"] - before)
        # The last bytes of the commit are held up in the network; it is given up, made again, and built upon.
        remove = proxy.add(
            LimitData(max_bytes=min(sizes) - 10, then=None), direction="upstream", spares_new=True
        )
        for step in (BatchState.SENDING, BatchState.SENT):
            for _ in range(5):  # a driver may keep several connections, all of them held up
                with suppress(KVUnavailableError):
                    state.save_batches(FILE, [batch(2, step)], lease)
                    break

        remove()
        time.sleep(0.5)

        assert [each.state for each in state.batches.of(FILE)] == ["sending", "sending", "sent"]


def test_a_store_as_slow_as_the_lease_is_long_loses_the_lease_cleanly(pair: Pair, proxy: Proxy) -> None:
    state = StateService(pair.through, workflow_id=uuid.uuid4().hex)
    lease = state.lock("file", timeout=timedelta(seconds=1))
    proxy.add(Latency(delay=timedelta(seconds=1.2)), direction="upstream")

    assert lease.lost.wait(30)

    with pytest.raises(LockLostError):
        lease.commit(pair.through.atomic().set((state.workflow_id, "note"), 1))
    proxy.clear()
    lease.release()
    assert pair.witness.get((state.workflow_id, "note")) is None
    with state.lock("file", timeout=timedelta(seconds=30)) as next_lease:
        assert next_lease.token == lease.token + 1


def test_renewals_keep_up_with_a_slow_and_jittery_store(pair: Pair, proxy: Proxy) -> None:
    state = StateService(pair.through, workflow_id=uuid.uuid4().hex)
    for direction in ("upstream", "downstream"):
        proxy.add(
            Latency(delay=timedelta(milliseconds=40), jitter=timedelta(milliseconds=40)), direction=direction
        )

    with state.lock("file", timeout=timedelta(seconds=4)) as lease:
        time.sleep(4.5)

        assert not lease.lost.is_set()
        lease.commit(pair.through.atomic().set((state.workflow_id, "note"), 1))


def test_a_silent_store_is_given_up_and_answers_again_later(pair: Pair, proxy: Proxy) -> None:
    space = uuid.uuid4().hex
    pair.through.set((space, "a"), 1)
    for direction in ("upstream", "downstream"):
        proxy.add(Timeout(), direction=direction)
    began = time.monotonic()

    with pytest.raises(KVUnavailableError):
        pair.through.get((space, "a"))

    assert time.monotonic() - began < 30
    proxy.clear()
    assert pair.through.get((space, "a")) is not None
