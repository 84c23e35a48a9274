"""`fc-connect check` and `fc-connect preview`: look before you send."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from fc_connect.cli.options import json_option, one_line, pipeline_argument, print_json, say
from fc_connect.cli.preview import show_row
from fc_connect.pipeline import Pipeline, PreviewRow

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
    misfits: dict[int, tuple[str, ...]] = {}
    if expected is not None:
        misfits = {
            place: faults for place, row in enumerate(shown.rows) if (faults := _misfits(row, expected))
        }
        checked = [
            replace(row, problems=row.problems + misfits.get(n, ())) for n, row in enumerate(shown.rows)
        ]
        shown = replace(shown, rows=tuple(checked))
    if as_json:
        print_json(shown)
        return 1 if misfits else 0
    say(one_line(shown.path))
    for row in shown.rows:
        say("")
        show_row(row)
    for hint in shown.hints:
        say(f"\nHint: {one_line(hint)}")
    return 1 if misfits else 0


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


def _misfits(row: PreviewRow, expected: Any) -> tuple[str, ...]:
    from fc_connect.mapping import check_value

    if row.entity is None:
        return ()
    return tuple(
        f"{expected.name}: {each.field}: {each.reason}"
        + (f", not {each.value!r}" if each.reason.startswith("expected") else "")
        for each in check_value(expected, row.entity)
    )
