from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer import permutation
from trainer.permutation import key_of, permute

MASK = 2**64 - 1


def mixed(x: int) -> int:
    """splitmix64's finalizer, as published."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def place(index: int, size: int, key: list[int]) -> int:
    """The same in plain Python: a high half of floor(b / 2) bits and a low half of the rest, changed in turn."""
    bits = max(2, (size - 1).bit_length())
    low_bits = bits - bits // 2
    while True:
        high, low = index >> low_bits, index % 2**low_bits
        for turn, k in enumerate(key):
            if turn % 2 == 0:
                high ^= mixed((low + k) & MASK) % 2 ** (bits // 2)
            else:
                low ^= mixed((high + k) & MASK) % 2**low_bits
        index = high * 2**low_bits + low
        if index < size:
            return index


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 16, 17, 255, 256, 257, 1000, 4096, 4097, 65_537, 100_003])
def test_every_place_is_taken_once(size):
    places = permute(np.arange(size), size=size, key=key_of(7, "web", size))
    assert places.dtype == np.int64 and np.array_equal(np.sort(places), np.arange(size))


@settings(deadline=None)
@given(size=st.integers(1, 2_000), seed=st.integers())
def test_every_place_is_taken_once_whatever_the_size(size, seed):
    assert np.array_equal(np.sort(permute(np.arange(size), size=size, key=key_of(seed))), np.arange(size))


@settings(deadline=None)
@given(data=st.data(), size=st.one_of(st.integers(1, 40), st.integers(1, 2**62), st.sampled_from([2**62, 2**32 + 1])))
def test_places_are_those_of_plain_python_one_key_or_many(data, size):
    index = data.draw(st.lists(st.integers(0, size - 1), max_size=20))
    keys = [key_of(size, n) for n in index] or [key_of(0)]
    together = permute(np.array(index, np.int64), size=size, key=keys[0])
    assert together.tolist() == [place(i, size, keys[0].tolist()) for i in index]
    apart = permute(np.array(index, np.int64), size=size, key=np.stack(keys, axis=1)[:, : len(index)])
    assert apart.tolist() == [place(i, size, k.tolist()) for i, k in zip(index, keys, strict=False)]


def test_keys_keep_words_types_and_boundaries_apart():
    keys = [key_of(*w) for w in [(1, "a"), ("1", "a"), ("a", 1), ("a", "bc"), ("ab", "c"), ("abc",), ("a\0str:1:b",),
                                 ("a", "b"), (11,), (1, 1)]]
    assert all(k.shape == (6,) and k.dtype == np.uint64 for k in keys)
    assert len({tuple(k.tolist()) for k in keys}) == len(keys)


@pytest.mark.parametrize(("index", "size"), [([0], 0), ([0], 2**62 + 1), ([5], 5), ([-1], 5)])
def test_what_is_outside_is_refused(index, size):
    with pytest.raises(ValueError, match="must be"):
        permute(np.array(index), size=size, key=key_of(1))


def crowding(size: int, head: int, key: np.ndarray) -> float:
    """Chi-square over its 63 degrees of freedom: how evenly the first `head` indices fall on 64ths of the range."""
    seen = np.bincount(permute(np.arange(head), size=size, key=key) * 64 // size, minlength=64)
    return float(((seen - head / 64) ** 2 / (head / 64)).sum() / 63)


def test_it_looks_like_chance():
    size = 49_152
    shuffles = [permute(np.arange(size), size=size, key=key_of(7, epoch)) for epoch in range(20)]
    lag = [np.corrcoef(p[:-1], p[1:])[0, 1] for p in shuffles]
    stay = [np.corrcoef(np.arange(size), p)[0, 1] for p in shuffles]
    between = [np.corrcoef(p, q)[0, 1] for p, q in itertools.pairwise(shuffles)]
    assert np.abs([*lag, *stay, *between]).max() < 4.5 / np.sqrt(size)  # 59 draws of a normal: 4.5 sigma is 1 in 2,500
    fixed = sum(int((p == np.arange(size)).sum()) for p in shuffles)
    assert 5 <= fixed <= 40  # Poisson of mean 20
    assert max(crowding(size, 8_192, key_of(7, epoch)) for epoch in range(20)) < 1.9


def test_two_rounds_would_not(monkeypatch):
    monkeypatch.setattr(permutation, "ROUNDS", 2)
    assert max(crowding(49_152, 8_192, key_of(7, epoch)) for epoch in range(20)) > 1.9
