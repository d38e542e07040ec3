"""fastText's hierarchical softmax: the most probable leaf of a Huffman tree, in fastText's own arithmetic.

The exponential and the logarithm are written out, in double precision and with correctly rounded operations alone, so
every CPU gives the same bits. Rounded to single precision they are the nearest numbers; the exponential of glibc, which
fastText uses, is the next nearest for 1 argument in some 2000.
"""

from __future__ import annotations

import math

import numpy as np

from transforms.language_tables import DIM, Floats, Ints, Tables
from transforms.words import Int, kernel

ZERO, ONE = np.float32(0), np.float32(1)
MARGIN = np.float32(0.01)
"""A subtree that trails a leaf by more cannot hold the best: see `best_leaf`."""
LEAST = 1e-5
"""What fastText adds to a probability before it takes the logarithm."""
LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""ln 2 in two parts; the first ends in zero bits, so that a small integer times it is exact (fdlibm, e_exp.c)."""
HIGHEST = 110.0
"""e**HIGHEST is infinite in single precision, and 1 + e**-HIGHEST is 1."""
EXPONENTIAL_TERMS, LOGARITHM_TERMS = 14, 12
"""Terms of the series below, after which the rest is under 2**-56 of the sum."""
ROOT_HALF = 0.7071067811865476


@kernel
def best_leaf(tables: Tables, hidden: Floats, waiting: Ints, scores: Floats) -> tuple[Int, np.float32]:
    """(label, log-probability) that fastText's depth-first search ends with; the later of two equal leaves.

    That search drops a node that scores below the best leaf so far, and a step down can raise a score by
    log(1 + LEAST). With at most MAX_LABELS labels, and so fewer steps, the rises stay below 0.004 in all, rounding
    included. So a node that trails any leaf by MARGIN has no part in what the search ends with, and is not visited
    here: a first walk to a likely leaf gives the bound. `waiting` and `scores` are room for a node each.
    """
    root = len(tables.left) - 1
    node = np.int64(root)
    score = ZERO
    while tables.left[node] >= 0:
        left, right = branch(tables, hidden, node)
        score += max(left, right)
        node = np.int64(tables.left[node] if left > right else tables.right[node])
    bound = score - MARGIN
    label, best = np.int64(-1), bound
    waiting[0], scores[0] = root, ZERO
    depth = 1
    while depth:
        depth -= 1
        node, score = np.int64(waiting[depth]), scores[depth]
        if score < best:
            continue
        if tables.left[node] < 0:
            label, best = node, score
            continue
        left, right = branch(tables, hidden, node)
        waiting[depth], scores[depth] = tables.right[node], score + right
        waiting[depth + 1], scores[depth + 1] = tables.left[node], score + left
        depth += 2
    return label, best


@kernel
def branch(tables: Tables, hidden: Floats, node: Int) -> tuple[np.float32, np.float32]:
    """Log-probabilities of going left and right from an inner node."""
    inner = node - len(tables.nodes) - 1
    dot = ZERO
    for k in range(DIM):
        dot += tables.nodes[inner, k] * hidden[k]
    right = np.float32(1.0 / np.float64(ONE + exponential(-dot)))
    left = np.float32(1.0 - np.float64(right))
    return logarithm(np.float64(left) + LEAST), logarithm(np.float64(right) + LEAST)


@kernel
def exponential(x: np.float32) -> np.float32:
    """e**x: e**r times a power of two, with r at most ln(2) / 2, by the Taylor series of e**r."""
    wide = min(max(np.float64(x), -HIGHEST), HIGHEST)
    twos = math.floor(wide * LOG2_E + 0.5)
    r = (wide - twos * LN2_HIGH) - twos * LN2_LOW
    total = 1.0
    for n in range(EXPONENTIAL_TERMS, 0, -1):
        total = 1.0 + total * r / n
    return np.float32(math.ldexp(total, int(twos)))


@kernel
def logarithm(x: float) -> np.float32:
    """ln x of a positive x: ln m plus a multiple of ln 2, with m within a factor sqrt(2) of 1, by the series
    ln m = 2 (s + s**3 / 3 + s**5 / 5 + ...) of s = (m - 1) / (m + 1)."""
    m, twos = math.frexp(x)
    if m < ROOT_HALF:
        m *= 2.0
        twos -= 1
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    total = 0.0
    for n in range(LOGARITHM_TERMS, -1, -1):
        total = total * square + 1.0 / (2 * n + 1)
    return np.float32(twos * LN2_HIGH + (2.0 * s * total + twos * LN2_LOW))
