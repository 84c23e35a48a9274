"""`fc-connect check` and `fc-connect preview`: look before you send."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from fc_connect.cli.options import DurationType, json_option, one_line, pipeline_argument, print_json, say
from fc_connect.cli.preview import show_row
from fc_connect.pipeline import Pipeline, PreviewRow, preflight
from fc_connect.pipeline.config import BatchTargetConfig

__all__ = ["check", "preview"]


@click.command()
@pipeline_argument
@click.option(
    "--within", type=DurationType(), default="60s", show_default=True, help="How long it may take in all."
)
@json_option
def check(pipeline_file: Path, within: timedelta, as_json: bool) -> int:
    """Look whether a run could work: pipeline file, mapping, source, state, Fluent. Sends nothing.

    Everything is looked at, whatever is wrong with the rest: who is logged in and what it may do, whether the retailer
    is there, whether files can be read and put away, and whether the first records can be sent. Ends with 1 where
    something is wrong.

    \b
    Examples:
      fc-connect check
      fc-connect check inventory.yaml --json
    """
    checks = Pipeline.from_file(pipeline_file).check(within=within)
    if as_json:
        print_json(checks)
    else:
        width = max(map(len, ("pipeline file", *(each.name for each in checks))))
        say(f"✓ {'pipeline file':<{width}}  {pipeline_file}")
        for each in checks:
            detail = each.detail.replace("\n", "\n" + " " * (width + 4))
            say(f"{'✓' if each.is_ok else '✗'} {each.name:<{width}}  {detail}")
    return 0 if all(each.is_ok for each in checks) else 1


@click.command()
@pipeline_argument
@click.option(
    "--rows", type=click.IntRange(1, 10_000), default=5, show_default=True, help="How many records."
)
@click.option("--file", "path", help="Which file; without it the oldest.")
@click.option(
    "-s",
    "--schema",
    "schema_file",
    type=click.Path(path_type=Path),
    help="Also check each entity against this GraphQL schema; ends with 1 where one doesn't fit.",
)
@click.option(
    "--type",
    "type_name",
    help="Input type of the schema that takes the entities; without it, what the batch's kind of entity needs.",
)
@json_option
def preview(
    pipeline_file: Path,
    rows: int,
    path: str | None,
    schema_file: Path | None,
    type_name: str | None,
    as_json: bool,
) -> int:
    """Show what the first records of a file would become, field by field. Sends and stores nothing.

    \b
    Examples:
      fc-connect preview
      fc-connect preview inventory.yaml --file stock-2026-01-31.csv --rows 20
      fc-connect preview --schema schema.graphql --type CreateInventoryPositionInput
    """
    pipeline = Pipeline.from_file(pipeline_file)
    expected = _expected(pipeline, schema_file, type_name)
    shown = pipeline.preview(rows=rows, path=path)
    batch = pipeline.config.target.batch
    misfits = [_misfits(row, batch, expected) for row in shown.rows]
    checked = [
        replace(row, problems=row.problems + faults) for row, faults in zip(shown.rows, misfits, strict=True)
    ]
    shown = replace(shown, rows=tuple(checked))
    ended = 1 if expected is not None and any(misfits) else 0
    if as_json:
        print_json(shown)
        return ended
    say(one_line(shown.path))
    for row in shown.rows:
        say("")
        show_row(row)
    for hint in shown.hints:
        say(f"\nHint: {one_line(hint)}")
    return ended


def _expected(pipeline: Pipeline, schema_file: Path | None, type_name: str | None) -> Any:
    """Return the type that takes the entities; None where nothing was asked for."""
    if schema_file is None:
        if type_name is not None:
            raise click.UsageError("--type needs --schema FILE; `fc-connect schema fetch` writes one.")
        return None
    from fc_connect.mapping import batch_entity_type, input_type, read_schema_file

    schema = read_schema_file(schema_file).schema
    if type_name is not None:
        return input_type(schema, type_name)
    return batch_entity_type(pipeline.config.target.batch.entity_type)


def _misfits(row: PreviewRow, batch: BatchTargetConfig, expected: Any) -> tuple[str, ...]:
    if row.entity is None:
        return ()
    found = preflight([row.entity], entity_type=batch.entity_type, action=batch.action, expected=expected)
    against = "" if expected is None else f"{expected.name}: "
    return tuple(
        f"{against}{each.field}: {each.message}" for each in found.problems if each.index is not None
    )
