"""Bugs that are planted into the product while it runs: the simulator must find each of them."""

from __future__ import annotations

import inspect
import sys
import textwrap
from typing import Any, NamedTuple

import pytest

from fc_connect.pipeline import doubt, order, sender
from fc_connect.state import jobs, lease, service, watermark
from tests.simulation.run import run_seeds

SEEDS = range(1, 2001)


class Bug(NamedTuple):
    """Another text in place of one in a function; `trouble` is the kind that should bring it to light."""

    owner: Any
    function: str
    text: str
    instead: str
    trouble: tuple[str, ...]


BUGS = {
    "a renewal looks at nothing": Bug(
        lease.Lease, "_renew_once", ".check(self._key, self._versionstamp)", "", ("pauses", "slow")
    ),
    "a lock is taken without a look at its version": Bug(
        lease.Leases,
        "_try",
        """write = self._kv.atomic().check(key, None if entry is None else entry.versionstamp)
    write.check(fence_key, None if fence is None else fence.versionstamp).set(fence_key, token)""",
        "write = self._kv.atomic().set(fence_key, token)",
        ("crashes",),
    ),
    "a held lock counts as stale": Bug(
        lease.Leases,
        "_is_stale",
        "        return False  # an expired record would be absent",
        "        return True",
        (),
    ),
    "a release removes whosever lock it is": Bug(
        lease.Lease, "_free", ".check(self._key, self._versionstamp)", "", ("pauses", "stuck")
    ),
    "a fencing token begins anew": Bug(lease.Leases, "_try", "1 + count_from(fence)", "1", ()),
    "a write proves no lease": Bug(
        lease, "commit_under", "write.check(lease._key, lease._versionstamp)", "pass", ("pauses",)
    ),
    "a renewal that isn't known to have arrived counts": Bug(
        lease.Lease,
        "_renew_once",
        "if self._versionstamp == before:",
        "self._held_until, self._unsettled_since = asked_at + info.timeout, None\n        if False:",
        ("late", "slow"),
    ),
    "a late commit may undo a later one": Bug(
        service.StateService, "_commit_idempotent", "lease.renew()", "pass", ("late",)
    ),
    "an unknown completion counts as done": Bug(
        service.StateService,
        "_change_sync",
        "except (StateConflictError, KVCommitUnknownError) as exc:",
        "except KVCommitUnknownError:\n            return after\n        except StateConflictError as exc:",
        ("losses",),
    ),
    "a file is marked without a look at its record": Bug(
        service.StateService,
        "_mark",
        "if entry is not None and from_entry(entry, FileRecord).status is FileStatus.COMPLETED:",
        "if False:",
        ("losses",),
    ),
    "the sync state is written without a look at it": Bug(
        service.StateService,
        "_change_sync",
        "write.check(key, None if entry is None else entry.versionstamp)",
        "pass",
        ("slow",),
    ),
    "the watermark moves back": Bug(
        watermark.SyncState, "after", "top = max(top, self.watermark)", "pass", ("slow",)
    ),
    "the daily job is made without a second look": Bug(
        jobs.DailyJobs,
        "get_or_create",
        "        job = self.get()\n        if job is not None and job.job_id != instead_of:",
        "        job = None\n        if False:",
        ("slow",),
    ),
    "a lost answer is taken for a refusal": Bug(
        sender.Sender,
        "_send_one",
        "(sent := self._look_up(record, batch, since=self._state.clock.monotonic()))",
        "None",
        ("fluent",),
    ),
    "a batch that an earlier run left in doubt is sent again": Bug(
        sender.Sender,
        "settle",
        "sent = self._look_up(self._known[batch.number], batch, since=self._since)",
        "sent = None",
        ("crashes",),
    ),
    "a look-up doesn't wait for what is under way": Bug(
        doubt.DoubtResolver, "resolve", "left > timedelta(0)", "False", ("fluent",)
    ),
    "a look-up takes a stop for an answer": Bug(
        doubt.DoubtResolver, "resolve", "raise self._stopped(record)", "pass", ("fluent", "stops")
    ),
    "a file doesn't wait for older ones": Bug(
        order.Turns, "_is_finished", "return failed or record.status.is_terminal", "return True", ()
    ),
}


def plant(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    original = getattr(bug.owner, bug.function)
    source = textwrap.dedent(inspect.getsource(original))
    assert source.count(bug.text) == 1, f"{bug.function} doesn't read as it did when the bug was thought up"
    module = sys.modules[original.__module__]
    made: dict[str, Any] = {}
    code = "from __future__ import annotations\n" + source.replace(bug.text, bug.instead)
    exec(
        compile(code, f"<{bug.function}, with a bug>", "exec"), vars(module), made
    )  # a mutant of our own source
    monkeypatch.setattr(bug.owner, bug.function, made[bug.function])
    if inspect.ismodule(bug.owner):
        for user in (service,):
            if hasattr(user, bug.function):
                monkeypatch.setattr(user, bug.function, made[bug.function])


@pytest.mark.parametrize("name", BUGS)
def test_the_simulator_finds_a_bug_that_is_planted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = BUGS[name]
    plant(bug, monkeypatch)

    failures = run_seeds(SEEDS, mixes=bug.trouble, at_most=1)

    assert failures, f"{len(SEEDS)} seeds don't show that {name}"
    monkeypatch.undo()
    assert run_seeds([failures[0].seed], mixes=bug.trouble) == []
