from __future__ import annotations

import numpy as np
import pytest

from transforms.examples import BytesLists, Int64Lists, encode_examples


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def example(features: dict[str, list[int] | list[bytes]]) -> bytes:
    """The message, from the inside out."""
    entries = b""
    for name, values in sorted(features.items()):
        if values and isinstance(values[0], bytes):
            feature = field(1, b"".join(field(1, v) for v in values))
        else:
            feature = field(3, field(1, b"".join(map(varint, values))) if values else b"")
        entries += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, entries)


@pytest.mark.parametrize("boundary", [1 << 7, 1 << 14, 1 << 21])
def test_lengths_on_both_sides_of_each_size_of_varint(boundary: int) -> None:
    # Each of the nested lengths, up to 30 bytes longer than the values, crosses the boundary at some count.
    counts = np.arange(boundary - 30, boundary + 3)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    data, ends = encode_examples({"ones": Int64Lists(values=np.ones(offsets[-1], np.uint32), offsets=offsets)})
    for count, part in zip(counts, np.split(data, ends[:-1]), strict=True):
        ones = field(3, field(1, b"\1" * int(count)))
        assert part.tobytes() == field(1, field(1, field(1, b"ones") + field(2, ones)))


def test_integers_on_both_sides_of_each_size_of_varint() -> None:
    edges = [v for bits in (7, 14, 21, 28) for v in ((1 << bits) - 1, 1 << bits)]
    values = [0, 1, *edges, (1 << 32) - 1]
    # Each value comes last, where storing three bytes would reach over the end, and comes before another.
    rows = [[], *([v] for v in values), *([v, w] for v in values for w in values), [*values, *values]]
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
    flat = np.array([v for r in rows for v in r], np.uint32)
    data, ends = encode_examples({
        "b": Int64Lists(values=flat, offsets=offsets), "a": Int64Lists(values=flat, offsets=offsets)
    })
    assert [p.tobytes() for p in np.split(data, ends[:-1])] == [example({"a": r, "b": r}) for r in rows]


@pytest.mark.parametrize("width", [1, 16, 128])
def test_strings(width: int) -> None:
    rows = [[bytes([n + i]) * width for i in range(n)] for n in (1, 2, 0, 9, 56)]
    values = np.frombuffer(b"".join(s for r in rows for s in r), np.uint8).reshape(-1, width)
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
    data, ends = encode_examples({"ids": BytesLists(values=values, offsets=offsets)})
    lists = [field(1, b"".join(field(1, s) for s in row)) for row in rows]
    expected = [field(1, field(1, field(1, b"ids") + field(2, values))) for values in lists]
    assert [p.tobytes() for p in np.split(data, ends[:-1])] == expected
