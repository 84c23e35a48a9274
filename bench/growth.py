"""Whether state costs the same at 100 and at 1,000,000 tracked files, and whether renewals wait for claims.

    python -m bench.growth [--files 1000000] [--state sqlite|redis|postgresql|...|<URL>]

Medians of a few hundred calls each. The ratio is what counts: both sizes are measured in one run, on one machine.
While eight processes claim and free locks of their own, a renewal is held against a plain write to a key that nobody
else touches: the same store, just as busy.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event

from tests.stores import store_url

from fc_connect.kv import KVStore, open_kv
from fc_connect.state import FileRecord, StateService

START = datetime(2026, 1, 1, tzinfo=UTC)
FEW = 100
CALLS = 300


def a_file(number: int) -> FileRecord:
    return FileRecord(
        source="s3://bucket/inbox/",
        file_name=f"stock-{number:07d}.csv",
        fingerprint=f"etag:{number:032x}",
        last_modified=START + timedelta(seconds=number),
        file_size=1000,
        content_digest=f"{number:064x}",
    )


def median_ms(call: Callable[[int], object], calls: int = CALLS) -> float:
    took = []
    for number in range(calls):
        began = time.perf_counter()
        call(number)
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def measure(state: StateService, tracked: int, fresh: Iterator[int]) -> dict[str, float]:
    with state.lock("renewed") as lease:
        return {
            "is_file_processed, known": median_ms(
                lambda n: state.is_file_processed(a_file(n * 7919 % tracked))
            ),
            "is_file_processed, new": median_ms(lambda n: state.is_file_processed(a_file(10**9 + n))),
            "mark as completed": median_ms(lambda _: state.update_sync_state([a_file(next(fresh))])),
            "take and free a lock": median_ms(lambda n: state.lock(f"lock-{n}").release()),
            "renew": median_ms(lambda _: lease.renew()),
        }


def claim_until(url: str, workflow: str, stop: Event) -> None:
    with open_kv(url) as kv:
        state = StateService(kv, workflow_id=workflow)
        while not stop.is_set():
            state.lock(uuid.uuid4().hex).release()


@contextmanager
def claims(url: str, workflow: str, *, workers: int) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    processes = [context.Process(target=claim_until, args=(url, workflow, stop)) for _ in range(workers)]
    for process in processes:
        process.start()
    time.sleep(3)
    yield
    stop.set()
    for process in processes:
        process.join()


def grow(state: StateService, up_to: int) -> None:
    for at in range(FEW, up_to, 3000):
        state.update_sync_state([a_file(number) for number in range(at, min(at + 3000, up_to))])


def report(kv: KVStore, url: str, *, files: int) -> None:
    state = StateService(kv, workflow_id=f"growth-{uuid.uuid4().hex[:8]}")
    fresh = iter(range(10**8, 10**9))
    state.update_sync_state([a_file(number) for number in range(FEW)])
    few = measure(state, FEW, fresh)
    began = time.monotonic()
    grow(state, files)
    print(f"{files:,} files marked in {time.monotonic() - began:.0f} s")
    many = measure(state, files, fresh)
    print(f"{'median, ms':28}{FEW:>12,}{files:>12,}{'ratio':>8}")
    for name in few:
        print(f"{name:28}{few[name]:12.3f}{many[name]:12.3f}{many[name] / few[name]:8.2f}")
    if not url.startswith("memory:"):
        with claims(url, state.workflow_id, workers=8), state.lock("renewed") as lease:
            write = median_ms(lambda n: kv.set((state.workflow_id, "alone"), n))
            renewal = median_ms(lambda _: lease.renew())
        print(
            f"while 8 processes claim: a plain write {write:.3f} ms, a renewal {renewal:.3f} ms: {renewal / write:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--state", default="sqlite")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = stack.enter_context(store_url(options.state))
        report(stack.enter_context(open_kv(url)), url, files=options.files)


if __name__ == "__main__":
    main()
