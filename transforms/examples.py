"""tf.train.Example messages from numpy, without protobuf.

    Example   { Features features = 1; }
    Features  { map<string, Feature> feature = 1; }
    Feature   { oneof { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; } }
    BytesList { repeated bytes value = 1; }
    Int64List { repeated int64 value = 1 [packed = true]; }

(tensorflow/core/example/example.proto and feature.proto.) A map is a repeated message of key = 1 and value = 2, here
sorted by key. Every field in use is length-delimited, so its tag is number << 3 | 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

_Ints = npt.NDArray[np.int64]
_FIELD_1, _FIELD_2, _FIELD_3 = 0x0A, 0x12, 0x1A


@dataclass(frozen=True, kw_only=True)
class Int64Lists:
    """A feature of many examples: example i has the integers values[offsets[i] : offsets[i + 1]]."""

    values: npt.NDArray[np.uint32]
    offsets: _Ints


@dataclass(frozen=True, kw_only=True)
class BytesLists:
    """A feature of many examples: example i has the strings values[offsets[i] : offsets[i + 1]], a row each."""

    values: npt.NDArray[np.uint8]
    offsets: _Ints


def encode_examples(features: Mapping[str, Int64Lists | BytesLists]) -> tuple[npt.NDArray[np.uint8], _Ints]:
    """All examples one after another, and where each ends. The features have the same number of examples, at least 1.

    The bytes are those of `Example.SerializeToString(deterministic=True)`.
    """
    ordered = [(np.frombuffer(name.encode(), np.uint8), features[name]) for name in sorted(features)]
    values = [_value_sizes(f) for _, f in ordered]
    lists = [_list_sizes(f, v) for (_, f), v in zip(ordered, values, strict=True)]
    # A map entry holds the key, then the Feature, which holds the list: each with a tag of one byte and its length.
    entries = [2 + len(key) + _field(_field(size)) for (key, _), size in zip(ordered, lists, strict=True)]
    body = np.sum([_field(entry) for entry in entries], axis=0)
    ends = np.cumsum(_field(body))
    out = np.empty(int(ends[-1]), np.uint8)
    at = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    _put_header(out, at, body)
    for (key, f), value, size, entry in zip(ordered, values, lists, entries, strict=True):
        tag = _FIELD_3 if isinstance(f, Int64Lists) else _FIELD_1
        starts = _put_entry(out, at, key, entry, size, tag)
        if isinstance(f, Int64Lists):
            _put_ints(out, starts, value, f.values, f.offsets)
        else:
            _put_strings(out, starts, f.values, f.offsets)
        at += _field(entry)
    return out, ends


def _field(sizes: _Ints) -> _Ints:
    """Bytes of a length-delimited field: tag, length as a varint (7 bits a byte; here below 2^35), content."""
    total = sizes + 2
    for bits in (7, 14, 21, 28):
        total += sizes >= 1 << bits
    return total


def _value_sizes(feature: Int64Lists | BytesLists) -> _Ints:
    """Bytes of the values of each example, without the tag and length before packed integers."""
    if isinstance(feature, Int64Lists):
        return _packed_sizes(feature.values, feature.offsets)
    return np.diff(feature.offsets) * _field(np.array([feature.values.shape[1]]))


def _list_sizes(feature: Int64Lists | BytesLists, value_sizes: _Ints) -> _Ints:
    """Bytes of the Int64List or BytesList of each example. proto3 omits a packed field that has no values."""
    if isinstance(feature, Int64Lists):
        return np.where(value_sizes > 0, _field(value_sizes), 0)
    return value_sizes


@numba.njit(cache=True)
def _packed_sizes(values: npt.NDArray[np.uint32], offsets: _Ints) -> _Ints:
    sizes = np.zeros(len(offsets) - 1, np.int64)
    for i in range(len(sizes)):
        size = 0
        for j in range(offsets[i], offsets[i + 1]):
            v = values[j]
            size += 1 + (v >= 1 << 7) + (v >= 1 << 14) + (v >= 1 << 21) + (v >= 1 << 28)
        sizes[i] = size
    return sizes


@numba.njit(cache=True)
def _put_varint(out: npt.NDArray[np.uint8], at: int, value: int) -> int:
    """Writes `value` at `at`; returns where it ends."""
    while value >= 128:
        out[at] = value & 127 | 128
        value >>= 7
        at += 1
    out[at] = value
    return at + 1


@numba.njit(cache=True)
def _put_header(out: npt.NDArray[np.uint8], at: _Ints, body: _Ints) -> None:
    for i in range(len(at)):
        out[at[i]] = _FIELD_1
        at[i] = _put_varint(out, at[i] + 1, body[i])


@numba.njit(cache=True)
def _put_entry(
    out: npt.NDArray[np.uint8], ats: _Ints, key: npt.NDArray[np.uint8], entries: _Ints, lists: _Ints, tag: int
) -> _Ints:
    """Writes a map entry of every example at `ats`, all but the content of its list; returns where that starts."""
    starts = np.empty(len(ats), np.int64)
    for i in range(len(ats)):
        out[ats[i]] = _FIELD_1
        at = _put_varint(out, ats[i] + 1, entries[i])
        out[at] = _FIELD_1
        at = _put_varint(out, at + 1, len(key))
        out[at : at + len(key)] = key
        at += len(key)
        length = 1
        while lists[i] >> 7 * length:
            length += 1
        out[at] = _FIELD_2
        at = _put_varint(out, at + 1, 1 + length + lists[i])
        out[at] = tag
        starts[i] = _put_varint(out, at + 1, lists[i])
    return starts


@numba.njit(cache=True)
def _put_ints(
    out: npt.NDArray[np.uint8], starts: _Ints, packed: _Ints, values: npt.NDArray[np.uint32], offsets: _Ints
) -> None:
    """Writes the Int64List of every example at `starts`."""
    for i in range(len(starts)):
        j, stop = offsets[i], offsets[i + 1]
        if j == stop:
            continue
        out[starts[i]] = _FIELD_1
        at = _put_varint(out, starts[i] + 1, packed[i])
        end = at + packed[i]
        # Three bytes are stored whatever the value needs, and the next value overwrites those too many: the sizes of
        # neighbouring ids are as good as random, so a branch on each would be mispredicted.
        while at + 3 <= end and values[j] < 1 << 21:
            v = values[j]
            out[at] = v & 127 | (v >= 1 << 7) << 7
            out[at + 1] = v >> 7 & 127 | (v >= 1 << 14) << 7
            out[at + 2] = v >> 14
            at += 1 + (v >= 1 << 7) + (v >= 1 << 14)
            j += 1
        while j < stop:
            at = _put_varint(out, at, int(values[j]))
            j += 1


@numba.njit(cache=True)
def _put_strings(
    out: npt.NDArray[np.uint8], starts: _Ints, values: npt.NDArray[np.uint8], offsets: _Ints
) -> None:
    """Writes the BytesList of every example at `starts`."""
    for i in range(len(starts)):
        at = starts[i]
        for j in range(offsets[i], offsets[i + 1]):
            out[at] = _FIELD_1
            at = _put_varint(out, at + 1, values.shape[1])
            out[at : at + values.shape[1]] = values[j]
            at += values.shape[1]
