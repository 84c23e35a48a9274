"""The older spelling of GraphQL's schema language, `type A implements B, C`, put into today's: `implements B & C`."""

from __future__ import annotations

from graphql import Lexer, Source, Token, TokenKind

__all__ = ["modernized"]

_DEFINITIONS = {
    "type",
    "interface",
    "input",
    "enum",
    "union",
    "scalar",
    "schema",
    "extend",
    "directive",
}
_OPENING = {TokenKind.BRACE_L, TokenKind.PAREN_L, TokenKind.BRACKET_L}
_CLOSING = {TokenKind.BRACE_R, TokenKind.PAREN_R, TokenKind.BRACKET_R}


def modernized(text: str) -> str:
    """Return the schema with `&` between the interfaces of a type; every line stays where it was.

    Raises:
        GraphQLSyntaxError: the text holds what is no token.
    """
    tokens = _tokens(text)
    ends: list[int] = []
    depth = 0
    for place, token in enumerate(tokens):
        if token.kind in _OPENING:
            depth += 1
        elif token.kind in _CLOSING:
            depth -= 1
        elif depth == 0 and _begins_interfaces(tokens, place):
            ends += _ends_without_ampersand(tokens, place + 1, text)
    pieces, begin = [], 0
    for end in ends:
        pieces += [text[begin:end], " &"]
        begin = end
    return "".join([*pieces, text[begin:]])


def _tokens(text: str) -> list[Token]:
    lexer = Lexer(Source(text))
    tokens = []
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        tokens.append(token)
    return tokens


def _begins_interfaces(tokens: list[Token], place: int) -> bool:
    if tokens[place].kind is not TokenKind.NAME or tokens[place].value != "implements" or place < 2:
        return False
    keyword, name = tokens[place - 2], tokens[place - 1]
    is_definition = keyword.kind is TokenKind.NAME and keyword.value in {"type", "interface"}
    return is_definition and name.kind is TokenKind.NAME


def _ends_without_ampersand(tokens: list[Token], place: int, text: str) -> list[int]:
    """Return where each interface ends that another follows without `&`."""
    ends = []
    previous: Token | None = None
    for token in tokens[place:]:
        if token.kind is TokenKind.AMP:
            previous = None
        elif token.kind is not TokenKind.NAME:
            break
        else:
            if previous is not None:
                # A type without a body may be followed by a definition; a comma goes on with the list.
                if token.value in _DEFINITIONS and not _has_comma(text[previous.end : token.start]):
                    break
                ends.append(previous.end)
            previous = token
    return ends


def _has_comma(between: str) -> bool:
    """Say whether a comma lies in what the lexer leaves out between two tokens, comments aside."""
    return any("," in line.partition("#")[0] for line in between.splitlines())
