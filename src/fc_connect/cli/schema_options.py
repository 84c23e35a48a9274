"""Where a GraphQL schema comes from: a file, or an account that is asked for it."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from fc_connect.cli.options import DurationType
from fc_connect.clock import SystemClock
from fc_connect.errors import ConfigurationError
from fc_connect.fluent import Credentials, FluentClient

if TYPE_CHECKING:
    from fc_connect.mapping import SchemaFile

__all__ = ["SchemaOrigin", "connection_options", "fetch_schema", "schema_options", "write_whole"]

DEFAULT_MAX_AGE = timedelta(days=1)
_SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaOrigin:
    """What the options of a command say about the schema."""

    file: Path | None = None
    max_age: timedelta | None = None
    pipeline_file: Path | None = None
    profile: str | None = None
    profile_dir: Path | None = None
    endpoint: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    username: str | None = None
    password: str | None = None

    @property
    def names_account(self) -> bool:
        return any(each is not None for each in (self.pipeline_file, self.profile, self.endpoint))

    def open_client(self) -> FluentClient:
        """Make the client of the account that is named; the caller closes it.

        Raises:
            ConfigurationError: none is named, or several are, or what one lacks.
        """
        named = [
            name
            for name, value in (
                ("--pipeline", self.pipeline_file),
                ("--profile", self.profile),
                ("--endpoint", self.endpoint),
            )
            if value is not None
        ]
        if len(named) != 1:
            given = f"{' and '.join(named)} are given" if named else "none is given"
            raise ConfigurationError(
                f"Name one account: --profile, --endpoint or --pipeline; {given}. "
                "`fc-connect sandbox` is one on this machine: --endpoint http://127.0.0.1:8480"
            )
        if self.pipeline_file is not None:
            from fc_connect.pipeline import Pipeline

            return Pipeline.from_file(self.pipeline_file).open_client()
        if self.profile is not None:
            return FluentClient.from_profile(self.profile, directory=self.profile_dir)
        return FluentClient(base_url=self.endpoint or "", auth=self._credentials())

    def load(self) -> SchemaFile | None:
        """Return the schema; None where the options name none.

        With a file alone, that. With an account too, the file is its cache: used while it is younger than `max_age` and
        of that account, else fetched anew and written.

        Raises:
            ConfigurationError: it can't be read, or is older than asked for.
            FluentAPIError: it couldn't be fetched.
        """
        from fc_connect.mapping import read_schema_file

        if not self.names_account:
            if self.file is None:
                return None
            kept = read_schema_file(self.file)
            if self.max_age is not None and not self._is_fresh(kept, self.max_age):
                raise ConfigurationError(
                    f"The schema file {self.file} {_age_in_words(kept)}, and --max-age asks for less. "
                    "Fetch it anew: `fc-connect schema fetch`, or name the account here too."
                )
            return kept
        with self.open_client() as client:
            if self.file is not None and self.file.exists():
                kept = read_schema_file(self.file)
                is_ours = kept.fetched_from == client.base_url
                if is_ours and self._is_fresh(kept, self.max_age or DEFAULT_MAX_AGE):
                    return kept
            text = fetch_schema(client, as_json=self.file is not None and self.file.suffix == ".json")
        if self.file is None:
            with tempfile.TemporaryDirectory(prefix="fc-connect-") as folder:
                path = Path(folder) / "schema.graphql"
                path.write_text(text, "utf-8")
                return read_schema_file(path)
        write_whole(self.file, text)
        return read_schema_file(self.file)

    def _is_fresh(self, kept: SchemaFile, max_age: timedelta) -> bool:
        age = kept.age(now=SystemClock().now())
        return age is not None and age <= max_age

    def _credentials(self) -> Credentials:
        # The sandbox takes any; a real account must not be asked with made-up ones.
        default = _SANDBOX if _is_this_machine(self.endpoint or "") else ""
        return Credentials(
            client_id=self.client_id or default,
            client_secret=self.client_secret or default,
            username=self.username,
            password=self.password,
        )


def fetch_schema(client: FluentClient, *, as_json: bool) -> str:
    """Ask the account for its schema and return the text of a schema file.

    Raises:
        FluentAPIError: the account couldn't be asked, or answered with errors.
        ConfigurationError: what it answered is no whole schema.
    """
    from fc_connect.mapping import INTROSPECTION_QUERY, schema_file_text

    data = client.graphql(INTROSPECTION_QUERY)
    return schema_file_text(
        data, fetched_at=SystemClock().now(), fetched_from=client.base_url, as_json=as_json
    )


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it holds all of the text, or what it held before.

    Raises:
        ConfigurationError: it can't be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, "utf-8")
        part.replace(path)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{path} can't be written: {exc}") from exc


_CONNECTION = (
    click.option(
        "-p", "--pipeline", "pipeline_file", type=click.Path(path_type=Path), help="Ask its account."
    ),
    click.option("--profile", help="Ask the account of this profile of the Fluent CLI."),
    click.option("--profile-dir", type=click.Path(path_type=Path), help="Folder of the profiles."),
    click.option(
        "-e",
        "--endpoint",
        help="Ask the account at this address. It logs in with FLUENT_CLIENT_ID, FLUENT_CLIENT_SECRET, "
        "FLUENT_USERNAME and FLUENT_PASSWORD of the environment; the sandbox needs none.",
    ),
    # Secrets on a command line are seen by everyone on the machine: these are for the environment.
    click.option("--client-id", envvar="FLUENT_CLIENT_ID", hidden=True),
    click.option("--client-secret", envvar="FLUENT_CLIENT_SECRET", hidden=True),
    click.option("--username", envvar="FLUENT_USERNAME", hidden=True),
    click.option("--password", envvar="FLUENT_PASSWORD", hidden=True),
)
_FILE = (
    click.option(
        "-s", "--schema", "schema_file", type=click.Path(path_type=Path), help="File of the GraphQL schema."
    ),
    click.option(
        "--max-age",
        type=DurationType(),
        help="The schema may be no older (12h, 7d). Without it, a file alone may be of any age; with an account "
        "named too, it is fetched again after a day.",
    ),
)
_NAMES = ("pipeline_file", "profile", "profile_dir", "endpoint", "client_id", "client_secret")


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name an account; the command takes them as `origin`."""
    return _gathered(command, _CONNECTION)


def schema_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a schema: a file, an account, or both; the command takes them as `origin`."""
    return _gathered(command, (*_FILE, *_CONNECTION))


def _gathered(command: Callable[..., Any], options: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    @functools.wraps(command)
    def gathered(*arguments: Any, **given: Any) -> Any:
        names = (*_NAMES, "username", "password", "max_age")
        origin = SchemaOrigin(
            file=given.pop("schema_file", None),
            **{name: given.pop(name) for name in names if name in given},
        )
        return command(*arguments, origin=origin, **given)

    for option in reversed(options):
        gathered = option(gathered)
    return gathered


def _age_in_words(kept: SchemaFile) -> str:
    if kept.fetched_at is None:
        return "doesn't say when it was fetched"
    return f"was fetched at {kept.fetched_at.isoformat(timespec='minutes')}"


def _is_this_machine(endpoint: str) -> bool:
    try:
        host = urlsplit(endpoint).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
