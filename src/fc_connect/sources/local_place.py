"""Gives a local file its name: all of its content or nothing, and never over another's."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from pathlib import Path
from typing import Final

from fc_connect.sources.base import SourceFile
from fc_connect.sources.local_version import changed, identity
from fc_connect.sources.paths import PARTIAL_MARK

__all__ = ["COPY_BYTES", "copied", "draft_beside", "placed", "publish", "sync_folder"]

COPY_BYTES: Final = 1 << 18
"""Read and written at once."""

_NO_HARD_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}


def placed(file: SourceFile, origin: Path, found: os.stat_result, target: Path, *, may_link: bool) -> bool:
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
        return copied(file, origin, found, target)
    if identity(target.stat()) != identity(found):
        target.unlink()
        raise changed(file, "was replaced while it was moved")
    return True


def copied(file: SourceFile, origin: Path, found: os.stat_result, target: Path) -> bool:
    """Copy the content to `target`, unless other content is there; say whether it is there now."""
    if target.exists():
        return target.is_file() and _same_content(origin, target)
    draft = draft_beside(target)
    try:
        with origin.open("rb") as source, draft.open("xb") as copy:
            shutil.copyfileobj(source, copy, COPY_BYTES)
            copy.flush()
            os.utime(copy.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
            os.fsync(copy.fileno())
        if identity(origin.stat()) != identity(found) or not _same_content(origin, draft):
            raise changed(file, "changed while it was copied")
        return publish(draft, target) or _same_content(origin, target)
    finally:
        draft.unlink(missing_ok=True)


def _same_content(one: Path, other: Path) -> bool:
    # Not filecmp: it remembers answers by size and time, and would miss a change within one tick.
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while True:
            part = left.read(COPY_BYTES)
            if part != right.read(COPY_BYTES):
                return False
            if not part:
                return True


def publish(draft: Path, target: Path) -> bool:
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


def draft_beside(target: Path) -> Path:
    """Return a name in the same folder that no listing shows."""
    # Cut: with our additions the name may not grow beyond the 255 bytes that file systems allow.
    name = target.name.encode()[:200].decode(errors="ignore")
    return target.with_name(f".{name}.{secrets.token_hex(6)}{PARTIAL_MARK}")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a power cut, where the file system can."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as exc:
        if exc.errno not in {errno.EINVAL, errno.ENOTSUP}:  # a file system that can't sync folders
            raise
    finally:
        os.close(handle)
