"""Compressed files: gzip, Zstandard and zip are unpacked while they are read, and bombs are stopped early.

What a file is called decides how it is unpacked; what it begins with must agree, and nothing packed is ever passed on
as if it were text. Everything that the packing says about the content (checksums, lengths, ends) is checked, so that
damage is an error and never a short file.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO, Final, Literal

from fc_connect.errors import ConfigurationError, MissingExtraError, ParseError, listed
from fc_connect.formats.spooled import spooled

__all__ = ["DEFAULT_MAX_RATIO", "DEFAULT_MAX_UNPACKED_BYTES", "Compression", "packing_of", "unpacked"]

Compression = Literal["auto", "none", "gzip", "zstd", "zip"]

DEFAULT_MAX_UNPACKED_BYTES: Final = 64 << 30
"""More than any file of a retailer, less than a disk."""

DEFAULT_MAX_RATIO: Final = 1000.0
"""Text packs to a tenth, the dullest exports to a few hundredths."""

_RATIO_FROM = 16 << 20  # bytes unpacked: small files may pack as tightly as they like, and do no harm
_CHUNK = 1 << 16
_MAX_WINDOW = 1 << 27  # bytes that a Zstandard file may have us remember: what the zstd command allows
_ZSTD_STEP = (
    1 << 10
)  # bytes fed at once: each 4 may come out as 128 KiB, and nothing else bounds what a call returns
_MAX_ZIP_DIRECTORY = 1 << 20  # bytes: one file needs a hundred

_SUFFIXES: Final = {".gz": "gzip", ".zst": "zstd", ".zip": "zip"}
_MAGIC: Final = {
    "gzip": (b"\x1f\x8b\x08",),
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes([each]) + b"\x2a\x4d\x18" for each in range(0x50, 0x60))),
    "zip": (b"PK\x03\x04", b"PK\x05\x06"),
}
_LONGEST_MAGIC = 4


def unpacked(
    stream: BinaryIO,
    *,
    path: str,
    compression: Compression = "auto",
    max_bytes: int = DEFAULT_MAX_UNPACKED_BYTES,
    max_ratio: float = DEFAULT_MAX_RATIO,
) -> BinaryIO:
    """Return what `stream` holds, unpacked while it is read; closing it leaves `stream` open.

    `auto` goes by the end of the name: `.gz`, `.zst`, `.zip`, else not packed. A zip holds one file; it is kept on
    disk meanwhile, as it is read from its end. What is not packed is passed on as it is.

    Args:
        max_bytes: more bytes than this, unpacked, are an error.
        max_ratio: more bytes than this many times those of the packed file are an error, from 16 MiB on.

    Raises (here or from a later read):
        ParseError: it isn't packed as it should be, is damaged or cut off, or breaks a cap. Read again, it is raised
            again: an error never turns into an end.
        MissingExtraError: the library for Zstandard isn't installed.
        RunError: the disk has no room for a zip.
    """
    if max_bytes < 1 or max_ratio < 1:
        raise ConfigurationError(
            f"max_bytes and max_ratio must be at least 1, not {max_bytes:,} and {max_ratio:g}."
        )
    source = _Source(stream)
    head = source.head()
    kind: str = compression
    if compression == "auto":
        kind = _by_name(path, head)
    if kind == "none":
        return io.BufferedReader(_Stream(source.chunks()), _CHUNK * 4)
    if not head.startswith(_MAGIC[kind]):
        why = "its name" if compression == "auto" else f"`compression: {kind}`"
        what = f"begins with {head!r}" if head else "is empty"
        raise ParseError(
            f"should be packed with {kind} by {why}, but {what}. Have it packed, or set compression to `none`.",
            path=path,
        )
    unpack = {"gzip": _gzip, "zstd": _zstd, "zip": _zip}[kind]
    chunks = unpack(source, path, max_bytes)
    return io.BufferedReader(_Stream(_capped(chunks, source, path, max_bytes, max_ratio)), _CHUNK * 4)


def _by_name(path: str, head: bytes) -> Any:
    for suffix, kind in _SUFFIXES.items():
        if path.lower().endswith(suffix):
            return kind
    if packing := packing_of(head):
        raise ParseError(
            f"begins as what is packed with {packing} does, but its name doesn't say so. "
            f"Set compression to `{packing}`, or to `none` to read it as it is.",
            path=path,
        )
    return "none"


def packing_of(head: bytes) -> str | None:
    """Return how a file is packed that begins like that; None: it isn't."""
    return next((kind for kind, magics in _MAGIC.items() if head.startswith(magics)), None)


class _Source:
    """The packed bytes, counted."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._head = b""
        self.read_bytes = 0

    def head(self) -> bytes:
        """Return the first bytes, which are read again later."""
        while len(self._head) < _LONGEST_MAGIC and (
            data := self._stream.read(_LONGEST_MAGIC - len(self._head))
        ):
            self._head += data
        return self._head

    def read(self, size: int) -> bytes:
        """Return some bytes, at most so many; none at the end."""
        data, self._head = self._head or self._stream.read(size), b""
        self.read_bytes += len(data)
        return data

    def chunks(self) -> Generator[bytes]:
        while data := self.read(_CHUNK):
            yield data


class _Stream(io.RawIOBase):
    """Chunks as a stream. The error that ended them ends it every time: read on, it would pass for a short file."""

    def __init__(self, chunks: Generator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = memoryview(b"")
        self._error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if self._error is not None:
            raise self._error
        try:
            while not self._rest:
                self._rest = memoryview(next(self._chunks))
        except StopIteration:
            return 0
        except BaseException as exc:
            self._error = exc
            raise
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def close(self) -> None:
        self._chunks.close()
        super().close()


def _capped(
    chunks: Iterator[bytes], source: _Source, path: str, max_bytes: int, max_ratio: float
) -> Generator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise ParseError(
                f"unpacks to more than max_bytes ({max_bytes:,}) allows. Raise it if the file is right.",
                path=path,
            )
        if size > _RATIO_FROM and size > source.read_bytes * max_ratio:
            raise ParseError(
                f"unpacks to {size:,} bytes from {source.read_bytes:,}, more than max_ratio ({max_ratio:g}) "
                "allows. Raise it if the file is right.",
                path=path,
            )
        yield chunk


def _gzip(source: _Source, path: str, max_bytes: int) -> Iterator[bytes]:
    """Unpack every member: each ends with a checksum and a length, which zlib compares."""
    data = source.read(_CHUNK)
    while data:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            if not data and not (data := source.read(_CHUNK)):
                raise _cut_off(source, path, "gzip")
            try:
                chunk = member.decompress(data, _CHUNK * 4)
            except zlib.error as exc:
                raise _damaged(source, path, data, exc) from exc
            data = member.unconsumed_tail
            yield chunk
        data = member.unused_data or source.read(_CHUNK)
        if data[:1] == b"\0":  # tapes and disks fill up with zeros, and gzip itself looks past them
            while data and not data.strip(b"\0"):
                data = source.read(_CHUNK)
        if data and len(data) < 2:
            data += source.read(_CHUNK)
        if data and not data.startswith(b"\x1f\x8b"):
            raise _trailing(source, path, data)


def _zstd(source: _Source, path: str, max_bytes: int) -> Iterator[bytes]:
    """Unpack every frame; those that say of themselves that they hold nothing for us come out empty."""
    try:
        import zstandard
    except ModuleNotFoundError as exc:
        raise MissingExtraError(f"{path} is packed with zstd: pip install 'fc-connect[zstd]'") from exc
    unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    data = source.read(_CHUNK)
    while data:
        while len(data) < _LONGEST_MAGIC and (more := source.read(_CHUNK)):
            data += more
        if not data.startswith(_MAGIC["zstd"]):
            raise _trailing(source, path, data)
        frame = unpacker.decompressobj()
        while not frame.eof:
            if not data and not (data := source.read(_CHUNK)):
                raise _cut_off(source, path, "zstd")
            try:
                chunk = frame.decompress(data[:_ZSTD_STEP])
            except zstandard.ZstdError as exc:
                raise _damaged(source, path, data, exc) from exc
            data = data[_ZSTD_STEP:]
            yield chunk
        data = frame.unused_data + data or source.read(_CHUNK)


def _zip(source: _Source, path: str, max_bytes: int) -> Iterator[bytes]:
    """Unpack the one file of an archive. Its name is never used for a path."""
    with spooled(source.read, path=path, max_bytes=max_bytes) as file:
        try:
            with zipfile.ZipFile(_SmallReads(file, path)) as archive:
                info = _only_file(archive, path)
                size, announced = 0, info.file_size
                info.file_size = max_bytes + 1  # zipfile would cut the content at what is announced
                with archive.open(info) as member:
                    while chunk := member.read(_CHUNK * 4):
                        size += len(chunk)
                        yield chunk
                if size != announced:
                    raise ParseError(
                        f"is damaged: {info.filename!r} in it unpacks to {size:,} bytes, "
                        f"where {announced:,} are announced.",
                        path=path,
                    )
        except (
            # What zipfile raises for bytes it doesn't expect; an OSError is a seek to where nothing is.
            zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError,
        ) as exc:  # fmt: skip
            raise ParseError(f"is a damaged zip file ({exc}). Have it sent again.", path=path) from exc


def _only_file(archive: zipfile.ZipFile, path: str) -> zipfile.ZipInfo:
    files = [
        info
        for info in archive.infolist()
        # Macs add a folder of notes to each archive.
        if not info.is_dir() and not info.filename.startswith("__MACOSX/")
    ]
    if len(files) != 1:
        names = listed([repr(info.filename) for info in files]) or "none"
        raise ParseError(
            f"should hold one file, but holds {names}. Have one file sent in each zip.", path=path
        )
    [info] = files
    if info.flag_bits & 0x1:
        raise ParseError(f"{info.filename!r} in it is encrypted. Have it sent without a password.", path=path)
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ParseError(
            f"{info.filename!r} in it is packed by method {info.compress_type}. Have it packed with deflate.",
            path=path,
        )
    return info


class _SmallReads:
    """A file of which no more can be read at once than a zip of one file has at its end.

    zipfile reads the whole directory into memory, however long it claims to be.
    """

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_ZIP_DIRECTORY:
            raise ParseError("should hold one file, but has a directory of thousands.", path=self._path)
        return self._file.read(size)


def _cut_off(source: _Source, path: str, kind: str) -> ParseError:
    return ParseError(
        f"is cut off: it ends at byte {source.read_bytes:,}, and what is packed with {kind} goes on. "
        "Have it sent again.",
        path=path,
    )


def _damaged(source: _Source, path: str, data: bytes, exc: Exception) -> ParseError:
    return ParseError(
        f"is damaged at or after byte {source.read_bytes - len(data):,} ({exc}). Have it sent again.",
        path=path,
    )


def _trailing(source: _Source, path: str, data: bytes) -> ParseError:
    return ParseError(
        f"holds something else after what is packed, at byte {source.read_bytes - len(data):,}: "
        f"{data[:_LONGEST_MAGIC]!r}. Have it sent again.",
        path=path,
    )
