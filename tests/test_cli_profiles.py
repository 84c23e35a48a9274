from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from fc_connect.cli.main import cli
from fc_connect.sandbox import Credentials, Sandbox


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "HMDEV"
    folder.mkdir()
    write(folder / "user.admin.json", {"username": "hm_admin", "password": "pa55word-1"})
    write(folder / "retailer.hm_test.json", {"id": 7})
    write_profile(tmp_path, "https://user:ur1-secret@fluent.example/?key=ur1-secret")
    return tmp_path


def write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))
    path.chmod(0o600)


def write_profile(home: Path, base_url: str) -> None:
    profile = {"baseUrl": base_url, "id": "ACME", "clientSecret": "cl13nt-secret", "user": "admin"}
    write(home / "HMDEV" / "profile.json", profile)


def asked(home: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        cli, ["profiles", *arguments, "--profile-dir", str(home)], standalone_mode=False
    )
    assert result.exception is None, result.exception
    return result.return_value, result.output


def test_profiles_are_listed_by_name(home: Path) -> None:
    assert asked(home, "list") == (0, "HMDEV\n")
    assert json.loads(asked(home, "list", "--json")[1]) == ["HMDEV"]
    assert "create one with the Fluent CLI" in asked(home / "nowhere", "list")[1]


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_a_profile_is_shown_without_a_secret(home: Path, form: list[str]) -> None:
    code, output = asked(home, "show", "HMDEV", "--retailer", "hm_test", *form)

    assert code == 0
    assert {"ACME", "hm_admin", "hm_test", "7"} <= set(output.replace('"', " ").replace(",", " ").split())
    assert "https://fluent.example/" in output
    assert "secret" not in output
    assert "pa55word" not in output


def test_check_logs_in_and_says_who_that_is(home: Path) -> None:
    with Sandbox() as sandbox:
        write_profile(home, sandbox.url)

        code, output = asked(home, "check", "HMDEV")
        _, as_json = asked(home, "check", "HMDEV", "--json")

        assert not sandbox.batches()
        assert not sandbox.jobs()

    assert code == 0
    assert "✓ logged in as sandbox-user" in output
    assert json.loads(as_json)["me"]["ref"] == "sandbox-user"
    assert "secret" not in output + as_json


def test_check_ends_with_1_where_the_login_is_refused(home: Path) -> None:
    with Sandbox(credentials=Credentials(client_id="ACME", client_secret="another")) as sandbox:
        write_profile(home, sandbox.url)

        code, output = asked(home, "check", "HMDEV")
        _, as_json = asked(home, "check", "HMDEV", "--json")

    assert code == 1
    assert "✗ POST /oauth/token" in output
    assert json.loads(as_json)["is_ok"] is False
    assert "cl13nt" not in output + as_json


def test_an_address_that_is_none_is_told(home: Path) -> None:
    write_profile(home, "https://[secret")

    code, output = asked(home, "show", "HMDEV")

    assert code == 0
    assert "isn't a URL" in output
    assert "secret" not in output
