"""`fc-connect webhook`: the receiver, its queue, the keys of its callers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from fc_connect.cli.options import DurationType, Settings, json_option, one_line, print_json, say
from fc_connect.errors import ConfigurationError, StateError
from fc_connect.kv import open_kv
from fc_connect.observe import configure_logging
from fc_connect.webhook import APIKeys, Inbox, QueuedEvent, WebhookConfig, load_webhook_config

__all__ = ["webhook"]

DEFAULT_FILE = "webhook.yaml"


@click.group()
def webhook() -> None:
    """Receive webhooks: each verified, queued, acknowledged, and handed on until it was handled.

    \b
    Examples:
      fc-connect webhook serve
      fc-connect webhook queue list --dead
      fc-connect webhook keys add erp --hook orders --expires 90d
    """


def file_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take the webhook file as an option."""
    return click.option(
        "-f",
        "--file",
        "file",
        type=click.Path(path_type=Path),
        default=DEFAULT_FILE,
        show_default=True,
        help="The webhook file.",
    )(command)


@webhook.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--hook",
    "hooks",
    multiple=True,
    metavar="NAME=TARGET",
    help="module:function, file.py:function or a pipeline file.",
)
@click.option(
    "--fluent-key",
    "keys",
    multiple=True,
    help="Fluent's public key: base64, or file:<path>. Again for another.",
)
@click.option("--state", help="Store of the queue, such as sqlite:///webhooks.db.")
@click.option("--host", help="Address to listen on; 127.0.0.1 unless told.")
@click.option("--port", type=click.IntRange(0, 65535), help="8490 unless told; 0: any free one.")
@click.pass_context
def serve(
    context: click.Context,
    file: Path | None,
    hooks: tuple[str, ...],
    keys: tuple[str, ...],
    state: str | None,
    host: str | None,
    port: int | None,
) -> int:
    """Run the receiver: from a file (webhook.yaml unless told), or from options alone with --hook.

    An event is acknowledged once it is in the store. Killed at any moment, it hands on after the next start what it
    hadn't.

    \b
    Examples:
      fc-connect webhook serve
      fc-connect webhook serve --hook orders=shop.py:handle --fluent-key file:fluent.pem
      fc-connect webhook serve --hook stock=inventory.yaml --fluent-key file:fluent.pem --port 9000
    """
    from fc_connect.webhook.serve import serve as run

    settings: Settings = context.obj
    if (
        context.find_root().get_parameter_source("log_level") is click.core.ParameterSource.DEFAULT
        and not settings.debug
    ):
        configure_logging(level="info", json=settings.json_logs, stream=sys.stderr)  # a line for each event
    if hooks:
        if file is not None:
            raise click.UsageError("Give a file or --hook, not both.")
        config = _from_options(hooks, keys, state)
    else:
        config = load_webhook_config(file or DEFAULT_FILE)
        if keys or state is not None:
            raise click.UsageError("--fluent-key and --state go with --hook; a file says them itself.")
    listen = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    if listen:
        base_dir = config.base_dir
        config = config.model_copy(update={"listen": config.listen.model_copy(update=listen)})
        config._base_dir = base_dir
    sys.path.insert(0, str(config.base_dir))  # `module:function` may lie beside the file
    run(config, announce=say)
    return 0


def _from_options(hooks: tuple[str, ...], keys: tuple[str, ...], state: str | None) -> WebhookConfig:
    from fc_connect.webhook.config import parse_webhook_config

    given: dict[str, Any] = {"webhook": "webhooks", "fluent_keys": list(keys), "hooks": {}}
    for each in hooks:
        name, mark, target = each.partition("=")
        if not mark or not target:
            raise click.BadParameter(f"{each!r} must be NAME=TARGET, such as orders=shop.py:handle")
        is_pipeline = Path(target).suffix.lower() in {".yaml", ".yml", ".json", ".toml"}
        given["hooks"][name] = {"pipeline" if is_pipeline else "handler": target}
    if state is not None:
        given["state"] = state
    return parse_webhook_config(given)


@contextmanager
def _inbox(file: Path) -> Iterator[Inbox]:
    from fc_connect.webhook.serve import open_inbox

    config = load_webhook_config(file)
    with open_kv(config.state_url) as kv:
        yield open_inbox(config, kv)


@webhook.group()
def queue() -> None:
    """Look at events that were accepted and aren't handled yet, and at those that were given up.

    \b
    Example: fc-connect webhook queue list --dead
    """


@queue.command("list")
@file_option
@click.option("--dead", is_flag=True, help="Those that were given up.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@json_option
def list_(file: Path, dead: bool, limit: int, as_json: bool) -> int:
    """List events: the next due first; with --dead, the oldest first.

    \b
    Example: fc-connect webhook queue list --dead --json
    """
    with _inbox(file) as inbox:
        found = list(inbox.dead(limit=limit) if dead else inbox.waiting(limit=limit))
        waiting, given_up = inbox.counts()
    if as_json:
        print_json([_shown(each) for each in found])
        return 0
    for each in found:
        tail = f"  {one_line(each.error)}" if each.error else ""
        when = f"given up {_time(each.dead_at)}" if each.dead_at else f"due {_time(each.due_at)}"
        say(
            f"{each.item_id}  {each.hook}  {one_line(each.name or '-')} {one_line(each.event_id or '-')}  from "
            f"{each.sender}  {when}, {each.attempts} failed{tail}"
        )
    say(
        f"{waiting:,} waiting, {given_up:,} given up."
        if found
        else "None. " + f"{waiting:,} waiting, {given_up:,} given up."
    )
    return 0


@queue.command()
@file_option
@click.argument("item")
def show(file: Path, item: str) -> int:
    """Show one event, its body included.

    \b
    Example: fc-connect webhook queue show 3f2a…
    """
    with _inbox(file) as inbox:
        event = inbox.get(item)
    if event is None:
        raise StateError(f"The queue has no event {item!r}. See: fc-connect webhook queue list")
    print_json({**_shown(event), "body": event.body.decode("utf-8", "replace")})
    return 0


@queue.command()
@file_option
@click.argument("items", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every event that was given up.")
def replay(file: Path, items: tuple[str, ...], everything: bool) -> int:
    """Hand events on again at once, with all attempts anew.

    \b
    Example: fc-connect webhook queue replay --all
    """
    if bool(items) == everything:
        raise click.UsageError("Name events, or give --all.")
    with _inbox(file) as inbox:
        for each in [event.item_id for event in inbox.dead()] if everything else items:
            say(f"{each} ({inbox.replay(each).hook}) is handed on again")
    return 0


@queue.command()
@file_option
@click.argument("items", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Don't ask.")
def drop(file: Path, items: tuple[str, ...], yes: bool) -> int:
    """Forget events for good, UNHANDLED.

    \b
    Example: fc-connect webhook queue drop 3f2a…
    """
    if not yes:
        click.confirm(f"{len(items)} events will never be handled. Go on?", abort=True)
    with _inbox(file) as inbox:
        for each in items:
            say(f"{each} ({inbox.drop(each).hook}) is forgotten")
    return 0


@webhook.group()
def keys() -> None:
    """API keys of callers that aren't Fluent, for hooks that accept them (`accepts: [api-key]`).

    \b
    Example: fc-connect webhook keys add erp --hook orders --expires 90d
    """


@contextmanager
def _keys(file: Path) -> Iterator[tuple[APIKeys, WebhookConfig, datetime]]:
    config = load_webhook_config(file)
    with open_kv(config.state_url) as kv:
        yield APIKeys(kv, workflow_id=config.workflow_id), config, kv.now()


@keys.command()
@file_option
@click.argument("name")
@click.option(
    "--hook", "hooks", multiple=True, required=True, help="A hook that it may call; * for every one."
)
@click.option("--expires", type=DurationType(), help="Such as 90d; without it, never.")
def add(file: Path, name: str, hooks: tuple[str, ...], expires: timedelta | None) -> int:
    """Make a key. It is shown once: only its digest is stored.

    \b
    Example: fc-connect webhook keys add erp --hook orders --expires 90d
    """
    with _keys(file) as (stored, config, _):
        if unknown := [each for each in hooks if each != "*" and each not in config.hooks]:
            raise ConfigurationError(f"{file} has no hook {', '.join(unknown)}.")
        key, record = stored.create(name, scopes=hooks, expires_in=expires)
    until = "never expires" if record.expires_at is None else f"expires {_time(record.expires_at)}"
    say(
        f"{record.name} ({record.key_id}), for {', '.join(record.scopes)}, {until}. It isn't shown again:",
        err=True,
    )
    click.echo(key)
    return 0


@keys.command("list")
@file_option
@json_option
def list_keys(file: Path, as_json: bool) -> int:
    """List the keys: whose, for what, until when.

    \b
    Example: fc-connect webhook keys list
    """
    with _keys(file) as (stored, _, now):
        found = list(stored.list())
    if as_json:
        print_json([{k: v for k, v in asdict(each).items() if k != "sha256"} for each in found])
        return 0
    for each in found:
        status = "live" if each.is_live(now) else "revoked" if each.revoked_at else "expired"
        until = "never expires" if each.expires_at is None else f"until {_time(each.expires_at)}"
        say(f"{each.key_id}  {each.name}  {status}, {until}  for {', '.join(each.scopes)}")
    if not found:
        say("No keys.")
    return 0


@keys.command()
@file_option
@click.argument("key_id")
def revoke(file: Path, key_id: str) -> int:
    """Let a key count no more, from the next call on (an id from `keys list`).

    \b
    Example: fc-connect webhook keys revoke 1f2e3d4c5b6a
    """
    with _keys(file) as (stored, _, _now):
        record = stored.revoke(key_id)
    if record is None:
        raise StateError("There is no key of that id. See: fc-connect webhook keys list")
    say(f"{record.name} ({record.key_id}) is revoked.")
    return 0


def _shown(event: QueuedEvent) -> dict[str, Any]:
    return {key: value for key, value in asdict(event).items() if key != "packed"}


def _time(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"
