"""Hostile inputs under a cap of memory and time: a clear error within seconds, whatever the size of the input."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

MEMORY = 700 << 20  # of addresses: the interpreter and its libraries take most of it

READ = """
import io, sys
from fc_connect.errors import FCConnectError
from fc_connect.formats import open_format

class Endless(io.RawIOBase):
    def __init__(self, head, unit):
        self.rest, self.unit, self.given = head, unit * (1 + 65536 // len(unit)), 0
    def readable(self):
        return True
    def readinto(self, buffer):
        data, self.rest = self.rest[: len(buffer)], self.rest[len(buffer) :]
        data = data or self.unit[: len(buffer)]
        self.given += len(data)
        assert self.given < 200 << 20, "it goes on and on"
        buffer[: len(data)] = data
        return len(data)

try:
    for _ in open_format("csv").read(io.BufferedReader(Endless({head!r}, {unit!r})), path="x.csv"):
        pass
except FCConnectError as exc:
    print(str(exc)[:2000])
"""


def capped() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-"], input=program, capture_output=True, text=True, timeout=60, preexec_fn=capped
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(
    ("head", "unit", "told"),
    [
        pytest.param(b"", b"a", "max_field_bytes", id="one-line-without-end"),
        pytest.param(b"", b",", "a line of more than", id="columns-without-end"),
        pytest.param(
            b",".join(b"c%d" % n for n in range(99_999)) + b"\n", b"1\n", "max_columns", id="99,999-columns"
        ),
        pytest.param(b"a,b\n1,", b",", "a line of more than", id="values-without-end"),
        pytest.param(b'a,b\n1,"', b"x", "a line of more than", id="a-quoted-value-of-one-line"),
        pytest.param(b'a,b\n1,"', b"x\n", "Is a quote not closed", id="a-quote-that-never-closes"),
        pytest.param(b'a,b\n1,"', b'x""\n', "Is a quote not closed", id="doubled-quotes-without-end"),
        pytest.param(b"a,b\n", b'"xx\nyz",', "more than", id="a-record-over-lines-without-end"),
        pytest.param(b"a,b\n1,2\n", b"\0", "NUL", id="zeros"),
    ],
)
def test_a_hostile_file_is_refused_within_a_cap_of_memory(head: bytes, unit: bytes, told: str) -> None:
    said = run(READ.replace("{head!r}", repr(head)).replace("{unit!r}", repr(unit)))

    assert said.startswith("x.csv:")
    assert told in said
