"""XML as records: the shape they have, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from fc_connect.errors import ParseError
from fc_connect.mapping.xml_records import read_xml, text_of


@pytest.mark.parametrize(
    ("xml", "record"),
    [
        ("<r><a>x</a><b> y </b></r>", {"r": {"a": "x", "b": "y"}}),
        ("<r/>", {"r": None}),
        ("<r><a/><b></b><c> </c></r>", {"r": {"a": None, "b": None, "c": None}}),
        ("<r><i>1</i><i>2</i><i/></r>", {"r": {"i": ["1", "2", None]}}),
        ('<r id="1"><a k="v">x</a></r>', {"r": {"@id": "1", "a": {"#text": "x", "@k": "v"}}}),
        ('<r><a k="v"/></r>', {"r": {"a": {"#text": None, "@k": "v"}}}),
        ("<r>t<a>1</a></r>", {"r": {"a": "1", "#text": "t"}}),
        ("<r><![CDATA[x < y & z]]></r>", {"r": "x < y & z"}),
        ("<r>&amp;#60;</r>", {"r": "&#60;"}),
        ('<n:r xmlns:n="u"><n:a>1</n:a></n:r>', {"n:r": {"n:a": "1", "@xmlns:n": "u"}}),
        (b"<?xml version='1.0' encoding='iso-8859-1'?><r>\xe9</r>", {"r": "é"}),
        ("<?xml version='1.0' encoding='iso-8859-1'?><r>é</r>", {"r": "é"}),
        ('<r xml:space="preserve"> x </r>', {"r": {"#text": " x ", "@xml:space": "preserve"}}),
    ],
)
def test_a_document_becomes_a_record(xml: str | bytes, record: Any) -> None:
    assert read_xml(xml) == record


@pytest.mark.parametrize("text", ["0012", "1.50", "true", "0x1F", "1e3", "9007199254740993"])
def test_text_keeps_its_spelling(text: str) -> None:
    assert read_xml(f"<r>{text}</r>") == {"r": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0012", 12),
        ("1.50", 1.5),
        ("-2", -2),
        ("1e3", 1000),
        ("0x1A", 26),
        ("+5", 5),
        (".5", 0.5),
        ("5.", 5),
        ("true", True),
        ("TRUE", True),
        ("False", False),
        ("12345678901234567890", "12345678901234567890"),
        ("9007199254740993", "9007199254740993"),
        ("0012345678905", 12345678905),
        ("0o17", "0o17"),
        ("1,000", "1,000"),
        ("1_0", "1_0"),
        ("Infinity", "Infinity"),
        ("2025-01-02", "2025-01-02"),
        ("1.23456789012345678901", "1.23456789012345678901"),
        ("0", 0),
        ("0.0", 0),
        (".", "."),
        ("٣", "٣"),
        ("9" * 5000, "9" * 5000),
        ("0x" + "f" * 300, "0x" + "f" * 300),
        ("1<!-- c -->2", 12),
        (" x <!-- c --> y ", "x  y"),
        ("<![CDATA[ x ]]>", " x "),
        ("<![CDATA[ ]]>", " "),
        ("<![CDATA[]]>", None),
        ("<![CDATA[ 0012 ]]>", 12),
        ("<![CDATA[ true ]]>", True),
        ("<![CDATA[TRUE]]>", True),
        ("<![CDATA[ TRUE ]]>", " TRUE "),
        (" y <![CDATA[ x ]]> z ", "y x z"),
        ("1<![CDATA[2]]>", "12"),
    ],
)
def test_coercion_reads_numbers_as_the_typescript_sdk_does(text: str, value: Any) -> None:
    found = read_xml(f"<r>{text}</r>", coerce=True)["r"]

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["-0", "-00", "-0.0", "-.0", "-0x0", "-0e5"])
def test_coercion_knows_minus_zero(text: str) -> None:
    found = read_xml(f"<r>{text}</r>", coerce=True)["r"]

    assert (found, math.copysign(1, found)) == (0, -1)


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        ("mixed <b/> tail", "mixedtail"),
        ("0012<b/>x", "12x"),
        ("-0<b/>x", "0x"),
        ("1e3<b/>0x1F", "100031"),
        ("TRUE<b/>x", "TRUEx"),
        ("TRUE<b/>", True),
        ("true<b/>false", "truefalse"),
    ],
)
def test_coercion_trims_and_reads_each_run_of_text_by_itself(inside: str, text: Any) -> None:
    assert read_xml(f"<r>{inside}</r>", coerce=True)["r"] == {"b": None, "#text": text}


def test_without_coercion_text_stays_as_it_is() -> None:
    assert read_xml("<r> a <b/> c <![CDATA[ d ]]></r>") == {"r": {"b": None, "#text": "a  c  d"}}
    assert read_xml("<r>-0</r>") == {"r": "-0"}


def test_coercion_leaves_attributes_alone() -> None:
    assert read_xml('<r a="007" b="">1</r>', coerce=True) == {"r": {"#text": 1, "@a": "007", "@b": None}}


def test_the_text_of_an_element_is_found_with_and_without_attributes() -> None:
    assert text_of({"#text": "x", "@a": "1"}) == "x"
    assert text_of("x") == "x"
    assert text_of({"@a": "1"}) == {"@a": "1"}


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("<r><a>1</r>", r"xml:1:10: isn't XML: mismatched tag"),
        ("", "no element found"),
        ("<a/><b/>", "junk after document element"),
        ("<r>x & y</r>", "not well-formed"),
        ("<r>&foo;</r>", "undefined entity"),
        ('<r k="1" k="2"/>', "duplicate attribute"),
        ("\ud800", "surrogate"),
        (b"<?xml version='1.0' encoding='nope'?><r/>", "isn't XML"),
        ('<!DOCTYPE r [<!ENTITY x "y">]><r>&x;</r>', "declares entities"),
        ('<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>', "declares entities"),
        ('<!DOCTYPE r [<!ENTITY % x SYSTEM "http://localhost/">%x;]><r/>', "declares entities"),
        ("<r>" * 101 + "</r>" * 101, "nested more than 100 deep"),
    ],
)
def test_what_is_broken_or_dangerous_is_refused(xml: str | bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        read_xml(xml)


def test_a_document_type_alone_is_harmless() -> None:
    assert read_xml('<!DOCTYPE r SYSTEM "http://localhost/r.dtd"><r>1</r>') == {"r": "1"}


@pytest.mark.parametrize("inside", ["<r>a&foo;b</r>", '<r k="a&foo;b"/>'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_entity_of_a_document_type_that_is_not_read_is_never_left_out(inside: str, encoding: str) -> None:
    with pytest.raises(ParseError, match="holds &foo;, of a document type that isn't read"):
        read_xml(f'<!DOCTYPE r SYSTEM "http://localhost/r.dtd">{inside}'.encode(encoding))


def test_a_document_has_a_largest_size() -> None:
    with pytest.raises(ParseError, match="10 are allowed"):
        read_xml("<r>12345</r>", max_bytes=10)
