"""The helpers of the TypeScript SDK's resolvers, for resolvers that are ported to Python.

Each is imported by its Python name, and gives what the original gives; `HELPERS` has them by the original's names.
Where nothing is there, that is `ABSENT`, as undefined was: a resolver that returns it leaves the field out.
docs/mapping.md has the table of names, and says what Python has in place of those that aren't here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from types import MappingProxyType
from typing import Any, Final

from fc_connect.mapping.toolbox.checks import (
    coalesce,
    default_to,
    ensure_array,
    is_array,
    is_date,
    is_empty,
    is_number,
    is_object,
    is_string,
    is_valid_email,
    map_value,
    normalize_empty,
    require_field,
)
from fc_connect.mapping.toolbox.dates import add_days, date_diff, format_date, parse_date, subtract_days
from fc_connect.mapping.toolbox.lists import chunk, compact, flatten, group_by, key_by, sort_by, unique
from fc_connect.mapping.toolbox.numbers import (
    average,
    clamp,
    format_currency,
    largest,
    number_range,
    parse_float_safe,
    parse_int_safe,
    smallest,
    total,
)
from fc_connect.mapping.toolbox.objects import (
    deep_clone,
    deep_merge,
    extract_custom_attribute,
    get_value,
    get_xml_attribute,
    get_xml_text_content,
    merge,
    omit,
    pick,
    safe_json_parse,
    set_value,
)
from fc_connect.mapping.toolbox.texts import (
    full_name,
    hash_string,
    normalize_whitespace,
    slugify,
    template,
    to_camel_case,
    to_snake_case,
    truncate,
    uuid,
)
from fc_connect.mapping.values import ABSENT

__all__ = [
    "HELPERS",
    "add_days",
    "average",
    "chunk",
    "clamp",
    "coalesce",
    "compact",
    "date_diff",
    "deep_clone",
    "deep_merge",
    "default_to",
    "ensure_array",
    "extract_custom_attribute",
    "flatten",
    "format_currency",
    "format_date",
    "full_name",
    "get_value",
    "get_xml_attribute",
    "get_xml_text_content",
    "group_by",
    "hash_string",
    "is_array",
    "is_date",
    "is_empty",
    "is_number",
    "is_object",
    "is_string",
    "is_valid_email",
    "key_by",
    "largest",
    "map_value",
    "merge",
    "normalize_empty",
    "normalize_whitespace",
    "number_range",
    "omit",
    "parse_date",
    "parse_float_safe",
    "parse_int_safe",
    "pick",
    "require_field",
    "safe_json_parse",
    "set_value",
    "slugify",
    "smallest",
    "sort_by",
    "subtract_days",
    "template",
    "to_camel_case",
    "to_snake_case",
    "total",
    "truncate",
    "unique",
    "uuid",
]


def _as_called_there(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is called as JavaScript calls one.

    Arguments that are missing are `ABSENT`, those too many are left out, and `ABSENT` means the default.
    """
    parameters = [each for each in signature(function).parameters.values() if each.kind != each.KEYWORD_ONLY]
    if any(each.kind == each.VAR_POSITIONAL for each in parameters):
        return function
    defaults = [ABSENT if each.default is each.empty else each.default for each in parameters]

    @wraps(function)
    def call(*arguments: Any) -> Any:
        given = [*arguments, *defaults[len(arguments) :]][: len(defaults)]
        return function(
            *[default if each is ABSENT else each for each, default in zip(given, defaults, strict=True)]
        )

    return call


_BY_NAME: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        "addDays": add_days,
        "avg": average,
        "chunk": chunk,
        "clamp": clamp,
        "coalesce": coalesce,
        "compact": compact,
        "dateDiff": date_diff,
        "deepClone": deep_clone,
        "deepMerge": deep_merge,
        "defaultTo": default_to,
        "ensureArray": ensure_array,
        "extractCustomAttribute": extract_custom_attribute,
        "flatten": flatten,
        "formatCurrency": format_currency,
        "formatDate": format_date,
        "fullName": full_name,
        "get": get_value,
        "getXmlAttribute": get_xml_attribute,
        "getXmlTextContent": get_xml_text_content,
        "groupBy": group_by,
        "hashString": hash_string,
        "isArray": is_array,
        "isDate": is_date,
        "isEmpty": is_empty,
        "isNumber": is_number,
        "isObject": is_object,
        "isString": is_string,
        "isValidEmail": is_valid_email,
        "keyBy": key_by,
        "mapValue": map_value,
        "max": largest,
        "merge": merge,
        "min": smallest,
        "normalizeEmpty": normalize_empty,
        "normalizeWhitespace": normalize_whitespace,
        "omit": omit,
        "parseDate": parse_date,
        "parseFloatSafe": parse_float_safe,
        "parseIntSafe": parse_int_safe,
        "pick": pick,
        "range": number_range,
        "requireField": require_field,
        "safeJsonParse": safe_json_parse,
        "set": set_value,
        "slugify": slugify,
        "sortBy": sort_by,
        "subtractDays": subtract_days,
        "sum": total,
        "template": template,
        "toCamelCase": to_camel_case,
        "toSnakeCase": to_snake_case,
        "truncate": truncate,
        "unique": unique,
        "uuid": uuid,
    }
)
HELPERS: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {name: _as_called_there(function) for name, function in _BY_NAME.items()}
)
"""By the name that the TypeScript SDK gives them, and called as there."""
