"""The Fluent client: jobs, batches and one page of GraphQL."""

from __future__ import annotations

import base64
import logging
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx

from fc_connect.clock import Clock, SystemClock
from fc_connect.errors import ConfigurationError, FluentAPIError
from fc_connect.fluent.address import (
    check_base_url,
    is_private,
    path_id_problem,
    proxy_for,
    show_certificate,
    tls_context,
)
from fc_connect.fluent.answers import (
    BatchReceipt,
    BatchStatus,
    Job,
    JobResults,
    JobStatus,
    id_of,
    integer_of,
    is_done,
    objects_of,
    read_result,
    read_summaries,
    text_of,
)
from fc_connect.fluent.auth import BearerToken, Credentials, TokenProvider
from fc_connect.fluent.body import encoded
from fc_connect.fluent.deadline import DeadlineTransport
from fc_connect.fluent.events import Events
from fc_connect.fluent.exchange import Call
from fc_connect.fluent.http import Channel
from fc_connect.fluent.limits import check_batch_count
from fc_connect.fluent.masking import Mask
from fc_connect.fluent.options import ClientOptions
from fc_connect.fluent.outcomes import ItemResults
from fc_connect.fluent.paging import gather
from fc_connect.fluent.profiles import load_profile, read_environment
from fc_connect.fluent.queries import GraphQLAnswer, run_graphql

if TYPE_CHECKING:  # takes longer to load than the rest, and few need it
    from fc_connect.fluent.pages import Pages

__all__ = ["FluentClient"]

logger = logging.getLogger(__name__)

_JOBS = "/api/v4.1/job"
# Shorter than any server keeps an idle connection: one that closes as we send leaves a write in doubt.
_KEEPALIVE = timedelta(seconds=5)


class FluentClient:
    """Calls Fluent's API. Safe to share between threads; close it, or use it as a context manager.

    A read is retried. A write is retried only where nothing can have happened (429, no connection, a token
    that wasn't accepted); where it may have been done, FluentOutcomeUnknownError is raised at once, and only
    who knows the records can decide.

    Raises, from every call:
        FluentUnavailableError: nothing was done; the same may work later.
        FluentOutcomeUnknownError: a write may have been done.
        AuthenticationError: the credentials were refused.
        FluentAPIError: refused for good, or an answer that can't be used.
    """

    def __init__(
        self,
        *,
        base_url: str,
        auth: Credentials | TokenProvider,
        retailer_id: str | None = None,
        account: str | None = None,
        options: ClientOptions | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Check the settings; nothing is sent yet.

        Args:
            auth: what to log in with, a `BearerToken` that was got elsewhere, or a provider of your own.
            account: sent as `fluent.account` where given.
            options: time-outs, tries, limits, proxy and TLS.
            stop: once set, no wait between two attempts goes on; what was asked fails as unavailable.

        Raises:
            ConfigurationError: every fault of the settings.
        """
        options = options or ClientOptions()
        problems = check_base_url(base_url) + options.problems()
        if isinstance(auth, Credentials | BearerToken):
            problems += auth.problems()
        if retailer_id is not None and not retailer_id.strip():
            problems.append("retailer_id is empty: leave it out or give the retailer's id")
        if account is not None and not (account.isascii() and account.isprintable() and account.strip()):
            problems.append("account must be plain text, as in the API's address")
        if problems:
            raise ConfigurationError("The Fluent client can't be set up:", problems=problems)
        self._base_url = base_url.strip().rstrip("/")
        self._retailer_id = retailer_id
        self._auth = auth
        self._clock = clock = clock or SystemClock()
        url = httpx.URL(self._base_url)
        if url.scheme == "http" and not is_private(url.host):
            logger.warning("%s is plain HTTP: credentials and records can be read on the way", self._base_url)
        proxy = proxy_for(self._base_url, given=options.proxy)
        context, proxy_context = _tls_contexts(options, url, proxy)
        headers = {"User-Agent": f"fc-connect/{_version()}"}
        if account is not None:
            headers["fluent.account"] = account
        self._channel = Channel(
            transport=DeadlineTransport(
                clock=clock,
                ssl_context=context,
                max_connections=options.max_connections,
                keepalive_expiry=_KEEPALIVE,
                proxy=proxy,
                proxy_ssl_context=proxy_context,
            ),
            base_url=self._base_url,
            auth=auth,
            headers=headers,
            mask=Mask(*_secrets(auth, proxy)),
            options=options,
            clock=clock,
            rng=random or Random(),
            stop=stop,
        )

    @classmethod
    def from_profile(
        cls, name: str, *, retailer: str | None = None, directory: Path | str | None = None, **settings: Any
    ) -> Self:
        """Make a client from a profile of the Fluent CLI; `settings` are those of the constructor, and go first.

        Raises:
            ConfigurationError: what the profile lacks.
        """
        profile = load_profile(name, retailer=retailer, directory=directory)
        found: dict[str, Any] = {
            "base_url": profile.base_url,
            "auth": profile.credentials,
            "retailer_id": profile.retailer_id,
        }
        return cls(**{**found, **settings})

    @classmethod
    def from_env(cls, *, environ: Mapping[str, str] | None = None, **settings: Any) -> Self:
        """Make a client from the environment; `settings` are those of the constructor, and go first.

        FLUENT_BASE_URL and FLUENT_CLIENT_ID, FLUENT_CLIENT_SECRET (with FLUENT_USERNAME and FLUENT_PASSWORD to log in
        as a user), or FLUENT_ACCESS_TOKEN in their place. FLUENT_RETAILER_ID and FLUENT_ACCOUNT where wanted. Or
        FLUENT_PROFILE and FLUENT_RETAILER (see `from_profile`).

        Raises:
            ConfigurationError: every variable that is missing, or doesn't go with another.
        """
        return cls(**{**read_environment(environ), **settings})

    def __repr__(self) -> str:
        # A provider of someone else's may show its token in its own repr.
        ours = isinstance(self._auth, Credentials | BearerToken)
        auth = repr(self._auth) if ours else type(self._auth).__name__
        return f"FluentClient(base_url={self._base_url!r}, auth={auth}, retailer_id={self._retailer_id!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. Twice is no fault."""
        self._channel.close()

    @property
    def base_url(self) -> str:
        """The address of the account's API, without a slash at its end."""
        return self._base_url

    @property
    def retailer_id(self) -> str | None:
        """The retailer that jobs are created for where a call names none."""
        return self._retailer_id

    @property
    def events(self) -> Events:
        """The event calls."""
        return Events(self._channel, retailer_id=self._retailer_id)

    def create_job(
        self, name: str, *, retailer_id: str | None = None, meta: Mapping[str, Any] | None = None
    ) -> Job:
        """Create a job, which takes batches until midnight UTC."""
        retailer = retailer_id or self._retailer_id
        problems = [] if name.strip() else ["name is empty"]
        if retailer is None:
            problems.append("retailer_id is missing: give it here or to the client")
        if problems or retailer is None:
            raise ConfigurationError("A job can't be created:", problems=problems)
        payload: dict[str, Any] = {"name": name, "retailerId": retailer}
        if meta is not None:
            payload["meta"] = dict(meta)
        call = _write(_JOBS, encoded(payload, "the job's meta"))
        content, job_id = self._with_id(call, "jobId", "id")
        return Job(id=job_id, name=name, retailer_id=retailer, raw=content)

    def send_batch(
        self,
        job_id: str,
        *,
        entities: Sequence[Mapping[str, Any]],
        action: str = "UPSERT",
        entity_type: str = "INVENTORY",
        source: str | None = None,
        event: str | None = None,
        catalogue_ref: str | None = None,
        conditions: Mapping[str, Any] | None = None,
    ) -> BatchReceipt:
        """Send up to 5,000 entities as one batch; Fluent applies them later.

        Raises:
            ConfigurationError: too many entities, none, or one that isn't JSON. Nothing was sent.
        """
        check_batch_count(len(entities))
        optional = {"source": source, "event": event, "catalogueRef": catalogue_ref, "conditions": conditions}
        payload = {
            "action": action,
            "entityType": entity_type,
            **{key: value for key, value in optional.items() if value is not None},
            "entities": [dict(entity) for entity in entities],
        }
        return self.send_batch_body(job_id, encoded(payload, "the batch"), count=len(entities))

    def send_batch_body(
        self, job_id: str, body: bytes, *, count: int, demand: Callable[[], None] | None = None
    ) -> BatchReceipt:
        """Send a batch that is JSON already, byte for byte; `count` says how many entities it holds.

        `demand` is called as late as can be, before each piece of the request leaves, and again where it is sent
        anew. What it raises comes out of here, and the batch wasn't sent: a request that breaks off is none.

        Raises:
            ConfigurationError: too many entities, or none. Nothing was sent.
        """
        check_batch_count(count)
        call = replace(_write(f"{_JOBS}/{_path_id('job_id', job_id)}/batch", body), demand=demand)
        content, batch_id = self._with_id(call, "batchId", "id")
        return BatchReceipt(id=batch_id, job_id=job_id, count=count, raw=content)

    def get_job_status(self, job_id: str) -> JobStatus:
        """Return a job and, where Fluent lists them all, its batches."""
        call = _read(f"{_JOBS}/{_path_id('job_id', job_id)}")
        content, found = self._with_id(call, "jobId", "id")
        status = self._status(call, content)
        gathered = gather(content, "batches", fetch=self._pages(call))
        batches = None
        if gathered is not None and gathered[1]:
            batches = read_summaries(gathered[0])
        if batches is not None and len({batch.id for batch in batches}) < len(batches):
            batches = None  # the list grew while it was read: what came twice has hidden something else
        return JobStatus(id=found, status=status, batches=batches, raw=content)

    def get_batch_status(self, job_id: str, batch_id: str) -> BatchStatus:
        """Return a batch and, once it is done, what became of each entity (paged inside)."""
        path = f"{_JOBS}/{_path_id('job_id', job_id)}/batch/{_path_id('batch_id', batch_id)}"
        call = _read(path)
        content, found = self._with_id(call, "batchId", "id")
        status = self._status(call, content)
        items, is_whole = objects_of(content, "results") or [], False
        if is_done(status):
            items, is_whole = gather(content, "results", fetch=self._pages(call)) or ([], False)
        return BatchStatus(
            id=found,
            job_id=job_id,
            status=status,
            results=tuple(read_result(item) for item in items),
            is_complete_list=is_whole,
            raw=content,
        )

    def get_job_results(self, job_id: str) -> JobResults:
        """Return the figures of a job's batches.

        Raises:
            FluentAPIError: also where this Fluent has no such call; its documentation doesn't show it.
        """
        call = _read(f"{_JOBS}/{_path_id('job_id', job_id)}/results")
        content, found = self._with_id(call, "jobId", "id")
        items, _ = gather(content, "results", fetch=self._pages(call)) or ([], False)
        return JobResults(
            id=found,
            status=self._status(call, content),
            total_batches=integer_of(content, "totalBatches"),
            successful_batches=integer_of(content, "successfulBatches"),
            failed_batches=integer_of(content, "failedBatches"),
            batches=read_summaries(items) or (),
            raw=content,
        )

    def graphql(
        self, query: str, *, variables: Mapping[str, Any] | None = None, operation_name: str | None = None
    ) -> dict[str, Any]:
        """Run one GraphQL request and return its `data`.

        A query is retried like a read, also where its answer holds errors of the kind that pass (a rate limit, a view
        that warms up); a mutation isn't.

        Raises:
            GraphQLError: the answer holds errors, whether or not it holds data too.
        """
        return run_graphql(self._channel, query, variables=variables, operation_name=operation_name).data

    def graphql_answer(
        self, query: str, *, variables: Mapping[str, Any] | None = None, operation_name: str | None = None
    ) -> GraphQLAnswer:
        """Run one GraphQL request and return what data there is, with the errors beside it.

        Retried as `graphql` is: what passes is waited for before parts are taken for the answer.

        Raises:
            GraphQLError: the answer holds errors, and no data at all.
        """
        return run_graphql(
            self._channel, query, variables=variables, operation_name=operation_name, partial=True
        )

    def mutate_each(
        self,
        mutation: str,
        inputs: Sequence[Mapping[str, Any]],
        *,
        input_type: str | None = None,
        returning: str = "id",
        at_once: int = 20,
    ) -> ItemResults[Any]:
        """Do one mutation for each of `inputs`, several in a request, and say what became of each.

        A request is kept below Fluent's limits of size and complexity, and halved where Fluent says that it is above
        them; what was done, or may have been, is never sent again. After a request of which nothing is known, or where
        Fluent can't be reached, no more is sent: the rest is `not done`.

        Args:
            mutation: such as `createLocation`; it takes one argument, `input`.
            input_type: of that argument; without it `CreateLocationInput`.
            returning: fields of what it returns, as in a query.

        Raises:
            ConfigurationError: the request can't be made. Nothing was sent.
        """
        from fc_connect.fluent.mutations import Mutations

        plan = Mutations(mutation, input_type=input_type, returning=returning, at_once=at_once)
        return plan.run(inputs, lambda query, variables: self.graphql(query, variables=variables))

    def pages(
        self,
        query: str,
        *,
        variables: Mapping[str, Any] | None = None,
        connection: str | None = None,
        direction: Literal["forward", "backward"] | None = None,
        page_size: int = 100,
        max_pages: int | None = None,
        max_records: int | None = None,
        within: timedelta | None = None,
        operation_name: str | None = None,
        partial: bool = False,
    ) -> Pages:
        """Return the pages of a connection, each asked for as it is needed.

        Args:
            connection: its dotted path in the answer, where the query has several.
            page_size: for the variable that the query gives to `first` or `last`, where `variables` has none.
            max_pages, max_records, within: where to end before the last page; the result's `truncated` says so.
            partial: take pages with errors beside their data; they are in `Page.errors`.

        Raises:
            ConfigurationError: the query can't be read page after page; it says why. Nothing was sent.
        """
        from fc_connect.fluent.pages import MAX_PAGE, Pages, connection_of

        problems = [
            f"{name} must be at least 1, not {number}"
            for name, number in (("max_pages", max_pages), ("max_records", max_records))
            if number is not None and number < 1
        ]
        if not 1 <= page_size <= MAX_PAGE:
            problems.append(f"page_size must be from 1 to {MAX_PAGE}, not {page_size}")
        if problems:
            raise ConfigurationError("The pages can't be read:", problems=problems)
        found = connection_of(query, path=connection, direction=direction, operation_name=operation_name)
        return Pages(
            lambda given: run_graphql(
                self._channel, query, variables=given, operation_name=operation_name, partial=partial
            ),
            found,
            variables=variables or {},
            page_size=page_size,
            max_pages=max_pages,
            max_records=max_records,
            within=within,
            clock=self._clock,
        )

    def _with_id(self, call: Call, *names: str) -> tuple[dict[str, Any], str]:
        """Send `call` and return the answer's object with the first id among `names`."""
        answer = self._channel.send(call)
        content = answer.json()
        if not isinstance(content, dict):
            raise self._channel.wording.unusable(call, answer, "it isn't a JSON object")
        found = id_of(content, *names)
        if found is None:
            raise self._channel.wording.unusable(call, answer, "it holds no id")
        return content, found

    def _pages(self, call: Call) -> Callable[[int, int], Mapping[str, Any] | None]:
        def fetch(start: int, count: int) -> Mapping[str, Any] | None:
            content = self._channel.send(replace(call, query={"start": start, "count": count})).json()
            return content if isinstance(content, dict) else None

        return fetch

    def _status(self, call: Call, content: Mapping[str, Any]) -> str:
        status = text_of(content, "status")
        if not status:
            raise FluentAPIError(
                f"{call}: Fluent's answer holds no status. Its API may have changed.", status=200
            )
        return status


_JSON_HEADERS = {"Content-Type": "application/json"}


def _tls_contexts(
    options: ClientOptions, url: httpx.URL, proxy: httpx.Proxy | None
) -> tuple[ssl.SSLContext, ssl.SSLContext | None]:
    """Return the contexts for Fluent and for a proxy that is spoken to over TLS."""
    verify = options.verify
    for_proxy = tls_context(verify) if proxy is not None and proxy.url.scheme == "https" else None
    if url.scheme == "http" and verify is True and options.certificate is None:
        # Trusts nobody; reading the authorities takes 0.1 s.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), for_proxy
    context = tls_context(verify)
    if options.certificate is not None:
        show_certificate(context, options.certificate, key=options.key, password=options.key_password)
    return context, for_proxy


def _secrets(auth: Credentials | TokenProvider, proxy: httpx.Proxy | None) -> list[str | None]:
    """Return what may never be said."""
    secrets: list[str | None] = []
    if isinstance(auth, Credentials):
        secrets += [auth.client_secret, auth.password]
    elif isinstance(auth, BearerToken):
        secrets.append(auth.value)
    if proxy is not None and proxy.auth is not None:
        user, password = proxy.auth
        secrets += [password, base64.b64encode(f"{user}:{password}".encode()).decode()]
    return secrets


def _read(path: str) -> Call:
    return Call(method="GET", path=path, writes=False, headers={})


def _write(path: str, body: bytes) -> Call:
    return Call(method="POST", path=path, writes=True, headers=_JSON_HEADERS, body=body)


def _path_id(name: str, value: str) -> str:
    if problem := path_id_problem(name, value):
        raise ConfigurationError(f"{problem}.")
    return value


def _version() -> str:
    try:
        return version("fc-connect")
    except PackageNotFoundError:
        return "0"
