from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from fc_connect.errors import ConfigurationError
from fc_connect.fluent import FluentClient, list_profiles, load_profile


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "HMDEV"
    profile = {"baseUrl": "https://h.example", "id": "HMDEV", "clientSecret": "cl13nt", "user": "admin"}
    write(folder / "profile.json", profile)
    write(folder / "user.admin.json", {"username": "root", "password": "pa55w0rd"})
    write(folder / "user.shop.json", {"username": "shopper", "password": "0ther"})
    write(folder / "retailer.hm_test.json", {"id": 7})
    write(folder / "retailer.hm_own.json", {"id": "8", "user": "shop"})
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_a_profile_gives_address_and_credentials(home: Path) -> None:
    profile = load_profile("HMDEV", directory=home)

    assert (profile.base_url, profile.account, profile.retailer_id) == ("https://h.example", "HMDEV", None)
    assert (profile.credentials.username, profile.credentials.password) == ("root", "pa55w0rd")


def test_a_retailers_id_is_text_and_its_user_goes_first(home: Path) -> None:
    plain = load_profile("HMDEV", retailer="hm_test", directory=home)
    own = load_profile("HMDEV", retailer="hm_own", directory=home)

    assert (plain.retailer_id, plain.credentials.username) == ("7", "root")
    assert (own.retailer_id, own.credentials.username) == ("8", "shopper")


def test_the_directory_comes_from_the_environment_else_from_home(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLUENT_PROFILE_DIR", str(home))
    from_variable = list_profiles()
    monkeypatch.delenv("FLUENT_PROFILE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    from_home = list_profiles()

    assert (from_variable, from_home) == (["HMDEV"], [])


def test_secrets_do_not_show(home: Path) -> None:
    shown = repr(load_profile("HMDEV", directory=home))

    assert "cl13nt" not in shown
    assert "pa55w0rd" not in shown


@pytest.mark.parametrize("name", ["NOPE", "", "..", "../HMDEV", ".hidden", "a/b", "empty"])
def test_an_unknown_profile_names_those_there_are(home: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="Available: HMDEV"):
        load_profile(name, directory=home)


@pytest.mark.parametrize("ref", ["nope", "../HMDEV/retailer.hm_test", ""])
def test_an_unknown_retailer_names_those_there_are(home: Path, ref: str) -> None:
    with pytest.raises(ConfigurationError, match="available: hm_own, hm_test"):
        load_profile("HMDEV", retailer=ref, directory=home)


def test_every_fault_is_told_at_once_without_a_secret(home: Path) -> None:
    write(home / "HMDEV" / "profile.json", {"baseUrl": "", "clientSecret": "cl13nt", "user": "admin"})
    write(home / "HMDEV" / "user.admin.json", '{"password": "pa55w0rd",,}')

    with pytest.raises(ConfigurationError) as caught:
        load_profile("HMDEV", retailer="nope", directory=home)

    assert len(caught.value.problems) == 4
    assert "user.admin.json:1: isn't JSON" in str(caught.value)
    assert "pa55w0rd" not in str(caught.value)


def test_a_missing_user_file_is_named(home: Path) -> None:
    (home / "HMDEV" / "user.admin.json").unlink()

    with pytest.raises(ConfigurationError, match=r"user\.admin\.json"):
        load_profile("HMDEV", directory=home)


def test_a_secret_that_others_can_read_is_warned_of(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    (home / "HMDEV" / "user.admin.json").chmod(0o644)

    load_profile("HMDEV", directory=home)

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "user.admin.json" in caplog.text


def test_a_client_is_made_from_a_profile(home: Path) -> None:
    with FluentClient.from_profile("HMDEV", retailer="hm_test", directory=home) as client:
        assert client.retailer_id == "7"
        assert "cl13nt" not in repr(client)
