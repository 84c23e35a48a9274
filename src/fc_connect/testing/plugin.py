"""A plugin of pytest, there wherever fc-connect is installed: the fixture `fluent_sandbox`.

def test_stock_arrives(fluent_sandbox):
    my_job(base_url=fluent_sandbox.url)

    assert fluent_sandbox.summary().entities == 3


@pytest.mark.fluent_sandbox(processing_time=timedelta(seconds=5), list_batches=False)
def test_a_slow_account(fluent_sandbox): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # loaded in every run of pytest: imports only what a test then asks for
    from fc_connect.sandbox import Sandbox

__all__ = ["fluent_sandbox"]


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, for those who run with `--strict-markers`."""
    config.addinivalue_line(
        "markers",
        "fluent_sandbox(**options): options of fc_connect.sandbox.Sandbox for the fixture of this name",
    )


@pytest.fixture
def fluent_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Run the Fluent API on a free port for one test: empty at its start, gone after it.

    Options come from markers; the one nearest to the test wins.
    """
    from fc_connect.sandbox import Sandbox

    options: dict[str, object] = {}
    for marker in reversed(
        list(request.node.iter_markers("fluent_sandbox"))
    ):  # from the farthest to the nearest
        if marker.args:
            pytest.fail("@pytest.mark.fluent_sandbox takes options by their names alone.", pytrace=False)
        options |= marker.kwargs
    with Sandbox(**options) as sandbox:  # type: ignore[arg-type]
        yield sandbox
