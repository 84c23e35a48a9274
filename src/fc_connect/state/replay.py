"""Taking what may come several times once: the note that it came lies in the commit that takes it."""

from __future__ import annotations

from datetime import timedelta

from fc_connect.kv.base import Atomic, Key, KVStore
from fc_connect.state.files import digest_of

__all__ = ["ReplayGuard"]


class ReplayGuard:
    """Tells whether something came before, within a window. Safe between threads, processes and machines.

    There is no moment between "seen" and "taken": what is written about a first one, and the note that it came, are one
    commit. So a crash, at whatever moment, leaves both or neither, and of many that come at once one is the first.

    What is to happen outside of the store can't be in that commit. Put it into the store as work to be done, and do it
    afterwards, at least once: that is what `fc_connect.webhook.Inbox` is for.
    """

    def __init__(self, kv: KVStore, *, workflow_id: str, window: timedelta) -> None:
        self._kv = kv
        self._workflow = workflow_id
        self._window = window

    def admit(self, *identity: str, note: str = "", write: Atomic | None = None) -> bool:
        """Commit `write` and a `note` of `identity`; return False, having written nothing, where it came before.

        Raises:
            KVUnavailableError: nothing was written.
            KVCommitUnknownError: it may have been. Let it come again: it is then told to have come before, and what
                `write` holds is there, or it is taken.
        """
        key = self._key(identity)
        commit = (write or self._kv.atomic()).check(key, None).set(key, note, expire_in=self._window)
        return commit.commit().ok

    def note(self, *identity: str) -> str | None:
        """Return what was noted when `identity` came, or None where it didn't, or the window is over."""
        entry = self._kv.get(self._key(identity))
        return None if entry is None else str(entry.value)

    def _key(self, identity: tuple[str, ...]) -> Key:
        return (self._workflow, "seen", digest_of(*identity))
