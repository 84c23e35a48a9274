"""Sends content to a draft on the server, some of it on its way while the next is read."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import AsyncExitStack
from functools import partial
from typing import BinaryIO, Final

import asyncssh

from fc_connect.sources.sftp_folder import RemoteFolder
from fc_connect.sources.sftp_link import Link, Session

__all__ = ["Upload"]

_PIECE: Final = 256 * 1024
_ON_THEIR_WAY: Final = 8


class Upload:
    """One draft being written. For one thread."""

    def __init__(self, link: Link, root: bytes, draft: bytes, *, doing: str) -> None:
        self._link = link
        self._root = root
        self._draft = draft
        self._doing = doing
        self._held = AsyncExitStack()
        self._session: Session
        self._folder: RemoteFolder
        self._file: asyncssh.SFTPClientFile
        self._size = 0
        self._sent: deque[asyncio.Task[int]] = deque()

    def send(self, content: BinaryIO) -> asyncssh.SFTPAttrs:
        """Write all of `content`, and return what the server then has.

        The content is read on the calling thread, for it may come from this very source.

        Raises:
            SourceError: the disk is full, or it may not be written.
            SourceUnavailableError: the connection broke; some of the draft may be there.
        """
        try:
            size = self._link.once(self._doing, self._begin)
            while piece := content.read(size):
                self._link.once(self._doing, partial(self._put, piece))
            return self._link.once(self._doing, self._finish)
        finally:
            self._link.leave(self._end())

    # What follows runs on the link's own thread.

    async def _begin(self) -> int:
        """Open the draft, and return how much to send at once: what fills the server's requests."""
        self._session = await self._held.enter_async_context(self._link.session())
        self._folder = RemoteFolder(self._session, self._root)
        self._file = await self._session.ask(self._session.sftp.open(self._draft, "wb", encoding=None))
        self._held.push_async_callback(self._session.close_file, self._file)
        request = self._session.sftp.limits.max_write_len
        return request * max(1, _PIECE // request)

    async def _put(self, piece: bytes) -> None:
        self._sent.append(asyncio.get_running_loop().create_task(self._file.write(piece, self._size)))
        self._size += len(piece)
        while len(self._sent) >= _ON_THEIR_WAY:
            await self._await_oldest()

    async def _finish(self) -> asyncssh.SFTPAttrs:
        while self._sent:
            await self._await_oldest()
        written = await self._folder.sealed(self._file, self._draft, self._size)
        await self._held.aclose()
        return written

    async def _await_oldest(self) -> None:
        async with self._folder.telling_full(self._draft):
            await self._session.ask(self._sent.popleft())

    async def _end(self) -> None:
        for task in self._sent:
            task.cancel()
        await asyncio.gather(*self._sent, return_exceptions=True)
        await self._held.aclose()
