"""Repeated word n-grams: the most frequent 2- to 4-gram, and what repeated 5- to 10-grams cover.

Every word gets the number of its group, the words equal to it. An n-gram is then named by two numbers, the groups of
the (n - 1)-grams at its first and at its second word, so no hash stands for more than a word. It can repeat only where
both of those repeat, so each length looks only at what is left of the one before. Common text has little left after
three words; of one phrase over and over everything is left, and the work is ten passes over the words.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.words import EMPTY, Int, Words, clear, finish, kernel

LONGEST_TOP = 4
"""Up to this length the most frequent n-gram counts: Gopher, arXiv 2112.11446, table A1."""
LONGEST = 10
"""Of the lengths after that, up to this one, every repeat counts: the same table."""
NGRAM_COUNTERS = LONGEST - 1
"""What `count_ngrams` writes: a counter for each length from 2 to LONGEST."""


class Grams(NamedTuple):
    """The n-grams of one length that are left, by their first word, in the first entries of arrays that are reused."""

    starts: npt.NDArray[np.int64]
    """The word where it starts, ascending."""
    groups: npt.NDArray[np.int64]
    """The number of its group, from 1: equal n-grams, equal numbers."""
    sizes: npt.NDArray[np.int64]
    """[group]: how many n-grams it has."""
    keys: npt.NDArray[np.uint64]
    """Room for a hash table of groups."""
    values: npt.NDArray[np.int32]
    """[slot of keys]: the group."""


@kernel
def grams_for(most: int) -> Grams:
    """Room for the n-grams of up to `most` words."""
    starts, groups, sizes = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most + 1, np.int64)
    return Grams(starts, groups, sizes, np.empty(4 * most + 4, np.uint64), np.empty(4 * most + 4, np.int32))


@kernel
def count_ngrams(words: Words, found: int, grams: Grams, counters: npt.NDArray[np.int64]) -> None:
    """Fills NGRAM_COUNTERS counters, a length each from 2 up.

    Up to 4: the code points of the most frequent n-gram, a space between its words, times how often it is there, also
    where it overlaps itself; of equally frequent ones the first. From 5: the code points, without spaces, of n-grams
    that were met before, on a walk that goes on after the last word of each such n-gram and else at the next word.
    """
    left = _group_words(words, found, grams)
    for length in range(2, LONGEST + 1):
        if found < length:
            break
        left = _lengthen(grams, _keep_repeated(grams, left))
        if length <= LONGEST_TOP:
            counters[length - 2] = _top_characters(words, length, grams, left)
        elif not left:
            break
        else:
            counters[length - 2] = _walk(words, length, grams, left)


@kernel
def _group_of(grams: Grams, slots: int, key: np.uint64, groups: Int) -> Int:
    """The group of a key that is not 0, which gets number `groups` + 1 if it is new. Counts it in `sizes`."""
    last = np.uint64(slots - 1)
    slot = key & last
    while grams.keys[slot] != EMPTY:
        if grams.keys[slot] == key:
            group = np.int64(grams.values[slot])
            grams.sizes[group] += 1
            return group
        slot = (slot + np.uint64(1)) & last
    grams.keys[slot] = key
    grams.values[slot] = groups + 1
    grams.sizes[groups + 1] = 1
    return groups + 1


@kernel
def _group_words(words: Words, found: int, grams: Grams) -> int:
    slots = clear(grams.keys, found)
    groups: Int = 0
    for i in range(found):
        key = words.hashes[i] if words.hashes[i] != EMPTY else np.uint64(1)
        group = _group_of(grams, slots, key, groups)
        groups = max(groups, group)
        grams.starts[i] = i
        grams.groups[i] = group
    return found


@kernel
def _keep_repeated(grams: Grams, left: int) -> int:
    """Moves the n-grams that are not alone in their group to the front. Returns how many they are."""
    kept = 0
    for i in range(left):
        group = grams.groups[i]
        if grams.sizes[group] > 1:
            grams.starts[kept] = grams.starts[i]
            grams.groups[kept] = group
            kept += 1
    return kept


@kernel
def _lengthen(grams: Grams, left: int) -> int:
    """Makes n-grams of those one word shorter, where the next word starts one too. Returns how many there are."""
    slots = clear(grams.keys, left)
    groups: Int = 0
    made = 0
    for i in range(left - 1):
        if grams.starts[i + 1] != grams.starts[i] + 1:
            continue
        # `finish` maps different numbers to different numbers, and 0 alone to 0.
        pair = np.uint64(grams.groups[i]) << np.uint64(32) | np.uint64(grams.groups[i + 1])
        group = _group_of(grams, slots, finish(pair), groups)
        groups = max(groups, group)
        grams.starts[made] = grams.starts[i]
        grams.groups[made] = group
        made += 1
    return made


@kernel
def _characters(words: Words, start: Int, length: int) -> Int:
    total: Int = 0
    for i in range(start, start + length):
        total += words.characters[i]
    return total


@kernel
def _top_characters(words: Words, length: int, grams: Grams, left: int) -> Int:
    start: Int = 0  # Where none repeats, all are as frequent as the first, which need not be among those left.
    size: Int = 1
    for i in range(left):
        if grams.sizes[grams.groups[i]] > size:
            start, size = grams.starts[i], grams.sizes[grams.groups[i]]
    return (_characters(words, start, length) + length - 1) * size


@kernel
def _walk(words: Words, length: int, grams: Grams, left: int) -> Int:
    met = grams.keys  # Its slots are of no more use at this length; a group has a number below the count of slots.
    met[: left + 1] = EMPTY
    covered: Int = 0
    free: Int = 0
    for i in range(left):
        if grams.starts[i] < free:
            continue
        if met[grams.groups[i]] != EMPTY:
            covered += _characters(words, grams.starts[i], length)
            free = grams.starts[i] + length
        else:
            met[grams.groups[i]] = np.uint64(1)
    return covered
