"""XML in and out: what records become, and that nothing wrong or unsafe gets through."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, FormatError, ParseError
from fc_connect.formats import BadRecord, Place, open_format, open_writer


def read(content: str | bytes, *, records: str = "items/item", **options: Any) -> list[Any]:
    data = content.encode() if isinstance(content, str) else content
    return list(open_format("xml", records=records, **options).read(io.BytesIO(data), path="a.xml"))


def written(*records: Any, **options: Any) -> str:
    stream = io.BytesIO()
    with open_writer("xml", **options).write(stream) as writer:
        for record in records:
            writer.write(record)
    return stream.getvalue().decode()


# Shapes


@pytest.mark.parametrize(
    ("inside", "record"),
    [
        ("<sku>00123</sku><qty>1.50</qty><x>0x1F</x>", {"sku": "00123", "qty": "1.50", "x": "0x1F"}),
        ("<a> x </a><b/><c></c><d> </d>", {"a": "x", "b": None, "c": None, "d": None}),
        ("<t>a</t><t>b</t><t/>", {"t": ["a", "b", None]}),
        ("<a k='v'>x</a><b k=''/>", {"a": {"#text": "x", "@k": "v"}, "b": {"#text": None, "@k": ""}}),
        ("<a><b>1</b></a>", {"a": {"b": "1"}}),
        ("<a><![CDATA[x < y & z]]></a>", {"a": "x < y & z"}),
        ("<a>pre<![CDATA[ mid ]]>post</a>", {"a": "pre mid post"}),
        ("<a><![CDATA[x<!-- y -->z]]></a>", {"a": "x<!-- y -->z"}),
        ("<a>caf&#233; &amp; &lt;&#x41;</a>", {"a": "café & <A"}),
        ("hello <b>1</b> world", {"b": "1", "#text": "hello  world"}),
        ("<a>x<!-- c -->y<?pi z?></a>", {"a": "xy"}),
        ("<a>x\r\ny</a>", {"a": "x\ny"}),
        ("<a xml:space='preserve'> x </a>", {"a": {"#text": " x ", "@xml:space": "preserve"}}),
        ("5", {"#text": "5"}),
        ("", {}),
        ("<__proto__>1</__proto__>", {"__proto__": "1"}),
    ],
)
def test_a_record_is_what_its_element_holds(inside: str, record: dict[str, Any]) -> None:
    assert read(f"<items><item>{inside}</item></items>") == [record]


@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        ("items/item", "<items><item><a>1</a></item><other><item><a>2</a></item></other></items>", ["1"]),
        ("/items/item", "<items><item><a>1</a></item></items>", ["1"]),
        ("item", "<item><a>1</a></item>", ["1"]),
        ("*/item", "<x><item><a>1</a></item></x>", ["1"]),
        ("items/*", "<items><x><a>1</a></x><y><a>2</a></y></items>", ["1", "2"]),
        (
            "//item",
            "<x><item><a>1</a></item><y><item><a>2</a><item><a>3</a></item></item></y></x>",
            ["1", "2"],
        ),
        ("a/b/item", "<a><b><item><a>1</a></item></b><c/><b><item><a>2</a></item></b></a>", ["1", "2"]),
    ],
)
def test_records_are_found_by_their_path(path: str, content: str, expected: list[str]) -> None:
    assert [record["a"] for record in read(content, records=path)] == expected


def test_lists_are_lists_also_of_one() -> None:
    content = "<items><item><line>1</line><o><line/></o></item></items>"

    assert read(content, lists=["line"]) == [{"line": ["1"], "o": {"line": [None]}}]


def test_numbers_are_guessed_where_it_is_asked_for() -> None:
    content = (
        "<items><item><a>00123</a><b>1.50</b><c>true</c><d>12345678901234567890</d><e>x</e></item></items>"
    )

    assert read(content, numbers="guess") == [
        {"a": 123, "b": 1.5, "c": True, "d": "12345678901234567890", "e": "x"}
    ]


def test_lists_may_be_told_apart_by_the_end_of_their_path() -> None:
    content = "<items><item><lines><line>1</line></lines><line>2</line></item></items>"

    assert read(content, lists=["lines/line"]) == [{"lines": {"line": ["1"]}, "line": "2"}]
    assert read(content, lists=["item/line"]) == [{"lines": {"line": "1"}, "line": ["2"]}]


@pytest.mark.parametrize(
    ("inside", "value"),
    [
        ("TRUE", True),
        ("False", False),
        ("1<b/>2", {"b": None, "#text": "12"}),
        ("0012<b/>x", {"b": None, "#text": "12x"}),
        ("<![CDATA[ x ]]>", " x "),
        ("<![CDATA[ 007 ]]>", 7),
        ("1<![CDATA[2]]>", "12"),
        ("1<?pi?>2", "12"),
        ("\u00a05", 5),
        ("<![CDATA[]]>", None),
    ],
)
def test_guesses_are_those_of_the_typescript_sdk(inside: str, value: Any) -> None:
    assert read(f"<items><item><a>{inside}</a></item></items>", numbers="guess") == [{"a": value}]


def test_space_is_kept_in_all_of_an_element_that_asks_for_it() -> None:
    content = (
        "<items><item xml:space='preserve'><a> <b> x </b></a><c xml:space='default'> y </c></item></items>"
    )

    assert read(content) == [
        {
            "@xml:space": "preserve",
            "a": {"b": " x ", "#text": " "},
            "c": {"@xml:space": "default", "#text": "y"},
        }
    ]


NAMESPACED = '<items xmlns="urn:a" xmlns:b="urn:b"><item b:k="v"><x>1</x><b:y>2</b:y></item></items>'


@pytest.mark.parametrize(
    ("namespaces", "record"),
    [
        ("keep", {"x": "1", "b:y": "2", "@b:k": "v"}),
        ("strip", {"x": "1", "y": "2", "@k": "v"}),
        ({"": "urn:a", "q": "urn:b"}, {"x": "1", "q:y": "2", "@q:k": "v"}),
        ({"": "urn:a"}, {"x": "1", "{urn:b}y": "2", "@{urn:b}k": "v"}),
    ],
)
def test_namespaces_are_kept_stripped_or_named(namespaces: Any, record: dict[str, Any]) -> None:
    assert read(NAMESPACED, namespaces=namespaces) == [record]


def test_two_names_that_would_become_one_are_a_bad_record() -> None:
    content = '<items xmlns:b="urn:b"><item><x>1</x><b:x>2</b:x></item><item><x>3</x></item></items>'

    bad, good = read(content, namespaces="strip")

    assert isinstance(bad, BadRecord)
    assert bad.place == Place(line=1, record=1, byte=23)
    assert "two names become one, 'x'" in bad.reason
    assert good == {"x": "3"}


def test_a_bad_record_may_be_as_deep_as_it_likes() -> None:
    content = "<items xmlns:b='u'><item><x/><b:x/>" + "<a>" * 2000 + "</a>" * 2000 + "</item></items>"

    [bad] = read(content, namespaces="strip")

    assert isinstance(bad, BadRecord)
    assert len(bad.raw) == 1000


def test_a_depth_beyond_that_of_python_may_be_allowed() -> None:
    content = "<items><item>" + "<a>" * 995 + "</a>" * 995 + "</item></items>"

    [record] = read(content, max_depth=1000)

    assert "a" in record


def test_a_record_tells_where_it_begins() -> None:
    data = "<items>\n  <item><a>é</a></item>\n  <item/></items>".encode("utf-16")
    records = open_format("xml", records="items/item").read(io.BytesIO(data), path="a.xml")

    places = [(records.place(), records.position) for _ in records]

    # Bytes as expat counts them: of the file.
    assert [each[1] for each in places] == [1, 2]
    assert [each[0].line for each in places] == [2, 3]
    assert [each[0].byte for each in places] == [2 + 2 * 10, 2 + 2 * 34]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_the_encoding_is_the_one_that_the_file_declares(encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    content = f'<?xml version="1.0" encoding="{declared}"?><items><item><a>Müller</a></item></items>'

    assert read(content.encode(encoding)) == [{"a": "Müller"}]


# Nothing wrong gets through


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no element found"),
        ("   ", "no element found"),
        ("plain text", "syntax error"),
        ("<items><item><a>1</item></items>", "mismatched tag"),
        ("<items><item><a>1</a></item>", "no element found"),
        ("<items/><items/>", "junk after"),
        ("<items/>text", "junk after"),
        ("<items><item><a>x & y</a></item></items>", "not well-formed"),
        ("<items><item><a>1 < 2</a></item></items>", "not well-formed"),
        ("<items><item k='1' k='2'/></items>", "duplicate attribute"),
        ("<items><item><1a/></item></items>", "not well-formed"),
        ("<items><item>&eacute;</item></items>", "undefined entity"),
        ("<items><item>\x01</item></items>", "not well-formed"),
        (b"<items><item>\xff</item></items>", "not well-formed"),
        (b'<?xml version="1.0" encoding="klingon"?><items/>', "klingon"),
        (b'<?xml version="1.0" encoding="shift_jis"?><items/>', "UTF-8"),
        (b'\xef\xbb\xbf<?xml version="1.0" encoding="iso-8859-1"?><items/>', "byte order mark of UTF-8"),
        ('<?xml version="1.0" encoding="utf-8"?><items/>'.encode("utf-16"), "encoding specified"),
        ("<items/>".encode("utf-32"), "isn't XML"),
        ("<!DOCTYPE r [<!ENTITY a 'b'>]><items/>", "document type"),
        ('<!DOCTYPE r SYSTEM "file:///etc/passwd"><items/>', "document type"),
        (
            '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><items><item>&x;</item></items>',
            "document type",
        ),
        ("<items>" + "<a>" * 200, "nested more than 100"),
        ("<items><item>" + "<a>" * 200 + "</a>" * 200 + "</item></items>", "nested more than 100"),
        ("<other/>", "found instead: other"),
        ("<items><product/><x/></items>", "found instead: items/product, items/x"),
        ("<x><items><item/></items></x>", "found instead: x"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(content: str | bytes, words: str) -> None:
    with pytest.raises(ParseError, match=words) as caught:
        read(content)

    assert caught.value.path == "a.xml"
    assert caught.value.line is not None


def test_an_empty_list_is_no_fault_and_a_bare_document_type_neither() -> None:
    assert read("<!DOCTYPE items><items/>") == []
    assert read("<items> <!-- nothing today --> </items>") == []


def test_what_came_before_a_fault_is_yielded() -> None:
    records = open_format("xml", records="items/item").read(
        io.BytesIO(b"<items><item><a>1</a></item>\n<item></items>"), path="a.xml"
    )
    found = iter(records)

    assert next(found) == {"a": "1"}
    with pytest.raises(ParseError) as caught:
        next(found)
    assert (caught.value.line, caught.value.column) == (2, 9)


@pytest.mark.parametrize(
    "content",
    [
        b"<items><item>" + b"x" * 300_000,
        b"<items><item " + b"k='" + b"x" * 300_000,
        b"<items " + b"k='" + b"x" * 300_000,
        b"<" + b"i" * 300_000,
    ],
)
def test_a_record_or_tag_without_end_is_refused_early(content: bytes) -> None:
    with pytest.raises(ParseError, match="max_record_bytes"):
        read(content, max_record_bytes=100_000)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<items><item>" + b"<a>" * 30_000, "nested more than 100"),
        (b"<items><item>" + b"<a/>" * 50_000, "max_record_bytes"),
        (b"<items><item>" + b"<a b=''/>" * 30_000, "max_record_bytes"),
        (b"<items><item " + b" ".join(b"a%d=''" % number for number in range(200_000)), "a tag or comment"),
        (b"<items><!--" + b"x" * 2_000_000, "a tag or comment"),
        (b"<items>" + b"".join(b"<item><n%d/></item>" % each for each in range(90_000)), "different names"),
    ],
    ids=["depth", "elements", "attributes", "tag", "comment", "names"],
)
def test_little_text_does_not_take_much_memory_or_time(content: bytes, words: str) -> None:
    with pytest.raises(ParseError, match=words):
        read(content, max_record_bytes=1 << 20)


def test_a_namespace_is_not_copied_for_every_name_when_it_is_endless() -> None:
    content = f"<items xmlns:b='{'u' * 2000}'><item><b:x/></item></items>"

    with pytest.raises(ParseError, match="namespace of 2,000 characters"):
        read(content, namespaces="strip")
    assert read(content) == [{"b:x": None}]


@pytest.mark.parametrize("content", ["<feed/>", "<feed><items/></feed>"])
def test_a_list_may_be_left_out_where_nothing_else_is_there(content: str) -> None:
    assert read(content, records="feed/items/item") == []


@pytest.mark.parametrize(
    "options",
    [
        {"lists": ["a//b"]},
        {"lists": [""]},
        {"records": ""},
        {"records": "items//item"},
        {"records": "//a/b"},
        {"records": "items/item[1]"},
        {"records": "items/@id"},
        {"namespaces": "drop"},
        {"numbers": "yes"},
        {"max_depth": 0},
        {"max_record_bytes": 0},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        read("<items/>", **options)


# Out


def test_records_are_written_in_the_shapes_that_are_read() -> None:
    record = {
        "@id": 7,
        "sku": 'a<b>&"c]]>\r\n',
        "price": Decimal("1.10"),
        "on": date(2026, 1, 2),
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "is": True,
        "none": None,
        "lines": [{"@n": '1"\n', "#text": "x"}, {"@n": "2", "#text": None}],
        "deep": {"er": {"x": "1"}},
        "empty": [],
    }

    text = written(record, root="items", record="item")

    assert read(text) == [
        {
            "@id": "7",
            "sku": 'a<b>&"c]]>\r\n'.strip(" \t\r\n"),
            "price": "1.10",
            "on": "2026-01-02",
            "at": "2026-01-02T00:00:00Z",
            "is": "true",
            "none": None,
            "lines": [{"@n": '1"\n', "#text": "x"}, {"@n": "2", "#text": None}],
            "deep": {"er": {"x": "1"}},
        }
    ]


def test_a_file_without_records_is_whole_and_a_layout_is_as_asked_for() -> None:
    assert written() == '<?xml version="1.0" encoding="UTF-8"?>\n<root>\n</root>\n'
    assert written({"a": {"b": 1, "c": [2, 3]}}, indent=2, declaration=False) == (
        "<root>\n  <record>\n    <a>\n      <b>1</b>\n      <c>2</c>\n      <c>3</c>\n    </a>\n  </record>\n</root>\n"
    )


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"a b": 1}, "'a b' is no name"),
        ({"1a": 1}, "no name"),
        ({"@": 1}, "no name"),
        ({"b:x": 1}, "doesn't declare"),
        ({"a": "\x00"}, "may hold"),
        ({"a": "\ud800"}, "may hold"),
        ({"a": float("nan")}, "no number"),
        ({"a": object()}, "no text"),
        ({"a": [[1]]}, "list in a list"),
        ({1: 1}, "isn't text"),
        ({"a": {"@k": "\x0b"}}, "may hold"),
    ],
)
def test_what_xml_can_not_hold_is_refused_and_the_file_stays_as_it_was(record: Any, words: str) -> None:
    stream = io.BytesIO()
    with open_writer("xml").write(stream) as writer:
        writer.write({"a": 1})
        with pytest.raises(FormatError, match=words):
            writer.write(record)
        writer.write({"a": 2})

    assert [each["a"] for each in read(stream.getvalue(), records="root/record")] == ["1", "2"]


def test_declared_namespaces_are_written_and_read_again() -> None:
    text = written({"b:x": 1, "y": 2}, namespaces={"": "urn:a", "b": "urn:b"})

    assert read(text, records="root/record", namespaces={"": "urn:a", "c": "urn:b"}) == [
        {"c:x": "1", "y": "2"}
    ]


NAMES = st.from_regex(r"[A-Za-z_é漢][A-Za-z0-9._é-]{0,5}", fullmatch=True)
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff", min_codepoint=32)
).map(lambda text: text.strip(" \t\r\n") or "x")
VALUES = st.recursive(
    st.none() | TEXTS,
    lambda inner: (
        st.dictionaries(NAMES, inner, min_size=1, max_size=4) | st.lists(TEXTS, min_size=2, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.dictionaries(NAMES, VALUES, min_size=1, max_size=5), max_size=5),
    st.sampled_from([None, 0, 2]),
)
def test_what_is_written_reads_back_equal(records: list[dict[str, Any]], indent: int | None) -> None:
    assert read(written(*records, indent=indent), records="root/record") == records


class Dribble(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(7, size or 7))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet="<>/items&;'\"=![]?-x \n", max_size=120).map(str.encode))
def test_no_bytes_do_worse_than_a_parse_error(noise: bytes) -> None:
    for data in (noise, b"<items><item>" + noise + b"</item></items>"):
        found: list[Any] = []
        for stream in (io.BytesIO(data), Dribble(data)):
            try:
                found.append(list(open_format("xml", records="items/item").read(stream, path="a.xml")))
            except ParseError as exc:
                found.append(str(exc))
        assert found[0] == found[1]
