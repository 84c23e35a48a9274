"""XML files, as wrong as exports and attackers make them: each record comes out as it is, or the file is refused."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import fc_connect.xml.reader as reader
from fc_connect.errors import ParseError
from fc_connect.formats import BadRecord, open_format
from tests.fuzz.effort import examples

TEXTS = st.text(
    st.sampled_from(list("ab01.- \t\n\u00a0é漢😀\u2028")) | st.characters(exclude_categories=["Cs", "Cc"]),
    max_size=6,
).filter(lambda text: "\ufffe" not in text and "\uffff" not in text)
NAMES = st.sampled_from(["a", "b", "item", "é", "a-1", "漢"])
PIECES = st.sampled_from(
    ["<", ">", "/>", "</", "<item>", "</item>", "<items>", "</items>", "<a b='", "'", '"', "&amp;", "&#0;", "&#x1F600;",
     "&x;", "<![CDATA[", "]]>", "<!--", "-->", "<?pi", "?>", "<!DOCTYPE a [", "<!ENTITY x 'y'>", "]>", "\0", "\ufffe",
     "<?xml version='1.0' encoding='", "utf-8", "iso-8859-1", "utf-16", "cp1252", "xmlns:b='u'", "b:a", " ", "\n", "a",
     "=", "é", "x" * 70_000]
)  # fmt: skip
OPTIONS: list[dict[str, Any]] = [
    {},
    {"numbers": "guess"},
    {"namespaces": "strip", "lists": ["a"]},
    {"namespaces": {"": "u"}, "lists": ["item/a"]},
    {"records": "//item"},
    {"records": "*/*", "max_depth": 3, "max_record_bytes": 200},
]


def read(data: bytes, block_bytes: int, **options: Any) -> tuple[list[Any], str | None]:
    """Return what comes out, with its place, and what ended it."""
    found: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_BLOCK_BYTES", block_bytes)
        records = open_format("xml", **{"records": "items/item", **options}).read(
            io.BytesIO(data), path="x.xml"
        )
        try:
            for record in records:
                assert isinstance(record, dict | BadRecord)
                assert records.position == len(found) + 1
                found.append((record, records.place()))
        except ParseError as exc:
            return found, str(exc)
    return found, None


@st.composite
def elements(draw: st.DrawFn, depth: int = 0) -> ElementTree.Element:
    element = ElementTree.Element("item" if depth == 0 else draw(NAMES))
    element.attrib.update(draw(st.dictionaries(NAMES, TEXTS, max_size=2)))
    element.text = draw(TEXTS)
    if depth < 3:
        for child in draw(st.lists(elements(depth=depth + 1), max_size=3)):
            child.tail = draw(TEXTS)
            element.append(child)
    return element


def shape(element: ElementTree.Element) -> Any:
    """Say it again, as simply as it can be said."""
    content = "".join([element.text or "", *(child.tail or "" for child in element)]).strip(" \t\r\n") or None
    if not len(element) and not element.attrib:
        return content
    values: dict[str, Any] = {}
    for tag in {child.tag for child in element}:
        same = [shape(child) for child in element if child.tag == tag]
        values[tag] = same[0] if len(same) == 1 else same
    if content is not None or not values:
        values["#text"] = content
    return values | {f"@{name}": value for name, value in element.attrib.items()}


@examples(40)
@given(
    st.lists(elements(), max_size=4),
    st.sampled_from(["utf-8", "utf-16"]),
    st.integers(1, 100),
)
def test_records_are_what_the_standard_library_finds(
    items: list[ElementTree.Element], encoding: str, block_bytes: int
) -> None:
    root = ElementTree.Element("items")
    root.extend(items)
    data = ElementTree.tostring(root, encoding=encoding)

    found, fault = read(data, block_bytes)

    assert fault is None
    expected = [shape(item) for item in ElementTree.fromstring(data)]
    assert [record for record, _ in found] == [
        each if isinstance(each, dict) else {} if each is None else {"#text": each} for each in expected
    ]
    assert found == read(data, 1 << 16)[0]
    opening = "<item".encode("utf-16-le" if encoding == "utf-16" else "ascii")
    assert all(data.startswith(opening, place.byte) for _, place in found)


@examples(400)
@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from(OPTIONS), st.integers(1, 50))
@example("<a b='" * 3, OPTIONS[1], 1)
@example("<![CDATA[]]><?pi?><![CDATA[1]]>", OPTIONS[1], 1)
def test_whatever_is_in_a_file_is_read_or_refused(inside: str, options: dict[str, Any], size: int) -> None:
    for text in (inside, f"<items xmlns:b='u'><item>{inside}</item><item/></items>"):
        data = text.encode()

        found, fault = read(data, 1 << 16, **options)

        if not options or options == OPTIONS[1]:
            again, same_fault = read(data, max(size, len(data) // 200), **options)
            assert (again, same_fault is None) == (found, fault is None)
        if fault is None:
            ElementTree.fromstring(data)  # what is taken is XML


@examples(200)
@given(st.binary(max_size=60), st.integers(0, 80), st.sampled_from(["utf-8", "utf-16", "iso-8859-1"]))
def test_bytes_that_were_damaged_are_read_or_refused(noise: bytes, at: int, encoding: str) -> None:
    data = f"<?xml version='1.0' encoding='{encoding}'?><items><item a='é'><b>ü</b></item></items>".encode(
        encoding
    )

    found, fault = read(data[:at] + noise + data[at + len(noise) :], 7)

    assert fault is not None or len(found) <= 1
