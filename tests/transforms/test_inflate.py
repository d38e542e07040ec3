from __future__ import annotations

import bz2
import gzip
import io
import os
import random
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.inflate import Inflated

PACKERS = {"gzip": lambda data: gzip.compress(data, mtime=0), "bzip2": bz2.compress}


def inflate_one(data: bytes) -> bytes:
    """The member at the start of `data`, by the libraries' own one-member objects."""
    one = bz2.BZ2Decompressor() if data.startswith(b"BZh") else zlib.decompressobj(wbits=31)
    return one.decompress(data)


class Dribble(io.RawIOBase):
    """A raw stream that hands out at most `step` bytes a read, as sockets do."""

    def __init__(self, data: bytes, step: int) -> None:
        self._file, self._step = io.BytesIO(data), step

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, self._step))


def read_all(stream: Inflated) -> bytes:
    buffered = io.BufferedReader(stream, 4096)
    return b"".join(iter(lambda: buffered.read(1000), b""))


@given(
    parts=st.lists(st.binary(max_size=3000), max_size=8), padding=st.integers(0, 5),
    step=st.sampled_from([1, 7, 10**6]), packer=st.sampled_from(sorted(PACKERS)),
)
def test_members_are_joined_and_every_byte_is_where_it_says(
    parts: list[bytes], padding: int, step: int, packer: str
) -> None:
    members = [PACKERS[packer](part) + bytes(padding) for part in parts]
    data = b"".join(members)
    stream = Inflated(Dribble(data, step))  # type: ignore[arg-type]
    assert read_all(stream) == b"".join(parts)
    assert stream.damage is None
    assert stream.file_bytes == len(data)
    position = 0
    for part in parts:
        for inner in {0, len(part) - 1} if part else ():
            offset, inner_offset = stream.locate(position + inner)
            fetched = inflate_one(data[offset:])
            assert (fetched, inner_offset) == (part, inner)
        position += len(part)


def test_plain_bytes_pass_and_are_their_own_position() -> None:
    data = random.Random(1).randbytes(200_000)
    assert not data.startswith(b"\x1f\x8b")
    stream = Inflated(io.BytesIO(data))
    assert read_all(stream) == data
    assert stream.locate(123_456) == (123_456, 0)
    assert (stream.damage, stream.file_bytes) == (None, len(data))


@pytest.mark.parametrize("data", [b"", b"\x1f", b"BZ", gzip.compress(b"", mtime=0), bz2.compress(b"")])
def test_next_to_nothing(data: bytes) -> None:
    stream = Inflated(io.BytesIO(data))
    assert read_all(stream) == (data if len(data) < 3 else b"")
    assert stream.damage is None


@pytest.mark.parametrize(("packer", "magic"), [("gzip", 2), ("bzip2", 3)])
def test_every_cut_of_a_file_keeps_what_came_before_it(packer: str, magic: int) -> None:
    parts = [b"first " * 50, os.urandom(300), b"third " * 50]
    members = [PACKERS[packer](part) for part in parts]
    data, text = b"".join(members), b"".join(parts)
    ends = [sum(map(len, members[:k])) for k in range(4)]
    for cut in range(magic, len(data) + 1):
        stream = Inflated(io.BytesIO(data[:cut]))
        got = read_all(stream)
        whole = max(k for k in range(4) if ends[k] <= cut)
        assert text.startswith(got)
        assert len(got) >= sum(map(len, parts[:whole]))
        assert (stream.damage is None) == (cut in ends)


@pytest.mark.parametrize("packer", sorted(PACKERS))
@pytest.mark.parametrize(
    "tail", [b"garbage", b"\n", b"\0\0\0x", b"\x1f", b"\x1f\x8b", b"\x1f\x8b\x08\0", b"B", b"BZh", b"BZh9x"]
)
def test_bytes_that_are_no_member_after_a_member_are_damage_and_have_a_position(tail: bytes, packer: str) -> None:
    member = PACKERS[packer](b"text")
    stream = Inflated(io.BytesIO(member + tail))
    assert read_all(stream) == b"text"
    assert stream.damage
    assert stream.locate(4) == (len(member), 0), "with the zeros: they are padding only where a member follows"
    stream.drain()
    assert stream.file_bytes == len(member + tail)


@pytest.mark.parametrize("size", [10, 400_000])
def test_a_member_that_fails_its_checksum_ends_the_stream_and_spares_those_before_it(size: int) -> None:
    bad = bytearray(gzip.compress(b"x" * size))
    bad[-6] ^= 1
    stream = Inflated(io.BytesIO(gzip.compress(b"good") + bytes(bad) + gzip.compress(b"lost")))
    got = read_all(stream)
    assert got.startswith(b"good")
    assert (b"good" + b"x" * size).startswith(got)
    assert len(got) + 4096 >= size if size > 4096 else got == b"good"
    assert "Incorrect checksum" in str(stream.damage)


@pytest.mark.parametrize("place", [10, 40, -1])
def test_a_bzip2_stream_that_is_damaged_ends_and_spares_those_before_it(place: int) -> None:
    good, bad = bz2.compress(b"good " * 1000), bytearray(bz2.compress(os.urandom(4000)))
    bad[place] ^= 255
    stream = Inflated(io.BytesIO(good + bytes(bad) + good))
    assert read_all(stream)[:5000] == b"good " * 1000
    assert stream.damage == "Invalid data stream"
    assert stream.locate(5000) == (len(good), 0)


@pytest.mark.parametrize("members", [1, 300])
def test_30_mb_of_bzip2_are_read_within_eight_mb(members: int) -> None:
    """A stream of 900 kB blocks takes 3.7 MB to inflate, says the manual of bzip2."""
    part = b"".join(b"record %d\n" % k for k in range(3_000_000 // members))
    stream = Inflated(io.BytesIO(bz2.compress(part) * members))
    buffered = io.BufferedReader(stream, 1 << 16)
    tracemalloc.start()
    length = sum(map(len, iter(lambda: buffered.read(1 << 18), b"")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length == len(part) * members > 30 << 20
    assert peak < 8 << 20


@pytest.mark.parametrize("members", [1, 3000])
def test_300_mb_are_read_within_two_mb(members: int) -> None:
    total = 300 << 20
    member = gzip.compress(b"a record\n" * (total // members // 9), compresslevel=1)
    data = member * members
    stream = Inflated(io.BytesIO(data))
    buffered = io.BufferedReader(stream, 1 << 16)
    length = 0
    tracemalloc.start()
    while block := buffered.read(1 << 18):
        length += len(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length == total // members // 9 * 9 * members
    assert peak < 2 << 20
