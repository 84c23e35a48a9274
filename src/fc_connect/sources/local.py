"""A folder of this machine, or of a network file system mounted on it."""

from __future__ import annotations

import errno
import io
import logging
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self
from urllib.parse import unquote, urlsplit

from fc_connect.errors import ConfigurationError, FileChangedError, SourceError
from fc_connect.sources.access import check_access
from fc_connect.sources.base import Access, SourceFile
from fc_connect.sources.local_place import COPY_BYTES, draft_beside, placed, publish, sync_folder
from fc_connect.sources.local_version import (
    VersionReader,
    as_file,
    changed,
    check_version,
    identity,
    mapped_errors,
)
from fc_connect.sources.paths import PathPattern, checked_path, numbered

__all__ = ["LocalSource"]

logger = logging.getLogger(__name__)

_NOTHING_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
"""Removed since its folder was read, or a link to nothing, or to itself."""


class LocalSource:
    """Files below one folder. Safe to share between threads and processes.

    A version of a file is told by its size and its modification time, to the microsecond. Links to files
    inside the folder count as files; links to folders, and links that lead out of the folder, are never
    followed: a listing leaves them out with a warning, anything else refuses them. So it is with names that
    aren't UTF-8. Missing folders are made when something is written or moved there.
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
            try:
                parts = urlsplit(url)
                path = unquote(parts.path, errors="strict")
            except ValueError as exc:
                raise ConfigurationError(f"The source {url!r} isn't a URL of a folder: {exc}.") from exc
            if parts.netloc not in {"", "localhost"} or parts.query or parts.fragment or not path:
                raise ConfigurationError(
                    f"{url!r} names no folder: write file:///absolute/path (three slashes) or a plain path."
                )
        if not path or "\0" in path:
            raise ConfigurationError(f"The source {url!r} names no folder: write a path, such as ./inbox.")
        try:
            return cls((base or Path()) / Path(path).expanduser())
        except (RuntimeError, ValueError) as exc:  # no home for `~`, or half a surrogate pair
            raise ConfigurationError(f"The source {url!r} names no folder: {exc}") from exc

    def __repr__(self) -> str:
        return f"LocalSource({self.url!r})"

    # Reading

    def list(self, pattern: str = "*") -> Iterator[SourceFile]:
        """Yield the files that match, in the order of their paths; holds one folder's names at a time.

        Raises (the first while iterating):
            SourceError: the folder, or one in it that may hold matching files, isn't there or may not be read.
            ConfigurationError: the pattern can't be read.
        """
        compiled = PathPattern.compiled(pattern)
        self._check_root()
        return self._walk("", compiled)

    def stat(self, path: str) -> SourceFile | None:
        """Return the file as it is now, or None where there is none.

        Raises:
            SourceError: `path` leads out of the folder, or may not be looked at.
        """
        with mapped_errors("look at", path):
            try:
                found = self._inside(path).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            return as_file(path, found) if stat.S_ISREG(found.st_mode) else None

    def exists(self, path: str) -> bool:
        """Say whether there is a file; raises as `stat` does where that can't be told."""
        return self.stat(path) is not None

    def open(self, file: SourceFile) -> BinaryIO:
        """Open the listed version; reading to its end proves that it stayed that version.

        Raises (here or from a later read):
            FileChangedError: the file was replaced, changed or removed since it was listed.
            SourceError: it may not be read, or leads out of the folder.
        """
        with mapped_errors("open", file.path):
            try:
                target = self._inside(file.path)
                # Without O_NONBLOCK, a pipe that took the file's name would hold us here for good.
                raw = io.FileIO(os.open(target, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
            except (FileNotFoundError, NotADirectoryError) as exc:
                raise changed(file, "is gone") from exc
            try:
                check_version(file, os.fstat(raw.fileno()))
                return io.BufferedReader(VersionReader(raw, file, target), COPY_BYTES)
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
        with mapped_errors("write", path):
            target = self._inside(path)
            self._make_folder(target.parent)
            draft = draft_beside(target)
            try:
                with draft.open("xb") as file:
                    shutil.copyfileobj(
                        io.BytesIO(content) if isinstance(content, bytes) else content, file, COPY_BYTES
                    )
                    file.flush()
                    os.fsync(file.fileno())
                    written = os.fstat(file.fileno())
                if overwrite:
                    draft.replace(target)
                elif not publish(draft, target):
                    raise SourceError(f"{path!r} exists already in {self.url}; nothing was written.")
                sync_folder(target.parent)
            finally:
                draft.unlink(missing_ok=True)
        return as_file(path, written)

    def move(self, file: SourceFile, destination: str) -> str:
        """Move the listed version to `destination` or a numbered name beside it; return the path taken.

        At every moment the content is under one name at least. Called again after a crash it finishes the
        move; after a finished move it only returns the path.

        Raises:
            FileChangedError: the file isn't the listed version any more; nothing was moved.
            SourceError: a name leads out of the folder, the disk is full, or access is denied.
        """
        return self._bring("move", file, destination)

    def copy(self, file: SourceFile, destination: str) -> str:
        """Copy the listed version to `destination` or a numbered name beside it; return the path taken.

        The copy keeps the modification time, and shares nothing with the file. Copying again makes no second
        copy.

        Raises:
            FileChangedError: the file isn't the listed version any more; nothing was copied.
            SourceError: a name leads out of the folder, the disk is full, or access is denied.
        """
        return self._bring("copy", file, destination)

    def delete(self, path: str) -> None:
        """Remove a file; an absent one is no fault."""
        with mapped_errors("delete", path):
            self._inside(path)
            entry = self._root / path
            try:
                entry.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            sync_folder(entry.parent)

    def check(self, *, writes: bool = True) -> tuple[Access, ...]:
        """Say what may be done here, found out by doing it; nothing is left behind."""
        return check_access(self, writes=writes)

    def close(self) -> None:
        """Do nothing: no file stays open between calls."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Parts

    def _bring(self, doing: Literal["move", "copy"], file: SourceFile, destination: str) -> str:
        with mapped_errors(doing, file.path):
            origin = self._inside(file.path)
            entry = self._root / file.path
            try:
                found = origin.stat()
                check_version(file, found)
            except (FileNotFoundError, NotADirectoryError, FileChangedError) as exc:
                if (taken := self._brought_before(file, destination)) is not None:
                    return taken
                if isinstance(exc, FileChangedError):
                    raise
                raise changed(file, "is gone") from exc
            for path in numbered(destination):
                if path == file.path:
                    return path
                target = self._inside(path)
                self._make_folder(target.parent)
                may_link = doing == "move" and not entry.is_symlink()
                if not placed(file, origin, found, target, may_link=may_link):
                    continue
                sync_folder(target.parent)
                if doing == "copy":
                    return path
                # The last look before the name goes: a newer version under it must stay.
                with suppress(FileNotFoundError):
                    if identity(origin.stat()) != identity(found):
                        raise changed(file, "was replaced while it was moved; the new version stays")
                    entry.unlink()
                sync_folder(entry.parent)
                return path
        raise AssertionError("numbered() never ends")

    def _check_root(self) -> None:
        with mapped_errors("look at", str(self._root)):
            try:
                what = None if stat.S_ISDIR(self._root.stat().st_mode) else "is no folder"
            except (FileNotFoundError, NotADirectoryError):
                what = "isn't there"
        if what is not None:
            raise SourceError(f"The folder {self._root} {what}: make it, or mend the source's url.")

    def _walk(self, folder: str, pattern: PathPattern) -> Iterator[SourceFile]:
        above = f"{folder}/" if folder else ""
        try:
            with mapped_errors("list", str(self._root / folder)):
                names = sorted(self._names(above, pattern))
        except SourceError as exc:
            if folder and isinstance(exc.__cause__, FileNotFoundError):
                return  # removed since its parent was read
            raise
        for name in names:
            if name.endswith("/"):
                yield from self._walk(above + name[:-1], pattern)
            elif (file := self._listed(above + name)) is not None:
                yield file

    def _names(self, above: str, pattern: PathPattern) -> Iterator[str]:
        """Yield what may count in a folder, folders with a slash: so they sort as an object store lists them.

        Names alone are kept, for a folder may hold very many.
        """
        with os.scandir(self._root / above) as entries:
            for entry in entries:
                path = above + entry.name
                is_link = entry.is_symlink()
                is_folder = os.path.isdir(entry.path) if is_link else entry.is_dir()  # noqa: PTH112 - as below
                if not is_folder:
                    if pattern.matches(path):
                        yield entry.name
                elif pattern.may_match_below(path):
                    if is_link:
                        logger.warning("%s: %r is a link to a folder: left out", self.url, path)
                    else:
                        yield f"{entry.name}/"

    def _listed(self, path: str) -> SourceFile | None:
        try:
            checked_path(path)
        except SourceError as exc:
            logger.warning("%s: left out of the listing: %s", self.url, exc)
            return None
        place = f"{self._root}/{path}"
        with mapped_errors("look at", path):
            try:
                found = os.lstat(place)
                if stat.S_ISLNK(found.st_mode):
                    if not self._is_inside(Path(place)):
                        logger.warning("%s: %r is a link out of the folder: left out", self.url, path)
                        return None
                    found = os.stat(place)  # noqa: PTH116 - a listing is long, and a Path costs more than the call
            except OSError as exc:
                if exc.errno in _NOTHING_THERE:
                    return None
                raise
        return as_file(path, found) if stat.S_ISREG(found.st_mode) else None

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
            sync_folder(each.parent)

    def _brought_before(self, file: SourceFile, destination: str) -> str | None:
        for path in numbered(destination):
            there = self.stat(path)
            if there is None:
                return None
            if (there.size, there.last_modified) == (file.size, file.last_modified):
                return path
        return None
