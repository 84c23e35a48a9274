"""Random paths of the mutation mapper's two dialects."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.peer.record_cases import value
from tests.peer.xml_cases import document

__all__ = ["json_path", "json_path_case", "xml_path", "xml_path_case"]

_SEGMENTS = (
    *("a", "a", "b", "b", "c", "c", "a[0]", "b[1]", "c[0]", "a[*]", "b[*]", "*", "a[0][1]", "a[-1]", "a[x]"),
    *(
        "a[1abc]",
        "a['b']",
        'a["b"]',
        "a[]",
        "[0]",
        "[*]",
        "0",
        "1",
        "length",
        "@id",
        "#text",
        "",
        " a",
        "a[ 1 ]",
    ),
    *(
        "a[b]",
        "a[01]",
        "b[*]c",
        "a[0",
        "a]",
        "a['b.c']",
        "a[1.5]",
        "edges",
        "node",
        "A",
        "a[*][0]",
        "$",
        "a[+1]",
    ),
    *(
        "a[0]@id",
        "a[*]@id",
        "a@id",
        "__proto__",
        "constructor",
        "a[b=1]",
        "a[0x1]",
        "a[1e1]",
        "a['0']",
        "a[''",
    ),
)
_XML_SEGMENTS = (
    *(
        "Order",
        "Order",
        "Item",
        "Ref",
        "Items",
        "a",
        "b",
        "Item[0]",
        "Item[1]",
        "Item[*]",
        "a[0]",
        "b[*]",
        "*",
    ),
    *(
        "Order@id",
        "Item@sku",
        "Item[0]@sku",
        "Item[*]@sku",
        "Item[sku=1]",
        "a[id=x]",
        "@id",
        "Ref[lang=true]",
    ),
    *(
        "Item[sku='1']",
        "Item[@sku=1]",
        "Item[sku=1]@sku",
        "#text",
        "Item[sku=",
        "Ref@",
        "Item[id=007]",
        "a[*]",
        "0",
    ),
    *(
        "",
        "Item[x]",
        "Order[0]",
        "Item[-1]",
        "Order['Ref']",
        "Item[sku]",
        "Item[id= p ]",
        "b[0]@lang",
        "a@id@sku",
    ),
    *("Item[id=p]", "Item[sku=1=2]", "Order[id=1.50]", "a[id=]", "Ref[#text=12]", "length"),
)


def json_path(random: Random) -> str:
    return ".".join(random.choice(_SEGMENTS) for _ in range(random.randrange(1, 4)))


def xml_path(random: Random) -> str:
    path = ".".join(random.choice(_XML_SEGMENTS) for _ in range(random.randrange(1, 4)))
    return f"Order.{path}" if random.random() < 0.6 else path


def json_path_case(random: Random) -> dict[str, Any]:
    record = value(random) if random.random() < 0.1 else {name: value(random) for name in "abc"}
    path = json_path(random)
    if random.random() < 0.05:
        path = random.choice(["", "$", "$.a", "a.b.c.a.b", "/a/b", "a/b"])
    return {"kind": "json_path", "config": {"path": path}, "input": record}


def xml_path_case(random: Random) -> dict[str, Any]:
    path = xml_path(random)
    if random.random() < 0.05:
        path = random.choice(["", "/Order/Ref", "Order/Ref", "//Item", "Order.*.Item", "Order.@id"])
    return {"kind": "xml_path", "config": {"path": path}, "input": document(random)}
