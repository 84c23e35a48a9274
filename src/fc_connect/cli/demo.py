"""`fc-connect demo`: the main job on sample data, with nothing to set up."""

from __future__ import annotations

import shutil
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from importlib import resources
from os import utime
from pathlib import Path

import click

from fc_connect.cli.options import Settings, say
from fc_connect.cli.run import run_once
from fc_connect.errors import ConfigurationError
from fc_connect.pipeline import RunResult
from fc_connect.sandbox import Sandbox

__all__ = ["demo"]


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Keep everything there, to look around afterwards."
)
@click.pass_obj
def demo(settings: Settings, folder: Path | None) -> int:
    """Show the main job: sample stock files go into a sandbox of Fluent, then a second run sends nothing.

    \b
    Examples:
      fc-connect demo
      fc-connect demo --folder /tmp/fc-demo
    """
    if folder is not None:
        if folder.exists() and any(folder.iterdir()):
            raise ConfigurationError(f"{folder} isn't empty. Name a folder that is, or is yet to be made.")
        return _show(folder, settings)
    with tempfile.TemporaryDirectory(prefix="fc-connect-demo-") as temporary:
        return _show(Path(temporary), settings)


def _show(folder: Path, settings: Settings) -> int:
    with Sandbox() as sandbox:
        _lay_out(folder, sandbox.url)
        files = sorted((folder / "inbox").iterdir())
        say(f"Sandbox of the Fluent API: {sandbox.url}")
        say(f"Inventory of {len(files)} files: real stock codes in real stores (see NOTICE.md)\n")
        say("First run")
        first = _run(folder, settings)
        _show_a_reject(folder / "rejects")
        say("\nSecond run")
        second = _run(folder, settings)
        summary = sandbox.summary()
        say(
            f"\nThe sandbox received {summary.entities:,} stock records in {len(sandbox.batches()):,} batches. "
            f"The second run sent {second.batches_sent} batches."
        )
        is_right = (
            first.success
            and second.success
            and second.batches_sent == 0
            and summary.entities == first.records_sent > 0
        )
        say("Each record arrived exactly once." if is_right else "SOMETHING IS WRONG: please report it.")
    return 0 if is_right else 1


def _show_a_reject(folder: Path) -> None:
    first = next(iter(sorted(folder.iterdir())), None) if folder.is_dir() else None
    if first is not None:
        say(f"  such as: {first.read_text(encoding='utf-8').splitlines()[0]}")


def _run(folder: Path, settings: Settings) -> RunResult:
    return run_once(
        folder / "pipeline.yaml",
        settings=settings,
        workers=1,
        wait=False,
        as_json=False,
        stop=threading.Event(),
    )


def _lay_out(folder: Path, sandbox_url: str) -> None:
    package = resources.files("fc_connect.cli")
    inbox = folder / "inbox"
    inbox.mkdir(parents=True)
    template = (package / "template" / "pipeline.yaml").read_text(encoding="utf-8")
    (folder / "pipeline.yaml").write_text(
        template.replace("${FLUENT_BASE_URL:-http://127.0.0.1:8480}", sandbox_url), encoding="utf-8"
    )
    mapping = (package / "template" / "inventory.mapping.json").read_bytes()
    (folder / "inventory.mapping.json").write_bytes(mapping)
    with resources.as_file(package / "sample") as sample:
        shutil.copy(sample / "NOTICE.md", folder)
        for number, path in enumerate(sorted(sample.glob("*.csv"))):
            copy = Path(shutil.copy(path, inbox))
            changed = (datetime(2026, 1, 15, 4, tzinfo=UTC) + timedelta(days=number)).timestamp()
            utime(copy, (changed, changed))
