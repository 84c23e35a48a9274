"""A bucket made on first use, and looked at whenever it is opened: can it hold the state, and is it ours and whole?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from fc_connect.errors import ConfigurationError, KVCorruptError, KVUnavailableError
from fc_connect.kv.nats_bucket import Bucket
from fc_connect.kv.nats_link import Link
from fc_connect.kv.nats_message import EXPECTED, Draft, decoded

__all__ = ["open_bucket"]

_SCHEMA = 1


async def open_bucket(link: Link, name: str, *, replicas: int) -> Bucket:
    """Make the stream if there is none, and see that it can hold the state.

    Raises:
        ConfigurationError: the server is too old, or the stream is set up wrongly.
        KVCorruptError: what it holds is of another program, of a newer version, or damaged.
        KVUnavailableError: JetStream doesn't answer, or refuses.
    """
    if link.version < (2, 10):
        version = ".".join(map(str, link.version))
        raise ConfigurationError(f"The NATS server is of version {version}; the state needs 2.10 or newer.")
    bucket = Bucket(link, name)
    info = await bucket.look()
    if info is None:
        await _create(bucket, replicas)
        info = await bucket.look()
        if info is None:
            raise KVUnavailableError(f"The NATS bucket {name!r} vanished.")
    if problems := list(_problems(bucket.config, f"{bucket.root}.>")):
        raise ConfigurationError(
            f"The NATS bucket {name!r} (stream {bucket.stream}) can't hold the state.", problems=problems
        )
    await _check_schema(bucket, is_empty=info["state"]["messages"] == 0)
    await _check_last_batch(bucket)
    return bucket


async def _create(bucket: Bucket, replicas: int) -> None:
    config = {
        "name": bucket.stream,
        "subjects": [f"{bucket.root}.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "num_replicas": replicas,
        "max_msgs_per_subject": 1,
        "allow_direct": True,
        "deny_delete": True,
        "allow_msg_ttl": bucket.link.version >= (2, 11),
        "allow_atomic": bucket.link.version >= (2, 12),
    }
    answer = await bucket.api(f"STREAM.CREATE.{bucket.stream}", config)
    if "error" in answer:
        raise KVUnavailableError(
            f"NATS can't make the bucket {bucket.name!r}: {answer['error'].get('description')}."
        )


async def _check_schema(bucket: Bucket, *, is_empty: bool) -> None:
    about = await bucket.last(last_by_subj=bucket.about)
    if about is None and is_empty:
        content = msgspec.json.encode({"schema": _SCHEMA})
        await bucket.write([Draft(subject=bucket.about, data=content, headers={EXPECTED: "0"})])
        about = await bucket.last(last_by_subj=bucket.about)
    if about is None:
        raise KVCorruptError(
            f"The NATS bucket {bucket.name!r} belongs to another program; nothing was changed."
        )
    schema = decoded(about[1].data).get("schema")
    if not isinstance(schema, int) or schema > _SCHEMA:
        raise KVCorruptError(
            f"What the NATS bucket {bucket.name!r} holds was written by a newer version of fc-connect (schema "
            f"{schema}, this one knows {_SCHEMA}). Upgrade fc-connect; nothing was changed."
        )


async def _check_last_batch(bucket: Bucket) -> None:
    """Refuse a stream that ends in half a commit: after a power cut the server may have lost the other half."""
    seen = 0
    for _ in range(5):
        last = await bucket.last(last_by_subj=f"{bucket.root}.>")
        headers = {} if last is None else last[1].headers
        if last is None or "Nats-Batch-Id" not in headers or "Nats-Batch-Commit" in headers:
            return
        if seen not in {0, last[1].sequence}:
            return
        seen = last[1].sequence
        await asyncio.sleep(0.2)  # another's commit may be just being written
    raise KVCorruptError(
        f"The NATS bucket {bucket.name!r} ends in half a commit (sequence {seen}): the server lost the rest, as "
        "after a power cut. Restore the stream from a backup; nothing was changed."
    )


def _problems(config: Mapping[str, Any], subjects: str) -> Iterator[str]:
    """Say what in a stream's configuration would lose or change records."""
    if config.get("subjects") != [subjects] or config.get("mirror") or config.get("sources"):
        yield f"its subjects must be {subjects} alone, without a mirror or sources"
    if config.get("subject_transform"):
        yield "it must not transform subjects"
    if config.get("max_msgs_per_subject") != 1:
        yield "it must keep one message per subject (`history: 1`): more would come back when a deletion is swept up"
    if config.get("retention") != "limits" or config.get("max_age"):
        yield "it must keep messages for good (`retention: limits`, no `max_age`)"
    if config.get("discard") != "new" and any(config.get(each, -1) > 0 for each in ("max_msgs", "max_bytes")):
        yield "with a limit it must refuse new messages (`discard: new`) instead of dropping old ones"
    if config.get("no_ack") or config.get("sealed"):
        yield "it must take messages and acknowledge them (no `no_ack`, not sealed)"
