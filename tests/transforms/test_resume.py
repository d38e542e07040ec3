"""After damage reading goes on at the next record; what lies between is one dead letter, and is counted."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import pytest
import zstandard

import transforms.inflate
import transforms.warc_frames
from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0), "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "plain": bytes,
}


def record(number: int, block: bytes = b"", length: int | None = None) -> bytes:
    block = block or b"Text of number %d, with words of its own. " % number * 40
    head = "WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\n"
    said = f"WARC-Record-ID: {number}\r\nContent-Length: {len(block) if length is None else length}\r\n\r\n"
    return (head + said).encode() + block + b"\r\n\r\n"


def read(data: bytes, extract: Extract | None = None) -> list[Outcome]:
    return list(read_archive(Inflated(io.BytesIO(data)), extract=extract or Extract()))


def told(found: list[Outcome]) -> list[str]:
    return [str(o.record_id) if isinstance(o, Page) else o.reason for o in found]


def letters(found: list[Outcome]) -> list[DeadLetter]:
    return [o for o in found if isinstance(o, DeadLetter)]


@pytest.mark.parametrize("packing", PACK)
def test_a_record_that_breaks_costs_itself(packing: str) -> None:
    members = [PACK[packing](record(k)) for k in range(5)]
    bad = bytearray(members[2])
    if packing == "plain":
        bad[:4] = b"WORK"
    else:
        bad[len(bad) // 2 : len(bad) // 2 + 8] = b"\x00\xff" * 4
    found = read(b"".join([*members[:2], bytes(bad), *members[3:]]))
    assert told(found) == ["0", "1", "damaged", "3", "4"]
    [letter] = letters(found)
    assert (letter.offset, letter.length) == (len(members[0] + members[1]), len(members[2]))
    whole = read(b"".join(members))
    assert [o for o in found if isinstance(o, Page)] == whole[:2] + whole[3:]


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("length", [10**6, 10**18])
def test_a_length_beyond_the_file_costs_its_record(packing: str, length: int) -> None:
    members = [PACK[packing](record(k, length=length if k == 1 else None)) for k in range(4)]
    found = read(b"".join(members), Extract(max_record_bytes=10**7))
    assert told(found) == ["0", "damaged", "2", "3"]
    assert (letters(found)[0].offset, letters(found)[0].length) == (len(members[0]), len(members[1]))


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_bytes_lost_inside_a_member_and_between_members(packing: str) -> None:
    members = [PACK[packing](record(k)) for k in range(4)]
    cut = members[1][:-20]
    found = read(members[0] + cut + members[2] + b"no archive at all" * 1000 + members[3])
    assert told(found) == ["0", "damaged", "2", "damaged", "3"]
    assert [o.length for o in letters(found)] == [len(cut), 17_000]


def test_the_next_record_is_found_wherever_it_lies_in_what_is_read_at_once() -> None:
    """Around the probe's 4 KiB and the block's 64."""
    first, last = PACK["gzip"](record(0)), PACK["gzip"](record(1))
    for gap in (1, 2, 3, 4094, 4095, 4096, 4097, 65_530, *range(65_530 - len(first), 65_540 - len(first)), 200_000):
        found = read(first + b"\x01" * gap + last)
        assert told(found) == ["0", "damaged", "1"], gap
        assert letters(found)[0].length == gap


def test_only_a_line_after_a_blank_one_starts_a_record() -> None:
    inside = b"no blank line before\r\nWARC/1.0\r\nWARC-Type: conversion\r\n"
    bad = record(1, inside + b"x\r\n\r\nnot WARC/1.0 \r\n\r\nWARC/ten\r\n").replace(b"Content-Length", b"Content-Lost")
    found = read(record(0) + bad + record(2))
    assert told(found) == ["0", "damaged", "2"]
    assert letters(found)[0].length == len(bad)


def test_a_member_that_holds_no_record_is_no_place_to_go_on() -> None:
    bad = gzip.compress(record(1), mtime=0)[:-30]
    found = read(gzip.compress(record(0)) + bad + gzip.compress(b"an image, say") + gzip.compress(record(2)))
    assert told(found) == ["0", "damaged", "2"]


def test_a_bomb_ends_at_its_bound_and_the_next_record_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(record(1, b"\0" * 30_000_000), mtime=0)
    data = gzip.compress(record(0)) + bomb + gzip.compress(record(2))
    assert told(read(data)) == ["0", "too_long", "2"]
    monkeypatch.setattr(transforms.inflate, "FREE_EXPANSION", 1 << 20)
    found = read(data)
    assert told(found) == ["0", "damaged", "2"]
    assert letters(found)[0].length == len(bomb)
    assert "expands more than 250-fold" in letters(found)[0].detail


def test_a_file_of_damage_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    data = record(0) + b"WARC/1.0\r\n\r\n" * 50 + record(1)
    assert told(read(data)) == ["0", *["damaged"] * 50, "1"]
    monkeypatch.setattr(transforms.warc_frames, "MAX_DAMAGED", 10)
    found = read(data)
    assert told(found) == ["0", *["damaged"] * 10, "truncated"]
    assert sum(o.length for o in letters(found)) == len(data) - len(record(0))


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_file_whose_first_member_breaks_is_read_from_the_next(packing: str) -> None:
    members = [PACK[packing](record(k)) for k in range(3)]
    bad = members[0][:12] + b"\xff" * 30 + members[0][42:]
    found = read(bad + members[1] + members[2])
    assert told(found) == ["damaged", "1", "2"]
    assert (letters(found)[0].offset, letters(found)[0].length) == (0, len(bad))
    assert told(read(bad)) == ["truncated"]


class Counted(io.BytesIO):
    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def test_lies_that_have_a_file_read_again_and_again_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(record(k, length=10**9) for k in range(300))
    monkeypatch.setattr(transforms.inflate, "_MAX_REREAD", 10 * len(data))
    file = Counted(data)
    found = list(read_archive(Inflated(file), extract=Extract(max_record_bytes=10**10)))
    assert set(told(found)) == {"damaged", "truncated"}
    assert sum(o.length for o in letters(found)) == len(data)
    assert file.taken < 15 * len(data)


def test_a_stream_that_cannot_seek_loses_its_tail() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    members = [gzip.compress(record(k)) for k in range(3)]
    data = members[0] + members[1][:-9] + members[2]
    found = list(read_archive(Inflated(Pipe(data)), extract=Extract()))
    assert told(found) == ["0", "truncated"]
    assert letters(found)[0].length == len(data) - len(members[0])
