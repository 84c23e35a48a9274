"""Compressed files: what was packed comes out, damage is told, and bombs are stopped early."""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import tracemalloc
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, ParseError, RunError
from fc_connect.formats.compressed import unpacked

CONTENT = b"sku,qty\n" + b"".join(b"SKU%d,%d\n" % (n, n * 7919 % 1000) for n in range(20_000))


def zipped(content: bytes, *, method: int = zipfile.ZIP_DEFLATED, name: str = "stock.csv") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def zstandard_packed(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "stock.csv.gz": gzip.compress,
    "stock.csv.zst": zstandard_packed,
    "stock.csv.zip": zipped,
}
every_kind = pytest.mark.parametrize("path", PACKED)


def read(content: bytes, path: str, **options: Any) -> bytes:
    return unpacked(io.BytesIO(content), path=path, **options).read()


def drain(stream: BinaryIO) -> Iterator[int]:
    """Yield how much was read so far."""
    size = 0
    while data := stream.read(1 << 16):
        size += len(data)
        yield size


def refused(content: bytes, path: str, **options: Any) -> str:
    with pytest.raises(ParseError) as caught:
        read(content, path, **options)
    assert caught.value.path == path
    return str(caught.value)


@every_kind
@pytest.mark.parametrize("content", [b"", b"a", CONTENT], ids=["nothing", "one byte", "much"])
def test_a_packed_file_comes_out_as_it_was(path: str, content: bytes) -> None:
    assert read(PACKED[path](content), path) == content


@every_kind
def test_the_ending_counts_in_any_case(path: str) -> None:
    assert read(PACKED[path](CONTENT), path.upper()) == CONTENT


@every_kind
def test_a_file_of_another_name_is_unpacked_when_told(path: str) -> None:
    kind = {"gz": "gzip", "zst": "zstd", "zip": "zip"}[path.rpartition(".")[2]]

    assert read(PACKED[path](CONTENT), "stock", compression=kind) == CONTENT


@pytest.mark.parametrize("content", [b"", b"a", CONTENT])
def test_a_file_that_is_not_packed_is_passed_on(content: bytes) -> None:
    assert read(content, "stock.csv") == content


@every_kind
def test_nothing_is_unpacked_when_told_so(path: str) -> None:
    packed = PACKED[path](CONTENT)

    assert read(packed, path, compression="none") == packed


@every_kind
@pytest.mark.parametrize("content", [b"", b"P", b"sku,qty\n"])
def test_a_name_that_promises_more_than_the_file_holds_is_refused(path: str, content: bytes) -> None:
    assert "set compression to `none`" in refused(content, path)


@every_kind
def test_packed_bytes_never_pass_for_text(path: str) -> None:
    assert "Set compression to `" in refused(PACKED[path](CONTENT), "stock.csv")


@every_kind
def test_a_file_cut_off_anywhere_is_refused(path: str) -> None:
    packed = PACKED[path](CONTENT)

    for length in [*range(4, 40), *range(40, len(packed) - 40, 997), *range(len(packed) - 40, len(packed))]:
        refused(packed[:length], path)


@every_kind
def test_a_cut_is_told_with_its_place(path: str) -> None:
    packed = PACKED[path](CONTENT)[:5000]

    assert "zip" in path or "ends at byte 5,000" in refused(packed, path)


@every_kind
def test_a_changed_byte_never_changes_the_content_unnoticed(path: str) -> None:
    packed = bytearray(PACKED[path](CONTENT))
    rng = random.Random(1)

    for at in [*range(30), *(rng.randrange(len(packed)) for _ in range(300))]:
        kept = packed[at]
        packed[at] ^= 1 << rng.randrange(8)
        with suppress(ParseError):
            assert read(bytes(packed), path) == CONTENT
        packed[at] = kept


@every_kind
def test_what_follows_the_packed_part_is_refused(path: str) -> None:
    packed = PACKED[path](CONTENT)

    assert path.endswith("zip") or f"at byte {len(packed):,}" in refused(packed + b"more", path)


@pytest.mark.parametrize("path", ["stock.csv.gz", "stock.csv.zst"])
def test_several_parts_are_one_file(path: str) -> None:
    parts = [b"", b"first\n", CONTENT, b"", b"last\n"]

    assert read(b"".join(map(PACKED[path], parts)), path) == b"".join(parts)


def test_zeros_after_gzip_are_padding() -> None:
    packed = gzip.compress(CONTENT)

    assert read(packed + bytes(200_000), "stock.csv.gz") == CONTENT
    assert "something else" in refused(packed + bytes(512) + b"x", "stock.csv.gz")


def test_frames_that_hold_nothing_are_skipped() -> None:
    skippable = b"\x5a\x2a\x4d\x18" + struct.pack("<I", 5) + b"notes"

    assert read(skippable + zstandard_packed(b"a") + skippable, "a.zst") == b"a"


def test_zstd_that_asks_for_too_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, strategy=1)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(b"a") + packer.flush()

    assert "memory" in refused(packed, "a.zst")


@pytest.mark.parametrize("names", [["a.csv", "b.csv"], []])
def test_a_zip_holds_exactly_one_file(names: list[str]) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"a")

    message = refused(file.getvalue(), "stock.zip")

    assert all(repr(name) in message for name in names)
    assert "should hold one file" in message


def test_folders_in_a_zip_are_looked_past() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("out/", b"")
        archive.writestr("out/../../stock.csv", b"a")
        archive.writestr("__MACOSX/._stock.csv", b"b")

    assert read(file.getvalue(), "stock.zip") == b"a"


def test_an_encrypted_zip_is_refused() -> None:
    packed = bytearray(zipped(b"a"))
    packed[6] |= 1
    packed[packed.index(b"PK\x01\x02") + 8] |= 1

    assert "encrypted" in refused(bytes(packed), "stock.zip")


def test_a_zip_packed_by_a_rare_method_is_refused() -> None:
    assert "deflate" in refused(zipped(b"a", method=zipfile.ZIP_LZMA), "stock.zip")


def test_a_stored_zip_and_one_with_long_numbers_are_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, archive.open("a", "w", force_zip64=True) as member:
        member.write(CONTENT)

    assert read(file.getvalue(), "stock.zip") == CONTENT
    assert read(zipped(CONTENT, method=zipfile.ZIP_STORED), "stock.zip") == CONTENT


def test_a_zip_that_understates_its_content_is_refused() -> None:
    packed = bytearray(zipped(CONTENT))
    at = packed.index(b"PK\x01\x02")
    packed[at + 16 : at + 20] = struct.pack("<I", zlib.crc32(CONTENT[:100]))
    packed[at + 24 : at + 28] = struct.pack("<I", 100)

    refused(bytes(packed), "stock.zip")


def test_a_zip_of_a_huge_directory_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number:060}", b"")

    assert "directory" in refused(file.getvalue(), "stock.zip")


@every_kind
def test_more_than_max_bytes_is_refused(path: str) -> None:
    packed = PACKED[path](CONTENT)

    assert read(packed, path, max_bytes=len(CONTENT)) == CONTENT
    assert "max_bytes" in refused(packed, path, max_bytes=len(CONTENT) - 1)


BOMB = 1 << 26


@every_kind
def test_a_bomb_is_stopped_early_in_little_memory(path: str) -> None:
    packed = PACKED[path](bytes(BOMB))
    stream = unpacked(io.BytesIO(packed), path=path, max_ratio=200)

    tracemalloc.start()
    sizes = deque([0], maxlen=1)
    with pytest.raises(ParseError, match=r"max_ratio \(200\)"):
        sizes.extend(drain(stream))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert sizes[0] <= max(17 << 20, len(packed) * 200)
    assert peak < 48 << 20


@every_kind
def test_a_small_file_may_pack_as_tightly_as_it_likes(path: str) -> None:
    content = bytes(1 << 20)

    assert read(PACKED[path](content), path, max_ratio=2) == content


@every_kind
def test_an_error_never_turns_into_an_end(path: str) -> None:
    packed = PACKED[path](os.urandom(300_000))
    stream = unpacked(io.BytesIO(packed[:-1] + b"?" if "zip" not in path else packed[:-30]), path=path)

    for _ in range(3):
        with pytest.raises(ParseError):
            list(drain(stream))


@every_kind
def test_closing_leaves_the_packed_stream_open(path: str) -> None:
    packed = io.BytesIO(PACKED[path](CONTENT))

    with unpacked(packed, path=path) as stream:
        stream.read(10)

    assert not packed.closed


@every_kind
def test_the_packed_stream_is_read_to_its_end(path: str) -> None:
    """Its digest is taken on the way."""
    packed = io.BytesIO(PACKED[path](CONTENT))

    unpacked(packed, path=path).read()

    assert packed.read() == b""


def test_a_full_disk_is_told(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())

    with pytest.raises(RunError, match="the disk is full"):
        read(zipped(CONTENT), "stock.zip")


@pytest.mark.parametrize("options", [{"max_bytes": 0}, {"max_ratio": 0.5}])
def test_caps_that_let_nothing_through_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        read(b"", "a", **options)


@given(st.sampled_from(list(PACKED)), st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_come_out_or_are_refused(path: str, start: bytes, end: bytes) -> None:
    magic = PACKED[path](b"abc" * 5)
    for content in (start, magic[:12] + start, magic + end, start + magic, magic[: len(start)] + end):
        with suppress(ParseError):
            read(content, path)
