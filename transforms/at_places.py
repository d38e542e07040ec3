"""The records at given places of a WARC, and no others: what an index of its records names."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from schemas.recipes import Extract
from transforms.extraction import Read, Settle, here
from transforms.inflate import Inflated
from transforms.outcomes import RECORD_SAMPLE, DeadLetter, Outcome
from transforms.warc import records

_BLOCK = 1 << 16
NO_RECORD = "no_record"
"""The reason of a dead letter for a place where no record starts."""


def read_places(
    raw: BinaryIO, places: Iterable[tuple[int, int]], *, extract: Extract, settle: Settle = here
) -> Iterator[Outcome]:
    """One outcome for each (offset, length) of `places`, in their order: that of the record that starts there, as a
    reader of the whole file gives it, positions and all. Bytes behind its length are not read, so that a length that is
    too short makes a dead letter of it; where no record starts, the place is one, `no_record`."""
    return settle(read for offset, length in places for read in _at(raw, offset, length, extract))


def _at(raw: BinaryIO, offset: int, length: int, extract: Extract) -> Iterator[Read]:
    raw.seek(offset)
    stream = Inflated(raw, start=offset, end=offset + length)
    buffered = io.BufferedReader(stream, _BLOCK)
    head = bytes(buffered.peek(5))
    if head.startswith(b"WARC/"):
        yield from itertools.islice(records(stream, buffered, extract=extract), 1)
        return
    yield DeadLetter(
        offset=offset, inner_offset=0, length=length, reason=NO_RECORD, record=head[:RECORD_SAMPLE],
        detail=stream.damage or ("no record starts here" if head else "the file ends before"),
    )
