"""Opening a format by its name."""

from __future__ import annotations

import inspect

import pytest

from fc_connect.errors import ConfigurationError
from fc_connect.formats import Format, WriteFormat, open_format
from fc_connect.formats.csv import CSVFormat
from fc_connect.formats.csv_writer import CSVWriter
from fc_connect.formats.json import JSONFormat
from fc_connect.formats.json_writer import JSONWriter, NDJSONWriter
from fc_connect.formats.ndjson import NDJSONFormat
from fc_connect.formats.packed import PackedFormat
from fc_connect.formats.parquet import ParquetFormat
from fc_connect.formats.xml import XMLFormat
from fc_connect.formats.xml_writer import XMLWriter
from fc_connect.pipeline import config


def test_a_format_is_opened_by_its_name() -> None:
    opened = open_format("csv", delimiter=";")

    assert isinstance(opened, CSVFormat)
    assert opened.dialect.delimiter == ";"


def test_an_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no format 'xls'. Known: csv"):
        open_format("xls")


def test_an_unknown_option_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no option 'separator'\. Known: delimiter, quotechar"):
        open_format("csv", separator=";")


def test_every_reader_and_writer_is_what_the_protocols_say() -> None:
    # The registry knows them by name alone, so it is here that the types are compared.
    readers: list[Format] = [
        CSVFormat(),
        JSONFormat(),
        NDJSONFormat(),
        XMLFormat(records="a"),
        PackedFormat(CSVFormat()),
    ]
    writers: list[WriteFormat] = [
        CSVWriter(columns=["a"]),
        JSONWriter(),
        NDJSONWriter(),
        XMLWriter(),
    ]

    assert all(callable(each.read) for each in readers)
    assert all(callable(each.write) for each in writers)


@pytest.mark.parametrize(
    ("section", "reader"),
    [
        (config.CSVFormatConfig, CSVFormat),
        (config.JSONFormatConfig, JSONFormat),
        (config.NDJSONFormatConfig, NDJSONFormat),
        (config.XMLFormatConfig, XMLFormat),
        (config.ParquetFormatConfig, ParquetFormat),
    ],
)
def test_what_a_pipeline_file_leaves_out_is_what_its_reader_does_by_itself(
    section: type[config.FormatConfig], reader: type
) -> None:
    said = {
        name: inspect.Parameter.empty if field.is_required() else field.default
        for name, field in section.model_fields.items()
        if name != "type" and name not in section.packing
    }

    options = inspect.signature(reader).parameters.values()
    assert said == {option.name: option.default for option in options}
