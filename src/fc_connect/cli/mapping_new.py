"""`fc-connect mapping new`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fc_connect.cli.options import say
from fc_connect.cli.samples import Sample, read_sample, sample_options
from fc_connect.cli.schema_options import SchemaOrigin, schema_options, write_whole
from fc_connect.errors import ConfigurationError
from fc_connect.observe import printable_json

if TYPE_CHECKING:
    from fc_connect.mapping import Draft

__all__ = ["new"]


@click.command()
@click.option("--sample", "sample_file", type=click.Path(path_type=Path), help="A file of the source.")
@click.option("--entity", help="Kind of a batch's entities, such as INVENTORY; needs no schema.")
@click.option("--type", "type_name", help="Input type that takes the entities, such as CreateLocationInput.")
@click.option("--mutation", help="Name of a mutation, or a .graphql file that holds one.")
@click.option("--query", help="Name of a query, or a .graphql file that holds one: a mapping for an extract.")
@schema_options
@sample_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write it (.json, .yaml).")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--name", help="Of the mapping; without it, of the file.")
@click.option(
    "--optional",
    type=click.Choice(["all", "matched", "none"]),
    help="Optional fields to write: all, those that the sample has, or none. "
    "Without it: matched with a sample, all without.",
)
@click.option(
    "--max-depth",
    type=click.IntRange(1, 20),
    default=3,
    show_default=True,
    help="Of objects in objects; what is cut is noted.",
)
@click.option("--prefix", default="", help="Before the names in the TODOs of sources: Order.Items.")
def new(
    origin: SchemaOrigin,
    sample_file: Path | None,
    entity: str | None,
    type_name: str | None,
    mutation: str | None,
    query: str | None,
    file_format: str | None,
    delimiter: str | None,
    encoding: str,
    at: str | None,
    records: int,
    output: Path | None,
    force: bool,
    name: str | None,
    optional: Any,
    max_depth: int,
    prefix: str,
) -> int:
    """Write a mapping to begin with: filled in, with TODO only where a person must decide.

    With a sample and a target (an entity, a type or a mutation), columns are matched to fields by name, by words that
    mean the same, and by what the values look like; each field's comment says how sure that is.

    \b
    Examples:
      fc-connect mapping new --sample stock.csv --entity INVENTORY -o stock.mapping.json
      fc-connect mapping new --sample stores.json --schema schema.graphql --type CreateLocationInput
      fc-connect mapping new --schema schema.graphql --mutation createOrder
      fc-connect mapping new --query orders.graphql
    """
    from fc_connect.mapping import DraftOptions

    targets = {"--entity": entity, "--type": type_name, "--mutation": mutation, "--query": query}
    given = [option for option, value in targets.items() if value is not None]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} can't be used together: a mapping has one target.")
    if not given and sample_file is None:
        raise click.UsageError("Name a target (--entity, --type, --mutation, --query), a --sample, or both.")
    if not given and (origin.file is not None or origin.names_account):
        raise click.UsageError("Say what of the schema is the target: --type, --mutation or --query.")
    if output is not None and output.exists() and not force:
        raise ConfigurationError(f"{output} is there already. Nothing was written: --force writes over it.")
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
        )
    )
    stem = (output or sample_file or Path("mapping")).name.partition(".")[0]
    content, draft = _drafted(
        origin,
        sample,
        name=name or stem,
        entity=entity,
        type_name=type_name,
        mutation=mutation,
        query=query,
        options=DraftOptions(optional=optional, max_depth=max_depth, source_prefix=prefix),
    )
    text = _written(content, output)
    if output is None:
        click.echo(printable_json(text), nl=False)
    else:
        write_whole(output, text)
    _tell_of_draft(draft, sample, output, origin)
    return 0


def _drafted(
    origin: SchemaOrigin,
    sample: Sample | None,
    *,
    name: str,
    entity: str | None,
    type_name: str | None,
    mutation: str | None,
    query: str | None,
    options: Any,
) -> tuple[dict[str, Any], Draft]:
    from fc_connect.mapping import (
        batch_entity_type,
        draft_entity_file,
        draft_for_type,
        draft_mutation_file,
        draft_query_file,
        draft_sample_file,
        input_type,
    )

    kept = origin.load()
    schema = None if kept is None else kept.schema
    profiles = None if sample is None else sample.profiles
    is_flat = sample is not None and sample.is_flat
    source_format = None if sample is None else sample.format
    if mutation is not None:
        called, document = _document(mutation, "mutation")
        known = {"xml": "xml", "ndjson": "jsonl"}.get(source_format or "", "json")
        return draft_mutation_file(
            called,
            schema,
            profiles,
            document=document,
            is_flat=is_flat,
            source_format=known,
            options=options,
        )
    if query is not None:
        called, document = _document(query, "query")
        return draft_query_file(name, called, schema, document=document, max_depth=options.max_depth)
    if entity is not None:
        expected = batch_entity_type(entity)
    elif type_name is not None:
        if schema is None:
            raise ConfigurationError(
                "--type needs a schema: --schema FILE, or an account (--profile, --endpoint)."
            )
        expected = input_type(schema, type_name)
    else:
        return draft_sample_file(name, profiles or [], is_flat=is_flat, source_format=source_format)
    draft = draft_for_type(expected, profiles, is_flat=is_flat, options=options)
    content = draft_entity_file(
        name,
        expected,
        draft,
        entity_type=None if entity is None else entity.upper(),
        source_format=source_format,
    )
    return content, draft


def _document(given: str, kind: str) -> tuple[str, Any]:
    """Return the name of a mutation or query, and its document where a file was given."""
    if not given.endswith((".graphql", ".gql")):
        return given, None
    from fc_connect.mapping import operation_in

    try:
        text = Path(given).read_text("utf-8-sig")
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{given} can't be read: {exc}") from exc
    return operation_in(text, kind)


def _written(content: dict[str, Any], output: Path | None) -> str:
    if output is not None and output.suffix in {".yaml", ".yml"}:
        import yaml

        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    return _json_by_field(content)


def _json_by_field(content: Mapping[str, Any]) -> str:
    """Return JSON with one line for each field that holds no others: a mapping is read by people."""

    def shown(value: Any, depth: int) -> str:
        holds_objects = isinstance(value, dict) and any(
            isinstance(each, dict) and each for each in value.values()
        )
        if depth and not holds_objects and not (isinstance(value, dict) and "fields" in value):
            return json.dumps(value, ensure_ascii=False)
        inside = ",\n".join(
            f"{'  ' * (depth + 1)}{json.dumps(key, ensure_ascii=False)}: {shown(each, depth + 1)}"
            for key, each in value.items()
        )
        return f"{{\n{inside}\n{'  ' * depth}}}"

    return shown(content, 0) + "\n"


def _tell_of_draft(draft: Draft, sample: Sample | None, output: Path | None, origin: SchemaOrigin) -> None:
    where = "The mapping" if output is None else f"wrote {output}"
    parts = [f"{draft.matched} fields filled in"] if sample is not None or draft.matched else []
    waiting = len(draft.todos)
    parts.append(f"{waiting} {'waits' if waiting == 1 else 'wait'} for your decision (TODO)")
    if draft.unmapped:
        parts.append(f"{len(draft.unmapped)} optional ones left out")
    say(f"{where}: {', '.join(parts)}", err=True)
    for path in draft.todos[:10]:
        say(f"  TODO {path}", err=True)
    if len(draft.todos) > 10:
        say(f"  … {len(draft.todos) - 10} more", err=True)
    for target, path in list(draft.maybe.items())[:5]:
        say(f"  maybe {target}: {path} (left out: no more than a guess)", err=True)
    if draft.unused:
        say(f"  not read: {', '.join(draft.unused[:10])}{', …' if len(draft.unused) > 10 else ''}", err=True)
    for note in draft.notes[:5]:
        say(f"  note: {note}", err=True)
    if output is not None:
        against = "" if origin.file is None else f" --schema {origin.file}"
        tried = "" if sample is None else f" --sample {sample.path}"
        say(f"Next: fc-connect mapping validate {output}{against}{tried}", err=True)
