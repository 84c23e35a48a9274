"""`fc-connect mapping`: write a mapping to begin with, check it, see what it covers, see what a source holds."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fc_connect.cli.mapping_new import new
from fc_connect.cli.mapping_reports import (
    analysis_markdown,
    analysis_text,
    coverage_markdown,
    coverage_text,
    inspection_text,
)
from fc_connect.cli.options import json_option, print_json, say
from fc_connect.cli.samples import Sample, read_sample, sample_options
from fc_connect.cli.schema_options import SchemaOrigin, schema_options, write_whole
from fc_connect.errors import ConfigurationError, FCConnectError

if TYPE_CHECKING:
    from fc_connect.mapping import Expectation

__all__ = ["mapping"]

VALIDATE_CODES = """
\b
Exit codes:
  0  every mapping is valid
  1  one has errors
  2  with --strict: one has warnings
  3  an argument or a file can't be used; nothing is known about the mapping
"""
COVERAGE_CODES = """
\b
Exit codes:
  0  every mapping covers what was asked for
  1  one is below --min-coverage or --min-required
  2  an argument or a file can't be used
"""


class _UnusableError(click.UsageError):
    exit_code = 3


class _ThreeForUsage(click.Command):
    """Ends with 3 where arguments or files can't be used: 1 and 2 say something about the mapping."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **options)
        except click.UsageError as exc:
            raise _UnusableError(exc.message, exc.ctx) from exc

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as exc:
            raise _UnusableError(exc.message, exc.ctx) from exc
        except FCConnectError as exc:
            say(f"Error: {exc}", err=True)
            return 3


@click.group()
def mapping() -> None:
    """Write a mapping to begin with, check it, see what it covers, see what a source holds.

    \b
    Examples:
      fc-connect mapping analyze stock.csv
      fc-connect mapping new --sample stock.csv --entity INVENTORY -o stock.mapping.json
      fc-connect mapping validate stock.mapping.json --sample stock.csv
    """


@mapping.command(cls=_ThreeForUsage, epilog=VALIDATE_CODES)
@click.argument("files", nargs=-1, required=True)
@schema_options
@click.option(
    "--type", "type_name", help="Input type that takes the entities, where the file doesn't say it."
)
@click.option("--entity", help="Kind of a batch's entities, where the file doesn't say it: INVENTORY.")
@click.option(
    "--sample",
    "sample_file",
    type=click.Path(path_type=Path),
    help="A file of the source: its records are mapped, and the entities checked.",
)
@sample_options
@click.option(
    "--resolvers", "resolvers_file", type=click.Path(path_type=Path), help="File of resolvers of your own."
)
@click.option(
    "--strict", "--warnings-as-errors", "strict", is_flag=True, help="End with 2 where there are warnings."
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors alone.")
@json_option
def validate(
    origin: SchemaOrigin,
    files: tuple[str, ...],
    type_name: str | None,
    entity: str | None,
    sample_file: Path | None,
    file_format: str | None,
    delimiter: str | None,
    encoding: str,
    at: str | None,
    records: int,
    resolvers_file: Path | None,
    strict: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Check mapping files: their format, and against a schema.

    Against the schema: every field that takes no null is mapped, also in objects that are required or mapped; every
    target is there; constants and resolvers fit the types. The type is that of the mutation, or what the file says
    (`entityType`, `metadata: {type}`), or what the options say. A TODO is an error.

    With --sample the first records of a file are mapped too: a record that is rejected is a warning (an error where
    all are), and an entity that the target would refuse an error.

    \b
    Examples:
      fc-connect mapping validate stock.mapping.json
      fc-connect mapping validate mappings/*.json --schema schema.graphql --strict
      fc-connect mapping validate order.mapping.json --profile HMDEV --json
    """
    from fc_connect.mapping import inspect_mapping

    sample = (
        None
        if sample_file is None
        else read_sample(
            sample_file,
            file_format=file_format,
            delimiter=delimiter,
            encoding=encoding,
            records=records,
            at=at,
            keep=True,
        )
    )
    expected = _expectation(origin, type_name, entity, sample, resolvers_file)
    found = [inspect_mapping(path, expected) for path in _paths(files)]
    if as_json:
        print_json([each.to_dict() for each in found])
    for each in () if as_json else found:
        _say_lines(inspection_text(each, is_quiet=quiet, is_strict=strict))
    if any(each.errors for each in found):
        return 1
    return 2 if strict and any(each.warnings for each in found) else 0


@mapping.command(epilog=COVERAGE_CODES)
@click.argument("files", nargs=-1, required=True)
@schema_options
@click.option(
    "--type", "type_name", help="Input type that takes the entities, where the file doesn't say it."
)
@click.option("--entity", help="Kind of a batch's entities, where the file doesn't say it: INVENTORY.")
@click.option("--min-coverage", type=click.FloatRange(0, 100), help="Per cent of all fields.")
@click.option("--min-required", type=click.FloatRange(0, 100), help="Per cent of the required fields.")
@click.option("--show-missing", is_flag=True, help="Name each field that isn't mapped.")
@click.option(
    "--format",
    "shown_as",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    show_default=True,
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it to a file.")
def coverage(
    origin: SchemaOrigin,
    files: tuple[str, ...],
    type_name: str | None,
    entity: str | None,
    min_coverage: float | None,
    min_required: float | None,
    show_missing: bool,
    shown_as: str,
    output: Path | None,
) -> int:
    """Say how much of its target a mapping fills.

    Fields of nested objects count too, by their paths, where the object is required or the mapping fills some of it;
    an optional object that isn't mapped counts as one field. Percentages are rounded down.

    \b
    Examples:
      fc-connect mapping coverage stock.mapping.json
      fc-connect mapping coverage order.mapping.json --schema schema.graphql --min-required 100 --show-missing
    """
    from fc_connect.mapping import inspect_mapping

    expected = _expectation(origin, type_name, entity, None, None)
    found = [inspect_mapping(path, expected) for path in _paths(files)]
    for each in found:
        if not each.against:
            raise ConfigurationError(
                f"What {each.file} should cover isn't known: name a schema (--schema, --profile), or --entity."
            )
    counted = [each.coverage for each in found]
    if shown_as == "json":
        shown: Any = [each.to_dict() for each in counted]
        _deliver_json(shown[0] if len(shown) == 1 else shown, output)
    else:
        report = coverage_text if shown_as == "table" else coverage_markdown
        _deliver(
            "\n".join(line for each in counted for line in [*report(each, shows_missing=show_missing), ""]),
            output,
        )
    is_below = any(
        (min_coverage is not None and each.percent < min_coverage)
        or (min_required is not None and each.required_percent < min_required)
        for each in counted
    )
    if is_below:
        say("Below what was asked for.", err=True)
    return 1 if is_below else 0


@mapping.command()
@click.argument("source", type=click.Path(path_type=Path))
@sample_options
@click.option(
    "--as",
    "shown_as",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    show_default=True,
    help="How to show it.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --as json.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it to a file.")
def analyze(
    source: Path,
    file_format: str | None,
    delimiter: str | None,
    encoding: str,
    at: str | None,
    records: int,
    shown_as: str,
    as_json: bool,
    output: Path | None,
) -> int:
    """Show the structure of a source: paths, types, gaps, samples, and the resolver that each seems to want.

    A question mark stands before what only a person can decide, such as 01/02/2026.

    \b
    Examples:
      fc-connect mapping analyze stock.csv
      fc-connect mapping analyze orders.xml --at Orders.Order --records 100
      fc-connect mapping analyze orders.json --as markdown -o orders.md
    """
    sample = read_sample(
        source, file_format=file_format, delimiter=delimiter, encoding=encoding, records=records, at=at
    )
    if as_json or shown_as == "json":
        about = {
            "file": str(source),
            "format": sample.format,
            "delimiter": sample.delimiter,
            "recordsAt": sample.records_at,
            "hasMore": sample.has_more,
            "badRecords": sample.bad_count,
            **sample.profiler.to_dict(),
        }
        _deliver_json(about, output)
    else:
        report = analysis_text if shown_as == "table" else analysis_markdown
        _deliver("\n".join(report(sample)), output)
    return 0


mapping.add_command(new)


# Parts


def _expectation(
    origin: SchemaOrigin,
    type_name: str | None,
    entity: str | None,
    sample: Sample | None,
    resolvers_file: Path | None,
) -> Expectation:
    from fc_connect.mapping import Expectation

    if type_name is not None and entity is not None:
        raise click.UsageError("--type and --entity can't be used together.")
    kept = origin.load()
    if type_name is not None and kept is None:
        raise click.UsageError("--type needs a schema: --schema FILE, or an account (--profile, --endpoint).")
    resolvers = {}
    if resolvers_file is not None:
        from fc_connect.pipeline.resolvers import load_resolvers

        resolvers = load_resolvers(str(resolvers_file), base=Path.cwd())
    return Expectation(
        schema=None if kept is None else kept.schema,
        type_name=type_name,
        entity_type=entity,
        columns=[each.path for each in sample.profiles]
        if sample is not None and sample.format == "csv"
        else None,
        records=None if sample is None else sample.records,
        resolvers=resolvers,
    )


def _paths(files: tuple[str, ...]) -> list[Path]:
    """Return the files; a pattern that the shell left alone is expanded here."""
    found: list[Path] = []
    for each in files:
        path = Path(each)
        if path.exists() or not glob.has_magic(each):
            found.append(path)
            continue
        matching = sorted(glob.glob(each, recursive=True))  # noqa: PTH207 - it may be absolute
        if not matching:
            raise ConfigurationError(f"No file matches {each!r}.")
        found += map(Path, matching)
    return found


def _deliver_json(content: Any, output: Path | None) -> None:
    if output is None:
        print_json(content)
    else:
        _deliver(json.dumps(content, indent=2, ensure_ascii=False, default=str), output)


def _deliver(text: str, output: Path | None) -> None:
    if output is None:
        say(text.rstrip("\n"))
    else:
        write_whole(output, text.rstrip("\n") + "\n")
        say(f"wrote {output}", err=True)


def _say_lines(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)
