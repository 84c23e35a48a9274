"""`fc-connect profiles`: the accounts that the Fluent CLI has set up on this machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click

from fc_connect.cli.options import json_option, one_line, print_json, say
from fc_connect.errors import FluentAPIError
from fc_connect.fluent import FluentClient, Profile, list_profiles, load_profile

__all__ = ["profiles"]

_WHO = "query Who { me { id ref username type status } }"

_directory = click.option(
    "--profile-dir",
    "directory",
    type=click.Path(path_type=Path),
    help="Folder of the profiles; without it FLUENT_PROFILE_DIR, then ~/.fluentcommerce.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What may be shown of a profile: no secret is among it."""

    name: str
    base_url: str
    account: str
    username: str | None
    retailers: tuple[str, ...]
    retailer_id: str | None

    @classmethod
    def of(cls, profile: Profile) -> _Shown:
        return cls(
            name=profile.name,
            base_url=_bare(profile.base_url),
            account=profile.account,
            username=profile.credentials.username,
            retailers=profile.retailers,
            retailer_id=profile.retailer_id,
        )


@click.group(invoke_without_command=True)
@click.pass_context
def profiles(context: click.Context) -> Any:
    """List the profiles of the Fluent CLI, look at one, or try whether it can log in.

    \b
    Examples:
      fc-connect profiles list
      fc-connect profiles show HMDEV --retailer hm_test
      fc-connect profiles check HMDEV
    """
    return context.invoke(list_) if context.invoked_subcommand is None else None


@profiles.command("list")
@_directory
@json_option
def list_(directory: Path | None = None, as_json: bool = False) -> int:
    """List the names of the profiles.

    \b
    Example: fc-connect profiles list --json
    """
    names = list_profiles(directory=directory)
    if as_json:
        print_json(names)
        return 0
    for name in names:
        say(one_line(name))
    if not names:
        say("There are no profiles here: create one with the Fluent CLI, or name its folder: --profile-dir")
    return 0


@profiles.command()
@click.argument("name")
@click.option("--retailer", help="Ref of one of its retailers: shows that one's id and user.")
@_directory
@json_option
def show(name: str, retailer: str | None, directory: Path | None, as_json: bool) -> int:
    """Show what a profile says, and everything that is wrong with it; never a secret.

    \b
    Example: fc-connect profiles show HMDEV
    """
    found = _Shown.of(load_profile(name, retailer=retailer, directory=directory))
    if as_json:
        print_json(found)
    else:
        _show(found)
    return 0


@profiles.command()
@click.argument("name")
@click.option("--retailer", help="Ref of one of its retailers: logs in as that one's user.")
@_directory
@json_option
def check(name: str, retailer: str | None, directory: Path | None, as_json: bool) -> int:
    """Log in with a profile and say who that is; changes nothing. Ends with 1 where it can't.

    \b
    Example: fc-connect profiles check HMDEV --retailer hm_test
    """
    profile = load_profile(name, retailer=retailer, directory=directory)
    found = _Shown.of(profile)
    who: dict[str, Any] = {}
    problem: str | None = None
    try:
        with FluentClient(base_url=profile.base_url, auth=profile.credentials) as client:
            who = client.graphql(_WHO).get("me") or {}
    except FluentAPIError as exc:
        problem = str(exc)
    if as_json:
        print_json({**asdict(found), "is_ok": problem is None, "me": who, "problem": problem})
        return 0 if problem is None else 1
    _show(found)
    if problem is not None:
        say(f"✗ {problem}")
        return 1
    named = who.get("username") or who.get("ref") or who.get("id") or "a user that Fluent doesn't name"
    kind = ", ".join(str(who[key]) for key in ("type", "status") if who.get(key))
    say(f"✓ logged in as {one_line(str(named))}" + (f" ({one_line(kind)})" if kind else ""))
    return 0


def _bare(url: str) -> str:
    """Return the address alone: a user, a password or a query that someone wrote into it is nobody's business."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "isn't a URL"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _show(found: _Shown) -> None:
    rows = {
        "profile": found.name,
        "address": found.base_url,
        "account": found.account,
        "user": found.username or "none: client credentials",
        "retailers": ", ".join(found.retailers) or "none",
    }
    if found.retailer_id is not None:
        rows["retailer id"] = found.retailer_id
    for label, value in rows.items():
        say(f"{label + ':':<13}{one_line(value)}")
