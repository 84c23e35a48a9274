"""Secrets of a kind that can be found again, planted wherever one may be, and looked for wherever one may come out."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from click.testing import CliRunner

from fc_connect.cli.main import cli
from fc_connect.errors import FCConnectError
from fc_connect.fluent import BearerToken, Credentials, FluentClient, Hooks, TokenProvider
from fc_connect.observe import mask_secrets
from fc_connect.sandbox import Sandbox
from tests.fluent_server import FluentServer, Reply, client_of
from tests.shop import Shop

CANARIES = {
    "client secret": "canary-client/secret+1",
    "password": 'canary pass"word&2',
    "access token": "canary-access-token-3",
    "refresh token": "canary-refresh-token-4",
    "proxy password": "canary-proxy-password-5",
    "bearer": "canary-bearer-6",
    "url password": "canary-url-password-7",
    "url query": "canary-url-query-8",
    "cookie": "canary-cookie-9",
    "exception": "canary-exception-10",
}
LOGIN = Credentials(
    client_id="ACME",
    client_secret=CANARIES["client secret"],
    username="robot",
    password=CANARIES["password"],
)
ENTITY = {"locationRef": "L", "skuRef": "S", "qty": 1, "type": "LAST_ON_HAND"}
EVENT = {"name": "n", "entityType": "ORDER", "entityRef": "O"}
CALLS: tuple[Callable[[FluentClient], Any], ...] = (
    lambda c: c.create_job("j"),
    lambda c: c.send_batch("1", entities=[ENTITY]),
    lambda c: c.get_job_status("1"),
    lambda c: c.get_batch_status("1", "2"),
    lambda c: c.events.send(EVENT, mode="sync"),
    lambda c: list(c.events.search()),
    lambda c: c.graphql("query { me { id } }"),
    lambda c: c.graphql("mutation { a }"),
)


def found_in(text: str) -> list[str]:
    """Name the canaries that `text` holds in any spelling."""
    return [
        name
        for name, secret in CANARIES.items()
        for spelling in {
            secret,
            quote(secret, safe=""),
            quote_plus(secret),
            json.dumps(secret)[1:-1],
            base64.b64encode(secret.encode()).decode(),
        }
        if spelling in text
    ]


def echo() -> dict[str, Any]:
    """What a server that says everything it heard would answer."""
    said = {name: CANARIES[name] for name in ("client secret", "password", "access token", "refresh token")}
    return {"errors": [{"code": "S0001E", "message": " | ".join(said.values())}], "echo": said}


def replies(status: int = 500, body: Any = None) -> list[Reply]:
    headers = {"Set-Cookie": f"session={CANARIES['cookie']}", "X-Echo": CANARIES["access token"]}
    return [Reply(status=status, body=echo() if body is None else body, headers=headers)] * 40


def token_reply() -> Reply:
    tokens = {"access_token": CANARIES["access token"], "refresh_token": CANARIES["refresh token"]}
    return Reply(body={**tokens, "expires_in": 3600})


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        running.token_replies += [token_reply()] * 200
        yield running


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that any library says, at its most talkative."""
    for name in (None, "httpx", "httpcore", "httpcore.http11", "httpcore.connection", "urllib3"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def said_by(error: BaseException) -> str:
    """Return all that an error may show: text, attributes, trace, chain, and itself as a pickle."""
    trace = "".join(traceback.format_exception(error))
    return f"{error!s} {error!r} {vars(error)} {trace} {pickle.dumps(error)!r}"


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 429, 500])
def test_no_error_no_log_and_no_hook_of_the_client_says_a_secret(
    server: FluentServer, log: pytest.LogCaptureFixture, status: int
) -> None:
    told: list[str] = []
    hooks = Hooks(
        on_request=lambda event: told.append(repr(event)),
        on_response=lambda event: told.append(repr(event)),
        on_retry=lambda event: told.append(repr(event)),
    )
    server.replies += replies(status)

    with client_of(server, auth=LOGIN, hooks=hooks) as client:
        told.append(repr(client))
        for call in CALLS:
            with pytest.raises(FCConnectError) as caught:
                call(client)
            told.append(said_by(caught.value))

    assert len(told) > len(CALLS)
    assert found_in(log.text + " ".join(told)) == []


@pytest.mark.parametrize(
    "body", [echo(), b"<html>canary-access-token-3", {"access_token": "a\ncanary-access-token-3"}]
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_no_error_of_the_login_says_a_secret(
    server: FluentServer, log: pytest.LogCaptureFixture, status: int, body: Any
) -> None:
    server.token_replies.clear()
    server.token_replies += replies(status, body)

    # The server's own access token is none that the client could know where the login fails.
    with client_of(server, auth=LOGIN) as client, pytest.raises(FCConnectError) as caught:
        client.get_job_status("1")

    assert set(found_in(said_by(caught.value) + log.text)) <= {"access token", "refresh token"}


def test_no_token_from_elsewhere_and_no_failure_of_its_provider_says_a_secret(
    server: FluentServer, log: pytest.LogCaptureFixture
) -> None:
    class Failing:
        def token(self) -> str:
            raise RuntimeError(f"the vault said {CANARIES['exception']}")

        def refused(self, token: str) -> None:
            """There is none."""

        def __repr__(self) -> str:
            return CANARIES["exception"]

    def hook(event: object) -> None:
        raise RuntimeError(CANARIES["exception"])

    def ask(auth: TokenProvider) -> None:
        with client_of(server, auth=auth, hooks=Hooks(on_response=hook)) as client:
            told.append(repr(client))
            client.get_job_status("1")

    told = [repr(BearerToken(CANARIES["bearer"]))]
    server.replies += replies(401, {"message": CANARIES["bearer"]})
    for auth in (BearerToken(CANARIES["bearer"]), BearerToken(f"{CANARIES['bearer']}\n"), Failing()):
        with pytest.raises(FCConnectError) as caught:
            ask(auth)
        told.append(said_by(caught.value))

    assert found_in(log.text + " ".join(told)) == []


def test_no_address_says_a_secret_that_was_written_into_it(
    server: FluentServer, log: pytest.LogCaptureFixture
) -> None:
    password, query = quote(CANARIES["url password"]), quote(CANARIES["url query"])
    told: list[str] = []
    for address in (
        f"https://user:{password}@fluent.example/?key={query}",
        f"https://user:{password}@[broken/?key={query}",
        f"ftp://user:{password}@fluent.example#{query}",
    ):
        with pytest.raises(FCConnectError) as caught:
            FluentClient(base_url=address, auth=LOGIN)
        told.append(said_by(caught.value))
    proxy = server.url.replace("//", f"//user:{CANARIES['proxy password']}@")
    server.replies += replies(502, CANARIES["proxy password"].encode())
    for each in (
        proxy,
        f"socks5://user:{CANARIES['proxy password']}@h",
        f"http://u:{CANARIES['proxy password']}@h:x",
    ):
        with pytest.raises(FCConnectError) as caught, client_of(server, auth=LOGIN, proxy=each) as client:
            client.create_job("x")
        told.append(said_by(caught.value))

    assert found_in(log.text + " ".join(told)) == []


def written_below(folder: Path, *, besides: set[Path]) -> str:
    """Return what all files below hold, as text."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path not in besides]
    return " ".join(path.read_bytes().decode("latin-1") for path in files)


@pytest.fixture
def quiet_again() -> Iterator[None]:
    """Undo what the commands did to the log of this process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def commands_say(folder: Path, environment: Mapping[str, str]) -> str:
    said = []
    for arguments in (
        ["check"],
        ["check", "--json"],
        ["preview", "--json"],
        ["run", "--json"],
        ["run"],
        ["state", "files", "--json", "-p"],
        ["profiles", "show", "ACME", "--json", "--profile-dir", str(folder / "profiles")],
        ["profiles", "check", "ACME", "--json", "--profile-dir", str(folder / "profiles")],
    ):
        with_file = [] if arguments[0] == "profiles" else [str(folder / "pipeline.json")]
        result = CliRunner().invoke(
            cli, ["--debug", *arguments, *with_file], env=dict(environment), standalone_mode=False
        )
        said.append(result.output)
        if result.exception is not None:
            # What `main` prints of an error, with `--debug`.
            trace = "".join(traceback.format_exception(result.exception))
            said.append(f"{result.exception} {mask_secrets(trace)}")
            assert isinstance(result.exception, FCConnectError), trace
    return "\n".join(said)


@pytest.mark.usefixtures("quiet_again")
@pytest.mark.parametrize("is_failing", [False, True], ids=["working", "failing"])
def test_no_command_prints_or_stores_a_secret(
    tmp_path: Path, server: FluentServer, log: pytest.LogCaptureFixture, is_failing: bool
) -> None:
    with Sandbox(database=tmp_path / "witness.db") as sandbox:
        shop = Shop(tmp_path / "shop", sandbox)
        url = server.url if is_failing else sandbox.url
        server.replies += replies() * 5
        fluent = {
            "base_url": url,
            "client_id": "ACME",
            "client_secret": "${FLUENT_CLIENT_SECRET}",
            "username": "robot",
            "password": "file:password.txt",
            "retailer_id": "1",
            "max_attempts": 1,
        }
        (shop.folder / "password.txt").write_text(CANARIES["password"])
        shop.configure(fluent=fluent)
        shop.stock("a.csv", warehouse="W", rows=3)
        profile = shop.folder / "profiles" / "ACME"
        profile.mkdir(parents=True)
        files = {
            "profile.json": {"baseUrl": url, "id": "ACME", "clientSecret": LOGIN.client_secret, "user": "u"},
            "user.u.json": {"username": "robot", "password": LOGIN.password},
        }
        for name, content in files.items():
            (profile / name).write_text(json.dumps(content))
            (profile / name).chmod(0o600)
        planted = {profile / name for name in files} | {shop.folder / "password.txt"}

        said = commands_say(shop.folder, {"FLUENT_CLIENT_SECRET": CANARIES["client secret"]})

        assert sandbox.requests() or server.seen
        assert found_in(said) == []
        assert found_in(log.text) == []
        assert found_in(written_below(tmp_path, besides=planted)) == []


def test_the_sandbox_writes_down_no_login_that_came_in_the_address(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    log.set_level(logging.WARNING, logger="httpx")  # here it is the caller who puts secrets into an address
    log.set_level(logging.WARNING, logger="httpcore")
    with Sandbox(database=tmp_path / "witness.db") as sandbox:
        answer = httpx.post(f"{sandbox.url}/oauth/token", params=LOGIN.login())
        token = answer.json()["access_token"]
        shown = repr(sandbox.requests()) + httpx.get(f"{sandbox.url}/").text

    stored = written_below(tmp_path, besides=set())
    assert answer.status_code == 200
    assert found_in(shown + stored + log.text) == []
    assert token not in shown + stored + log.text
