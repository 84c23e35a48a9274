"""Profiles of the Fluent CLI, as other tools and people leave them; their secrets stay in them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError
from fc_connect.fluent import load_profile
from tests.fuzz.effort import examples

SECRET = "CaNaRy7f3a"
FILES = ["profile.json", "retailer.R.json", "user.u.json"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.just("../../x")
    | st.just("u"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "user", "baseUrl", "clientSecret", "password"]), inner, max_size=4
        )
    ),
    max_leaves=6,
)
WHOLE: dict[str, dict[str, Any]] = {
    "profile.json": {"baseUrl": "https://x", "id": "ACC", "clientSecret": SECRET, "user": "u"},
    "retailer.R.json": {"id": 1, "user": "u"},
    "user.u.json": {"username": "u", "password": SECRET},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("profiles")


@examples(300)
@given(
    st.sampled_from(FILES),
    JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60),
    st.sampled_from(["P", "..", "P/../P", "", "\0", "P\n", "x" * 300, "\ud800"]),
)
@example("profile.json", b"[" * 100_000, "P")
@example("user.u.json", b"9" * 5000, "P")
@example("profile.json", ('{"clientSecret": "' + SECRET + '", "id": ').encode(), "P")
def test_any_profile_is_read_or_refused_without_its_secrets(
    folder: Path, damaged: str, content: bytes, name: str
) -> None:
    shutil.rmtree(folder / "P", ignore_errors=True)
    (folder / "P").mkdir()
    for file, whole in WHOLE.items():
        (folder / "P" / file).write_bytes(content if file == damaged else json.dumps(whole).encode())
        (folder / "P" / file).chmod(0o600)

    refusal: ConfigurationError | None = None
    try:
        profile = load_profile(name, retailer="R", directory=folder)
        assert SECRET not in repr(profile)
    except ConfigurationError as exc:
        refusal = exc
    assert SECRET not in str(refusal)
