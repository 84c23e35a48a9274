"""How files are written: one section for each format, told apart by `type`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, PlainValidator, Tag, WithJsonSchema

from fc_connect.pipeline.config.checks import column_delimiter, namespace_rule, one_character, text_encoding
from fc_connect.pipeline.config.section import Fault, Section
from fc_connect.pipeline.config.values import Count, Flag, Text

__all__ = [
    "AnyFormatConfig",
    "CSVFormatConfig",
    "FormatConfig",
    "JSONFormatConfig",
    "NDJSONFormatConfig",
    "ParquetFormatConfig",
    "XMLFormatConfig",
]

Encoding = Annotated[Text, AfterValidator(text_encoding)]
Depth = Annotated[Count, Field(ge=1, le=1000)]
RecordBytes = Annotated[Count, Field(ge=1, le=1 << 30)]


class FormatConfig(Section):
    """What every format has."""

    packing: ClassVar[frozenset[str]] = frozenset({"compression", "max_unpacked_bytes", "max_ratio"})
    """Keys that say how the bytes are packed, not what they are."""
    caps: ClassVar[frozenset[str]] = frozenset({"max_unpacked_bytes", "max_ratio"})
    """Keys that decide whether a file is taken at all, not what becomes of it."""

    compression: Literal["auto", "none", "gzip", "zstd", "zip"] = "auto"
    """How the files are packed. `auto`: by the ending of each one's name (.gz, .zst, .zip)."""
    max_unpacked_bytes: Annotated[Count, Field(ge=1)] = 64 << 30
    """Of a packed file: one that unpacks to more is refused."""
    max_ratio: Annotated[Count, Field(ge=1)] = 1000
    """Unpacked bytes for each packed one: a file that goes far beyond is refused."""


class CSVFormatConfig(FormatConfig):
    """CSV: a line, or a few, for each record."""

    caps: ClassVar[frozenset[str]] = FormatConfig.caps | {"max_columns", "max_field_bytes"}

    type: Literal["csv"] = "csv"
    """The kind of file."""
    delimiter: Annotated[str, AfterValidator(column_delimiter)] = ","
    """Between two columns; one character or several."""
    quotechar: Annotated[str, AfterValidator(one_character)] | None = '"'
    """Around a value that holds delimiters or line ends; `null`: there is none, and quotes are text."""
    escapechar: Annotated[str, AfterValidator(one_character)] | None = None
    """Before a quote inside a value, where the files don't double it; before a delimiter or itself too."""
    encoding: Encoding = "utf-8"
    """Of the text, by Python's names."""
    columns: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    """Names of the columns, for files without a header."""
    required: tuple[Text, ...] = ()
    """Columns without which a file is refused."""
    skip_rows: Annotated[Count, Field(ge=0, le=1_000_000)] = 0
    """Lines before the header, or before the first record where `columns` are given."""
    comment: Text | None = None
    """What lines begin with that are left out."""
    skip_blank_lines: Flag = True
    """Off: a blank line is a record that can't be read."""
    max_columns: Annotated[Count, Field(ge=1, le=1_000_000)] = 10_000
    """Of a header: a file with more is refused."""
    max_field_bytes: Annotated[Count, Field(ge=1, le=1 << 27)] = 131_072
    """Characters of one value: a file with a longer one is refused. Eight times this bounds a line."""

    @classmethod
    def faults(cls, given: Mapping[str, Any]) -> Iterator[Fault]:
        if given.get("delimiter", ",") == given.get("quotechar", '"'):
            yield "delimiter", "is the same as quotechar"
        columns = given.get("columns")
        if isinstance(columns, list | tuple):
            repeated = sorted({str(c) for c in columns if columns.count(c) > 1})
            if repeated:
                yield "columns", f"names a column twice: {', '.join(repeated)}"
            required = given.get("required", ())
            if isinstance(required, list | tuple) and (missing := [c for c in required if c not in columns]):
                yield "required", f"names what isn't among the columns: {', '.join(map(str, missing))}"


class JSONFormatConfig(FormatConfig):
    """JSON: one document whose records are the items of an array."""

    caps: ClassVar[frozenset[str]] = FormatConfig.caps | {"max_depth", "max_record_bytes"}

    type: Literal["json"]
    """The kind of file."""
    records: Text = "$[*]"
    """Where the records are, such as `$.data.items[*]`; `$` takes the whole document as one."""
    encoding: Encoding = "utf-8"
    """Of the text."""
    max_depth: Depth = 100
    """Of nesting: a file with a deeper one is refused."""
    max_record_bytes: RecordBytes = 4 << 20
    """Of one record: a file with a longer one is refused."""


class NDJSONFormatConfig(FormatConfig):
    """NDJSON, or JSON Lines: a JSON object on each line."""

    caps: ClassVar[frozenset[str]] = FormatConfig.caps | {"max_depth", "max_record_bytes"}

    type: Literal["ndjson", "jsonl"]
    """The kind of file."""
    encoding: Encoding = "utf-8"
    """Of the text."""
    skip_blank_lines: Flag = True
    """Off: a blank line is a record that can't be read."""
    max_depth: Depth = 100
    """Of nesting: a record with a deeper one is rejected."""
    max_record_bytes: RecordBytes = 4 << 20
    """Of one line: a file with a longer one is refused."""


class XMLFormatConfig(FormatConfig):
    """XML: an element for each record."""

    caps: ClassVar[frozenset[str]] = FormatConfig.caps | {"max_depth", "max_record_bytes"}

    type: Literal["xml"]
    """The kind of file."""
    records: Text
    """Path of the elements that are records, such as `items/item`; `//item` finds them at any depth."""
    namespaces: Annotated[
        Literal["keep", "strip"] | dict[str, str],
        PlainValidator(namespace_rule),
        WithJsonSchema(
            {
                "anyOf": [
                    {"enum": ["keep", "strip"], "type": "string"},
                    {"type": "object", "additionalProperties": {"type": "string"}},
                ]
            }
        ),
    ] = "keep"
    """`keep` prefixes as written, `strip` them, or name them: prefix → namespace."""
    lists: tuple[Text, ...] = ()
    """Elements that are lists even where there is one."""
    numbers: Literal["text", "guess"] = "text"
    """`guess`: what looks like a number becomes one, as the TypeScript SDK does; leading zeros are lost."""
    max_depth: Depth = 100
    """Of nesting: a file with a deeper one is refused."""
    max_record_bytes: RecordBytes = 16 << 20
    """Of one record: a file with a longer one is refused."""


class ParquetFormatConfig(FormatConfig):
    """Parquet: rows in groups, by column."""

    caps: ClassVar[frozenset[str]] = FormatConfig.caps | {"max_page_bytes"}

    type: Literal["parquet"]
    """The kind of file."""
    binary: Literal["text", "base64"] = "text"
    """Columns of bytes that aren't said to be text: `text` in UTF-8 all the same, or anything, as `base64`."""
    max_page_bytes: Annotated[Count, Field(ge=1, le=1 << 31)] = 128 << 20
    """Of the largest pages of all columns that are read, unpacked: a file with larger ones is refused."""


def _type_of(given: Any) -> Any:
    named = given.get("type", "csv") if isinstance(given, Mapping) else getattr(given, "type", "csv")
    return "ndjson" if named == "jsonl" else named


AnyFormatConfig = Annotated[
    Annotated[CSVFormatConfig, Tag("csv")]
    | Annotated[JSONFormatConfig, Tag("json")]
    | Annotated[NDJSONFormatConfig, Tag("ndjson")]
    | Annotated[XMLFormatConfig, Tag("xml")]
    | Annotated[ParquetFormatConfig, Tag("parquet")],
    Discriminator(_type_of),
]
