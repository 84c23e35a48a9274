"""Regular expressions of mappings, tried on text that anybody may have written: each try has a length and a time."""

from __future__ import annotations

__all__ = ["Pattern", "compile_pattern"]

_LONGEST = 100_000
"""Characters that a pattern is tried on."""
_SECONDS = 1.0
"""For one try: a pattern such as (a+)+b takes for ever on text that is almost like it."""


class Pattern:
    """A compiled pattern. Picklable, and safe to share between threads."""

    def __init__(self, text: str) -> None:
        self.text = text
        import regex  # where a mapping has a pattern at all

        self._compiled = regex.compile(text)

    def __reduce__(self) -> tuple[type[Pattern], tuple[str]]:
        return Pattern, (self.text,)

    def matches(self, text: str) -> bool:
        """Say whether the whole text is like the pattern.

        Raises:
            ValueError: the text is too long, or the try takes too long.
        """
        self._demand_short(text)
        try:
            return self._compiled.fullmatch(text, timeout=_SECONDS) is not None
        except TimeoutError as exc:
            raise self._slow() from exc

    def replaced(self, text: str, replacement: str) -> str:
        """Return the text with each match replaced.

        Raises:
            ValueError: the text is too long, or the try takes too long.
        """
        self._demand_short(text)
        try:
            return str(self._compiled.sub(replacement, text, timeout=_SECONDS))
        except TimeoutError as exc:
            raise self._slow() from exc

    def _demand_short(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise ValueError(f"expected at most {_LONGEST:,} characters for the pattern {self.text}")

    def _slow(self) -> ValueError:
        return ValueError(f"expected text that the pattern {self.text} can be tried on within {_SECONDS:g} s")


def compile_pattern(text: str) -> Pattern:
    """Compile a pattern.

    Raises:
        ValueError: it is none.
    """
    import regex

    try:
        return Pattern(text)
    except (regex.error, RecursionError, OverflowError, MemoryError) as exc:
        raise ValueError(f"{text!r} isn't a regular expression: {exc}") from exc
