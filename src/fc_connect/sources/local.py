"""A folder of this machine, or of a network file system mounted on it."""

from __future__ import annotations

import errno
import io
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final, Self
from urllib.parse import unquote, urlsplit

from fc_connect.errors import ConfigurationError, FileChangedError, SourceError, SourceUnavailableError
from fc_connect.sources.base import SourceFile
from fc_connect.sources.paths import PARTIAL_MARK, PathPattern, checked_path, numbered

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["LocalSource"]

logger = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BUFFER: Final = 1 << 18

# A network file system that is away for now, not a fault of the file.
_PASSING = {
    errno.EAGAIN,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EIO,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENOTCONN,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
_NO_HARD_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}


class LocalSource:
    """Files below one folder. Safe to share between threads and processes.

    A version of a file is told by its size and its modification time, to the microsecond. Links to files
    inside the folder count as files; links to folders, and links that lead out of the folder, are never
    followed: a listing leaves them out with a warning, anything else refuses them. A name that isn't UTF-8 is
    refused wherever it would count. Missing folders are made when something is written or moved there.
    """

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.abspath(root))  # noqa: PTH100 - links in it stay, so that the URL stays
        self.url = self._root.as_uri()

    @classmethod
    def from_url(cls, url: str, *, base: Path | None = None) -> Self:
        """Take a plain path or `file:///path`.

        Raises:
            ConfigurationError: it names no folder of this machine.
        """
        path = url
        if "://" in url:
            parts = urlsplit(url)
            path = unquote(parts.path)
            if parts.netloc not in {"", "localhost"} or parts.query or parts.fragment or not path:
                raise ConfigurationError(
                    f"{url!r} names no folder: write file:///absolute/path (three slashes) or a plain path."
                )
        if not path or "\0" in path:
            raise ConfigurationError(f"The source {url!r} names no folder: write a path, such as ./inbox.")
        return cls((base or Path()) / Path(path).expanduser())

    def __repr__(self) -> str:
        return f"LocalSource({self.url!r})"

    # Reading

    def list(self, pattern: str = "*") -> Iterator[SourceFile]:
        """Yield the files that match, in the order of their paths; holds one folder's names at a time.

        Raises (the first while iterating):
            SourceError: the folder isn't there or may not be read, or a matching name isn't UTF-8.
            ConfigurationError: the pattern can't be read.
        """
        compiled = PathPattern.compiled(pattern)
        with _mapped_errors("list", self.url):
            if not self._root.is_dir():
                what = "is no folder" if self._root.exists() else "isn't there"
                raise SourceError(f"The folder {self._root} {what}: make it, or mend the source's url.")
        return self._walk("", compiled)

    def stat(self, path: str) -> SourceFile | None:
        """Return the file as it is now, or None where there is none.

        Raises:
            SourceError: `path` leads out of the folder, or may not be looked at.
        """
        with _mapped_errors("look at", path):
            try:
                found = self._inside(path).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            return _as_file(path, found) if stat.S_ISREG(found.st_mode) else None

    def open(self, file: SourceFile) -> BinaryIO:
        """Open the listed version; reading to its end proves that it stayed that version.

        Raises (here or from a later read):
            FileChangedError: the file was replaced, changed or removed since it was listed.
            SourceError: it may not be read, or leads out of the folder.
        """
        with _mapped_errors("open", file.path):
            try:
                target = self._inside(file.path)
                # Without O_NONBLOCK, a pipe that took the file's name would hold us here for good.
                raw = io.FileIO(os.open(target, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
            except (FileNotFoundError, NotADirectoryError) as exc:
                raise _changed(file, "is gone") from exc
            try:
                _check_version(file, os.fstat(raw.fileno()))
                return io.BufferedReader(_VersionReader(raw, file, target), _BUFFER)
            except BaseException:
                raw.close()
                raise

    # Writing

    def write(self, path: str, content: BinaryIO | bytes, *, overwrite: bool = False) -> SourceFile:
        """Write a file so that a reader, even after a power cut, sees all of it or nothing.

        On a file system without hard links, a crash may leave an empty file where `overwrite` is off.

        Raises:
            SourceError: it exists and `overwrite` is off; the disk is full; it may not be written.
        """
        with _mapped_errors("write", path):
            target = self._inside(path)
            self._make_folder(target.parent)
            draft = _draft_beside(target)
            try:
                with draft.open("xb") as file:
                    shutil.copyfileobj(
                        io.BytesIO(content) if isinstance(content, bytes) else content, file, _BUFFER
                    )
                    file.flush()
                    os.fsync(file.fileno())
                    written = os.fstat(file.fileno())
                if overwrite:
                    draft.replace(target)
                elif not _publish(draft, target):
                    raise SourceError(f"{path!r} exists already in {self.url}; nothing was written.")
                _sync_folder(target.parent)
            finally:
                draft.unlink(missing_ok=True)
        return _as_file(path, written)

    def move(self, file: SourceFile, destination: str) -> str:
        """Move the listed version to `destination` or a numbered name beside it; return the path taken.

        At every moment the content is under one name at least. Called again after a crash it finishes the
        move; after a finished move it only returns the path.

        Raises:
            FileChangedError: the file isn't the listed version any more; nothing was moved.
            SourceError: a name leads out of the folder, the disk is full, or access is denied.
        """
        with _mapped_errors("move", file.path):
            origin = self._inside(file.path)
            entry = self._root / file.path
            try:
                found = origin.stat()
                _check_version(file, found)
            except (FileNotFoundError, NotADirectoryError, FileChangedError) as exc:
                if (taken := self._moved_before(file, destination)) is not None:
                    return taken
                if isinstance(exc, FileChangedError):
                    raise
                raise _changed(file, "is gone") from exc
            for path in numbered(destination):
                if path == file.path:
                    return path
                target = self._inside(path)
                self._make_folder(target.parent)
                if not _placed(file, origin, found, target, may_link=not entry.is_symlink()):
                    continue
                _sync_folder(target.parent)
                # The last look before the name goes: a newer version under it must stay.
                with suppress(FileNotFoundError):
                    if _identity(origin.stat()) != _identity(found):
                        raise _changed(file, "was replaced while it was moved; the new version stays")
                    entry.unlink()
                _sync_folder(entry.parent)
                return path
        raise AssertionError("numbered() never ends")

    def delete(self, path: str) -> None:
        """Remove a file; an absent one is no fault."""
        with _mapped_errors("delete", path):
            self._inside(path)
            entry = self._root / path
            try:
                entry.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            _sync_folder(entry.parent)

    def close(self) -> None:
        """Do nothing: no file stays open between calls."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Parts

    def _walk(self, folder: str, pattern: PathPattern) -> Iterator[SourceFile]:
        where = self._root / folder
        with _mapped_errors("list", str(where)):
            try:
                with os.scandir(where) as scan:
                    entries = [(f"{each.name}/" if each.is_dir() else each.name, each) for each in scan]
            except FileNotFoundError:
                if not folder:
                    raise
                return  # removed since its parent was read
        # With the slash, folders and files come in the order of whole paths, as an object store lists them.
        entries.sort(key=lambda each: each[0])
        for name, entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if name.endswith("/"):
                if pattern.may_match_below(path):
                    if entry.is_symlink():
                        logger.warning("%s: %r is a link to a folder: left out", self.url, path)
                    else:
                        yield from self._walk(path, pattern)
            elif pattern.matches(path) and (file := self._listed(path, entry)) is not None:
                yield file

    def _listed(self, path: str, entry: os.DirEntry[str]) -> SourceFile | None:
        checked_path(path)
        with _mapped_errors("look at", path):
            try:
                if entry.is_symlink() and not self._is_inside(Path(entry.path)):
                    logger.warning("%s: %r is a link out of the folder: left out", self.url, path)
                    return None
                found = entry.stat()
            except FileNotFoundError:
                return None  # removed since, or a link to nothing
        return _as_file(path, found) if stat.S_ISREG(found.st_mode) else None

    def _inside(self, path: str) -> Path:
        """Return the real place of `path`, links followed, if it is below the real root."""
        target = self._root / checked_path(path)
        if not self._is_inside(target):
            raise SourceError(
                f"{path!r} is a link that leads out of {self._root}: links out aren't followed."
            )
        return Path(os.path.realpath(target))

    def _is_inside(self, target: Path) -> bool:
        return Path(os.path.realpath(target)).is_relative_to(os.path.realpath(self._root))

    def _make_folder(self, folder: Path) -> None:
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
            _sync_folder(each.parent)

    def _moved_before(self, file: SourceFile, destination: str) -> str | None:
        for path in numbered(destination):
            there = self.stat(path)
            if there is None:
                return None
            if (there.size, there.last_modified) == (file.size, file.last_modified):
                return path
        return None


class _VersionReader(io.RawIOBase):
    """Reads one version of a file; its end is told only if the file is still that version."""

    def __init__(self, raw: io.FileIO, file: SourceFile, target: Path) -> None:
        super().__init__()
        self._raw = raw
        self._file = file
        self._target = target
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with _mapped_errors("read", self._file.path):
            count = self._raw.readinto(buffer) or 0
            self._read += count
            if self._read > self._file.size:
                raise _changed(self._file, "grew while it was read")
            if count == 0 and len(memoryview(buffer)):
                self._check_end()
        return count

    def _check_end(self) -> None:
        here = os.fstat(self._raw.fileno())
        _check_version(self._file, here)
        if self._read != self._file.size:
            raise _changed(self._file, f"gave {self._read} bytes")
        try:
            if _identity(self._target.stat())[:2] != _identity(here)[:2]:
                raise _changed(self._file, "was replaced while it was read")
        except FileNotFoundError as exc:
            raise _changed(self._file, "was removed while it was read") from exc

    def close(self) -> None:
        self._raw.close()
        super().close()


def _placed(file: SourceFile, origin: Path, found: os.stat_result, target: Path, *, may_link: bool) -> bool:
    """Bring the content to `target`, unless other content is there; say whether it is there now."""
    try:
        if not may_link:
            raise OSError(errno.ENOTSUP, "a link is moved by copying what it leads to")
        os.link(origin, target)
    except FileExistsError:
        return target.is_file() and _same_content(origin, target)
    except OSError as exc:
        if exc.errno not in _NO_HARD_LINKS | {errno.EXDEV}:
            raise
        return _copied(file, origin, found, target)
    if _identity(target.stat()) != _identity(found):
        target.unlink()
        raise _changed(file, "was replaced while it was moved")
    return True


def _copied(file: SourceFile, origin: Path, found: os.stat_result, target: Path) -> bool:
    if target.exists():
        return target.is_file() and _same_content(origin, target)
    draft = _draft_beside(target)
    try:
        with origin.open("rb") as source, draft.open("xb") as copy:
            shutil.copyfileobj(source, copy, _BUFFER)
            copy.flush()
            os.utime(copy.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
            os.fsync(copy.fileno())
        if _identity(origin.stat()) != _identity(found) or not _same_content(origin, draft):
            raise _changed(file, "changed while it was copied")
        return _publish(draft, target) or _same_content(origin, target)
    finally:
        draft.unlink(missing_ok=True)


def _same_content(one: Path, other: Path) -> bool:
    # Not filecmp: it remembers answers by size and time, and would miss a change within one tick.
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while True:
            part = left.read(_BUFFER)
            if part != right.read(_BUFFER):
                return False
            if not part:
                return True


def _publish(draft: Path, target: Path) -> bool:
    """Give the draft its name unless that is taken, in one step; say whether."""
    try:
        os.link(draft, target)
    except FileExistsError:
        return False
    except OSError as exc:
        if exc.errno not in _NO_HARD_LINKS:
            raise
        # No hard links here (FAT, some network file systems): take the name first, then put the content there.
        try:
            target.open("xb").close()
        except FileExistsError:
            return False
        draft.replace(target)
    return True


def _draft_beside(target: Path) -> Path:
    # Cut: with our additions the name may not grow beyond the 255 bytes that file systems allow.
    name = target.name.encode()[:200].decode(errors="ignore")
    return target.with_name(f".{name}.{secrets.token_hex(6)}{PARTIAL_MARK}")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as exc:
        if exc.errno not in {errno.EINVAL, errno.ENOTSUP}:  # a file system that can't sync folders
            raise
    finally:
        os.close(handle)


def _as_file(path: str, found: os.stat_result) -> SourceFile:
    return SourceFile(path=path, size=found.st_size, last_modified=_modified(found))


def _modified(found: os.stat_result) -> datetime:
    # Whole numbers: a float of seconds since 1970 isn't exact to the microsecond.
    try:
        return _EPOCH + timedelta(microseconds=found.st_mtime_ns // 1000)
    except OverflowError as exc:
        raise SourceError(
            f"The modification time {found.st_mtime_ns} ns is outside the years 1 to 9999: touch the file."
        ) from exc


def _identity(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _check_version(file: SourceFile, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _changed(file, "is no file any more")
    if found.st_size != file.size:
        raise _changed(file, f"has {found.st_size} bytes, not {file.size}")
    if (now := _modified(found)) != file.last_modified:
        raise _changed(file, f"was modified at {now.isoformat()}")


def _changed(file: SourceFile, what: str) -> FileChangedError:
    return FileChangedError(
        f"{file.path!r} {what}: it isn't the version listed ({file.last_modified.isoformat()}). List again."
    )


@contextmanager
def _mapped_errors(doing: str, path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise SourceError(f"Can't {doing} {path!r}: {exc.filename or path} isn't there.") from exc
    except PermissionError as exc:
        raise SourceError(
            f"Can't {doing} {path!r}: access to {exc.filename or path} is denied. Give this user the right to it."
        ) from exc
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise SourceError(
                f"Can't {doing} {path!r}: the disk is full. Make room, then run again."
            ) from exc
        cls = SourceUnavailableError if exc.errno in _PASSING else SourceError
        raise cls(f"Can't {doing} {path!r}: {exc.strerror or exc}.") from exc
