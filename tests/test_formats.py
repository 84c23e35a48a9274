"""Opening a format by its name."""

from __future__ import annotations

import pytest

from fc_connect.errors import ConfigurationError
from fc_connect.formats import open_format
from fc_connect.formats.csv import CSVFormat


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
