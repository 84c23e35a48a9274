"""A pipeline: a validated file, opened, run, previewed or checked."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

from fc_connect.clock import Clock, SystemClock
from fc_connect.errors import ConfigurationError, MappingError
from fc_connect.fluent import FluentClient
from fc_connect.formats import BadRecord, Format, Place, Records, open_format
from fc_connect.formats.packed import PackedFormat
from fc_connect.kv import Guarantee, KVStore, open_kv
from fc_connect.mapping import (
    CompatMapping,
    FieldTrace,
    Mapper,
    MappingConfig,
    compile_mapping,
    encode_entity,
    explain,
    fields_read,
    load_mapping,
)
from fc_connect.observe import Listener, Listeners, correlate
from fc_connect.pipeline.archive import Archive
from fc_connect.pipeline.checkup import Check, checks_of
from fc_connect.pipeline.config import PipelineConfig, load_config
from fc_connect.pipeline.connect import open_client, open_pipeline_source
from fc_connect.pipeline.duplicates import key_reader
from fc_connect.pipeline.ingest import FileIngest
from fc_connect.pipeline.jobs import OwnJobSlot
from fc_connect.pipeline.looks import looks_other, noted
from fc_connect.pipeline.planner import Planner
from fc_connect.pipeline.resolvers import load_resolvers, resolvers_digest
from fc_connect.pipeline.result import RunResult
from fc_connect.pipeline.run import Run
from fc_connect.pipeline.tables import Tables, read_table, tables_digest
from fc_connect.sources import Source, SourceFile
from fc_connect.state import StateService
from fc_connect.targets import BatchTarget

__all__ = ["Check", "Pipeline", "Preview", "PreviewRow"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRow:
    """One record and what it would become."""

    place: Place
    record: Any
    entity: dict[str, Any] | None
    fields: tuple[FieldTrace, ...] = ()
    """How each field came to its value."""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The first records of one file, mapped; nothing was sent or stored."""

    path: str
    rows: tuple[PreviewRow, ...]
    hints: tuple[str, ...] = ()
    """Where the file looks other than the pipeline file says, a sentence each."""


class Pipeline:
    """Moves files into Fluent, each exactly once. Any number of processes may run the same pipeline."""

    def __init__(
        self,
        config: PipelineConfig,
        *,
        clock: Clock | None = None,
        random_source: random.Random | None = None,
        listeners: Sequence[Listener] = (),
        stop: threading.Event | None = None,
    ) -> None:
        self.config = config
        self._clock = clock or SystemClock()
        self._random = random_source or random.Random()
        self._emit = Listeners(listeners)
        self._stop = stop or threading.Event()

    @classmethod
    def from_file(cls, path: str | Path, **options: Any) -> Pipeline:
        """Read and validate a pipeline file; nothing is opened yet. `options` are those of the constructor.

        Raises:
            ConfigurationError: every fault of the file, with its line.
        """
        return cls(load_config(path), **options)

    def stop(self) -> None:
        """Ask a run to end: batches under way are finished, leases released. Safe from any thread or signal."""
        self._stop.set()

    def run(self, *, wait: bool = False) -> RunResult:
        """Process every file that is due, and return what came of it.

        A file that fails doesn't stop the others; what would fail every file stops the run. Both are in
        `errors`. Files that another worker holds are left to it, unless `wait`.

        Raises:
            ConfigurationError: the pipeline can't be opened.
        """
        with correlate(), self._opened() as parts:
            planner, source, state, client = parts.planner, parts.source, parts.state, parts.client
            archive = Archive(
                self.config.after, pipeline=self.config.pipeline, marker=self.config.source.marker
            )
            ingest = FileIngest(
                config=self.config,
                source=source,
                state=state,
                client=client,
                planner=planner,
                archive=archive,
                spool_folder=self.spool_folder,
                run_job=OwnJobSlot(
                    state, client, f"{self.config.pipeline}-{self._clock.now():%Y-%m-%dT%H:%M:%SZ}"
                )
                if self.config.job == "per-run"
                else None,
                stop=self._stop,
                emit=self._emit,
            )
            return Run(
                config=self.config,
                source=source,
                state=state,
                ingest=ingest,
                archive=archive,
                clock=self._clock,
                stop=self._stop,
                emit=self._emit,
                random_source=self._random,
                wait=wait,
            ).run()

    def preview(self, *, rows: int = 10, path: str | None = None) -> Preview:
        """Map the first `rows` records of a file (the oldest, or `path`) without sending or storing anything.

        Raises:
            FCConnectError: there is no such file, or it can't be read; what it looks like is in its notes.
        """
        with self.open_source() as source:
            files = (f for f in source.list(self.config.source.pattern) if path in {None, f.path})
            file = min(files, key=lambda each: (each.last_modified, each.path), default=None)
            if file is None:
                wanted = path or f"file that matches {self.config.source.pattern!r}"
                raise ConfigurationError(f"There is no {wanted} in {source.url}.")
            hints = looks_other(source, file, self.config.format)
            with noted(hints), source.open(file) as stream:
                records = self.format.read(stream, path=file.path)
                mapper = self._compile(records, tables=self._tables())
                seen = []
                for record in islice(records, rows):
                    seen.append(_previewed(record, records.place(), records.columns, mapper))
            return Preview(path=file.path, rows=tuple(seen), hints=hints)

    def check(self, *, within: timedelta = timedelta(seconds=60)) -> list[Check]:
        """Look whether a run could work: mapping, source, archive, records, folders, state, Fluent.

        Sends nothing. Every fault is told, none of them raised; what hasn't answered `within` that time is one.
        The pipeline is stopped afterwards: make another to run.
        """
        return checks_of(self, within=within)

    # Parts

    @cached_property
    def mapping(self) -> MappingConfig | CompatMapping:
        """The mapping, validated."""
        inline = isinstance(self.config.mapping, dict)
        return load_mapping(self.config.mapping, folder=self.config.base_dir if inline else None)

    @cached_property
    def format(self) -> Format:
        """The reader of the files."""
        config = self.config.format
        options = config.model_dump(exclude={"type", *config.packing}, exclude_defaults=True)
        return PackedFormat(
            open_format(config.type, **options),
            compression=config.compression,
            max_unpacked_bytes=config.max_unpacked_bytes,
            max_ratio=config.max_ratio,
        )

    @property
    def spool_folder(self) -> Path:
        """Where bodies wait to be sent."""
        return self.config.spool_path / self.config.pipeline

    def open_source(self) -> Source:
        """Open the source; the caller closes it."""
        return open_pipeline_source(self.config)

    def opened_records(self, source: Source, file: SourceFile) -> tuple[Records, Any]:
        """Read the head of a file as a run would, and its first record where it takes one to know the fields.

        Raises:
            FCConnectError: it can't be read or mapped; what it looks like is in its notes.
        """
        with noted(looks_other(source, file, self.config.format)), source.open(file) as stream:
            records = self.format.read(stream, path=file.path)
            self._compile(records, tables=self._tables())
            return records, None if records.columns is not None else next(iter(records), None)

    def open_store(self) -> KVStore:
        """Open the key-value store; the caller closes it."""
        return open_kv(self.config.state_url)

    def gaps_in(self, kv: KVStore) -> list[str]:
        """Return what `kv` lacks for exactly-once delivery, one sentence each.

        Raises:
            ConfigurationError: the pipeline may not run on it.
        """
        lacks = kv.lacks()
        gaps = [f"{guarantee}: {reason}." for guarantee, reason in lacks.items()]
        if Guarantee.ATOMIC in lacks or (gaps and self.config.exactly_once == "required"):
            asked = (
                "no pipeline can run"
                if Guarantee.ATOMIC in lacks
                else "`exactly_once: required` can't be kept"
            )
            raise ConfigurationError(
                f"The store of the state lacks a guarantee: {asked}. Nothing was sent.", problems=gaps
            )
        return gaps

    def open_client(self) -> FluentClient:
        """Make the client of the Fluent account; nothing is sent yet, and the caller closes it."""
        return open_client(self.config, clock=self._clock, random_source=self._random, stop=self._stop)

    def open_state(self, kv: KVStore) -> StateService:
        """Return the state of this pipeline in `kv`."""
        return StateService(
            kv, workflow_id=self.config.pipeline, clock=self._clock, random_source=self._random
        )

    @cached_property
    def _resolvers(self) -> dict[str, Callable[..., Any]]:
        return load_resolvers(self.config.resolvers, base=self.config.base_dir)

    @cached_property
    def _target(self) -> BatchTarget:
        batch = self.config.target.batch
        return BatchTarget(
            action=batch.action,
            entity_type=batch.entity_type,
            source=batch.source,
            event=batch.event,
            catalogue_ref=batch.catalogue_ref,
            conditions=batch.conditions,
        )

    def _tables(self) -> dict[str, dict[str, Any]]:
        """Read the tables that the mapping names, as they are now.

        Raises:
            ConfigurationError: one isn't there.
        """
        names = {each.kv for each in self.mapping.lookups if each.kv is not None}
        if not names:
            return {}
        with self.open_store() as kv:
            found = {name: read_table(kv, name) for name in sorted(names)}
        if missing := [name for name, rows in found.items() if rows is None]:
            raise ConfigurationError(
                "The mapping looks values up in tables that aren't in the state store. Nothing was sent.",
                problems=[
                    f"{name!r}: put it there with `fc-connect state table {name} --from …`"
                    for name in missing
                ],
            )
        return {name: rows for name, rows in found.items() if rows is not None}

    def _compile(self, records: Records, *, tables: Tables) -> Mapper:
        return compile_mapping(
            self.mapping,
            columns=records.columns,
            nested=records.nested,
            resolvers=self._resolvers,
            context={"pipeline": self.config.pipeline, **self.config.context},
            tables=tables,
            imports=False,
        )

    def _plan_digest(self, tables: Tables) -> str:
        """Name everything that decides the bodies: were any of it another, a resume would send other bytes."""
        config = self.config
        decisive = [
            self.mapping.digest,
            [part.decode() for part in self._target.envelope()],
            # A cap decides whether a file is taken at all, not what becomes of it.
            config.format.model_dump(mode="json", exclude=set(config.format.caps)),
            config.target.batch.size,
            config.duplicates,
            config.key,
            resolvers_digest(config.resolvers, base=config.base_dir),
            config.context,
            tables_digest(tables),
        ]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True, default=str).encode()).hexdigest()

    def _planner(self, source: Source) -> Planner:
        tables = self._tables()
        return Planner(
            source=source,
            format=self.format,
            make_mapper=partial(self._compile, tables=tables),
            wanted=fields_read(self.mapping, resolvers=self._resolvers),
            encode=encode_entity,
            key=key_reader(self.config.key),
            envelope=self._target.envelope(),
            batch_size=self.config.target.batch.size,
            duplicates=self.config.duplicates,
            limit=self.config.rejects.max,
            rejects_folder=self.config.rejects_path,
            plan_digest=self._plan_digest(tables),
            stop=self._stop,
            on_progress=lambda read, rejected: None,
        )

    @contextmanager
    def _opened(self) -> Iterator[_Parts]:
        with ExitStack() as opened:
            source = opened.enter_context(self.open_source())
            planner = self._planner(source)
            kv = opened.enter_context(self.open_store())
            for gap in self.gaps_in(kv):
                logger.warning(
                    "the store of the state is not %s A crash of it may lose or repeat records.", gap
                )
            client = opened.enter_context(self.open_client())
            yield _Parts(source=source, planner=planner, state=self.open_state(kv), client=client)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    source: Source
    planner: Planner
    state: StateService
    client: FluentClient


def _previewed(record: Any, place: Place, columns: tuple[str, ...] | None, mapper: Mapper) -> PreviewRow:
    if isinstance(record, BadRecord):
        return PreviewRow(place=record.place, record=record.raw, entity=None, problems=(record.reason,))
    named = record if columns is None else dict(zip(columns, record, strict=False))
    fields = tuple(explain(mapper, record))
    try:
        return PreviewRow(place=place, record=named, entity=mapper(record), fields=fields)
    except MappingError as exc:
        problems = tuple(f"{each.field}: {each.reason}, not {each.value!r}" for each in exc.problems)
        return PreviewRow(
            place=place, record=named, entity=None, fields=fields, problems=problems or (str(exc),)
        )
