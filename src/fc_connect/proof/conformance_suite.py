"""The suite as `conformance` runs it, on the store at the URL that the session was told."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from fc_connect.kv import KVStore, open_kv
from fc_connect.testing.kv import KVConformance

__all__ = ["URL", "TestStore"]

URL = pytest.StashKey[str]()


class TestStore(KVConformance):
    """Leaves nothing behind."""

    @pytest.fixture
    def kv(self, request: pytest.FixtureRequest) -> Iterator[KVStore]:
        with open_kv(request.config.stash[URL]) as store:
            yield store

    @pytest.fixture
    def space(self, request: pytest.FixtureRequest) -> Iterator[str]:
        space = uuid.uuid4().hex
        yield space
        with open_kv(request.config.stash[URL]) as store:  # the test may have closed its own
            for first in (space, f"{space}x"):
                for entry in store.list((first,)):
                    store.delete(entry.key)
                store.delete((first,))
