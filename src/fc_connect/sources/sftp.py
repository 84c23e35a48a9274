"""A folder on an SFTP server."""

from __future__ import annotations

import io
import logging
import posixpath
import random
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar
from urllib.parse import quote, unquote, urlsplit

import asyncssh

from fc_connect.clock import Clock, SystemClock
from fc_connect.errors import ConfigurationError, FileChangedError, SourceError
from fc_connect.sources.access import check_access
from fc_connect.sources.base import Access, SourceFile
from fc_connect.sources.paths import PathPattern, checked_path, numbered
from fc_connect.sources.sftp_folder import (
    RemoteFolder,
    as_file,
    changed,
    check_version,
    draft_beside,
    is_file,
)
from fc_connect.sources.sftp_host_key import HostKeys
from fc_connect.sources.sftp_link import Link, Session
from fc_connect.sources.sftp_login import Login
from fc_connect.sources.sftp_reader import RemoteReader
from fc_connect.sources.sftp_upload import Upload

__all__ = ["SFTPSource"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_BUFFER = 1 << 18


class SFTPSource:
    """Files below one folder of an SFTP server. Safe to share between threads; close it, for it holds connections.

    A version of a file is told by its size and its modification time, which SFTP tells in whole seconds. Links are
    treated as in a folder of this machine: those to files inside count as files, others are never followed. A name
    that isn't UTF-8 is refused wherever it would count. Missing folders are made when something is written or moved.

    While the server can't be reached, what can be done again is tried again, `max_attempts` times; a read goes on at
    the byte that it had reached. Nothing is connected before the first call.
    """

    def __init__(
        self,
        login: Login,
        root: str,
        *,
        connections: int = 4,
        stall_timeout: timedelta = timedelta(seconds=30),
        max_attempts: int = 5,
        clock: Clock | None = None,
        random_source: random.Random | None = None,
    ) -> None:
        shown = root if root.startswith("/") else f"/~/{root}".removesuffix("/.")
        self.url = login.where + quote(shown.rstrip("/"), safe="/~") + "/"
        self._root = root.encode()
        self._link = Link(
            login.connect,
            name=self.url,
            connections=connections,
            stall_timeout=stall_timeout,
            max_attempts=max_attempts,
            clock=clock or SystemClock(),
            random=random_source or random.Random(),
        )

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        base: Path | None = None,
        username: str | None = None,
        password: str | None = None,
        private_key: Path | str | None = None,
        passphrase: str | None = None,
        agent: bool = False,
        known_hosts: Path | str | None = None,
        host_key: str | Sequence[str] = (),
        connections: int = 4,
        connect_timeout: timedelta = timedelta(seconds=20),
        stall_timeout: timedelta = timedelta(seconds=30),
        keepalive: timedelta = timedelta(seconds=15),
        max_attempts: int = 5,
    ) -> Self:
        """Take `sftp://user@host:port/path/`; `/~/path/` begins at the folder in which a login begins.

        Any of `password`, `private_key` (a file, relative to `base`) and `agent` may be given. The server's key is held
        against `known_hosts` (`~/.ssh/known_hosts` if not given), or against the fingerprints in `host_key`: several
        while a key is changed. `stall_timeout` is how long an answer may take while nothing at all arrives.

        Raises:
            ConfigurationError: the URL names no server and folder, or the options don't go together.
        """
        host, port, user, root = _parts(url)
        if user is not None and username is not None and user != username:
            raise ConfigurationError(
                f"The url names the user {user!r}, and username is {username!r}: give one."
            )
        user = user or username
        if not user:
            raise ConfigurationError(f"No user for {host}: write sftp://user@{host}/path/ or set username.")
        if password is None and private_key is None and not agent:
            raise ConfigurationError(f"Nothing to log in to {host} with: set password, private_key or agent.")
        if passphrase is not None and private_key is None:
            raise ConfigurationError("passphrase belongs to a private_key: set that too.")
        pinned = [host_key] if isinstance(host_key, str) else list(host_key)
        if pinned and known_hosts is not None:
            raise ConfigurationError("known_hosts and host_key can't be used together: give one of them.")
        for name, number in (("connections", connections), ("max_attempts", max_attempts)):
            if number < 1:
                raise ConfigurationError(f"{name} is {number}: at least 1 is needed.")
        for name, time in (("connect_timeout", connect_timeout), ("stall_timeout", stall_timeout)):
            if time <= timedelta(0):
                raise ConfigurationError(f"{name} is {time}: it must be longer than nothing.")
        login = Login(
            host=host,
            port=port,
            username=user,
            host_keys=HostKeys(known_hosts=_local(known_hosts or "~/.ssh/known_hosts", base), pinned=pinned),
            password=password,
            private_key=None if private_key is None else _local(private_key, base),
            passphrase=passphrase,
            agent=agent,
            connect_timeout=connect_timeout,
            keepalive=keepalive,
        )
        return cls(
            login, root, connections=connections, stall_timeout=stall_timeout, max_attempts=max_attempts
        )

    def __repr__(self) -> str:
        return f"SFTPSource({self.url!r})"

    # Reading

    def list(self, pattern: str = "*") -> Iterator[SourceFile]:
        """Yield the files that match, in the order of their paths; holds one folder's names at a time.

        Raises (the first while iterating):
            SourceError: the folder isn't there or may not be read, or a matching name isn't UTF-8.
            SourceUnavailableError: the server can't be reached.
            ConfigurationError: the pattern can't be read.
        """
        compiled = PathPattern.compiled(pattern)

        async def look_at_root(session: Session) -> None:
            found = await RemoteFolder(session, self._root).look(self._root)
            if found is None or is_file(found):
                what = "isn't there" if found is None else "is no folder"
                raise SourceError(f"The folder {self.url} {what}: make it, or mend the source's url.")

        self._link.do(f"list {self.url}", look_at_root)
        return self._walk("", compiled)

    def stat(self, path: str) -> SourceFile | None:
        """Return the file as it is now, or None where there is none.

        Raises:
            SourceError: `path` leads out of the folder, or may not be looked at.
            SourceUnavailableError: the server can't be reached.
        """

        async def look(session: Session) -> SourceFile | None:
            folder = RemoteFolder(session, self._root)
            found = await folder.look(await folder.inside(path))
            return as_file(path, found) if found is not None and is_file(found) else None

        return self._do("look at", path, look)

    def exists(self, path: str) -> bool:
        """Say whether there is a file; what can't be looked at is an error, not an absence."""
        return self.stat(path) is not None

    def open(self, file: SourceFile) -> BinaryIO:
        """Open the listed version; a broken connection is resumed where it broke, in the same version.

        Raises (here or from a later read):
            FileChangedError: the file was replaced, changed or removed since it was listed.
            SourceError: it may not be read, or leads out of the folder.
            SourceUnavailableError: the server can't be reached, or the connection broke again and again.
        """
        url = self.url + checked_path(file.path)
        return io.BufferedReader(RemoteReader(self._link, self._root, file, url=url), _BUFFER)

    # Writing

    def write(self, path: str, content: BinaryIO | bytes, *, overwrite: bool = False) -> SourceFile:
        """Write a file so that a reader sees all of it or nothing.

        Content that can be read again from where it was (bytes, a file) is sent again when the connection breaks.

        Raises:
            SourceError: it exists and `overwrite` is off; the disk is full; it may not be written.
            SourceUnavailableError: the server can't be reached; at most a draft was left that no listing shows.
        """
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        doing = f"write {self.url}{checked_path(path)}"

        async def prepare(session: Session) -> tuple[bytes, bytes]:
            folder = RemoteFolder(session, self._root)
            target = await folder.inside(path)
            if not overwrite and await folder.look(target, follows=False) is not None:
                raise self._exists(
                    path
                )  # before anything large is sent; the real check comes with the naming
            await folder.make_folder(posixpath.dirname(target))
            return target, draft_beside(target)

        target, draft = self._link.do(doing, prepare)
        try:
            written = self._sent(stream, draft, doing)

            async def publish(session: Session) -> None:
                folder = RemoteFolder(session, self._root)
                if overwrite:
                    await folder.replace(draft, target)
                elif not await folder.is_placed(draft, target, written):
                    raise self._exists(path)

            self._link.do(doing, publish)
        except BaseException:
            self._discard(draft)
            raise
        return as_file(path, written)

    def move(self, file: SourceFile, destination: str) -> str:
        """Move the listed version to `destination` or a numbered name beside it; return the path taken.

        A rename on the server, or a copy where that can't be (another file system, a link). Called again after a crash
        it finishes the move; after a finished move it only returns the path.

        Raises:
            FileChangedError: the file isn't the listed version any more; the newer one stays.
            SourceError: a name leads out of the folder, the disk is full, or access is denied.
            SourceUnavailableError: the server can't be reached; call again to finish.
        """
        return self._placed("move", file, destination, moves=True)

    def copy(self, file: SourceFile, destination: str) -> str:
        """Copy the listed version to `destination` or a numbered name beside it; return the path taken.

        On the server itself where it can do that. A copy done again is no second copy.

        Raises:
            FileChangedError: the file isn't the listed version any more.
            SourceError: a name leads out of the folder, the disk is full, or access is denied.
            SourceUnavailableError: the server can't be reached.
        """
        return self._placed("copy", file, destination, moves=False)

    def check(self, *, writes: bool = True) -> tuple[Access, ...]:
        """Say what may be done here, found out by doing it; nothing is left behind."""
        return check_access(self, writes=writes)

    def delete(self, path: str) -> None:
        """Remove a file; an absent one is no fault."""

        async def delete(session: Session) -> None:
            folder = RemoteFolder(session, self._root)
            await folder.inside(path)
            await folder.remove(folder.entry(path))

        self._do("delete", path, delete)

    def close(self) -> None:
        """Close the connections; what is under way on other threads breaks off."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Parts

    def _do(self, doing: str, path: str, operation: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        return self._link.do(f"{doing} {self.url}{checked_path(path)}", operation)

    def _walk(self, folder: str, pattern: PathPattern) -> Iterator[SourceFile]:
        where = f"{self.url}{folder}"
        entries = self._link.do(
            f"list {where}", lambda session: RemoteFolder(session, self._root).entries(folder)
        )
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_folder:
                if pattern.may_match_below(path):
                    if entry.is_link:
                        logger.warning("%s: %r is a link to a folder: left out", self.url, path)
                    else:
                        yield from self._walk(path, pattern)
            elif pattern.matches(path):
                checked_path(path)
                if not entry.is_inside:
                    logger.warning("%s: %r is a link out of the folder: left out", self.url, path)
                elif is_file(entry.found):
                    yield as_file(path, entry.found)

    def _sent(self, content: BinaryIO, draft: bytes, doing: str) -> asyncssh.SFTPAttrs:
        def send() -> asyncssh.SFTPAttrs:
            return Upload(self._link, self._root, draft, doing=doing).send(content)

        if not content.seekable():
            return send()
        start = content.tell()

        def send_from_start() -> asyncssh.SFTPAttrs:
            content.seek(start)
            return send()

        return self._link.patiently(send_from_start)

    def _placed(self, doing: str, file: SourceFile, destination: str, *, moves: bool) -> str:
        checked_path(destination)
        drafts: list[bytes] = []  # one, whatever the number of attempts, so that none is left

        async def place(session: Session) -> str:
            folder = RemoteFolder(session, self._root)
            entry, origin = folder.entry(file.path), await folder.inside(file.path)
            try:
                if (found := await folder.look(origin)) is None:
                    raise changed(file, "is gone")
                check_version(file, found)
            except FileChangedError:
                if (taken := await self._placed_before(folder, file, destination)) is None:
                    raise
                return taken
            for path in numbered(destination):
                if path == file.path:
                    return path
                target = await folder.inside(path)
                await folder.make_folder(posixpath.dirname(target))
                if moves and not await folder.is_link(entry) and await folder.rename(file, origin, target):
                    return path
                if not drafts:
                    drafts.append(draft_beside(target))
                if not await folder.is_copied(file, origin, target, drafts[0], compares=moves):
                    continue
                # The last look before the name goes: a newer version under it must stay.
                if moves and (there := await folder.look(origin)) is not None:
                    check_version(file, there)
                    await folder.remove(entry)
                return path
            raise AssertionError("numbered() never ends")

        try:
            return self._do(doing, file.path, place)
        except BaseException:
            for draft in drafts:
                self._discard(draft)
            raise

    async def _placed_before(self, folder: RemoteFolder, file: SourceFile, destination: str) -> str | None:
        for path in numbered(destination):
            found = await folder.look(await folder.inside(path))
            if found is None:
                return None
            if is_file(found) and (found.size, as_file(path, found).last_modified) == (
                file.size,
                file.last_modified.replace(microsecond=0),
            ):
                return path
        return None

    def _discard(self, draft: bytes) -> None:
        """Remove a draft of ours if the server can be reached; the error that led here is the one to report."""

        async def remove() -> None:
            async with self._link.session() as session:
                await RemoteFolder(session, self._root).remove(draft)

        with suppress(SourceError):
            self._link.once("remove a draft", remove)

    def _exists(self, path: str) -> SourceError:
        return SourceError(f"{path!r} exists already in {self.url}; nothing was written.")


def _parts(url: str) -> tuple[str, int, str | None, str]:
    """Return host, port, user and root folder; a root that doesn't begin with a slash begins where a login does."""
    try:
        parts = urlsplit(url)
        host, port, has_password = parts.hostname, parts.port or 22, parts.password is not None
        user = unquote(parts.username, errors="strict") if parts.username else None
        path = unquote(parts.path, errors="strict")
        path.encode()
    except ValueError as exc:
        shown = url.rpartition("@")[2]
        raise ConfigurationError(f"The source sftp://…{shown!r} isn't a URL of a folder: {exc}.") from exc
    if has_password:
        raise ConfigurationError(f"The url of {host} holds a password: it goes into the option password.")
    if not host or parts.query or parts.fragment or not path.startswith("/"):
        raise ConfigurationError(f"{url!r} names no folder: write sftp://user@host/path/.")
    folders = [each for each in path.split("/") if each]
    if any(each in {".", ".."} for each in folders) or "\0" in path:
        raise ConfigurationError(f"{url!r} names no folder: its path may not have `.`, `..` or NUL.")
    if folders[:1] == ["~"]:
        return host, port, user, "/".join(folders[1:]) or "."
    return host, port, user, "/" + "/".join(folders)


def _local(path: Path | str, base: Path | None) -> Path:
    try:
        return (base or Path()) / Path(path).expanduser()
    except RuntimeError as exc:
        raise ConfigurationError(f"{str(path)!r} names no file of this machine: {exc}") from exc
