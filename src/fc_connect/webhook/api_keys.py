"""Keys of callers that aren't Fluent: shown once, stored as a digest, each for some hooks and for some time.

A key is `fcw_<id>_<secret>`: the id finds its record, the secret is 32 random bytes. Of those a plain SHA-256 is as
good as a slow one: nobody guesses them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fc_connect.errors import ConfigurationError, StateConflictError, WebhookError
from fc_connect.kv.base import KVStore
from fc_connect.state.records import from_entry, to_json

__all__ = ["APIKey", "APIKeys"]

_FORM = re.compile(r"fcw_([0-9a-f]{12})_[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", re.ASCII)
EVERY_HOOK = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class APIKey:
    """A key as it is stored: never the key itself."""

    key_id: str
    name: str
    """Whose it is, for a person and for the log."""
    sha256: str
    scopes: tuple[str, ...]
    """Names of hooks; `*` stands for every one."""
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def __repr__(self) -> str:
        return f"APIKey({self.name!r}, id={self.key_id}, scopes={self.scopes})"

    def is_live(self, now: datetime) -> bool:
        """Say whether it counts at `now`. A time without its zone is no time: such a key doesn't count."""
        if self.revoked_at is not None:
            return False
        return self.expires_at is None or (self.expires_at.tzinfo is not None and now < self.expires_at)


class APIKeys:
    """The keys of one receiver, in its store. Times are the store's."""

    def __init__(self, kv: KVStore, *, workflow_id: str) -> None:
        self._kv = kv
        self._workflow = workflow_id

    def create(
        self, name: str, *, scopes: Sequence[str], expires_in: timedelta | None = None
    ) -> tuple[str, APIKey]:
        """Make a key and return it with its record. Nobody can tell it a second time.

        Raises:
            ConfigurationError: the name or a scope can't be one, or it would have expired already.
        """
        problems = []
        if not _NAME.fullmatch(name):
            problems.append("a name is 1 to 64 letters, digits, `.`, `_` and `-`")
        if not scopes or not all(each == EVERY_HOOK or _NAME.fullmatch(each) for each in scopes):
            problems.append("scopes are names of hooks, at least one, or * for every hook")
        if expires_in is not None and expires_in <= timedelta(0):
            problems.append("it would have expired already")
        if problems:
            raise ConfigurationError("This key can't be made.", problems=problems)
        now = self._kv.now()
        key_id = secrets.token_hex(6)
        key = f"fcw_{key_id}_{secrets.token_hex(32)}"
        record = APIKey(
            key_id=key_id,
            name=name,
            sha256=_digest(key),
            scopes=tuple(dict.fromkeys(scopes)),
            created_at=now,
            expires_at=None if expires_in is None else now + expires_in,
        )
        if (
            not self._kv.atomic()
            .check(self._at(key_id), None)
            .set(self._at(key_id), to_json(record))
            .commit()
            .ok
        ):
            raise StateConflictError("Another key has the same id; try again.")
        return key, record

    def list(self) -> Iterator[APIKey]:
        """Yield every key's record, revoked and expired ones too."""
        for entry in self._kv.list((self._workflow, "api-key")):
            yield from_entry(entry, APIKey)

    def revoke(self, key_id: str) -> APIKey | None:
        """Let a key count no more, from the next call on; return its record, None where there is none."""
        entry = self._kv.get(self._at(key_id))
        if entry is None:
            return None
        record = from_entry(entry, APIKey)
        if record.revoked_at is None:
            record = replace(record, revoked_at=self._kv.now())
            write = self._kv.atomic().check(entry.key, entry.versionstamp).set(entry.key, to_json(record))
            if not write.commit().ok:
                raise StateConflictError("The key changed just now; try again.")
        return record

    def check(self, presented: str, *, scope: str) -> APIKey:
        """Return the record of a key that counts, and may call `scope`.

        Raises:
            WebhookError: it is unknown, expired or revoked, or isn't for this hook; the message doesn't repeat it.
        """
        match = _FORM.fullmatch(presented)
        entry = None if match is None else self._kv.get(self._at(match[1]))
        record = None if entry is None else from_entry(entry, APIKey)
        expected = _digest("") if record is None else record.sha256
        # Compared where there is none too: an answer takes as long for an id that exists as for one that doesn't.
        is_same = hmac.compare_digest(_digest(presented), expected)
        if record is None or not is_same:
            raise WebhookError("The API key is unknown.")
        if not record.is_live(self._kv.now()):
            raise WebhookError(f"The API key of {record.name} has expired or was revoked.")
        if scope not in record.scopes and EVERY_HOOK not in record.scopes:
            raise WebhookError(f"The API key of {record.name} isn't for the hook {scope}.")
        return record

    def _at(self, key_id: str) -> tuple[str, ...]:
        return (self._workflow, "api-key", key_id)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
