"""Random documents, and mappings of them."""

from __future__ import annotations

from random import Random
from typing import Any

__all__ = ["document", "universal_xml_case"]

TEXTS = (
    *(
        "",
        "  ",
        "0012",
        "1e3",
        "0x1A",
        "true",
        "FALSE",
        "True",
        " x ",
        "10.50",
        "-5",
        "+5",
        ".5",
        "5.",
        "00",
        "-0",
    ),
    *(
        "0.0",
        "-0.0",
        "1.0",
        "12abc",
        "0b1",
        "0o7",
        "9007199254740993",
        "2024-01-15",
        "é",
        "1_000",
        "NaN",
        "null",
    ),
    *(
        "Infinity",
        "&amp;",
        "&lt;a&gt;",
        "a &amp; b",
        "&#65;",
        "<![CDATA[ raw <b> ]]>",
        "<![CDATA[12]]>",
        "1e400",
    ),
    *(
        "<![CDATA[ ]]>",
        "x<![CDATA[ y ]]>z",
        "1<!-- c -->2",
        " x <!-- c --> y ",
        "\n x \n y \n",
        "1 2",
        "0X1F",
    ),
    *("-0x1F", "1.5e-7", "0.0000001", "123456789012345678901", "12345678901234567890.0", "+0012.50", "1,000"),
    *(
        "<![CDATA[ true ]]>",
        "<![CDATA[TRUE]]>",
        "<![CDATA[ TRUE ]]>",
        "&quot;q&quot;",
        "&amp;amp;",
        "1.10",
        "\u00a05",
    ),
    *("0.1234567890123456789", "1e21", "1e", "--5", "on", "yes"),
)
ATTRIBUTES = ("1", "007", "x", "", "true", " p ", "a&amp;b", "1.50", "  ", "é", "-0", "&lt;")
ELEMENTS = ("Order", "Item", "Ref", "Items", "a", "b")
PATHS = (
    *(
        "Order",
        "Order.@id",
        "Order.Ref",
        "Order.Items.Item",
        "Order.Items.Item[0]",
        "Order.Items.Item[1].@sku",
    ),
    *("Item", "a.b", "a.@lang", "a.#text", "Order.Item", "Items.Item", "Ref", "b", "Order.a", "Ref.#text"),
    *("Order.Items.Item.@sku", "Order.Items[0].Item", "Order.#text", "Order.Ref.#text", "Order.Item.0"),
)
RESOLVERS = ("sdk.toString", "sdk.parseInt", "sdk.toJson", "sdk.boolean", "sdk.trim", "sdk.parseFloat")


def document(random: Random) -> str:
    declaration = random.choice(["", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-8"?>\n'])
    return declaration + _element(random, 0)


def _element(random: Random, depth: int) -> str:
    name = "Order" if not depth and random.random() < 0.5 else random.choice(ELEMENTS)
    attributes = "".join(
        f' {attribute}="{random.choice(ATTRIBUTES)}"'
        for attribute in random.sample(
            ["id", "sku", "lang"], random.randrange(3) if random.random() < 0.5 else 0
        )
    )
    if depth > 2 or (depth and random.random() < 0.4):
        if random.random() < 0.15:
            return f"<{name}{attributes}/>"
        return f"<{name}{attributes}>{random.choice(TEXTS)}</{name}>"
    inside = "".join(
        random.choice(["", "", "", " ", "\n", "mixed ", "5"]) + _element(random, depth + 1)
        for _ in range(random.randrange(4))
    )
    end = random.choice(["", "", "", " tail", "<!-- c -->", "7", " "])
    return f"<{name}{attributes}>{inside}{end}</{name}>"


def universal_xml_case(random: Random) -> dict[str, Any]:
    mapping: dict[str, Any] = {f"f{number}": {"source": path} for number, path in enumerate(PATHS)}
    for name in random.sample(list(mapping), 5):
        mapping[name]["resolver"] = random.choice(RESOLVERS)
    mapping["list"] = {
        "source": random.choice(PATHS),
        "isArray": True,
        "fields": {"s": {"source": "@sku"}, "t": {"source": "#text"}, "n": {"source": "Ref"}},
    }
    return {"kind": "universal_xml", "config": {"fields": mapping}, "input": document(random)}
