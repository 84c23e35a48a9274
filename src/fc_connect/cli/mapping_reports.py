"""What the `mapping` commands print: text for people, Markdown for pages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fc_connect.cli.options import one_line

if TYPE_CHECKING:
    from fc_connect.cli.samples import Sample
    from fc_connect.mapping import Coverage, FieldProfile, Finding, Inspection

__all__ = [
    "analysis_markdown",
    "analysis_text",
    "coverage_markdown",
    "coverage_text",
    "inspection_text",
    "resolver_text",
]

_SHOWN = 40
_NAMED = 8
_SAMPLES = 3


def inspection_text(found: Inspection, *, is_quiet: bool, is_strict: bool) -> Iterable[str]:
    """Yield the lines of a validation; optional fields that aren't mapped share one line."""
    stats = found.coverage.stats()
    against = f"{found.against}: " if found.against else "no schema given, its format alone was checked; "
    counted = (
        f"{stats['mappedRequired']} of {stats['requiredFields']} required and "
        f"{stats['mappedOptional']} of {stats['optionalFields']} optional fields mapped, "
        if found.against
        else ""
    )
    is_bad = bool(found.errors) or (is_strict and bool(found.warnings))
    yield (
        f"{'✗' if is_bad else '✓'} {one_line(found.file)}: {against}{counted}"
        f"{_counted(len(found.errors), 'error')}, {_counted(len(found.warnings), 'warning')}{_tried(found)}"
    )
    yield from _limited(
        f"  ✗ {one_line(f'{each.path}: ' if each.path else '')}{one_line(each.message)}"
        for each in found.errors
    )
    if is_quiet:
        return
    optional = [each.path for each in found.warnings if each.code == "OPTIONAL_FIELD_MISSING"]
    others = [each for each in found.warnings if each.code != "OPTIONAL_FIELD_MISSING"]
    yield from _limited(f"  ! {_placed(each)}" for each in others)
    if optional:
        named = ", ".join(optional[:_NAMED]) + (", …" if len(optional) > _NAMED else "")
        yield f"  ! {_counted(len(optional), 'optional field')} not mapped: {named}"


def coverage_text(coverage: Coverage, *, shows_missing: bool) -> Iterable[str]:
    """Yield the lines of a coverage."""
    yield f"{one_line(coverage.file)} → {coverage.operation} ({coverage.direction})"
    yield f"{'':10}{'fields':>8}{'mapped':>8}{'missing':>9}{'coverage':>10}"
    for name, fields, mapped, percent in _rows(coverage):
        yield f"{name:10}{fields:>8}{mapped:>8}{fields - mapped:>9}{f'{int(percent)} %':>10}"
    if shows_missing:
        for each in coverage.fields:
            if not each.mapped:
                mark = "✗ required" if each.required else "· optional"
                described = f"  {one_line(each.description)}" if each.description else ""
                yield f"  {mark}  {each.path}: {each.type}{described}"


def coverage_markdown(coverage: Coverage, *, shows_missing: bool) -> Iterable[str]:
    """Yield the lines of a coverage as Markdown."""
    yield f"## {_cell(coverage.file)}"
    yield ""
    yield f"`{coverage.operation}`, {coverage.direction}"
    yield ""
    yield "| | fields | mapped | missing | coverage |"
    yield "|---|---|---|---|---|"
    for name, fields, mapped, percent in _rows(coverage):
        yield f"| {name} | {fields} | {mapped} | {fields - mapped} | {int(percent)} % |"
    missing = [each for each in coverage.fields if not each.mapped]
    if shows_missing and missing:
        yield ""
        yield "| missing | type | required | what it is |"
        yield "|---|---|---|---|"
        for each in missing:
            needed = "yes" if each.required else "no"
            yield f"| `{each.path}` | `{each.type}` | {needed} | {_cell(each.description or '')} |"


def analysis_text(sample: Sample) -> Iterable[str]:
    """Yield the lines of an analysis: two for each path."""
    yield _about(sample)
    yield ""
    profiles = sample.profiles
    width = min(36, max(len(each.path) for each in profiles))
    for each in profiles:
        found = each.suggestion()
        mark = "?" if found.must_decide else " "
        resolver = f" → {resolver_text(found.resolver)}" if found.resolver is not None else ""
        yield f"{mark} {one_line(each.path):{width}}  {one_line(found.looks_like)}{resolver}"
        parts = [found.why, *_counts(each)]
        if each.samples and not found.looks_like.startswith("enum"):
            parts.append(f"such as {', '.join(each.samples[:_SAMPLES])}")
        yield f"  {'':{width}}  {one_line('; '.join(parts))}"
    yield from _endings(sample)


def analysis_markdown(sample: Sample) -> Iterable[str]:
    """Yield the lines of an analysis as Markdown."""
    yield f"# {_cell(sample.path.name)}"
    yield ""
    yield _cell(_about(sample))
    yield ""
    yield "| path | types | missing | looks like | resolver | why | such as |"
    yield "|---|---|---|---|---|---|---|"
    for each in sample.profiles:
        found = each.suggestion()
        cells = [
            f"`{_cell(each.path)}`",
            ", ".join(each.types),
            str(each.missing),
            found.looks_like + (" (decide)" if found.must_decide else ""),
            "" if found.resolver is None else f"`{resolver_text(found.resolver)}`",
            found.why,
            ", ".join(each.samples[:_SAMPLES]),
        ]
        yield f"| {' | '.join(_cell(cell) if not cell.startswith('`') else cell for cell in cells)} |"
    yield ""
    yield from (_cell(each) for each in _endings(sample))


def resolver_text(resolver: Any) -> str:
    """Return a resolver as a mapping writes it."""
    return resolver if isinstance(resolver, str) else json.dumps(resolver, ensure_ascii=False)


def _about(sample: Sample) -> str:
    parts = [f"{sample.path}: {sample.format}"]
    if sample.delimiter is not None and sample.delimiter != ",":
        parts.append(f"delimiter {sample.delimiter!r}")
    if sample.records_at:
        parts.append(f"records at {sample.records_at}")
    more = "the first " if sample.has_more else ""
    parts.append(f"{more}{_counted(sample.profiler.records, 'record')}")
    parts.append(_counted(len(sample.profiles), "path"))
    return one_line(", ".join(parts))


def _endings(sample: Sample) -> Iterable[str]:
    if sample.bad_count:
        yield f"✗ {_counted(sample.bad_count, 'record')} can't be read: {one_line('; '.join(sample.bad))}"
    if sample.profiler.paths_left_out:
        left_out = _counted(sample.profiler.paths_left_out, "value")
        yield f"! {left_out} of further paths left out: the source has too many"
    undecided = sum(each.suggestion().must_decide for each in sample.profiles)
    if undecided:
        yield f"? {_counted(undecided, 'path')} must be decided by a person"


def _counts(profile: FieldProfile) -> list[str]:
    counts = [("absent", profile.absent), ("null", profile.nulls), ("empty", profile.empty)]
    return [f"{count:,} {name}" for name, count in counts if count]


def _rows(coverage: Coverage) -> Sequence[tuple[str, int, int, float]]:
    stats = coverage.stats()
    return [
        ("required", stats["requiredFields"], stats["mappedRequired"], coverage.required_percent),
        ("optional", stats["optionalFields"], stats["mappedOptional"], coverage.optional_percent),
        ("all", stats["totalFields"], stats["mappedFields"], coverage.percent),
    ]


def _limited(lines: Iterable[str]) -> Iterable[str]:
    shown = 0
    left = 0
    for line in lines:
        if shown < _SHOWN:
            yield line
            shown += 1
        else:
            left += 1
    if left:
        yield f"  … {left:,} more: --json shows all"


def _tried(found: Inspection) -> str:
    trial = found.trial
    return (
        ""
        if trial is None
        else f"; {trial.records - trial.rejected:,} of {trial.records:,} sample records mapped"
    )


def _placed(finding: Finding) -> str:
    return one_line(f"{finding.path}: {finding.message}" if finding.path else finding.message)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|").replace("`", "'")
