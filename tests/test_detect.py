"""What a file looks like: guesses that a preview offers, with the key to set."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.formats import open_format
from fc_connect.formats.detect import HEAD_BYTES, detect, hints

TABLE = 'sku;name;price\nA;café;1,50\nB;"x;y";2,00\nC;naïve;3,10\n'
JAPANESE = "商品,名前\nA1,ひらがなとカタカナ\nB2,日本語の名前\n"


@pytest.mark.parametrize(
    ("data", "encoding", "is_certain"),
    [
        (b"sku,qty\nA,1\n", "utf-8", False),
        (TABLE.encode(), "utf-8", True),
        (TABLE.encode("utf-8-sig"), "utf-8", True),
        (TABLE.encode("utf-16"), "utf-16", True),
        (TABLE.encode("utf-16-le"), "utf-16-le", True),
        (TABLE.encode("utf-16-be"), "utf-16-be", True),
        (JAPANESE.encode("utf-16-le"), "utf-16-le", True),
        (TABLE.encode("utf-32"), "utf-32", True),
        (TABLE.encode("utf-32-be"), "utf-32-be", True),
        (TABLE.encode("cp1252"), "cp1252", False),
        ("a\n“Café” for 5 €\n".encode("cp1252"), "cp1252", False),
        (JAPANESE.encode("shift_jis"), "shift_jis", False),
        ("товар,цена\nводка,1\n".encode("cp1251"), None, False),
        (b"PK\0\0\1\2binary\0\0\0\xff", None, False),
        (("a" * (HEAD_BYTES - 1) + "é").encode()[:HEAD_BYTES], "utf-8", True),
    ],
)
def test_an_encoding_is_told_by_its_marks_and_bytes(
    data: bytes, encoding: str | None, is_certain: bool
) -> None:
    found = detect(data)

    assert (found.encoding, found.is_certain) == (encoding, is_certain)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("sku,qty\nA,1\n", "csv"),
        ("<?xml version='1.0'?><a/>", "xml"),
        ("\n  <items>\n", "xml"),
        ('{"a": 1}\n{"a": 2}\n', "ndjson"),
        ('{"a": 1}\n\n{"a": 2', "json"),
        ('{"a": 1}\n', None),
        ('{\n  "a": 1\n}', "json"),
        ('[{"a": 1},\n{"a": 2}]', "json"),
        ("[sku],[qty]\n[A],[1]\n", "csv"),
        ("{sku},{qty}\n", "csv"),
        ("< 5,> 5\n1,2\n", "csv"),
        ("", None),
        (" \n\n", None),
    ],
)
def test_a_format_is_told_by_how_it_begins(text: str, kind: str | None) -> None:
    assert detect(text.encode()).kind == kind


def test_packed_files_and_workbooks_are_told() -> None:
    workbook, packed = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(workbook, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("stock.csv", "a,b")

    assert detect(gzip.compress(b"a,b\n")).packing == "gzip"
    assert detect(packed.getvalue()).packing == "zip"
    assert detect(workbook.getvalue()).kind == "excel"
    assert detect(b"PAR1\0\0").kind == "parquet"


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("sku,qty\nA,1\n", ","),
        (TABLE, ";"),
        ("sku\tname\nA\tx, y\n", "\t"),
        ("a|b|c\n1|2|3\n", "|"),
        ("sku\nA\n", None),
        ("sku\nA,1\n", None),
        ('"a,b";"c"\n"1,2";"x"\n', ";"),
        ("a,b;c,d;e,f\n1,2;3,4;5\n", ";"),
        ("sep=;\na;b\n1;2\n", ";"),
    ],
)
def test_a_delimiter_is_the_one_that_parts_each_record_alike(text: str, delimiter: str | None) -> None:
    assert detect(text.encode()).delimiter == delimiter


HINTED: list[tuple[bytes, dict[str, Any], str]] = [
    (b"sku;qty\nA;1\n", {}, "It looks delimited by ';', not ',': set `format.delimiter: \";\"`."),
    (b"sku\tqty\nA\t1\n", {"delimiter": ";"}, r'`format.delimiter: "\t"`'),
    (TABLE.encode("cp1252"), {"delimiter": ";"}, "It isn't utf-8; it may be cp1252 (Western letters"),
    (TABLE.encode(), {"delimiter": ";", "encoding": "cp1252"}, "It isn't cp1252; it is utf-8 (its bytes fit"),
    (b"a,b\n1,2\n", {"encoding": "utf-16"}, "It isn't utf-16; it may be utf-8 (plain ASCII)"),
    ("a,b\n1,2\n".encode("utf-16"), {}, "it is utf-16 (its byte order mark): set `format.encoding: utf-16`."),
    ("a,b\n1,2\n".encode("utf-16-le"), {"encoding": "utf-16"}, "set `format.encoding: utf-16-le`"),
    ("\ufeffa,b\n".encode("utf-16-be"), {"encoding": "utf-16-le"}, "set `format.encoding: utf-16`"),
    (b"'a','b'\n'1,5','x'\n", {}, "Its values look quoted by ': set `format.quotechar: \"'\"`."),
    (b'a,b\n"5\\" pipe",1\n', {}, 'set `format.escapechar: "\\\\"`'),
    (b"# made by x\na,b\n# more\n1,2\n", {}, 'set `format.comment: "#"`'),
    (b"sep=;\na;b\n", {"delimiter": ";"}, "set `format.skip_rows: 1`"),
    (b'{"a": 1}\n{"a": 2}\n', {}, "It looks like ndjson, not csv: set `format.type: ndjson`."),
    (b"<a/>", {"type": "json"}, "set `format.type: xml`"),
    (b"sku,qty\n", {"type": "jsonl"}, "set `format.type: csv`"),
    (b"PAR1", {}, "set `format.type: parquet`"),
    (gzip.compress(b"a,b\n"), {}, "set `format.compression: gzip`"),
    (b"\xd0\xcf\x11\xe0", {}, "It is an Excel workbook"),
]


@pytest.mark.parametrize(("data", "options", "words"), HINTED)
def test_a_hint_names_the_key_to_set(data: bytes, options: dict[str, Any], words: str) -> None:
    found = hints(data, **options)

    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (b"", {}),
        (b"sku,qty\nA,1\n", {}),
        (b"sku\nA;1\nB\n", {}),
        (b"#id,name\n1,x\n", {}),
        (b"# made by x\na,b\n1,2\n", {"comment": "#"}),
        (b"a||b\n1||2\n", {"delimiter": "||"}),
        (b"a,b;c\n1,2;3\n", {}),
        (TABLE.encode("utf-8-sig"), {"delimiter": ";"}),
        (TABLE.encode("utf-16"), {"delimiter": ";", "encoding": "utf-16-le"}),
        (TABLE.encode("iso-8859-1"), {"delimiter": ";", "encoding": "iso-8859-1"}),
        (JAPANESE.encode("shift_jis"), {"encoding": "shift_jis"}),
        (b"a,b\n\"C:\\dir\\\",'x'\n", {}),
        (b'{"a": 1}\n', {"type": "json"}),
        (b'{"a": 1}\n', {"type": "ndjson"}),
        (b"PAR1", {"type": "parquet"}),
        ("<?xml version='1.0' encoding='iso-8859-1'?><a>é</a>".encode("iso-8859-1"), {"type": "xml"}),
    ],
)
def test_a_file_that_looks_as_configured_needs_no_hint(data: bytes, options: dict[str, Any]) -> None:
    assert hints(data, **options) == []


@given(
    st.binary(max_size=60)
    | st.text("sku,;\t|\"'\\=[]{}<é漢\n\r \0", max_size=60).flatmap(
        lambda text: st.sampled_from(["utf-8", "utf-16", "utf-32-be", "gb18030"]).map(text.encode)
    ),
    st.sampled_from(
        [{}, {"encoding": "utf-16-le"}, {"type": "json"}, {"delimiter": "||", "quotechar": None}]
    ),
)
@example(b"\xff", {})
@example(b'"', {})
def test_any_bytes_have_a_guess(data: bytes, options: dict[str, Any]) -> None:
    for hint in hints(data, **options):
        assert hint.endswith((".", ")."))
    found = detect(data)
    if found.delimiter is not None and found.encoding is not None:
        open_format("csv", delimiter=found.delimiter, encoding=found.encoding)


@pytest.mark.parametrize(
    "unit", [b'"', b',"', b'","', b'\\"', b'a,"\\', b",", b"\xc3", b"\xe9x", b"[", b'{"', b"'\n"]
)
def test_a_guess_takes_no_longer_than_its_bytes_whatever_they_are(unit: bytes) -> None:
    assert detect(unit * (HEAD_BYTES // len(unit))).packing is None  # and the session's own limit of time
