"""`fc-connect schema`: fetch the GraphQL schema of an account, and look whether a file of one can be relied on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fc_connect.cli.options import json_option, one_line, print_json, say
from fc_connect.cli.schema_options import SchemaOrigin, connection_options, fetch_schema, write_whole
from fc_connect.clock import SystemClock
from fc_connect.errors import ConfigurationError

if TYPE_CHECKING:
    from fc_connect.mapping import SchemaFile

__all__ = ["schema"]

_SHOWN = 20


@click.group()
def schema() -> None:
    """Fetch the GraphQL schema of an account, and check files of one.

    \b
    Examples:
      fc-connect schema fetch --profile HMDEV
      fc-connect schema validate schema.graphql
    """


@schema.command()
@connection_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default="schema.graphql",
    show_default=True,
    help="Where to write it; - is standard output.",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["sdl", "json"]),
    help="SDL, or the introspection as JSON. Without it, JSON where the file's name ends with .json.",
)
def fetch(origin: SchemaOrigin, output: Path, file_format: str | None) -> int:
    """Ask an account for its schema and write it to a file, with when and from where it was fetched.

    The file is written whole or not at all, and only if the answer is a whole schema.

    \b
    Examples:
      fc-connect schema fetch --profile HMDEV
      fc-connect schema fetch --endpoint http://127.0.0.1:8480       the sandbox of this machine
      fc-connect schema fetch --pipeline pipeline.yaml -o schema.json
    """
    as_json = output.suffix == ".json" if file_format is None else file_format == "json"
    with origin.open_client() as client:
        text = fetch_schema(client, as_json=as_json)
        address = client.base_url
    if str(output) == "-":
        click.echo(text, nl=False)
        return 0
    write_whole(output, text)
    from fc_connect.mapping import read_schema_file

    counted = _described(read_schema_file(output))
    say(
        f"wrote {output}: {counted['types']:,} types, {counted['inputs']:,} of them inputs; "
        f"{counted['queries']:,} queries, {counted['mutations']:,} mutations; from {address}"
    )
    return 0


@schema.command()
@click.argument("schema_file", type=click.Path(path_type=Path))
@click.option(
    "--document",
    "documents",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Also check the queries and mutations of this .graphql file against it; may be given several times.",
)
@click.option(
    "--strict", is_flag=True, help="End with 1 also where the schema itself breaks rules of GraphQL."
)
@json_option
def validate(schema_file: Path, documents: tuple[Path, ...], strict: bool, as_json: bool) -> int:
    """Check a schema file: whole, valid GraphQL, how old.

    A file that can't be used as a schema (empty, cut short, an answer with errors) ends with 2; documents that don't
    fit end with 1. Rules of GraphQL that the schema itself breaks are told: its server lives by it all the same.

    \b
    Examples:
      fc-connect schema validate schema.graphql
      fc-connect schema validate schema.json --document create-order.graphql
    """
    from fc_connect.mapping import read_schema_file

    kept = read_schema_file(schema_file)
    described = _described(kept)
    warnings: list[str] = described.pop("faults")
    errors = [fault for path in documents for fault in _faults_of_document(kept, path)]
    is_bad = bool(errors) or (strict and bool(warnings))
    if as_json:
        shown = {
            "file": str(schema_file),
            "valid": not is_bad,
            "errors": errors,
            "warnings": warnings,
            **described,
        }
        print_json(shown)
        return 1 if is_bad else 0
    say(f"{'✗' if is_bad else '✓'} {schema_file}")
    say(f"  {described['types']:,} types, {described['inputs']:,} of them inputs")
    say(f"  {described['queries']:,} queries, {described['mutations']:,} mutations")
    say(f"  fetched: {described['fetchedAt'] or 'unknown'} from {described['fetchedFrom'] or 'unknown'}")
    for mark, found in (("✗", errors), ("!", warnings)):
        for each in found[:_SHOWN]:
            say(f"  {mark} {one_line(each)}")
        if len(found) > _SHOWN:
            say(f"  {mark} … {len(found):,} in all")
    return 1 if is_bad else 0


def _described(kept: SchemaFile) -> dict[str, Any]:
    from fc_connect.mapping import describe_schema

    age = kept.age(now=SystemClock().now())
    return {
        **describe_schema(kept.schema),
        "fetchedAt": None if kept.fetched_at is None else kept.fetched_at.isoformat(),
        "fetchedFrom": kept.fetched_from,
        "ageSeconds": None if age is None else int(age.total_seconds()),
    }


def _faults_of_document(kept: SchemaFile, path: Path) -> list[str]:
    from fc_connect.mapping import check_document

    try:
        text = path.read_text("utf-8-sig")
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{path} can't be read: {exc}") from exc
    return [f"{path}: {fault}" for fault in check_document(kept.schema, text)]
