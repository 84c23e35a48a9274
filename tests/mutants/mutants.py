"""Bugs that would break a promise, each one replacement in the source: what the tests and histories have to notice."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MUTANTS", "Mutant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A bug."""

    name: str
    file: str
    """Below `src/fc_connect`."""
    old: str
    new: str
    harm: str
    """What goes wrong in the world."""
    caught_by: tuple[str, ...]
    """Detectors, of which one at least has to notice it."""


SQLITE = (
    Mutant(
        name="sqlite-commit-in-two-steps",
        file="kv/sqlite.py",
        old="            counted = connection.execute(\n",
        new=(
            '            connection.execute("COMMIT")\n'
            '            connection.execute("BEGIN IMMEDIATE")\n'
            "            counted = connection.execute(\n"
        ),
        harm="Two workers take one lock: both checked it before either wrote.",
        caught_by=("kv-sqlite-more",),
    ),
    Mutant(
        name="sqlite-expired-counts-as-present",
        file="kv/sqlite.py",
        old="""                    f"SELECT version FROM kv WHERE key = ? AND {_LIVE}",  # noqa: S608
                    (name, now),
""",
        new="""                    "SELECT version FROM kv WHERE key = ?",
                    (name,),
""",
        harm="The lock of a worker that died is never taken over; its files wait for ever.",
        caught_by=("kv-sqlite", "histories-sqlite"),
    ),
    Mutant(
        name="sqlite-version-stands-still",
        file="kv/sqlite.py",
        old="UPDATE counter SET version = version + 1 WHERE",
        new="UPDATE counter SET version = max(version, 1) WHERE",
        harm="A worker whose lock was taken and given back still passes its check, and writes.",
        caught_by=("kv-sqlite",),
    ),
    Mutant(
        name="sqlite-expiry-outlives-a-plain-set",
        file="kv/sqlite.py",
        old="version = excluded.version, expires_at = excluded.expires_at",
        new="version = excluded.version, expires_at = coalesce(excluded.expires_at, kv.expires_at)",
        harm="A record that was to stay is gone once an earlier one would have expired.",
        caught_by=("kv-sqlite", "histories-sqlite"),
    ),
    Mutant(
        name="sqlite-list-ends-with-a-full-page",
        file="kv/sqlite.py",
        old="            if len(page) < size:\n                return\n",
        new="            if len(page) <= size:\n                return\n",
        harm="Of more than 500 batches in the ledger the rest is unknown, and sent again.",
        caught_by=("kv-sqlite",),
    ),
    Mutant(
        name="sqlite-reads-do-not-wait-for-the-writer",
        file="kv/sqlite.py",
        old="            if all(row[3] for row in rows):\n",
        new="            if rows is not None:\n",
        harm="A lock is seen free, and after that its holder's write takes effect.",
        caught_by=("kv-sqlite-more",),
    ),
)

REDIS = (
    Mutant(
        name="redis-absence-is-not-checked",
        file="kv/commit.lua",
        old="  if stamp ~= ARGV[at + 1] then return",
        new="  if ARGV[at + 1] ~= '' and stamp ~= ARGV[at + 1] then return",
        harm="Of many workers that find a lock free, each takes it.",
        caught_by=("kv-redis", "histories-redis"),
    ),
    Mutant(
        name="redis-versions-from-the-clock",
        file="kv/commit.lua",
        old="redis.call('INCR', KEYS[2])",
        new="now",
        harm="Two commits of one millisecond have one version: the check of a record that changed twice holds.",
        caught_by=("kv-redis", "histories-redis"),
    ),
    Mutant(
        name="redis-stamp-without-counting",
        file="kv/commit.lua",
        old="string.format('%020.0f', redis.call('INCR', KEYS[2]))",
        new="string.format('%020.0f', (tonumber(redis.call('GET', KEYS[2]) or '0')))",
        harm="Every check of a record that was there holds, whatever was written since.",
        caught_by=("kv-redis",),
    ),
    Mutant(
        name="redis-forgets-that-a-key-stays",
        file="kv/commit.lua",
        old="  redis.call('DEL', hash)\n  redis.call('ZREM', KEYS[3], name)\n",
        new="  redis.call('DEL', hash)\n",
        harm="A record that was made to stay vanishes from lists when its old expiry is swept.",
        caught_by=("kv-redis-more",),
    ),
    Mutant(
        name="redis-expiry-in-whole-seconds",
        file="kv/redis.py",
        old="math.ceil(write.expire_in.total_seconds() * 1000)",
        new="math.ceil(write.expire_in.total_seconds()) * 1000",
        harm="A lock outlives its timeout: recovery after a crash takes longer than promised.",
        caught_by=("histories-redis",),
    ),
    Mutant(
        name="redis-reads-names-then-values",
        file="kv/redis.py",
        old="""            page = self._ask(read)
            for name, value, stamp in page:
""",
        new="""            page = self._ask(read)
            found = self._read([before + row[0] for row in page])
            page = [(row[0], *(each or (None, ""))) for row, each in zip(page, found, strict=True)]
            page = [(name, value, stamp.encode()) for name, value, stamp in page]
            for name, value, stamp in page:
""",
        harm="A batch on its way that a commit hands on to the next key isn't seen, and is taken for another file's.",
        caught_by=("kv-redis-more", "histories-redis"),
    ),
    Mutant(
        name="redis-unknown-read-as-failure",
        file="kv/redis.py",
        old='raise KVCommitUnknownError(f"Redis: the connection died during a commit: {exc}") from exc',
        new='raise KVUnavailableError(f"Redis: the connection died during a commit: {exc}") from exc',
        harm="A commit that happened counts as not done; what it began is begun again.",
        caught_by=("histories-redis",),
    ),
)

POSTGRESQL = (
    Mutant(
        name="postgresql-without-advisory-locks",
        file="kv/postgresql.py",
        old='_lock(connection, "pg_advisory_xact_lock", commit.keys)',
        new='_lock(connection, "pg_advisory_xact_lock", ())',
        harm="Two commits that demand the same absent key both hold.",
        caught_by=("kv-postgresql", "histories-postgresql"),
    ),
    Mutant(
        name="postgresql-expired-counts-as-present",
        file="kv/postgresql.py",
        old='f"SELECT key, version FROM fc_connect_kv WHERE key = ANY(%s) AND {_LIVE}",  # noqa: S608',
        new='"SELECT key, version FROM fc_connect_kv WHERE key = ANY(%s)",',
        harm="A dead worker's lock is never taken over.",
        caught_by=("kv-postgresql",),
    ),
    Mutant(
        name="postgresql-unknown-read-as-failure",
        file="kv/postgresql.py",
        old='raise KVCommitUnknownError(f"PostgreSQL: the connection died during a commit: {exc}") from exc',
        new='raise KVUnavailableError(f"PostgreSQL: the connection died during a commit: {exc}") from exc',
        harm="A commit that happened counts as not done.",
        caught_by=("histories-postgresql",),
    ),
    Mutant(
        name="postgresql-list-skips-a-key-per-page",
        file="kv/postgresql.py",
        old='(low, last) if reverse else (last + b"\\x00", high)',
        new='(low, last) if reverse else (last + b"\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff", high)',
        harm="Records below the last of a page are overlooked.",
        caught_by=("kv-postgresql-more",),
    ),
    Mutant(
        name="postgresql-reads-do-not-wait-for-commits",
        file="kv/postgresql.py",
        old="        if expired <= waited:\n",
        new="        if rows is not None:\n",
        harm="A lock is seen free, and after that its holder's write takes effect.",
        caught_by=("kv-postgresql-more",),
    ),
    Mutant(
        name="postgresql-refusal-read-as-done",
        file="kv/postgresql.py",
        old="            connection.rollback()\n            return CommitResult(ok=False, versionstamp=None)\n",
        new="            return CommitResult(ok=True, versionstamp=_versionstamp(0))\n",
        harm="A commit whose check failed is reported as done, though nothing was written: a batch without its entry.",
        caught_by=("kv-postgresql", "histories-postgresql"),
    ),
)

MEMORY_AND_KEYS = (
    Mutant(
        name="memory-commits-side-by-side",
        file="kv/memory.py",
        old="    def _apply(self, commit: Commit) -> CommitResult:\n        with self._lock:\n",
        new="    def _apply(self, commit: Commit) -> CommitResult:\n        if True:\n",
        harm="Two threads' commits mix.",
        caught_by=("histories-memory", "kv-memory"),
    ),
    Mutant(
        name="memory-key-lives-at-its-expiry",
        file="kv/memory.py",
        old="stored.expires_at <= self._clock.now_us()",
        new="stored.expires_at < self._clock.now_us()",
        harm="At the very moment of its expiry a lock has two holders by two clocks' readings.",
        caught_by=("kv-memory",),
    ),
    Mutant(
        name="keys-that-collide",
        file="kv/keys.py",
        old='part.encode().replace(b"\\x00", _ESCAPED) + _END',
        new="part.encode() + _END",
        harm="Two files whose names differ by a NUL and its neighbour share one record.",
        caught_by=("kv-memory",),
    ),
    Mutant(
        name="contradictory-checks-hold",
        file="kv/commit.py",
        old="        if self._contradiction:\n            return CommitResult(ok=False, versionstamp=None)\n",
        new="",
        harm="A commit that demands a key at two versions is checked against one of them.",
        caught_by=("kv-memory",),
    ),
)

LEASES = (
    Mutant(
        name="release-deletes-the-token",
        file="state/lease.py",
        old="self._kv.atomic().check(self._key, self._versionstamp).delete(self._key).commit()",
        new=(
            "self._kv.atomic().check(self._key, self._versionstamp).delete(self._key)"
            '.delete((self._key[0], "fence", self._info.name)).commit()'
        ),
        harm="The next holder gets a token that was given before: a receiver that fences can't tell them apart.",
        caught_by=("holes", "laws", "histories-memory"),
    ),
    Mutant(
        name="token-from-the-holder-alone",
        file="state/lease.py",
        old="token = 1 + count_from(fence)",
        new="token = 1 + (from_entry(entry, LockInfo).token if entry is not None else 0)",
        harm="Tokens begin anew after every release.",
        caught_by=("holes", "laws", "histories-memory"),
    ),
    Mutant(
        name="token-without-its-check",
        file="state/lease.py",
        old="write.check(fence_key, None if fence is None else fence.versionstamp).set(fence_key, token)",
        new="write.set(fence_key, token)",
        harm="A token is given twice where another took and freed the lock between reading and writing.",
        caught_by=("laws",),
    ),
    Mutant(
        name="renewal-without-a-check",
        file="state/lease.py",
        old="write = self._kv.atomic().check(self._key, self._versionstamp)\n        write.set(self._key",
        new="write = self._kv.atomic()\n        write.set(self._key",
        harm="A paused worker takes its lock back from the one that took over: both work.",
        caught_by=("laws", "histories-memory"),
    ),
    Mutant(
        name="renewal-takes-any-record-for-its-own",
        file="state/lease.py",
        old="        if info.acquisition != self._info.acquisition:\n            return False\n",
        new="",
        harm="A worker whose lock was taken over works on under the next holder's record.",
        caught_by=("unknown", "histories-redis"),
    ),
    Mutant(
        name="renewal-guessed-younger",
        file="state/lease.py",
        old="max(self._held_until, self._unsettled_since + info.timeout)",
        new="self._clock.monotonic() + info.timeout",
        harm="A worker sends after its lock ran out in the store, since it counts from the wrong renewal.",
        caught_by=("unknown",),
    ),
    Mutant(
        name="writes-while-a-renewal-is-on-its-way",
        file="state/lease.py",
        old="            lease._settle()\n",
        new="",
        harm="A renewal that arrives late makes the worker's next write fail: the file rests for a whole timeout.",
        caught_by=("unknown",),
    ),
    Mutant(
        name="takes-over-a-live-lock",
        file="state/lease.py",
        old="        if (holder := self.holder(entry)) is not None:\n            return None, holder\n",
        new=(
            "        holder = self.holder(entry)\n"
            "        if holder and holder.acquired_at + timedelta(seconds=holder.timeout) > self._kv.now():\n"
            "            return None, holder\n"
        ),
        harm="A file that takes longer than the timeout is sent by two workers.",
        caught_by=("holes",),
    ),
    Mutant(
        name="acquires-without-a-check",
        file="state/lease.py",
        old="write = self._kv.atomic().check(key, None if entry is None else entry.versionstamp)",
        new="write = self._kv.atomic()",
        harm="A lock that is renewed at the last moment is taken over all the same: both work.",
        caught_by=("laws",),
    ),
    Mutant(
        name="release-of-anybodys-lock",
        file="state/lease.py",
        old="self._kv.atomic().check(self._key, self._versionstamp).delete(self._key)",
        new="self._kv.atomic().delete(self._key)",
        harm="A worker that lost its lock frees the next holder's: a third comes in.",
        caught_by=("holes", "histories-memory"),
    ),
    Mutant(
        name="second-lock-not-checked",
        file="state/lease.py",
        old="            write.check(lease._key, lease._versionstamp)\n",
        new="            if lease is leases[0]:\n                write.check(lease._key, lease._versionstamp)\n",
        harm="A worker that lost its turn sends older stock after newer.",
        caught_by=("laws",),
    ),
    Mutant(
        name="lost-answer-to-an-acquisition",
        file="state/lease.py",
        old="                versionstamp = entry.versionstamp if entry is not None and is_ours else None\n",
        new="                versionstamp = None\n",
        harm="A lock is held by nobody until it expires, after each lost answer.",
        caught_by=("laws",),
    ),
    Mutant(
        name="lost-request-counts-as-acquired",
        file="state/lease.py",
        old="                versionstamp = entry.versionstamp if entry is not None and is_ours else None\n",
        new='                versionstamp = entry.versionstamp if entry is not None else "0"\n',
        harm="A worker believes it holds a lock that is free, or another's.",
        caught_by=("laws", "histories-redis"),
    ),
    Mutant(
        name="forced-release-without-a-check",
        file="state/lease.py",
        old="if not self._kv.atomic().check(key, entry.versionstamp).delete(key).commit().ok:",
        new="if not self._kv.atomic().delete(key).commit().ok:",
        harm="A person frees the lock of a dead worker, and hits the live one that has just taken it over.",
        caught_by=("laws",),
    ),
)

LEDGERS = (
    Mutant(
        name="unknown-commit-read-as-success",
        file="state/service.py",
        old="                unknown = exc\n",
        new="                unknown = exc\n                return\n",
        harm="A batch is sent without its entry; after a crash it is sent again.",
        caught_by=("laws",),
    ),
    Mutant(
        name="batches-noted-after-they-were-sent",
        file="pipeline/sender.py",
        old="""                    self._state.save_batches(self._file, [*done, record], *self._leases)
                    done.clear()
                    point("send.intended")
                    receipt = self._client.send_batch_body(
                        job_id, batch.body, count=batch.count, demand=self._demand_held
                    )
""",
        new="""                    point("send.intended")
                    receipt = self._client.send_batch_body(
                        job_id, batch.body, count=batch.count, demand=self._demand_held
                    )
                    self._state.save_batches(self._file, [*done, record], *self._leases)
                    done.clear()
""",
        harm="A crash after the POST leaves no trace of it: the batch is sent twice.",
        caught_by=("crash",),
    ),
    Mutant(
        name="batch-without-an-owner",
        file="state/batches.py",
        old="            if batch.batch_id is not None:\n",
        new="            if batch.batch_id is None:\n                continue\n            if batch.number < 0:\n",
        harm="A file in doubt takes another file's batch for its own, and loses its records.",
        caught_by=("laws", "pipeline"),
    ),
    Mutant(
        name="others-on-their-way-are-overlooked",
        file="state/batches.py",
        old="if batch.state is BatchState.SENDING and batch.job_id == job_id:",
        new="if batch.state is BatchState.SENT and batch.job_id == job_id:",
        harm="A file in doubt takes the batch that another has just sent for its own.",
        caught_by=("laws",),
    ),
    Mutant(
        name="owned-batches-count-as-nobodys",
        file="state/batches.py",
        old="owners.items() if owner is None or owner.value is None]",
        new="owners.items()]",
        harm="A batch in doubt is taken to have arrived as another file's: its records are lost.",
        caught_by=("doubt", "laws"),
    ),
    Mutant(
        name="resolver-ignores-who-else-is-sending",
        file="pipeline/doubt.py",
        old="if matches and not elsewhere and len(matches) == alike:",
        new="if matches and len(matches) == alike:",
        harm="Of two files with the same products one takes the other's batch for its own: its records are lost.",
        caught_by=("doubt",),
    ),
    Mutant(
        name="look-up-waits-from-the-intent",
        file="pipeline/doubt.py",
        old="left = _SETTLE - timedelta(seconds=asked_at - since)",
        new="left = _SETTLE - (self._state.kv.now() - record.at)",
        harm="A request that was given up just now counts as lost, since its intent is old, and is sent again.",
        caught_by=("doubt-waits",),
    ),
    Mutant(
        name="mark-without-the-locks",
        file="state/service.py",
        old="self._mark([record], leases, after_due=after_due)",
        new="self._mark([record], (), after_due=after_due)",
        harm="A worker that was paused completes a file that another is still sending.",
        caught_by=("laws",),
    ),
    Mutant(
        name="mark-without-a-check-of-the-file",
        file="state/service.py",
        old="write.check(self.files.key(record.file_id), None if entry is None else entry.versionstamp)",
        new="pass",
        harm="A mark overwrites what was noted of the file since it was read.",
        caught_by=("laws",),
    ),
    Mutant(
        name="counted-again-on-a-second-mark",
        file="state/service.py",
        old="                if entry is not None and from_entry(entry, FileRecord).status is FileStatus.COMPLETED:\n",
        new="                if record.file_id in new:\n",
        harm="Counts grow though nothing new was delivered.",
        caught_by=("holes", "laws"),
    ),
    Mutant(
        name="clearing-takes-the-tokens",
        file="state/service.py",
        old='if entry.key[1] not in {"fence", "schema"}:  # tokens only grow, for ever',
        new='if entry.key[1] not in {"schema"}:',
        harm="Tokens begin anew after a clearing.",
        caught_by=("holes",),
    ),
    Mutant(
        name="prunes-what-is-not-finished",
        file="state/service.py",
        old="        horizon = min([horizon, *(each.last_modified for each in kept)])\n",
        new="",
        harm="A file that failed counts as handled: its records are never delivered.",
        caught_by=("laws",),
    ),
    Mutant(
        name="watermark-by-name",
        file="state/watermark.py",
        old="top = max(each.position for each in completed)",
        new="top = max(completed, key=lambda each: each.file_name).position",
        harm="`9.csv` counts as later than `10.csv`: files in between are overlooked.",
        caught_by=("holes",),
    ),
    Mutant(
        name="watermark-goes-back",
        file="state/watermark.py",
        old="            top = max(top, self.watermark)\n",
        new="            pass\n",
        harm="A late file moves the watermark back.",
        caught_by=("holes",),
    ),
)

TRANSFERS = (
    Mutant(
        name="import-looks-before-it-closes",
        file="state/transfer.py",
        old="    stamp = _note(kv, schema.key, stamp, looking)\n    if not _is_empty(kv, workflow):\n",
        new=(
            "    is_empty = _is_empty(kv, workflow)\n"
            "    stamp = _note(kv, schema.key, stamp, looking)\n"
            "    if not is_empty:\n"
        ),
        harm="A worker that began during an import works on a state that the import writes over.",
        caught_by=("import",),
    ),
    Mutant(
        name="import-without-its-fence",
        file="state/transfer.py",
        old="        write = kv.atomic().check(key, stamp)\n        fences",
        new="        write = kv.atomic()\n        fences",
        harm="An import that was overtaken by another writes on into a state at work.",
        caught_by=("import",),
    ),
    Mutant(
        name="import-takes-tokens-back",
        file="state/transfer.py",
        old="value = max(line.value, tokens[name]) if name in tokens else line.value",
        new="value = line.value",
        harm="Tokens begin anew where a state is imported into one that was cleared.",
        caught_by=("import",),
    ),
)

JOBS = (
    Mutant(
        name="daily-job-not-looked-at-again-under-the-lock",
        file="state/jobs.py",
        old="""            now = self._kv.now()
            job = self.get()
            if job is not None and job.job_id != instead_of:
                return job
            closed""",
        new="""            now = self._kv.now()
            closed""",
        harm="Each of several workers makes a job of its own, one after the other.",
        caught_by=("holes",),
    ),
    Mutant(
        name="daily-job-stored-without-the-lock",
        file="state/jobs.py",
        old="                lease.commit(self._put(self._kv.atomic(), made))\n",
        new="                self._put(self._kv.atomic(), made).commit()\n",
        harm="A worker that was held up puts its job over the one that others already use.",
        caught_by=("laws",),
    ),
    Mutant(
        name="tracker-without-a-check",
        file="state/jobs.py",
        old="write = self._kv.atomic().check(key, entry.versionstamp)",
        new="write = self._kv.atomic()",
        harm="Of two updates of a job at once one is lost.",
        caught_by=("laws",),
    ),
    Mutant(
        name="tracking-begins-anew",
        file="state/jobs.py",
        old="self._kv.atomic().check(key, None).set(key, to_json(job), expire_in=self._expire_in).commit()",
        new="self._kv.atomic().set(key, to_json(job), expire_in=self._expire_in).commit()",
        harm="A job's batches are forgotten when a second worker begins to track it.",
        caught_by=("laws",),
    ),
)

MUTANTS = (*SQLITE, *REDIS, *POSTGRESQL, *MEMORY_AND_KEYS, *LEASES, *LEDGERS, *TRANSFERS, *JOBS)
