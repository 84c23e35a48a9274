"""A source's root folder on one SFTP session: looking, naming, placing; each step may be done again."""

from __future__ import annotations

import asyncio
import posixpath
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

import asyncssh

from fc_connect.errors import FileChangedError, SourceError
from fc_connect.sources.base import SourceFile
from fc_connect.sources.paths import PARTIAL_MARK, checked_path
from fc_connect.sources.sftp_errors import ABSENT, DENIED
from fc_connect.sources.sftp_link import Session

__all__ = ["Entry", "RemoteFolder", "as_file", "changed", "check_version", "draft_beside", "is_file"]

_BLOCK: Final = 256 * 1024
_COPY_AT_ONCE: Final = 16 * 1024 * 1024  # small enough that a server's answer comes before it seems stalled
_REFUSED = (asyncssh.SFTPOpUnsupported, asyncssh.SFTPPermissionDenied, asyncssh.SFTPFailure)
_ASIDE: Final = 8
"""Requests on their way at once, where many are needed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in a folder, and what it leads to."""

    name: str
    """Half a surrogate pair stands for a byte that isn't UTF-8."""
    found: asyncssh.SFTPAttrs
    is_link: bool
    is_inside: bool

    @property
    def is_folder(self) -> bool:
        return self.found.type == asyncssh.FILEXFER_TYPE_DIRECTORY


class RemoteFolder:
    """The folder `root` as one session sees it. Places are absolute names on the server, links followed."""

    def __init__(self, session: Session, root: bytes) -> None:
        self._session = session
        self._sftp = session.sftp
        self.root = root

    # Looking

    def entry(self, path: str) -> bytes:
        """Return where `path` is named, links not followed."""
        return posixpath.join(self.root, checked_path(path).encode())

    async def inside(self, path: str) -> bytes:
        """Return the real place of `path`, links followed, if it is below the real root."""
        entry = self.entry(path)
        root, place = await asyncio.gather(self._real(self.root), self._real(entry))
        if not _is_below(place, root):
            raise SourceError(f"{path!r} is a link that leads out of the source: links out aren't followed.")
        return place

    async def look(self, place: bytes, *, follows: bool = True) -> asyncssh.SFTPAttrs | None:
        """Return what is at `place`, or None."""
        try:
            return await self._session.ask(self._sftp.stat(place, follow_symlinks=follows))
        except ABSENT:
            return None

    async def is_link(self, entry: bytes) -> bool:
        """Say whether the name itself is a link."""
        found = await self.look(entry, follows=False)
        return found is not None and found.type == asyncssh.FILEXFER_TYPE_SYMLINK

    async def entries(self, folder: str) -> list[Entry]:
        """Return what is in a folder, in the order of whole paths; nothing where it has gone."""
        place = posixpath.join(self.root, folder.encode(errors="surrogateescape"))
        found: list[Entry] = []
        links: list[bytes] = []

        async def read() -> None:
            async for each in self._sftp.scandir(place):
                self._session.heard()
                name = cast("bytes", each.filename)
                if name in {b".", b".."}:
                    continue
                if b"/" in name or not name:
                    raise SourceError(
                        f"The server lists a file by the name of {name!r}, which no file can have."
                    )
                if each.attrs.type == asyncssh.FILEXFER_TYPE_SYMLINK:
                    links.append(name)
                else:
                    found.append(Entry(_text(name), each.attrs, is_link=False, is_inside=True))

        try:
            await self._session.ask(read())
        except ABSENT:
            if not folder:
                raise
            return []
        for start in range(0, len(links), _ASIDE):
            some = links[start : start + _ASIDE]
            followed = await asyncio.gather(*(self._followed(place, name) for name in some))
            found += [each for each in followed if each is not None]
        # With the slash, folders and files come in the order of whole paths, as an object store lists them.
        found.sort(key=lambda each: f"{each.name}/" if each.is_folder else each.name)
        return found

    async def _followed(self, folder: bytes, name: bytes) -> Entry | None:
        place = posixpath.join(folder, name)
        found = await self.look(place)
        if found is None:
            return None
        root, real = await asyncio.gather(self._real(self.root), self._real(place))
        return Entry(_text(name), found, is_link=True, is_inside=_is_below(real, root))

    async def _real(self, place: bytes) -> bytes:
        """Follow the links in `place`; what isn't there yet is none."""
        try:
            return cast("bytes", await self._session.ask(self._sftp.realpath(place)))
        except ABSENT:
            folder, name = posixpath.split(place.rstrip(b"/"))
            if not name or not folder:
                return place
            return posixpath.join(await self._real(folder), name)

    # Placing

    async def make_folder(self, place: bytes) -> None:
        """Make a folder, and those above it."""
        missing = []
        while place and await self.look(place) is None:
            missing.append(place)
            place = posixpath.dirname(place)
        for each in reversed(missing):
            try:
                await self._session.ask(self._sftp.mkdir(each))
            except asyncssh.SFTPError:
                if await self.look(each) is None:  # else someone was quicker
                    raise

    async def is_placed(self, draft: bytes, target: bytes, written: asyncssh.SFTPAttrs) -> bool:
        """Give the draft its name unless that is taken; say whether it has it now.

        Asked again after the answer was lost, it finds the draft gone and what was written under its name.
        """
        async with self._session.naming:
            there = await self.look(target, follows=False)
            if there is not None:
                is_written = (there.size, there.mtime) == (written.size, written.mtime)
                return is_written and await self.look(draft) is None
            try:
                await self._session.ask(self._sftp.rename(draft, target))
            except asyncssh.SFTPError:
                if await self.look(target, follows=False) is None:
                    raise
                return False
            return True

    async def rename(self, file: SourceFile, origin: bytes, target: bytes) -> bool:
        """Move the listed version to a name that isn't taken; say whether that could be done by a rename.

        Raises:
            FileChangedError: another version came in the same instant; it has its name still.
        """
        async with self._session.naming:
            if await self.look(target, follows=False) is not None:
                return False
            try:
                await self._session.ask(self._sftp.rename(origin, target))
            except (*DENIED, *ABSENT):
                raise
            except asyncssh.SFTPError:
                return False  # the name was taken meanwhile, or lies on another file system: a copy will tell
            moved = await self.look(target)
            try:
                if moved is None:
                    raise changed(file, "was removed while it was moved")
                check_version(file, moved)
            except FileChangedError as exc:
                if moved is not None:
                    await self._give_back(exc, origin, target)
                raise
        return True

    async def _give_back(self, exc: FileChangedError, origin: bytes, target: bytes) -> None:
        try:
            if await self.look(origin, follows=False) is None:
                await self._session.ask(self._sftp.rename(target, origin))
                return
        except asyncssh.SFTPFailure:
            pass
        raise SourceError(
            f"{exc} It came while it was moved, and is {_text(target)!r} now, for its own name was taken again."
        ) from exc

    async def replace(self, draft: bytes, target: bytes) -> None:
        """Give the draft its name, whatever has it."""
        try:
            await self._session.ask(self._sftp.posix_rename(draft, target))
        except asyncssh.SFTPOpUnsupported:
            await self._replace_in_steps(draft, target)
        except ABSENT:
            if await self.look(target) is None:
                raise  # else the answer was lost, and this is the second time

    async def _replace_in_steps(self, draft: bytes, target: bytes) -> None:
        """Put what is there aside, so that at every moment both are under some name."""
        aside = draft_beside(target)
        is_aside = await self.look(target, follows=False) is not None
        if await self.look(draft) is None:
            return
        if is_aside:
            await self._session.ask(self._sftp.rename(target, aside))
        try:
            await self._session.ask(self._sftp.rename(draft, target))
        except asyncssh.SFTPError:
            if is_aside:
                await self._session.ask(self._sftp.rename(aside, target))
            raise
        if is_aside:
            await self.remove(aside)

    async def remove(self, place: bytes) -> None:
        """Remove a file; an absent one is no fault."""
        try:
            await self._session.ask(self._sftp.remove(place))
        except ABSENT:
            return

    async def is_copied(
        self, file: SourceFile, origin: bytes, target: bytes, draft: bytes, *, compares: bool
    ) -> bool:
        """Copy the listed version to `target` by way of `draft`; say whether the content is there now.

        Raises:
            FileChangedError: the file isn't the listed version any more, or `compares` found the copy to differ.
        """
        if await self.look(target, follows=False) is None:
            written = await self._copy(file, origin, draft)
            if compares and not await self._is_same(origin, draft):
                raise changed(file, "changed while it was copied")
            if await self.is_placed(draft, target, written):
                return True
        return is_file(await self.look(target)) and await self._is_same(origin, target)

    async def _copy(self, file: SourceFile, origin: bytes, draft: bytes) -> asyncssh.SFTPAttrs:
        """Copy the listed version to `draft`, with its time, on the server itself where it can do that."""
        ask, sftp = self._session.ask, self._sftp
        step = _COPY_AT_ONCE if sftp.supports_remote_copy else min(_BLOCK, sftp.limits.max_read_len)
        async with self._opened(origin, "rb") as source, self._opened(draft, "wb") as copy:
            check_version(file, await ask(source.stat()))
            for start in range(0, file.size, step):
                count = min(step, file.size - start)
                if sftp.supports_remote_copy:
                    async with self.telling_full(draft):
                        await ask(sftp.remote_copy(source, copy, start, count, start))
                else:
                    data = await ask(source.read(count, start))
                    if len(data) != count:
                        raise changed(file, f"ends at byte {start + len(data)}")
                    async with self.telling_full(draft):
                        await ask(copy.write(data, start))
            modified = int(file.last_modified.timestamp())
            with suppress(*_REFUSED):  # a copy with a time of its own is a copy
                await ask(copy.setstat(asyncssh.SFTPAttrs(atime=modified, mtime=modified)))
            written = await self.sealed(copy, draft, file.size)
            check_version(file, await ask(source.stat()))
        if (there := await self.look(origin)) is None:
            raise changed(file, "was removed while it was copied")
        check_version(file, there)
        return written

    @asynccontextmanager
    async def _opened(self, place: bytes, mode: str) -> AsyncIterator[asyncssh.SFTPClientFile]:
        file = await self._session.ask(self._sftp.open(place, mode, encoding=None))
        try:
            yield file
        finally:
            await self._session.close_file(file)

    async def sealed(self, file: asyncssh.SFTPClientFile, draft: bytes, size: int) -> asyncssh.SFTPAttrs:
        """Close a draft, see that all of it is there, and return what the server has of it.

        It outlives a power cut where the server offers that.
        """
        async with self.telling_full(draft):
            with suppress(asyncssh.SFTPOpUnsupported):
                await self._session.ask(file.fsync())
            await self._session.ask(file.close())  # some servers store a file only now, and may fail to
        written = await self.look(draft)
        if written is None or written.size != size:
            kept = "nothing" if written is None else f"{written.size} bytes"
            raise SourceError(f"The server kept {kept} of {size} bytes; nothing was put in place.")
        return written

    async def _is_same(self, one: bytes, other: bytes) -> bool:
        """Say whether two files have the same bytes."""
        sizes = [None if (found := await self.look(each)) is None else found.size for each in (one, other)]
        if sizes[0] is None or sizes[0] != sizes[1]:
            return False
        ask, step = self._session.ask, min(_BLOCK, self._sftp.limits.max_read_len)
        async with self._opened(one, "rb") as left, self._opened(other, "rb") as right:
            for start in range(0, sizes[0], step):
                parts = await asyncio.gather(ask(left.read(step, start)), ask(right.read(step, start)))
                if parts[0] != parts[1] or not parts[0]:
                    return False
        return True

    @asynccontextmanager
    async def telling_full(self, place: bytes) -> AsyncIterator[None]:
        """Tell a full disk where `place` is written: all that SFTP has to say of it is "Failure"."""
        try:
            yield
        except asyncssh.SFTPFailure as exc:
            try:
                system = await self._session.ask(self._sftp.statvfs(posixpath.dirname(place)))
            except asyncssh.SFTPError:
                raise exc from None
            if system.bavail and (system.favail or not system.files):
                raise
            raise asyncssh.SFTPNoSpaceOnFilesystem(exc.reason) from exc


def draft_beside(target: bytes) -> bytes:
    """Return a name in the same folder that no listing shows."""
    folder, name = posixpath.split(target)
    # Cut: with our additions the name may not grow beyond the 255 bytes that file systems allow.
    kept = name[:200].decode(errors="ignore").encode()
    return posixpath.join(folder, b".%s.%s%s" % (kept, secrets.token_hex(6).encode(), PARTIAL_MARK.encode()))


def is_file(found: asyncssh.SFTPAttrs | None) -> bool:
    """Say whether it is a file, not a folder, a pipe or nothing."""
    return found is not None and found.type == asyncssh.FILEXFER_TYPE_REGULAR


def as_file(path: str, found: asyncssh.SFTPAttrs) -> SourceFile:
    """Return the version that was found."""
    if found.size is None or found.mtime is None:
        raise SourceError(
            f"The server doesn't tell the size and time of {path!r}: no version can be told by them."
        )
    return SourceFile(path=path, size=found.size, last_modified=datetime.fromtimestamp(found.mtime, UTC))


def check_version(file: SourceFile, found: asyncssh.SFTPAttrs) -> None:
    """Raise FileChangedError unless what was found is the listed version."""
    if not is_file(found):
        raise changed(file, "is no file any more")
    now = as_file(file.path, found)
    if now.size != file.size:
        raise changed(file, f"has {now.size} bytes, not {file.size}")
    if now.last_modified != file.last_modified.replace(microsecond=0):
        raise changed(file, f"was modified at {now.last_modified.isoformat()}")


def changed(file: SourceFile, what: str) -> FileChangedError:
    """Return the error for a file that isn't the listed version."""
    return FileChangedError(
        f"{file.path!r} {what}: it isn't the version listed ({file.last_modified.isoformat()}). List again."
    )


def _is_below(place: bytes, root: bytes) -> bool:
    return place == root or place.startswith(root.rstrip(b"/") + b"/")


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")
