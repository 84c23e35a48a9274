"""From the sandbox to a handler, through a real process that is killed: nothing lost, nothing forged, nothing twice."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from fc_connect.cli.webhook import webhook
from fc_connect.sandbox import Sandbox, WebhookFault, WebhookFaultKind
from fc_connect.sandbox.signing import SigningKey
from tests.test_sandbox_webhooks import HTTP, send_event
from tests.webhook_process import WebhookProcess

pytestmark = pytest.mark.crash
PAUSES = (timedelta(milliseconds=300),) * 200  # however long a busy machine takes to start the receiver again


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(webhook_pauses=PAUSES) as running:
        yield running


@pytest.fixture
def receiver(tmp_path: Path, sandbox: Sandbox) -> Iterator[WebhookProcess]:
    process = WebhookProcess(tmp_path, fluent_keys=[sandbox.webhook_public_key])
    sandbox.webhook_sender.add_url("*", f"{process.url}/webhooks/orders")
    yield process
    if process.process is not None and process.process.poll() is None:
        process.end(signal.SIGKILL)


def test_what_was_acknowledged_outlives_kill_9_and_is_handled_once(
    sandbox: Sandbox, receiver: WebhookProcess
) -> None:
    receiver.start()
    sandbox.inject_webhook_fault(WebhookFault(kind=WebhookFaultKind.REPEATED, copies=3))
    sent = [send_event(sandbox) for _ in range(8)]
    sandbox.wait_for_webhooks()
    receiver.wait_for("begun.txt", 1)

    receiver.end(signal.SIGKILL)
    down = send_event(sandbox)  # its first attempt finds nobody
    receiver.open_gate()
    receiver.start()
    sandbox.wait_for_webhooks()
    sandbox.inject_webhook_fault(WebhookFault(kind=WebhookFaultKind.REPEATED, copies=1))
    sent += [down, send_event(sandbox)]

    done = receiver.wait_for("done.txt", len(sent))
    sandbox.wait_for_webhooks()
    assert sorted(done) == sorted(sent)
    receiver.wait_for_counts(waiting=0, dead=0)
    assert receiver.end() == 0
    assert receiver.lines("done.txt") == done
    # The handler that was killed had begun; it was begun again, and that is all that was.
    assert len(receiver.lines("begun.txt")) == len(sent) + 1


def test_whatever_a_kill_hits_what_was_told_to_be_taken_is_handled(
    sandbox: Sandbox, receiver: WebhookProcess
) -> None:
    receiver.open_gate()
    receiver.start()
    sent = {send_event(sandbox) for _ in range(12)}
    receiver.end(signal.SIGKILL)  # some are on their way, in the middle of being queued, or at the handler
    receiver.start()
    sandbox.wait_for_webhooks()

    taken = {each.event_id for each in sandbox.webhooks() if each.status in {200, 202}}
    assert taken
    deadline = time.monotonic() + 20
    while not taken <= set(receiver.lines("done.txt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    done = receiver.lines("done.txt")
    assert taken <= set(done) <= sent
    # At least once: the one handler that was at work may have ended without its note.
    assert len(done) <= len(set(done)) + 1


def test_what_is_forged_tampered_unsigned_or_replayed_is_never_handed_on(
    sandbox: Sandbox, receiver: WebhookProcess
) -> None:
    receiver.open_gate()
    receiver.start()
    forged = []
    for kind in ("wrong_signature", "other_key", "tampered", "unsigned", "legacy_only"):
        sandbox.inject_webhook_fault(WebhookFault(kind=WebhookFaultKind(kind)))
        forged.append(send_event(sandbox))
        sandbox.wait_for_webhooks()
    assert [each.status for each in sandbox.webhooks()] == [401] * 5
    body = b'{"id": "e-1", "name": "Paid"}'
    headers = sandbox.webhook_sender.key.headers(body)
    url = f"{receiver.url}/webhooks/orders"

    first = HTTP.post(url, content=body, headers=headers)
    again = HTTP.post(url, content=body, headers={name.upper(): value for name, value in headers.items()})
    other = HTTP.post(url, content=body, headers=SigningKey.new().headers(body))

    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 401)
    last = send_event(sandbox)
    assert receiver.wait_for("done.txt", 2) == ["e-1", last]
    assert receiver.lines("begun.txt") == ["e-1", last]


def test_sigterm_lets_the_handler_end_and_keeps_the_rest(sandbox: Sandbox, tmp_path: Path) -> None:
    process = WebhookProcess(tmp_path, fluent_keys=[sandbox.webhook_public_key], grace="10s")
    sandbox.webhook_sender.add_url("*", f"{process.url}/webhooks/orders")
    process.start()
    sent = [send_event(sandbox) for _ in range(2)]
    sandbox.wait_for_webhooks()
    process.wait_for("begun.txt", 1)
    assert process.process is not None

    process.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    process.open_gate()

    assert process.process.wait(timeout=10) == 0
    assert len(process.lines("done.txt")) == 1
    listed = command(tmp_path, "queue", "list")
    assert "1 waiting, 0 given up" in listed
    assert "Traceback" not in process.log()
    process.start()
    assert sorted(process.wait_for("done.txt", 2)) == sorted(sent)
    assert process.end() == 0


def test_a_person_finds_what_was_given_up_and_hands_it_on_again(sandbox: Sandbox, tmp_path: Path) -> None:
    process = WebhookProcess(
        tmp_path,
        fluent_keys=[sandbox.webhook_public_key],
        retry={"max_attempts": 2, "backoff": "10ms"},
    )
    process.open_gate()
    sandbox.webhook_sender.add_url("*", f"{process.url}/webhooks/orders")
    process.start()

    event_id = send_event(sandbox, attributes={"fail": True, "note": "canary-body"})
    process.wait_for("begun.txt", 2)
    process.wait_for_counts(waiting=0, dead=1)

    listed = command(tmp_path, "queue", "list", "--dead")
    assert event_id in listed
    assert "this one always fails" in listed
    item = listed.split()[0]
    assert "canary-body" in command(tmp_path, "queue", "show", item)
    command(tmp_path, "queue", "replay", item)
    process.wait_for("begun.txt", 4)
    process.wait_for_counts(waiting=0, dead=1)
    command(tmp_path, "queue", "drop", item, "--yes")
    assert "0 waiting, 0 given up" in command(tmp_path, "queue", "list", "--dead")
    key = command(tmp_path, "keys", "add", "erp", "--hook", "orders", "--expires", "90d").splitlines()[-1]
    assert key.startswith("fcw_")
    told = command(tmp_path, "keys", "list")
    assert "erp  live" in told
    assert key not in told
    command(tmp_path, "keys", "revoke", key.split("_")[1])
    assert "erp  revoked" in command(tmp_path, "keys", "list")
    assert process.end() == 0
    assert "canary-body" not in process.log()


def command(folder: Path, *words: str) -> str:
    done = CliRunner().invoke(webhook, [*words, "-f", str(folder / "webhook.yaml")])
    assert done.exit_code == 0, done.output
    return done.output
