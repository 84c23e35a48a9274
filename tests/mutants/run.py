"""Plant each bug in a copy of the source, and let the tests and histories find it.

scripts/mutants                     every mutant, by the detectors that should notice it
scripts/mutants --all-detectors     every mutant, by all of them
scripts/mutants redis               those with `redis` in their names
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click

from tests.mutants.mutants import MUTANTS, Mutant
from tests.servers import MissingServerError, PostgreSQLServer, RedisServer

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "fc_connect"

_PYTEST = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout", "120")
_HISTORIES = (
    sys.executable,
    "-m",
    "tests.history.run",
    "--failures",
    "{folder}/failures",
    "--side-by-side",
    "2",
)


def _suite(path: str, chosen: str = "") -> tuple[str, ...]:
    return (*_PYTEST, path, *(("-k", chosen) if chosen else ()))


def _histories(state: str, runs: int) -> tuple[str, ...]:
    return (*_HISTORIES, "--runs", str(runs), "--state", state)


DETECTORS: dict[str, tuple[str, ...]] = {
    "kv-memory": _suite(
        "tests/test_kv.py", "TestMemoryKV or time_injected or bytes or collide or two_versions"
    ),
    "kv-sqlite": _suite("tests/test_kv.py", "TestSQLiteKV or (eight_processes and sqlite)"),
    "kv-sqlite-more": _suite("tests/test_kv.py", "in_a_file"),
    "kv-redis": _suite("tests/test_kv.py", "TestRedisKV"),
    "kv-redis-more": _suite("tests/test_kv.py", "(one_moment and redis) or stays_in_lists"),
    "kv-postgresql": _suite("tests/test_kv.py", "TestPostgreSQLKV"),
    "kv-postgresql-more": _suite("tests/test_kv.py", "under_way or below_the_last"),
    "holes": _suite("tests/test_state_holes.py", "memory or of_many or clock"),
    "unknown": _suite("tests/test_state_unknown.py"),
    "laws": _suite("tests/test_state_laws.py"),
    "pipeline": _suite("tests/test_pipeline.py"),
    "doubt": _suite("tests/test_doubt.py"),
    "doubt-waits": _suite("tests/test_pipeline_doubt.py"),
    "import": _suite("tests/test_state_import.py"),
    "crash": _suite("tests/crash/test_points.py", "killed_at_any_point"),
    "histories-memory": _histories("memory", 150),
    "histories-sqlite": _histories("sqlite", 100),
    "histories-redis": _histories("{redis}", 400),
    "histories-postgresql": _histories("{postgresql}", 300),
}
"""What may notice a bug: commands that then fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a detector said of a mutant."""

    detector: str
    is_caught: bool
    seconds: float
    output: str


def plant(mutant: Mutant, folder: Path) -> Path:
    """Copy the source into `folder`, with the bug in it, and return what `PYTHONPATH` has to name."""
    shutil.copytree(SOURCE, folder / "fc_connect", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "fc_connect" / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: its text occurs {text.count(mutant.old)} times in {mutant.file}.")
    path.write_text(text.replace(mutant.old, mutant.new))
    return folder


def detect(place: Path | None, detector: str, urls: Mapping[str, str]) -> Finding:
    """Run a detector on the source at `place`, or on ours."""
    with tempfile.TemporaryDirectory(prefix="fc-connect-mutant-") as folder:
        command = [each.format(folder=folder, **urls) for each in DETECTORS[detector]]
        environment = {
            **os.environ,
            "FC_CONNECT_TEST_REDIS_URL": urls["redis"],
            "FC_CONNECT_TEST_POSTGRES_URL": urls["postgresql"],
            "PYTEST_DEBUG_TEMPROOT": folder,
        }
        if place is not None:
            environment["PYTHONPATH"] = str(place)
        began = time.monotonic()
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
            )
            code, output = done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired:
            code, output = 1, "it hung"
    if "pytest" in command and code not in {0, 1}:
        raise RuntimeError(f"The detector {detector} didn't run: {output[-2000:]}")
    return Finding(
        detector=detector, is_caught=code != 0, seconds=time.monotonic() - began, output=output[-1500:]
    )


def judge(
    mutant: Mutant, urls: Mapping[str, str], detectors: Sequence[str], *, all_of_them: bool
) -> list[Finding]:
    """Plant a mutant and run detectors on it, until one notices it."""
    findings = []
    with tempfile.TemporaryDirectory(prefix="fc-connect-mutant-") as folder:
        place = plant(mutant, Path(folder))
        for detector in detectors:
            findings.append(detect(place, detector, urls))
            if findings[-1].is_caught and not all_of_them:
                break
    return findings


@click.command()
@click.argument("names", nargs=-1)
@click.option("--all-detectors", is_flag=True, help="Run every detector on every mutant.")
@click.option(
    "--verify", is_flag=True, help="Run the detectors on the source as it is first: none may complain."
)
@click.option("--show", is_flag=True, help="Show what the detectors printed.")
def main(names: Sequence[str], *, all_detectors: bool, verify: bool, show: bool) -> None:
    """Plant bugs and see whether they are caught; exits with 1 where one survives."""
    chosen = [each for each in MUTANTS if not names or any(name in each.name for name in names)]
    began = time.monotonic()
    survivors = []
    with ExitStack() as stack:
        urls = _servers(stack)
        if verify:
            needed = DETECTORS if all_detectors else {name for each in chosen for name in each.caught_by}
            for detector in sorted(needed):
                finding = detect(None, detector, urls)
                click.echo(
                    f"{'COMPLAINS' if finding.is_caught else 'quiet':9} {detector} ({finding.seconds:.0f} s)"
                )
                if finding.is_caught:
                    click.echo(finding.output)
                    sys.exit(1)
        for number, mutant in enumerate(chosen, 1):
            detectors = tuple(DETECTORS) if all_detectors else mutant.caught_by
            findings = judge(mutant, urls, detectors, all_of_them=all_detectors)
            by = [each.detector for each in findings if each.is_caught]
            seconds = sum(each.seconds for each in findings)
            verdict = f"caught by {', '.join(by)}" if by else "SURVIVED"
            click.echo(f"{number:3}/{len(chosen)} {mutant.name}: {verdict} ({seconds:.0f} s)")
            if show or not by:
                click.echo("\n".join(each.output for each in findings))
            if not by:
                survivors.append(mutant)
    click.echo(f"{len(chosen) - len(survivors)} of {len(chosen)} caught in {time.monotonic() - began:.0f} s")
    for mutant in survivors:
        click.echo(f"SURVIVED {mutant.name}: {mutant.harm}")
    sys.exit(1 if survivors else 0)


def _servers(stack: ExitStack) -> dict[str, str]:
    urls = {}
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fc-connect-mutants-")))
    for name, kind in (("redis", RedisServer), ("postgresql", PostgreSQLServer)):
        try:
            (folder / name).mkdir()
            server = kind(folder / name)
            server.start()
        except MissingServerError as exc:
            raise click.ClickException(f"{name} can't be had here: {exc}") from exc
        stack.callback(server.stop)
        urls[name] = server.url
    return urls


if __name__ == "__main__":
    main()
