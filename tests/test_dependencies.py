"""What the locks pin, and what is told of it: the bill of materials, the audit."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((HERE / "pyproject.toml").read_text())
LOCKS = sorted((HERE / "lock").glob("*.txt"))


def pinned(lock: Path) -> dict[str, str]:
    """Return the versions that a lock pins, by name; fails where a line isn't one version with hashes."""
    found: dict[str, str] = {}
    for line in lock.read_text().replace("\\\n", " ").splitlines():
        text, *hashes = line.partition("#")[0].split("--hash=")
        if not text.strip():
            continue
        pin = Requirement(text)
        assert pin.url is None, f"{lock.name}: a URL is no version: {line}"
        [version] = pin.specifier
        assert version.operator == "==", f"{lock.name}: isn't pinned: {line}"
        assert hashes, f"{lock.name}: has no hashes: {line}"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each.strip()) for each in hashes), (
            f"{lock.name}: {line}"
        )
        found[canonicalize_name(pin.name)] = version.version
    return found


def required(lines: list[str]) -> list[Requirement]:
    return [Requirement(line) for line in lines if not line.startswith("fc-connect[")]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_every_line_to_one_version_with_hashes(lock: Path) -> None:
    assert pinned(lock)


def test_every_lock_pins_what_the_project_asks_for() -> None:
    direct = required(PROJECT["project"]["dependencies"])
    extras = [
        each for lines in PROJECT["project"]["optional-dependencies"].values() for each in required(lines)
    ]
    dev = required(PROJECT["dependency-groups"]["dev"])
    build = required(PROJECT["build-system"]["requires"])

    for name, wanted in (
        ("runtime", direct),
        ("all", direct + extras),
        ("dev", direct + extras + dev),
        ("build", build),
    ):
        versions = pinned(HERE / f"lock/{name}.txt")
        for each in wanted:
            version = versions.get(canonicalize_name(each.name))
            assert version is not None, f"lock/{name}.txt lacks {each}: renew it (see CONTRIBUTING.md)"
            assert each.specifier.contains(version), f"lock/{name}.txt has {version}, not {each}"


def test_what_is_tested_is_what_is_shipped() -> None:
    tested = pinned(HERE / "lock/dev.txt")

    for name in ("runtime", "all"):
        shipped = pinned(HERE / f"lock/{name}.txt")
        assert {each: tested.get(each) for each in shipped} == shipped


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return made_bill(tmp_path_factory.mktemp("bill") / "sbom.json")


def made_bill(path: Path) -> bytes:
    subprocess.run([HERE / "scripts/sbom", path], check=True, capture_output=True)
    return path.read_bytes()


def test_the_bill_of_materials_lists_exactly_what_the_lock_pins(bill: bytes) -> None:
    content = json.loads(bill)

    listed = {canonicalize_name(each["name"]): each["version"] for each in content["components"]}
    assert content["bomFormat"] == "CycloneDX"
    assert content["metadata"]["component"]["name"] == "fc-connect"
    assert content["metadata"]["component"]["version"] == PROJECT["project"]["version"]
    assert listed == pinned(HERE / "lock/all.txt")
    assert all(each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}" for each in content["components"])


def test_the_same_lock_gives_the_same_bill_of_materials(bill: bytes, tmp_path: Path) -> None:
    assert made_bill(tmp_path / "again.json") == bill


@pytest.mark.parametrize(
    ("told", "code", "words"),
    [
        ({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}, 0, "no advisory known"),
        (
            {
                "dependencies": [
                    {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
                ]
            },
            1,
            "a 1: PYSEC-1, mended in 2",
        ),
        ({"dependencies": [{"name": "a", "skip_reason": "not found"}]}, 3, "NOT AUDITED"),
        (None, 3, "NOT AUDITED"),
    ],
    ids=["clean", "flawed", "unknown-to-the-service", "service-away"],
)
def test_an_audit_proves_nothing_where_the_service_could_not_tell(
    told: dict[str, Any] | None, code: int, words: str, tmp_path: Path
) -> None:
    # A program in pip-audit's place: the services themselves are far away, and their answers change.
    answer = "raise SystemExit('no route to host')" if told is None else f"print({json.dumps(told)!r})"
    (tmp_path / "pip_audit.py").write_text(answer)

    done = subprocess.run(
        [sys.executable, "scripts/audit.py"],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr
