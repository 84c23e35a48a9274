"""Reads one version of a remote file as a stream that outlives broken connections."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, cast

import asyncssh

from fc_connect.errors import SourceError
from fc_connect.sources.base import SourceFile
from fc_connect.sources.sftp_folder import RemoteFolder, changed, check_version
from fc_connect.sources.sftp_link import Link, Session

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from _typeshed import WriteableBuffer

__all__ = ["RemoteReader"]

_BLOCK: Final = 256 * 1024
_AHEAD: Final = 2 * 1024 * 1024
"""Bytes asked for before they are needed: what is on its way while a far server's answers travel."""
_OVERLAP: Final = 4096


class RemoteReader(io.RawIOBase):
    """Asks for the rest of the same version when a connection breaks, and tells the end only if it stayed that version.

    SFTP knows a version by size and time alone, the time in whole seconds. So where it goes on after a break, it also
    compares the last bytes that it had.

    Raises from a read:
        FileChangedError: the file isn't the listed version any more.
        SourceUnavailableError: the connection broke again and again.
    """

    def __init__(self, link: Link, root: bytes, file: SourceFile, *, url: str) -> None:
        super().__init__()
        self._link = link
        self._root = root
        self._file = file
        self._doing = f"read {url}"
        self._position = 0
        self._tail = b""
        self._rest = memoryview(b"")
        self._opened: _Opened | None = None
        self._is_at_end = False
        link.retried(f"open {url}", self._open)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        if not self._rest and len(view) and not self._is_at_end:
            self._rest = memoryview(self._link.retried(self._doing, self._next))
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._link.leave(self._drop())

    # What follows runs on the link's own thread.

    async def _open(self) -> _Opened:
        opened = _Opened(self._file, self._root)
        try:
            await opened.begin(self._link, self._position, self._tail)
        except BaseException:
            await opened.end()
            raise
        self._opened = opened
        return opened

    async def _next(self) -> bytes:
        """Return the next bytes, or none at the proven end."""
        try:
            opened = self._opened or await self._open()
            data = await opened.next()
            if not data:
                await opened.check_end()
                self._is_at_end = True
        except (SourceError, asyncssh.Error, OSError):
            await self._drop()
            raise
        self._position += len(data)
        self._tail = data[-_OVERLAP:] or self._tail
        return data

    async def _drop(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.end()


class _Opened:
    """The file open on one session, with what was asked for ahead."""

    def __init__(self, file: SourceFile, root: bytes) -> None:
        self._file = file
        self._root = root
        self._held = AsyncExitStack()
        self._asked: deque[tuple[int, int, asyncio.Task[bytes]]] = deque()
        self._session: Session
        self._folder: RemoteFolder
        self._place = b""
        self._handle: asyncssh.SFTPClientFile
        self._block = _BLOCK
        self._next_offset = 0

    async def begin(self, link: Link, position: int, tail: bytes) -> None:
        """Open the listed version, to be read from `position` on, before which `tail` lies."""
        self._session = await self._held.enter_async_context(link.session())
        self._folder = RemoteFolder(self._session, self._root)
        self._place = await self._folder.inside(self._file.path)
        found = await self._folder.look(self._place)
        if found is None:
            raise changed(self._file, "is gone")
        check_version(self._file, found)  # before it is opened: a pipe would hold the server's process
        sftp = self._session.sftp
        self._handle = await self._session.ask(sftp.open(self._place, "rb", encoding=None))
        self._held.push_async_callback(self._session.close_file, self._handle)
        check_version(self._file, await self._session.ask(self._handle.stat()))
        if tail and await self._session.ask(self._read(len(tail), position - len(tail))) != tail:
            raise changed(self._file, "was replaced while it was read")
        self._block = min(_BLOCK, sftp.limits.max_read_len)
        self._next_offset = position
        self._ask_ahead()

    async def next(self) -> bytes:
        """Return what comes next; nothing after the last byte of the listed version."""
        if not self._asked:
            return b""
        start, count, task = self._asked[0]
        data = await self._session.ask(task)
        self._asked.popleft()
        if len(data) != count:
            raise changed(self._file, f"ends at byte {start + len(data)}")
        self._ask_ahead()
        return data

    def _ask_ahead(self) -> None:
        loop = asyncio.get_running_loop()
        while self._next_offset < self._file.size and len(self._asked) * self._block < _AHEAD:
            count = min(self._block, self._file.size - self._next_offset)
            task = loop.create_task(self._read(count, self._next_offset))
            self._asked.append((self._next_offset, count, task))
            self._next_offset += count

    def _read(self, count: int, offset: int) -> Coroutine[Any, Any, bytes]:
        return cast("Coroutine[Any, Any, bytes]", self._handle.read(count, offset))

    async def check_end(self) -> None:
        """Prove that what was read is the listed version still, by the open file and by its name."""
        check_version(self._file, await self._session.ask(self._handle.stat()))
        found = await self._folder.look(self._place)
        if found is None:
            raise changed(self._file, "was removed while it was read")
        check_version(self._file, found)

    async def end(self) -> None:
        """Give everything back; a broken session is no fault here."""
        tasks = [task for _, _, task in self._asked]
        self._asked.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._held.aclose()
