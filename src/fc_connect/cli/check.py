"""`fc-connect check` and `fc-connect preview`: look before you send."""

from __future__ import annotations

from pathlib import Path

import click

from fc_connect.cli.options import json_option, one_line, pipeline_argument, print_json, say
from fc_connect.cli.preview import show_row
from fc_connect.pipeline import Pipeline

__all__ = ["check", "preview"]


@click.command()
@pipeline_argument
@json_option
def check(pipeline_file: Path, as_json: bool) -> int:
    """Look whether a run could work: pipeline file, mapping, source, state, Fluent. Sends nothing.

    \b
    Examples:
      fc-connect check
      fc-connect check inventory.yaml --json
    """
    checks = Pipeline.from_file(pipeline_file).check()
    if as_json:
        print_json(checks)
    else:
        say(f"✓ pipeline file: {pipeline_file}")
        for each in checks:
            say(f"{'✓' if each.is_ok else '✗'} {each.name}: {each.detail}")
    return 0 if all(each.is_ok for each in checks) else 1


@click.command()
@pipeline_argument
@click.option(
    "--rows", type=click.IntRange(1, 10_000), default=5, show_default=True, help="How many records."
)
@click.option("--file", "path", help="Which file; without it the oldest.")
@json_option
def preview(pipeline_file: Path, rows: int, path: str | None, as_json: bool) -> int:
    """Show what the first records of a file would become, field by field. Sends and stores nothing.

    \b
    Examples:
      fc-connect preview
      fc-connect preview inventory.yaml --file stock-2026-01-31.csv --rows 20
    """
    shown = Pipeline.from_file(pipeline_file).preview(rows=rows, path=path)
    if as_json:
        print_json(shown)
        return 0
    say(one_line(shown.path))
    for row in shown.rows:
        say("")
        show_row(row)
    return 0
