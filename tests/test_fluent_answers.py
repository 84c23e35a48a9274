from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fc_connect.fluent.answers import is_done
from tests.fluent_server import FluentServer, Reply, client_of


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


def page(name: str, items: list[dict[str, Any]], *, start: int, total: int, **more: Any) -> Reply:
    return Reply(
        body={
            "id": "1",
            "status": "COMPLETE",
            name: items,
            "start": start,
            "count": len(items),
            "total": total,
            **more,
        }
    )


def results(start: int, end: int) -> list[dict[str, Any]]:
    return [
        {"entityId": n, "entityRef": f"r{n}", "responseCode": 200, "message": "OK"} for n in range(start, end)
    ]


@pytest.mark.parametrize(
    "status",
    [
        "COMPLETE",
        "COMPLETED",
        "complete",
        "Completed with errors",
        "COMPLETED_WITH_ERRORS",
        "FAILED",
        "PARTIAL",
    ],
)
def test_every_spelling_of_done_is_known(status: str) -> None:
    assert is_done(status)


@pytest.mark.parametrize(
    "status", ["PENDING", "RUNNING", "PROCESSING", "CREATED", "INCOMPLETE", "", "NOT COMPLETE"]
)
def test_what_is_under_way_is_not_done(status: str) -> None:
    assert not is_done(status)


def test_a_batchs_results_are_gathered_from_all_pages(server: FluentServer) -> None:
    server.replies += [
        page("results", results(0, 2), start=0, total=5),
        page("results", results(2, 4), start=2, total=5),
        page("results", results(4, 5), start=4, total=5),
    ]

    with client_of(server) as client:
        batch = client.get_batch_status("1", "b")

    assert [r.entity_ref for r in batch.results] == ["r0", "r1", "r2", "r3", "r4"]
    assert batch.is_complete_list
    assert batch.rejected == ()
    assert [s.path.partition("?")[2] for s in server.calls()] == ["", "start=2&count=3", "start=4&count=1"]


def test_a_server_that_heeds_no_paging_is_not_read_twice_or_for_ever(server: FluentServer) -> None:
    server.replies += [page("results", results(0, 2), start=0, total=5)] * 5

    with client_of(server) as client:
        batch = client.get_batch_status("1", "b")

    assert len(batch.results) == 2
    assert not batch.is_complete_list
    assert len(server.calls()) == 2


def test_a_batch_under_way_is_not_paged(server: FluentServer) -> None:
    server.replies.append(Reply(body={"batchId": 4, "status": "RUNNING", "start": 0, "count": 0, "total": 9}))

    with client_of(server) as client:
        batch = client.get_batch_status("1", "4")

    assert (batch.id, batch.is_done, batch.is_complete_list) == ("4", False, False)


def test_results_that_are_not_2xx_are_rejects(server: FluentServer) -> None:
    codes: list[Any] = [200, "201", 404, 500, 301, None, "?"]
    server.replies.append(
        Reply(
            body={
                "id": "b",
                "status": "COMPLETE",
                "results": [{"entityRef": str(c), "responseCode": c} for c in codes],
            }
        )
    )

    with client_of(server) as client:
        batch = client.get_batch_status("1", "b")

    assert [r.entity_ref for r in batch.rejected] == ["404", "500", "301", "None", "?"]
    assert batch.is_complete_list


def test_a_job_lists_its_batches_over_pages(server: FluentServer) -> None:
    server.replies += [
        page("batches", [{"id": 1}, {"batchId": "2", "status": "COMPLETE"}], start=0, total=3),
        page("batches", [{"id": 3}], start=2, total=3),
    ]

    with client_of(server) as client:
        job = client.get_job_status("1")

    assert job.batches is not None
    assert [(b.id, b.status) for b in job.batches] == [("1", ""), ("2", "COMPLETE"), ("3", "")]


@pytest.mark.parametrize(
    "replies",
    [
        [page("batches", [{"id": 1}], start=0, total=2), page("batches", [], start=1, total=2)],
        [page("batches", [{"id": 1}], start=0, total=2), page("batches", [{"id": 1}], start=0, total=2)],
        [
            page("batches", [{"id": 1}, {"id": 2}], start=0, total=3),
            page("batches", [{"id": 2}], start=2, total=3),
        ],
        [page("batches", [{"id": 1}], start=0, total=2), Reply(body=b"<html>")],
        [page("batches", [{"id": 2}], start=1, total=2)],
        [Reply(body={"id": "1", "status": "OPEN", "batches": [{"id": 1}], "start": 0, "count": 1})],
        [Reply(body={"id": "1", "status": "OPEN", "batches": [{"status": "COMPLETE"}]})],
        [Reply(body={"id": "1", "status": "OPEN", "batches": "many"})],
        [Reply(body={"id": "1", "status": "OPEN"})],
    ],
)
def test_a_list_of_batches_that_may_not_be_whole_is_no_list(
    server: FluentServer, replies: list[Reply]
) -> None:
    """Who looks for a batch in doubt takes its absence from the list as proof, so half a list would be a lie."""
    server.replies += replies

    with client_of(server) as client:
        job = client.get_job_status("1")

    assert job.batches is None


def test_an_empty_list_of_batches_is_a_list(server: FluentServer) -> None:
    server.replies.append(page("batches", [], start=0, total=0))

    with client_of(server) as client:
        job = client.get_job_status("1")

    assert job.batches == ()


@pytest.mark.parametrize(
    ("status", "closed"), [("CLOSED", True), ("expired", True), ("OPEN", False), ("RUNNING", False)]
)
def test_a_closed_job_says_so(server: FluentServer, status: str, closed: bool) -> None:
    server.replies.append(Reply(body={"id": "1", "status": status}))

    with client_of(server) as client:
        job = client.get_job_status("1")

    assert job.is_closed is closed


def test_a_jobs_figures_are_read(server: FluentServer) -> None:
    figures = {"totalBatches": 2, "successfulBatches": "1", "failedBatches": 1}
    listed = [{"batchId": 1, "status": "COMPLETE"}, {"batchId": 2, "status": "FAILED"}]
    server.replies.append(Reply(body={"id": 1, "status": "COMPLETE", **figures, "results": listed}))

    with client_of(server) as client:
        job = client.get_job_results("1")

    assert (job.total_batches, job.successful_batches, job.failed_batches) == (2, 1, 1)
    assert [batch.id for batch in job.batches] == ["1", "2"]
