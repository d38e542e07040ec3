"""The loop of `transforms.merges`, on flat arrays: take the best pair, merge it in every word that holds it, again.

A token's text is built by one merge only, and that merge finds every place of it. For take two places where the text
stands and nothing has been merged across its ends: each earlier merge did the same inside both. (A run of one token
that is merged with itself is paired from its left; a run that began outside would have been merged across the end
unless the pairs fall alike.) So both places reach the last step at the same merge, by the same pair. Therefore a new
token always takes a new id, with no look-up of texts, and a pair's words are all known once the merge that made the
younger of its two tokens is done: words are added to a pair then and never later.

All of it is one file because numba's cache notices a change of the file it compiled, not of the files that one imports.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

_MIX = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: multiplicative hashing, Knuth, The Art of Computer Programming, volume 3, section 6.4."""
_FIRST_SLOTS = 1 << 16
_PAIRS, _NODES = 0, 1


class _State(NamedTuple):
    """Pairs have numbers, in order of first sight. The words of a pair are a linked list of nodes, some out of date."""

    used: npt.NDArray[np.int64]
    """How many pairs and nodes are in use."""
    key: npt.NDArray[np.int64]
    """Of a pair: left id << 32 | right id."""
    times: npt.NDArray[np.int64]
    """Of a pair: how often it occurs now. No longer kept once it is merged."""
    head: npt.NDArray[np.int32]
    """Of a pair: its first node."""
    word: npt.NDArray[np.int32]
    following: npt.NDArray[np.int32]
    """Of a node: the next one, or -1."""


@numba.njit(cache=True)
def _new_state(limit: int) -> _State:
    """Room for `limit` pairs and nodes. The system hands out a page when it is first written, so the rest is free."""
    return _State(
        np.zeros(2, np.int64),
        np.empty(limit, np.int64),
        np.empty(limit, np.int64),
        np.empty(limit, np.int32),
        np.empty(limit, np.int32),
        np.empty(limit, np.int32),
    )


@numba.njit(cache=True)
def _place(key: int, size: int) -> int:
    return int((np.uint64(key) * _MIX) >> np.uint64(32)) & (size - 1)


@numba.njit(cache=True)
def _pair(s: _State, slots: npt.NDArray[np.int32], left: int, right: int) -> int:
    """The number of a pair; a new one counts 0. `slots` must have room."""
    key = (left << 32) | right
    slot = _place(key, len(slots))
    while slots[slot] >= 0:
        if s.key[slots[slot]] == key:
            return int(slots[slot])
        slot = (slot + 1) & (len(slots) - 1)
    pair = int(s.used[_PAIRS])
    s.used[_PAIRS] += 1
    slots[slot] = pair
    s.key[pair], s.times[pair], s.head[pair] = key, 0, -1
    return pair


@numba.njit(cache=True)
def _with_room(s: _State, slots: npt.NDArray[np.int32], more: int) -> npt.NDArray[np.int32]:
    """`slots`, or a larger copy where `more` pairs would fill over half of it."""
    size = len(slots)
    while 2 * (s.used[_PAIRS] + more) > size:
        size *= 2
    if size == len(slots):
        return slots
    larger = np.full(size, -1, np.int32)
    for pair in range(s.used[_PAIRS]):
        slot = _place(s.key[pair], size)
        while larger[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        larger[slot] = pair
    return larger


@numba.njit(cache=True)
def _raise(s: _State, pair: int, word: int, count: int) -> None:
    """Adds to a pair's count, and the word to its words, once. Words come one after another, so the last one tells."""
    s.times[pair] += count
    head = s.head[pair]
    if head < 0 or s.word[head] != word:
        node = s.used[_NODES]
        s.used[_NODES] += 1
        s.word[node], s.following[node], s.head[pair] = word, head, node


@numba.njit(cache=True)
def _count_pairs(
    s: _State, tokens: npt.NDArray[np.int32], ends: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """Counts the pairs of all words, and returns the slots to find them by."""
    slots = np.full(_FIRST_SLOTS, -1, np.int32)
    for word in range(len(counts)):
        slots = _with_room(s, slots, ends[word + 1] - ends[word])
        for k in range(ends[word], ends[word + 1] - 1):
            _raise(s, _pair(s, slots, tokens[k], tokens[k + 1]), word, counts[word])
    return slots


@numba.njit(cache=True)
def _queue_pairs(s: _State, queue: list[tuple[int, int, int]], first: int) -> None:
    """Queues the pairs from number `first` on. One that its own merge took away again counts 0, and is left out."""
    for pair in range(first, s.used[_PAIRS]):
        if s.times[pair] > 0:
            heapq.heappush(queue, (-int(s.times[pair]), int(s.key[pair]), int(pair)))


@numba.njit(cache=True)
def _merge_word(
    s: _State,
    slots: npt.NDArray[np.int32],
    tokens: npt.NDArray[np.int32],
    place: tuple[int, int],
    merge: tuple[int, int, int],
) -> int:
    """Merges in a word's tokens, in place, from the left. `place` is the word and how often it occurs, `merge` the
    left, right and new token. Returns how many tokens are left."""
    (word, count), (left, right, new) = place, merge
    length, read, wrote = len(tokens), 0, 0
    while read < length:
        if tokens[read] != left or read + 1 >= length or tokens[read + 1] != right:
            tokens[wrote] = tokens[read]
            read += 1
        else:
            if wrote > 0:
                s.times[_pair(s, slots, tokens[wrote - 1], left)] -= count
                _raise(s, _pair(s, slots, tokens[wrote - 1], new), word, count)
            if read + 2 < length:
                s.times[_pair(s, slots, right, tokens[read + 2])] -= count
                _raise(s, _pair(s, slots, new, tokens[read + 2]), word, count)
            tokens[wrote] = new
            read += 2
        wrote += 1
    return wrote


@numba.njit(cache=True)
def merge_loop(
    ranks: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    max_merges: int,
    min_count: int,
) -> list[tuple[int, int]]:
    """Left and right token of each merge, in order. Tokens 0 to 255 are single bytes; merge i makes token 256 + i.

    Word i is ranks[ends[i]:ends[i + 1]] and occurs counts[i] >= 0 times; the sum of counts times lengths must be below
    2^63. Stops after `max_merges`, or where no pair is left that occurs `min_count` times, or at all.
    """
    tokens = ranks.astype(np.int32)
    lengths = ends[1:] - ends[:-1]
    # Each merge in a word takes away one token and raises at most two pairs, so this is never passed.
    s = _new_state(3 * len(ranks) + 1)
    slots = _count_pairs(s, tokens, ends, counts)
    queue = [(0, 0, 0) for _ in range(0)]
    _queue_pairs(s, queue, 0)
    merges = [(0, 0) for _ in range(0)]
    while len(merges) < max_merges and len(queue) > 0:
        queued, key, pair = queue[0]
        count = int(s.times[pair])
        if -queued != count:
            # Other merges have taken places of this pair since it was queued: it waits for its turn.
            heapq.heapreplace(queue, (-count, key, pair))
            continue
        if count < 1 or count < min_count:
            break
        heapq.heappop(queue)
        left, right = key >> 32, key & 0xFFFFFFFF
        first, node, new = int(s.used[_PAIRS]), s.head[pair], 256 + len(merges)
        while node >= 0:
            word = s.word[node]
            begin = ends[word]
            slots = _with_room(s, slots, 2 * lengths[word])
            live = tokens[begin : begin + lengths[word]]
            lengths[word] = _merge_word(s, slots, live, (word, counts[word]), (left, right, new))
            node = s.following[node]
        _queue_pairs(s, queue, first)
        merges.append((left, right))
    return merges
