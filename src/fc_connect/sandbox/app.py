"""The sandbox as one thing: started and stopped, asked and told to fail."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from fc_connect.errors import ConfigurationError, StateError
from fc_connect.sandbox.api import FluentAPI
from fc_connect.sandbox.auth import Credentials, TokenIssuer
from fc_connect.sandbox.clock import MovableClock
from fc_connect.sandbox.control import CONTROL_PREFIX, Control
from fc_connect.sandbox.data import Entities, read_seed
from fc_connect.sandbox.events import OUTCOMES
from fc_connect.sandbox.exchange import SandboxClock, system_clock
from fc_connect.sandbox.faults import Fault, FaultPlan, FaultState
from fc_connect.sandbox.graphql import MAX_COMPLEXITY, GraphQLDesk
from fc_connect.sandbox.log import SandboxLog
from fc_connect.sandbox.records import (
    BatchRecord,
    DeliverySummary,
    EntityKey,
    EventRecord,
    JobRecord,
    RequestRecord,
    StockKey,
    StockLevel,
    WebhookAttempt,
)
from fc_connect.sandbox.server import SandboxServer
from fc_connect.sandbox.signing import SigningKey
from fc_connect.sandbox.store import SandboxStore, connect
from fc_connect.sandbox.validation import ACTIONS
from fc_connect.sandbox.webhook_log import WebhookStore
from fc_connect.sandbox.webhooks import ATTEMPT_TIMEOUT, RETRY_PAUSES, WebhookFault, WebhookSender

__all__ = ["Sandbox", "serve"]

MAX_BODY_BYTES = 10 * 1024 * 1024
MAX_GRAPHQL_BYTES = 2 * 1024 * 1024


class Sandbox:
    """The Fluent API on this machine: a real HTTP server with a memory, and faults on demand.

    ```python
    with Sandbox() as sandbox:
        run(base_url=sandbox.url)
        assert sandbox.deliveries() == Counter(expected)
    ```

    Everything received is in `database` (a temporary file when None, deleted on `stop`) before it is answered, so a
    client that dies loses nothing. Methods may be called from any thread; those that read keep working after `stop`
    if `database` was given.

    Args:
        port: 0 takes a free one; `url` says which.
        credentials: who may log in; None accepts anyone.
        processing_time: from the acceptance of a batch until it is COMPLETE.
        list_batches: whether a job's answer lists its batches; Fluent's documentation leaves it open.
        page_size: batches or results in one answer when the client doesn't ask for a `count`.
        actions: what a batch may ask for; Fluent's documentation names UPSERT alone.
        event_outcomes: what becomes of an event, by its name, such as `FAILED` or `NO_MATCH`; `*` is for all others,
            and COMPLETE where nothing is said.
        preprocessing: whether the account filters batches (`fc.enable.batch.preprocessing`): a record whose quantity
            and status are those known already is dropped, which its result says, unless the job's
            `meta.preprocessing` is `skip`. It counts as delivered all the same.
        seed: entities that are there from the start, for GraphQL: lists by kind, a JSON or YAML file, or `demo`.
            An entity whose key exists already in `database` is changed.
        max_complexity: of a GraphQL query; see docs/sandbox.md.
        clock: what time it is, until somebody moves it.
        webhooks: where webhooks go, one URL or several by the name of the event; `*` is for every event.
        webhook_key: RSA private key in PEM that signs them; without one the sandbox makes its own, and keeps it in
            the database.
        webhook_pauses: before each further attempt, where the receiver fails (5xx) or doesn't answer.
        webhook_timeout: how long the receiver has for its answer.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        database: Path | str | None = None,
        credentials: Credentials | Sequence[Credentials] | None = None,
        processing_time: timedelta = timedelta(milliseconds=50),
        list_batches: bool = True,
        token_lifetime: timedelta = timedelta(hours=24),
        page_size: int = 100,
        actions: Sequence[str] = ACTIONS,
        event_outcomes: Mapping[str, str] | None = None,
        preprocessing: bool = False,
        webhooks: Mapping[str, str | Sequence[str]] | None = None,
        webhook_key: str | bytes | None = None,
        webhook_pauses: Sequence[timedelta] = RETRY_PAUSES,
        webhook_timeout: timedelta = ATTEMPT_TIMEOUT,
        seed: Mapping[str, Any] | Path | str | None = None,
        max_complexity: int = MAX_COMPLEXITY,
        clock: SandboxClock = system_clock,
    ) -> None:
        if isinstance(credentials, Credentials):
            credentials = [credentials]
        if processing_time < timedelta(0) or token_lifetime <= timedelta(0) or page_size < 1:
            raise ConfigurationError(
                "processing_time can't be negative; token_lifetime and page_size are above 0."
            )
        self._address = (host, port)
        self._given = None if database is None else Path(database)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._processing_time = processing_time
        self._list_batches = list_batches
        self._page_size = page_size
        self._actions = tuple(actions)
        self._event_outcomes = dict(event_outcomes or {})
        if unknown := sorted(set(self._event_outcomes.values()) - set(OUTCOMES)):
            raise ConfigurationError(f"event_outcomes knows {', '.join(OUTCOMES)}, not {', '.join(unknown)}.")
        self._clock = MovableClock(clock)
        self._preprocessing = preprocessing
        self._webhook_urls = dict(webhooks or {})
        self._webhook_key = None if webhook_key is None else SigningKey.from_pem(webhook_key)
        self._webhook_pauses = tuple(webhook_pauses)
        self._webhook_timeout = webhook_timeout
        self._webhooks: WebhookSender | None = None
        self._webhook_store: WebhookStore | None = None
        self._seed = read_seed(seed) if isinstance(seed, str | Path) else seed
        if max_complexity < 1:
            raise ConfigurationError("max_complexity is above 0.")
        self._max_complexity = max_complexity
        self._entities: Entities | None = None
        self._tokens = TokenIssuer(credentials=credentials or (), lifetime=token_lifetime)
        self._faults = FaultPlan()
        self._server: SandboxServer | None = None
        self._store: SandboxStore | None = None
        self._log: SandboxLog | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Base URL for a client: `http://127.0.0.1:40123`."""
        if self._server is None:
            raise StateError("The sandbox isn't running: start it, or use it as a context manager.")
        host, port = self._server.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}"

    @property
    def database(self) -> Path:
        """The SQLite file with everything received; `SandboxLog` reads it from other processes."""
        return self.log.database

    @property
    def log(self) -> SandboxLog:
        """What was received."""
        if self._log is None:
            raise StateError("The sandbox has no log yet: start it first.")
        return self._log

    def start(self) -> Self:
        """Listen. Returns when clients can connect.

        Raises:
            ConfigurationError: the port is taken, or the database can't be used.
        """
        if self._server is not None:
            raise StateError(f"The sandbox is running already, at {self.url}.")
        if self._given is None:
            self._folder = tempfile.TemporaryDirectory(prefix="fc-connect-sandbox-")
        path = self._given or Path(self._folder.name if self._folder else ".") / "sandbox.db"
        try:
            store = SandboxStore(path)
            try:
                log = SandboxLog(path)
                entities = Entities(
                    path,
                    connect=connect,
                    transaction=store.transaction,
                    processing_time=self._processing_time,
                )
                entities.ready(at=self._clock())
                if self._seed:
                    entities.seed(self._seed, at=self._clock())
                webhook_store = WebhookStore(path)
                try:
                    webhooks = WebhookSender(
                        webhook_store,
                        urls=self._webhook_urls,
                        key=self._webhook_key,
                        pauses=self._webhook_pauses,
                        timeout=self._webhook_timeout,
                        clock=self._clock,
                    )
                    self._server = self._listen(store, log, webhooks, entities)
                except BaseException:
                    webhook_store.close()
                    raise
            except BaseException:
                store.close()
                raise
        except BaseException:
            self._remove_folder()
            raise
        self._store, self._log, self._entities = store, log, entities
        self._webhooks, self._webhook_store = webhooks, webhook_store
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="sandbox", daemon=True
        )
        self._thread.start()
        return self

    def _listen(
        self, store: SandboxStore, log: SandboxLog, webhooks: WebhookSender, entities: Entities
    ) -> SandboxServer:
        api = FluentAPI(
            store,
            self._tokens,
            processing_time=self._processing_time,
            list_batches=self._list_batches,
            page_size=self._page_size,
            actions=self._actions,
            max_graphql_bytes=MAX_GRAPHQL_BYTES,
            event_outcomes=self._event_outcomes,
            graphql=GraphQLDesk(entities, self._faults, max_complexity=self._max_complexity),
            unchanged=log.unchanged if self._preprocessing else None,
            announce=webhooks.announce,
        )
        host, port = self._address
        try:
            return SandboxServer(
                self._address,
                api=api.handle,
                control=Control(store, log, self._faults, self._clock, webhooks, entities, self.reset).handle,
                control_prefix=CONTROL_PREFIX,
                store=store,
                faults=self._faults,
                clock=self._clock,
                max_body_bytes=MAX_BODY_BYTES,
            )
        except (OSError, OverflowError) as exc:
            raise ConfigurationError(
                f"The sandbox can't listen on {host}:{port}: {exc}. Choose another port, or 0 for any."
            ) from exc

    def stop(self) -> None:
        """Break open connections, close everything; a temporary database is deleted. Does nothing when stopped."""
        if self._server is None or self._store is None or self._thread is None:
            return
        self._server.stop()
        self._thread.join()
        if self._webhooks is not None and self._webhook_store is not None:
            self._webhooks.stop()
            self._webhook_store.close()
        self._webhooks = self._webhook_store = None
        self._store.close()
        self._server = self._store = self._thread = self._entities = None
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Time.

    @property
    def clock(self) -> MovableClock:
        """What time it is here: `move` it across midnight, or past the life of a token."""
        return self._clock

    def close_job(self, job_id: str) -> None:
        """Close a job to further batches, as midnight does.

        Raises:
            StateError: there is no such job.
        """
        if self._store is None or not self._store.close_job(job_id, at=self._clock()):
            raise StateError(f"The sandbox has no job {job_id}, or isn't running.")

    # What is there.

    def seed(self, content: Mapping[str, Any] | Path | str) -> dict[str, int]:
        """Plant entities for GraphQL, all or none, and return how many of each kind.

        `content` holds lists by kind, `{"locations": [{"ref": "SYD-1", …}]}`, or names a JSON or YAML file, or `demo`.

        Raises:
            ConfigurationError: what can't be planted, with the place in the seed.
        """
        if self._entities is None:
            raise StateError("The sandbox isn't running: nothing was seeded.")
        lists = read_seed(content) if isinstance(content, str | Path) else content
        return self._entities.seed(lists, at=self._clock())

    # What was received.

    def requests(self, *, path: str | None = None) -> list[RequestRecord]:
        """Return the requests in the order logged; see `SandboxLog.requests`."""
        return self.log.requests(path=path)

    def jobs(self) -> list[JobRecord]:
        """Return the jobs in the order of creation."""
        return self.log.jobs()

    def batches(self, *, job_id: str | None = None) -> list[BatchRecord]:
        """Return the accepted batches in the order of acceptance."""
        return self.log.batches(job_id=job_id)

    def events(self) -> list[EventRecord]:
        """Return the events in the order in which they were taken."""
        return self.log.events()

    def deliveries(self) -> Counter[EntityKey]:
        """Count how often each record was delivered; see `SandboxLog.deliveries`."""
        return self.log.deliveries()

    def summary(self) -> DeliverySummary:
        """Return the deliveries in figures."""
        return self.log.summary()

    def stock(self) -> dict[StockKey, StockLevel]:
        """Return the stock once every batch accepted so far is processed."""
        return self.log.stock()

    def reset(self) -> None:
        """Forget jobs, batches, entities, requests and faults; the clock is no longer moved. Tokens stay good."""
        if self._store is None or self._entities is None:
            raise StateError("The sandbox isn't running: nothing was reset.")
        self._clock.reset()
        self._store.reset()
        self._entities.ready(at=self._clock())
        self._faults.clear()
        self.webhook_sender.forget()

    # Webhooks.

    def webhooks(self) -> list[WebhookAttempt]:
        """Return the attempts to deliver webhooks, in the order in which they ended."""
        return self.log.webhooks()

    @property
    def webhook_sender(self) -> WebhookSender:
        """What sends webhooks: its URLs, its key, its faults."""
        if self._webhooks is None:
            raise StateError("The sandbox isn't running: it sends no webhooks.")
        return self._webhooks

    @property
    def webhook_public_key(self) -> str:
        """The key that webhooks are verified with: bare base64 of X.509 SubjectPublicKeyInfo."""
        return self.webhook_sender.key.public_base64()

    def inject_webhook_fault(self, fault: WebhookFault) -> None:
        """Put a fault of webhooks in force, after those already there."""
        self.webhook_sender.inject(fault)

    def wait_for_webhooks(self, timeout: timedelta = timedelta(seconds=30)) -> None:
        """Wait until no webhook is to be sent or tried again.

        Raises:
            StateError: some still are after `timeout`.
        """
        self.webhook_sender.wait(timeout)

    # What goes wrong.

    def inject(self, fault: Fault) -> None:
        """Put a fault in force, after those already there."""
        self._faults.inject(fault)

    @property
    def faults(self) -> tuple[FaultState, ...]:
        """The faults in the order injected, with how often each has struck."""
        return self._faults.states()

    def clear_faults(self) -> None:
        """Lift every fault."""
        self._faults.clear()

    def revoke_tokens(self) -> None:
        """Forget every token: the next call of every client meets a 401."""
        self._tokens.revoke_all()


def serve(
    *,
    port: int = 8480,
    host: str = "127.0.0.1",
    database: Path | str | None = None,
    credentials: Credentials | Sequence[Credentials] | None = None,
    processing_time: timedelta = timedelta(milliseconds=50),
    list_batches: bool = True,
    token_lifetime: timedelta = timedelta(hours=24),
    page_size: int = 100,
    preprocessing: bool = False,
    webhooks: Mapping[str, str | Sequence[str]] | None = None,
    webhook_key: str | bytes | None = None,
    seed: Path | str | None = None,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Run a sandbox until SIGINT or SIGTERM, then stop it cleanly and return. Call it on the main thread.

    `announce` receives each line for the person who started it, the first once clients can connect; None writes
    them to standard output.
    """
    say = announce or _write_line
    signals: SimpleQueue[int] = (
        SimpleQueue()
    )  # unlike an Event's, its lock may be met again in a signal handler
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda received, _: signals.put(received))
    try:
        with Sandbox(
            port=port,
            host=host,
            database=database,
            credentials=credentials,
            processing_time=processing_time,
            list_batches=list_batches,
            token_lifetime=token_lifetime,
            page_size=page_size,
            preprocessing=preprocessing,
            webhooks=webhooks,
            webhook_key=webhook_key,
            seed=seed,
        ) as sandbox:
            say(f"Sandbox of the Fluent API: {sandbox.url}")
            say(f"Database: {sandbox.database}" + (" (deleted at the end)" if database is None else ""))
            say("Log in: " + ("any credentials" if not credentials else "the configured credentials only"))
            say(f"What it received: open {sandbox.url} in a browser, or GET {CONTROL_PREFIX}/deliveries")
            if webhooks:
                say(f"Key of its webhooks: GET {sandbox.url}{CONTROL_PREFIX}/webhooks/key.pem")
            say("Stop: Ctrl-C, or SIGTERM")
            signals.get()
        say("Stopped.")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
