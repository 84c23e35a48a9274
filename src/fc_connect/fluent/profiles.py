"""Accounts that are set up outside of the program: profiles of the Fluent CLI, and environment variables.

A profile is `<directory>/<PROFILE>/{profile,retailer.<REF>,user.<name>}.json`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fc_connect.errors import ConfigurationError
from fc_connect.fluent.auth import BearerToken, Credentials

__all__ = ["Profile", "list_profiles", "load_profile", "read_environment"]

logger = logging.getLogger(__name__)

_NAME = re.compile(
    r"[A-Za-z0-9_@+=-][A-Za-z0-9_.@+=-]*"
)  # no separator and no leading dot: it becomes a path


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a profile says about one account; its secrets don't show in `repr`."""

    name: str
    base_url: str
    credentials: Credentials
    retailer_id: str | None
    """None where no retailer was asked for."""
    retailers: tuple[str, ...] = ()
    """Refs of the retailers that the profile knows, sorted."""

    @property
    def account(self) -> str:
        """The account's id, which Fluent's profiles use as the client id."""
        return self.credentials.client_id


def list_profiles(*, directory: Path | str | None = None) -> list[str]:
    """Return the names of the profiles, sorted; none where the directory isn't there."""
    base = _base(directory)
    try:
        folders = sorted(base.iterdir())
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise ConfigurationError(f"{base}: profiles can't be listed: {exc.strerror}.") from exc
    return [f.name for f in folders if not f.name.startswith(".") and _is_file(f / "profile.json")]


def load_profile(name: str, *, retailer: str | None = None, directory: Path | str | None = None) -> Profile:
    """Read a profile, and the retailer with the ref `retailer` if given.

    The directory is `directory`, else FLUENT_PROFILE_DIR, else `~/.fluentcommerce`. A retailer's own user
    goes before the profile's.

    Raises:
        ConfigurationError: what is missing or wrong, all of it, and what there is instead.
    """
    base = _base(directory)
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"Profile {name!r} isn't a name. {_available(base)}")
    folder = base / name
    if not _is_file(folder / "profile.json"):
        raise ConfigurationError(f"There is no profile {name!r} in {base}. {_available(base)}")
    problems: list[str] = []
    profile = _read(folder / "profile.json", problems)
    base_url = _text(profile, "baseUrl", folder / "profile.json", problems)
    client_id = _text(profile, "id", folder / "profile.json", problems)
    client_secret = _text(profile, "clientSecret", folder / "profile.json", problems)
    retailer_id, user = None, None
    if retailer is not None:
        retailer_id, user = _retailer(folder, retailer, problems)
    user = user or _text(profile, "user", folder / "profile.json", problems)
    username, password = _user(folder, user, problems) if user else ("", "")
    if problems:
        raise ConfigurationError(f"Profile {name!r} in {base} can't be used:", problems=problems)
    return Profile(
        name=name,
        base_url=base_url,
        credentials=Credentials(
            client_id=client_id, client_secret=client_secret, username=username, password=password
        ),
        retailer_id=retailer_id,
        retailers=tuple(_retailers(folder)),
    )


def read_environment(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what the environment says about an account, as settings of `FluentClient`; see its `from_env`.

    Raises:
        ConfigurationError: every variable that is missing, or doesn't go with another.
    """
    given = {name: value.strip() for name, value in (os.environ if environ is None else environ).items()}
    given = {name: value for name, value in given.items() if name.startswith("FLUENT_") and value}
    problems: list[str] = []
    settings: dict[str, Any] = {"retailer_id": given.get("FLUENT_RETAILER_ID")}
    if "FLUENT_ACCOUNT" in given:
        settings["account"] = given["FLUENT_ACCOUNT"]
    if "FLUENT_PROFILE" in given:
        problems = [
            f"{name} can't be used together with FLUENT_PROFILE: the profile says it"
            for name in ("FLUENT_BASE_URL", *_LOGIN, "FLUENT_ACCESS_TOKEN")
            if name in given
        ]
        if not problems:
            retailer = given.get("FLUENT_RETAILER")
            profile = load_profile(
                given["FLUENT_PROFILE"], retailer=retailer, directory=given.get("FLUENT_PROFILE_DIR")
            )
            settings |= {"base_url": profile.base_url, "auth": profile.credentials}
            settings["retailer_id"] = settings["retailer_id"] or profile.retailer_id
            return settings
    else:
        problems += _missing(given)
    if problems:
        raise ConfigurationError(
            "The environment doesn't say which Fluent account to use:", problems=problems
        )
    settings["base_url"] = given["FLUENT_BASE_URL"]
    if token := given.get("FLUENT_ACCESS_TOKEN"):
        return {**settings, "auth": BearerToken(token)}
    client_id, client_secret, username, password = (given.get(name) for name in _LOGIN)
    return {
        **settings,
        "auth": Credentials(
            client_id=client_id or "", client_secret=client_secret or "", username=username, password=password
        ),
    }


_LOGIN = ("FLUENT_CLIENT_ID", "FLUENT_CLIENT_SECRET", "FLUENT_USERNAME", "FLUENT_PASSWORD")


def _missing(given: Mapping[str, str]) -> list[str]:
    needed = ["FLUENT_BASE_URL"]
    if "FLUENT_ACCESS_TOKEN" in given:
        both = [f"{name} can't be used together with FLUENT_ACCESS_TOKEN" for name in _LOGIN if name in given]
    else:
        both = []
        needed += ["FLUENT_CLIENT_ID", "FLUENT_CLIENT_SECRET"]
        if ("FLUENT_USERNAME" in given) != ("FLUENT_PASSWORD" in given):
            needed += ["FLUENT_USERNAME", "FLUENT_PASSWORD"]
    missing = [f"{name} is missing or empty" for name in needed if name not in given]
    if len(missing) >= 3 and "FLUENT_CLIENT_ID" not in given:
        missing.append("or name a profile of the Fluent CLI: FLUENT_PROFILE")
    return both + missing


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than file systems allow; a folder that may not be entered
        return False


def _base(directory: Path | str | None) -> Path:
    if directory is not None:
        return Path(directory).expanduser()
    if named := os.environ.get("FLUENT_PROFILE_DIR"):
        return Path(named).expanduser()
    return Path.home() / ".fluentcommerce"


def _available(base: Path) -> str:
    names = list_profiles(directory=base)
    return (
        f"Available: {', '.join(names)}."
        if names
        else f"{base} holds no profile: create one with the Fluent CLI."
    )


def _retailers(folder: Path) -> list[str]:
    return sorted(p.name[len("retailer.") : -len(".json")] for p in folder.glob("retailer.*.json"))


def _retailer(folder: Path, ref: str, problems: list[str]) -> tuple[str | None, str | None]:
    path = folder / f"retailer.{ref}.json"
    if not _NAME.fullmatch(ref) or not _is_file(path):
        known = _retailers(folder)
        listed = f"available: {', '.join(known)}" if known else "the profile has none"
        problems.append(f"there is no retailer {ref!r}; {listed}")
        return None, None
    content = _read(path, problems)
    retailer_id = _text(content, "id", path, problems)
    user = content.get("user") if content else None
    return retailer_id, user if isinstance(user, str) and user.strip() else None


def _user(folder: Path, user: str, problems: list[str]) -> tuple[str, str]:
    path = folder / f"user.{user}.json"
    if not _NAME.fullmatch(user) or not _is_file(path):
        problems.append(f"there is no file user.{user}.json for the user {user!r}")
        return "", ""
    content = _read(path, problems)
    return _text(content, "username", path, problems), _text(content, "password", path, problems)


def _read(path: Path, problems: list[str]) -> dict[str, Any] | None:
    """Return the file's object; None, with the problem noted, where it can't be read."""
    try:
        # The fault is told without the text at hand: the file holds secrets.
        content = json.loads(path.read_text("utf-8-sig"))
        mode = path.stat().st_mode
    except json.JSONDecodeError as exc:
        problems.append(f"{path.name}:{exc.lineno}: isn't JSON: {exc.msg}")
        return None
    except UnicodeDecodeError:
        problems.append(f"{path.name}: isn't UTF-8")
        return None
    except (ValueError, RecursionError):  # numbers of thousands of digits; nested without end
        problems.append(
            f"{path.name}: holds JSON that no profile needs: a huge number, or nesting without end"
        )
        return None
    except OSError as exc:
        problems.append(f"{path.name}: can't be read: {exc.strerror}")
        return None
    if not isinstance(content, dict):
        problems.append(f"{path.name}: must hold a JSON object")
        return None
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and not path.name.startswith("retailer."):
        logger.warning("%s can be read by others than its owner: chmod 600 it, it holds a secret", path)
    return content


def _text(content: dict[str, Any] | None, key: str, path: Path, problems: list[str]) -> str:
    if content is None:
        return ""
    value = content.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value.strip():
        return value
    problems.append(f"{path.name}: {key} is missing or empty")
    return ""
