"""Audits the locks with pip-audit, and says plainly what couldn't be asked.

Exit codes: 0 everything was looked up and nothing is known; 1 advisories were found; 3 not everything could be looked
up, so nothing is proved.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SERVICES = ("pypi", "osv")
"""Asked in this order; the next one only where the one before couldn't tell of every dependency."""
LOCKS = (Path("lock/all.txt"), Path("lock/dev.txt"), Path("lock/build.txt"))

FOUND, UNPROVED = 1, 3


def ask(lock: Path, service: str) -> tuple[list[dict[str, Any]], str]:
    """Return what `service` told of each dependency, and what hindered it, if anything."""
    # --disable-pip with --require-hashes: the lock is read as it is; nothing is resolved or installed.
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--vulnerability-service", service),
        *("--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return [], "no answer within 300 s"
    try:
        told: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return [], lines[-1][:300] if lines else f"pip-audit ended with {done.returncode}"
    unknown = [each for each in told if "skip_reason" in each]
    # pip-audit itself ends with 0 here: a service that knows nothing would look like a clean bill.
    return told, f"{len(unknown)} of {len(told)} dependencies are unknown to it" if unknown else ""


def audit(lock: Path) -> int:
    """Print what is known of one lock, and return an exit code."""
    for service in SERVICES:
        told, hindrance = ask(lock, service)
        flawed = [each for each in told if each.get("vulns")]
        for each in flawed:
            for flaw in each["vulns"]:
                mended = ", ".join(flaw.get("fix_versions", [])) or "no version"
                print(f"{lock}: {each['name']} {each['version']}: {flaw['id']}, mended in {mended}")
        if flawed:
            return FOUND
        if not hindrance:
            print(f"{lock}: {len(told)} dependencies, no advisory known ({service})")
            return 0
        print(f"{lock}: not proved by {service}: {hindrance}", file=sys.stderr)
    return UNPROVED


def main() -> int:
    codes = [audit(lock) for lock in LOCKS]
    if FOUND in codes:
        print("Raise the versions named above in the locks (see CONTRIBUTING.md).", file=sys.stderr)
        return FOUND
    if UNPROVED in codes:
        print(
            "NOT AUDITED: no advisory service could tell of every dependency. Run it where pypi.org or api.osv.dev "
            "can be reached.",
            file=sys.stderr,
        )
        return UNPROVED
    return 0


if __name__ == "__main__":
    sys.exit(main())
