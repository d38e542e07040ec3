from __future__ import annotations

import gzip
import io
import itertools
import random
import struct
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from fastwarc.warc import ArchiveIterator
from hypothesis import given, settings
from hypothesis import strategies as st

import transforms.zstd
from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page

RANDOM = random.Random(5)
LINES = [b'{"text": "This is record %d, and %s.", "id": %d}\n' % (k, RANDOM.randbytes(20).hex().encode(), k)
         for k in range(400)]
DICTIONARY = zstandard.train_dictionary(4000, LINES)


class Dribble(io.BytesIO):
    """Hands out at most `step` bytes a read."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._step if size is None or size < 0 else min(size, self._step))


def frame(data: bytes, *, checksum: bool = True, sized: bool = True, level: int = 3, dictionary: bool = False) -> bytes:
    packer = zstandard.ZstdCompressor(
        level=level, write_checksum=checksum, write_content_size=sized, dict_data=DICTIONARY if dictionary else None
    )
    return packer.compress(data)


def skippable(data: bytes, number: int = 0) -> bytes:
    return struct.pack("<II", 0x184D2A50 + number, len(data)) + data


def read_all(stream: Inflated) -> bytes:
    buffered = io.BufferedReader(stream, 4096)
    return b"".join(iter(lambda: buffered.read(1000), b""))


def outcomes(data: bytes) -> list[Outcome]:
    return list(read_archive(Inflated(io.BytesIO(data)), extract=Extract()))


def name(outcome: Outcome) -> str:
    return "page" if isinstance(outcome, Page) else outcome.reason


@settings(deadline=None)
@given(
    parts=st.lists(st.binary(max_size=3000), max_size=6), checksum=st.booleans(), sized=st.booleans(),
    between=st.sampled_from([b"", bytes(3), skippable(b""), skippable(b"x" * 70_000, 15), skippable(b"y", 13)]),
    step=st.sampled_from([1, 7, 10**6]),
)
def test_frames_are_joined_and_every_byte_is_where_it_says(
    parts: list[bytes], checksum: bool, sized: bool, between: bytes, step: int
) -> None:
    frames = [frame(part, checksum=checksum, sized=sized) + between for part in parts]
    data = b"".join(frames)
    stream = Inflated(Dribble(data, step))
    assert read_all(stream) == b"".join(parts)
    assert (stream.damage, stream.file_bytes) == (None, len(data))
    position = 0
    for part in parts:
        for inner in {0, len(part) - 1} if part else ():
            offset, inner_offset = stream.locate(position + inner)
            fetched = zstandard.ZstdDecompressor().decompressobj().decompress(data[offset:])
            assert (fetched, inner_offset) == (part, inner)
        position += len(part)


@pytest.mark.parametrize("level", [1, 3, 19])
@pytest.mark.parametrize("size", [0, 1, 1 << 17, (1 << 17) + 1, 3_000_000])
def test_blocks_of_every_kind(size: int, level: int) -> None:
    for part in (bytes(size), RANDOM.randbytes(size), b"a line of text\n" * (size // 15)):
        assert read_all(Inflated(io.BytesIO(frame(part, level=level)))) == part
        stream = io.BytesIO()
        with zstandard.ZstdCompressor(level=level).stream_writer(stream, closefd=False) as writer:
            for at in range(0, size, 100_000):
                writer.write(part[at : at + 100_000])
                writer.flush()
        assert read_all(Inflated(io.BytesIO(stream.getvalue()))) == part


def test_an_empty_block_before_the_last() -> None:
    whole = b"\x28\xb5\x2f\xfd" + b"\x00\x58" + b"\0\0\0" + b"\x19\0\0" + b"abc"
    assert zstandard.ZstdDecompressor().decompressobj().decompress(whole) == b"abc"
    stream = Inflated(io.BytesIO(whole))
    assert (read_all(stream), stream.damage) == (b"abc", None)


def test_a_block_of_one_byte_repeated() -> None:
    header = (100 << 3 | 1 << 1).to_bytes(3, "little")
    whole = b"\x28\xb5\x2f\xfd" + b"\x00\x58" + header + b"x" + b"\x19\0\0" + b"abc"
    assert zstandard.ZstdDecompressor().decompressobj().decompress(whole) == b"x" * 100 + b"abc"
    for step in (1, 10**6):
        stream = Inflated(Dribble(whole + whole, step))
        assert (read_all(stream), stream.damage) == ((b"x" * 100 + b"abc") * 2, None)


@pytest.mark.parametrize("packed", [False, True])
def test_a_dictionary_at_the_start_is_that_of_every_frame(packed: bool) -> None:
    """As IIPC's draft has it, the dictionary compressed or not."""
    raw = DICTIONARY.as_bytes()
    start = skippable(frame(raw) if packed else raw, 13)
    frames = [frame(line, dictionary=True) for line in LINES[:50]]
    data = start + b"".join(frames)
    found = outcomes(data)
    assert list(map(name, found)) == ["page"] * 50
    assert [p.record_id for p in found if isinstance(p, Page)] == [str(k) for k in range(50)]
    ends = list(itertools.accumulate(map(len, frames), initial=len(start)))
    assert [(p.offset, p.inner_offset) for p in found if isinstance(p, Page)] == [(end, 0) for end in ends[:-1]]
    assert len(b"".join(frames)) < len(b"".join(map(frame, LINES[:50]))) * 0.9
    [letter] = outcomes(data[len(start) :])
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.length) == ("truncated", len(data) - len(start))
    assert f"needs dictionary {DICTIONARY.dict_id()}" in letter.detail
    [letter] = outcomes(skippable(b"") + data)  # only the first frame of a file may be one
    assert isinstance(letter, DeadLetter) and "needs dictionary" in letter.detail


@pytest.mark.parametrize("dictionary", [b"", b"no dictionary", frame(b"no dictionary"), frame(b"x" * 99)[:-3]])
def test_a_dictionary_that_is_none_is_damage(dictionary: bytes) -> None:
    [letter] = outcomes(skippable(dictionary, 13) + frame(LINES[0]))
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "truncated" and "dictionary at the file's start" in letter.detail


def test_memory_is_bounded_by_what_a_frame_may_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def asks(window_log: int) -> bytes:
        return b"\x28\xb5\x2f\xfd\x00" + bytes([(window_log - 10) << 3]) + b"\x19\0\0" + b"{} "

    assert list(map(name, outcomes(asks(27)))) == ["no_text"]
    [letter] = outcomes(frame(LINES[0]) + asks(28))[1:]
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.offset) == ("truncated", len(frame(LINES[0])))
    assert letter.detail == "the frame needs 268435456 bytes of history; at most 134217728 are given"
    monkeypatch.setattr(transforms.zstd, "MAX_DICTIONARY", 1000)
    for dictionary in (bytes(1001), frame(bytes(1001))):
        [letter] = outcomes(skippable(dictionary, 13) + frame(LINES[0]))
        assert isinstance(letter, DeadLetter) and "dictionary of" in letter.detail


@pytest.mark.parametrize("frames", [1, 3000])
def test_300_mb_are_read_within_two_mb(frames: int) -> None:
    """Of one frame, 10 KB that hold all of it: what a block holds is all that is there at once."""
    each = (300 << 20) // frames
    data = frame(bytes(each), level=1) * frames
    assert len(data) < 100_000
    buffered = io.BufferedReader(Inflated(io.BytesIO(data)), 1 << 16)
    length = 0
    tracemalloc.start()
    while block := buffered.read(1 << 18):
        length += len(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length == each * frames
    assert peak < 2 << 20


@pytest.mark.parametrize("frames", [1, 6])
def test_a_cut_file_gives_what_is_whole_and_one_dead_letter_for_the_rest(frames: int) -> None:
    lines = LINES[:6]
    packed = list(map(frame, lines if frames == 6 else [b"".join(lines)]))
    data, ends = b"".join(packed), list(itertools.accumulate(map(len, packed)))
    whole = outcomes(data)
    assert list(map(name, whole)) == ["page"] * 6
    for cut in range(4, len(data)):
        found = outcomes(data[:cut])
        pages = found[:-1] if cut not in ends else found
        assert pages == whole[: len(pages)] and len(pages) >= (frames == 6) * sum(end <= cut for end in ends)
        for letter in found[len(pages) :]:
            assert isinstance(letter, DeadLetter)
            assert (letter.reason, letter.offset + letter.length) == ("truncated", cut)


@settings(deadline=None)
@given(at=st.integers(4, 2000), flip=st.integers(1, 255))
def test_a_changed_byte_costs_no_more_than_what_follows_it(at: int, flip: int) -> None:
    packed = [frame(line) for line in LINES[:20]]
    data = bytearray(b"".join(packed))
    at = min(at, len(data) - 1)
    data[at] ^= flip
    found = outcomes(bytes(data))
    before = sum(end <= at for end in itertools.accumulate(map(len, packed)))
    whole = outcomes(b"".join(packed))
    assert found[:before] == whole[:before]
    for letter in found:
        if isinstance(letter, DeadLetter) and letter.reason == "truncated":
            assert letter is found[-1] and letter.offset + letter.length == len(data)


@pytest.mark.parametrize("tail", [b"garbage", gzip.compress(b"x", mtime=0), b"\x28\xb5", b"\x50\x2a\x4d\x17more"])
def test_bytes_that_are_no_frame_after_a_frame_are_damage(tail: bytes) -> None:
    data = frame(LINES[0]) + tail
    _, letter = outcomes(data)
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.offset, letter.length) == ("truncated", len(data) - len(tail), len(tail))


@pytest.mark.parametrize(
    "file", ["warc/cc-main-2020-34-sample.warc.gz", "wet/cc-main-2016-50-sample-repaired.warc.wet.gz"]
)
def test_a_real_archive_gives_the_same_however_it_is_packed(file: str, data_folder: Path) -> None:
    plain = gzip.decompress((data_folder / file).read_bytes())
    starts = [r.stream_pos for r in ArchiveIterator(io.BytesIO(plain), parse_http=False)]
    records = [plain[a:b] for a, b in itertools.pairwise([*starts, len(plain)])]
    expected = outcomes(b"".join(gzip.compress(r, 1) for r in records))
    for data in (b"".join(map(frame, records)), frame(plain), skippable(DICTIONARY.as_bytes(), 13) + b"".join(
        frame(r, dictionary=True) for r in records
    )):
        found = outcomes(data)
        assert list(map(name, found)) == list(map(name, expected))
        for one, other in zip(found, expected, strict=True):
            if isinstance(one, Page) and isinstance(other, Page):
                assert (one.text, one.record_id, one.url, one.date) == (
                    other.text, other.record_id, other.url, other.date
                )
