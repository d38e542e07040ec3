"""Blocks of a shuffle on disk: the same blocks come back, and what crosses instead is small."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import RunError
from transforms.beam.spill import Spill

BLOCKS = st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=40)), max_size=30)


@given(writers=st.lists(BLOCKS, max_size=4), order=st.randoms(use_true_random=False))
def test_what_was_kept_is_loaded(tmp_path_factory, writers, order):
    for folder in (None, str(tmp_path_factory.mktemp("scratch"))):
        spill = Spill(folder=folder)
        crossed = [place for blocks in writers for place in spill.keep(blocks)]
        order.shuffle(crossed)
        for partition in range(6):
            expected = Counter(block for blocks in writers for number, block in blocks if number == partition)
            assert Counter(spill.load(value for number, value in crossed if number == partition)) == expected


def test_without_a_folder_the_blocks_cross_themselves():
    assert list(Spill().keep([(3, b"abc")])) == [(3, b"abc")]


def test_with_one_only_their_places_cross(tmp_path):
    [(number, value)] = Spill(folder=str(tmp_path)).keep([(3, bytes(1 << 20))])
    assert number == 3
    assert len(value) == 32
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [1 << 20]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "scratch").write_text("in the way")
    with pytest.raises(RunError, match=r"scratch.*cannot be written"):
        list(Spill(folder=os.path.join(tmp_path, "scratch")).keep([(0, b"x")]))
