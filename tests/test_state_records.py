"""Records are read by many threads at once."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys, threading
from dataclasses import make_dataclass
from fc_connect.kv import Entry
from fc_connect.state.records import from_entry

sys.setswitchinterval(1e-6)
entry = Entry(key=("a",), value={name: {"x": 1} for name in "abcdef"}, versionstamp="1")
for _ in range(60):
    inner = make_dataclass("Inner", [("x", int)])
    outer = make_dataclass("Outer", [(name, inner) for name in "abcdef"])
    together = threading.Barrier(6)

    def read():
        together.wait()
        assert from_entry(entry, outer).f.x == 1

    threads = [threading.Thread(target=read) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
print("read")
"""


def test_threads_that_read_a_kind_of_record_for_the_first_time_at_once_do_not_crash() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "read\n"), done.stderr
