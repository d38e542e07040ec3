"""What the language kernel reads of a fastText model, and how fastText numbers words and grows its tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

DIM = 16
"""Components of a vector in lid.176."""
SHORTEST, LONGEST = 2, 4
"""Characters of the n-grams of lid.176."""
BUCKETS = 2_000_000
"""What lid.176 divides the hash of an n-gram by."""
MAX_LABELS = 256
"""No more labels than the margin of `transforms.language_kernel` allows for."""
END_OF_LINE = b"</s>"
"""The word that fastText puts for a line break."""
LABEL_PREFIX = b"__label__"
MOST_COUNTED = 10**15
"""fastText's count of a node that is not yet there: real counts together stay below it."""
FNV_START, FNV_FACTOR = 2_166_136_261, 16_777_619
"""32-bit FNV-1a (Fowler, Noll, Vo)."""


class Tables(NamedTuple):
    """What the kernel reads. No array can be written to."""

    vectors: Floats
    """[words + n-grams, DIM]: the words first."""
    ngrams: Ints
    """[BUCKETS]: row in `vectors` of the n-grams with this hash modulo BUCKETS, -1 where pruned."""
    kept: npt.NDArray[np.uint64]
    """[BUCKETS / 64]: bit b % 64 of number b // 64 is set where n-grams of bucket b are kept. Most are not, and these
    250 kB stay in a CPU's cache where `ngrams` does not."""
    slots: Ints
    """[power of two]: open hash table by `word_hash`: a word's number, -1 where free."""
    letters: npt.NDArray[np.uint8]
    """The words' bytes, one after the other."""
    starts: Ints
    """[words + 1]: word i is `letters[starts[i] : starts[i + 1]]` and row i of `vectors`."""
    end_of_line: Ints
    """[1]: the number of the word END_OF_LINE."""
    left: Ints
    """[2 * labels - 1]: a node's left child in the Huffman tree, -1 for a leaf. Leaf i is label i, the root is last."""
    right: Ints
    nodes: Floats
    """[labels - 1, DIM]: the vectors of the inner nodes, in order."""


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelModel:
    """A model for `transforms.language_kernel`."""

    labels: tuple[str, ...]
    tables: Tables


def huffman_tree(counts: list[int]) -> tuple[Ints, Ints]:
    """(left, right) children, [2 * len(counts) - 1] each, of fastText's tree over counts that fall: each new node joins
    the two smallest that are free, a leaf only if it is strictly smaller."""
    leaves = len(counts)
    children = np.full((2, 2 * leaves - 1), -1, np.int32)
    counts = counts + [MOST_COUNTED] * (leaves - 1)
    leaf, inner = leaves - 1, leaves
    for node in range(leaves, 2 * leaves - 1):
        total = 0
        for side in range(2):
            if leaf >= 0 and counts[leaf] < counts[inner]:
                child, leaf = leaf, leaf - 1
            else:
                child, inner = inner, inner + 1
            children[side, node] = child
            total += counts[child]
        counts[node] = total
    return children[0].copy(), children[1].copy()


def word_hash(word: bytes) -> int:
    """FNV-1a as fastText computes it: a byte is a signed char and spreads its sign, so letters beyond ASCII do not
    hash as in the standard."""
    value = FNV_START
    for byte in word:
        value = (value ^ (byte | 0xFFFFFF00 if byte >= 0x80 else byte)) * FNV_FACTOR & 0xFFFFFFFF
    return value


def word_slots(words: list[bytes]) -> Ints:
    """The table `Tables.slots`, at most half full, a word in the first free slot from its hash on."""
    size = 1 << (2 * len(words)).bit_length()
    slots = np.full(size, -1, np.int32)
    for number, word in enumerate(words):
        slot = word_hash(word) & (size - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = number
    return slots
