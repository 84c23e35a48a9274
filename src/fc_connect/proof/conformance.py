"""Runs the conformance suite on the store at a URL, in a process of its own, and leaves nothing in the store."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing.connection import Connection

from fc_connect.errors import MissingExtraError

__all__ = ["Conformance", "conforms"]


@dataclass(slots=True, kw_only=True)
class Conformance:
    """What came of the suite."""

    held: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    """By test: the last line of what went wrong."""


def conforms(url: str) -> Conformance:
    """Hold the store at `url` against every promise of the contract.

    Raises:
        MissingExtraError: the suite is one of pytest's, which isn't installed.
    """
    if find_spec("pytest") is None:
        raise MissingExtraError("`prove` needs a driver of tests: pip install 'fc-connect[prove]'")
    ours, theirs = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_run, args=(url, theirs), name="fc-connect-conformance")
    process.start()
    theirs.close()
    try:
        result: Conformance = ours.recv()
    except EOFError:
        process.join()
        return Conformance(broken={"the suite": f"its process ended with exit code {process.exitcode}"})
    process.join()
    return result


def _run(url: str, results: Connection) -> None:
    import pytest

    from fc_connect.proof import conformance_suite

    collected = Conformance()

    class Plugin:
        def pytest_configure(self, config: pytest.Config) -> None:
            config.stash[conformance_suite.URL] = url

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            name = report.nodeid.rpartition("::")[2]
            if report.failed:
                lines = str(report.longrepr).splitlines()
                errors = [line[1:].strip() for line in lines if line.startswith("E ")]
                collected.broken.setdefault(name, (errors or lines or ["failed"])[0])
            elif report.when == "call" and report.passed:
                collected.held += 1

    # None of the settings of the folder that it is started in.
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", "/", conformance_suite.__file__]
    with contextlib.redirect_stdout(io.StringIO()):
        code = pytest.main(options, plugins=[Plugin()])
    if code not in {0, 1} and not collected.broken:
        collected.broken["the suite"] = f"pytest ended with exit code {code}"
    results.send(collected)
    results.close()
