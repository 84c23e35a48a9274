"""Partitioned folders: each record in the folder of its values, few files open, none that is half written."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from fc_connect.errors import ConfigurationError, FormatError
from fc_connect.formats import open_writer
from fc_connect.formats.partitions import PartitionedWriter


class Folder:
    """Where files go, and how many are open."""

    def __init__(self) -> None:
        self.opened: dict[str, BinaryIO] = {}
        self.whole: dict[str, bytes] = {}
        self.most = 0

    def open(self, path: str) -> BinaryIO:
        self.opened[path] = io.BytesIO()
        self.most = max(self.most, sum(not each.closed for each in self.opened.values()))
        return self.opened[path]

    def finished(self, path: str, stream: BinaryIO) -> None:
        stream.seek(0)
        self.whole[path] = stream.read()


def partitioned(folder: Folder, by: list[str], columns: list[str], **options: Any) -> PartitionedWriter:
    form = open_writer("csv", columns=columns)
    return PartitionedWriter(form, folder.open, by=by, suffix=".csv", finished=folder.finished, **options)


def test_each_record_lies_in_the_folder_of_its_values() -> None:
    folder = Folder()

    with partitioned(folder, ["day", "site"], ["sku"]) as writer:
        for number, site in enumerate(["W1", "W2", "W1", None]):
            writer.write({"day": date(2026, 1, 31), "site": site, "sku": number})

    assert folder.whole == {
        "day=2026-01-31/site=W1/part-0.csv": b"sku\r\n0\r\n2\r\n",
        "day=2026-01-31/site=W2/part-0.csv": b"sku\r\n1\r\n",
        "day=2026-01-31/site=__HIVE_DEFAULT_PARTITION__/part-0.csv": b"sku\r\n3\r\n",
    }
    assert sorted(writer.paths) == sorted(folder.whole)
    assert all(each.closed for each in folder.opened.values())


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("a/b", "site=a%2Fb"),
        ("..", "site=.."),
        ("a=b%", "site=a%3Db%25"),
        ("é\n", "site=%C3%A9%0A"),
        ("North West", "site=North West"),
        (True, "site=true"),
        (7, "site=7"),
    ],
)
def test_names_are_encoded_so_that_a_value_leads_nowhere_else(value: Any, name: str) -> None:
    folder = Folder()

    with partitioned(folder, ["site"], ["sku"]) as writer:
        writer.write({"site": value, "sku": 1})

    assert list(folder.whole) == [f"{name}/part-0.csv"]


@pytest.mark.parametrize("value", ["", "__HIVE_DEFAULT_PARTITION__", "x" * 300, ["a"], float("nan")])
def test_a_value_that_names_no_folder_is_refused(value: Any) -> None:
    folder = Folder()

    with partitioned(folder, ["site"], ["sku"]) as writer, pytest.raises(FormatError, match="'site'"):
        writer.write({"site": value, "sku": 1})

    assert folder.opened == {}


def test_few_files_are_open_and_a_partition_goes_on_in_another() -> None:
    folder = Folder()

    with partitioned(folder, ["site"], ["sku"], max_open=2) as writer:
        for number in range(9):
            writer.write({"site": number % 3, "sku": number})

    assert folder.most == 2
    assert sorted(folder.whole) == [f"site={site}/part-{part}.csv" for site in range(3) for part in range(3)]
    assert folder.whole["site=1/part-2.csv"] == b"sku\r\n7\r\n"


def test_no_file_counts_as_whole_when_writing_fails() -> None:
    folder = Folder()

    def write_some() -> None:
        with partitioned(folder, ["site"], ["sku"]) as writer:
            writer.write({"site": 1, "sku": 1})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_some()

    assert folder.whole == {}
    assert all(each.closed for each in folder.opened.values())


def test_a_file_that_can_not_be_finished_takes_the_others_along() -> None:
    folder = Folder()

    def refuse(path: str, stream: BinaryIO) -> None:
        raise OSError(28, "No space left on device")

    folder.finished = refuse  # type: ignore[method-assign]

    def write_some() -> None:
        with partitioned(folder, ["site"], ["sku"]) as writer:
            writer.write({"site": 1, "sku": 1})
            writer.write({"site": 2, "sku": 1})

    with pytest.raises(OSError, match="No space left"):
        write_some()

    assert all(each.closed for each in folder.opened.values())


def test_a_refused_record_leaves_its_file_as_it_was() -> None:
    folder = Folder()

    with partitioned(folder, ["site"], ["sku"]) as writer:
        writer.write({"site": 1, "sku": 1})
        with pytest.raises(FormatError):
            writer.write({"site": 1, "sku": 2, "other": 3})

    assert folder.whole == {"site=1/part-0.csv": b"sku\r\n1\r\n"}


@pytest.mark.parametrize(("by", "options"), [([], {}), (["a", "a"], {}), (["a"], {"max_open": 0})])
def test_options_that_can_not_be_used_are_refused(by: list[str], options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        partitioned(Folder(), by, ["sku"], **options)


def test_other_programs_read_the_folders(tmp_path: Path) -> None:
    import pyarrow.dataset as ds

    def create(path: str) -> BinaryIO:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        return (tmp_path / path).open("xb")

    form = open_writer("parquet", schema={"sku": "string", "qty": "int64"})
    with PartitionedWriter(form, create, by=["day", "site"], suffix=".parquet") as writer:
        for number in range(6):
            writer.write(
                {"day": "2026/01", "site": [None, "é"][number % 2], "sku": f"S{number}", "qty": number}
            )

    rows = ds.dataset(tmp_path, partitioning="hive").to_table().sort_by("qty").to_pylist()

    assert rows == [
        {"sku": f"S{n}", "qty": n, "day": "2026/01", "site": [None, "é"][n % 2]} for n in range(6)
    ]
