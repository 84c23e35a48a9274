"""A short comparison with the SDK; the long one is `python -m tests.peer`."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.peer.comparison import compare
from tests.peer.mapping_cases import KINDS


@pytest.mark.skipif(
    "FC_SDK" not in os.environ or shutil.which("node") is None, reason="FC_SDK names no folder with the SDK"
)
@pytest.mark.parametrize("kind", KINDS)
def test_compat_mode_gives_what_the_sdk_gives(kind: str) -> None:
    unknown = [each for each in compare(kind, runs=300, seed=1) if each.reason is None]

    assert unknown == []
