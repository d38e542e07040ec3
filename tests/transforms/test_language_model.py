"""The tables of a model are what fastText reads from the same file, and nothing but such a file is taken."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import fasttext
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.language_model import parse_model
from transforms.language_tables import huffman_tree, word_hash

FEW = {5: 1, 1_999_999: 0, 700: 2}


@pytest.fixture(scope="module")
def small(model_bytes: Callable[..., bytes]) -> bytes:
    return model_bytes(ngrams=FEW)


def refusal(data: bytes) -> str:
    with pytest.raises(ValueError) as raised:
        parse_model(data)
    return str(raised.value)


@pytest.mark.parametrize("shape", [{}, {"normed": False}, {"parts": 1}, {"parts": 16}, {"parts": 4, "seed": 3}])
def test_fasttext_reads_the_same(model_bytes: Callable[..., bytes], tmp_path: Path, shape: dict[str, int]) -> None:
    data = model_bytes(**shape)
    (tmp_path / "m.ftz").write_bytes(data)
    compare(data, fasttext.load_model(str(tmp_path / "m.ftz")), every=997)


def test_fasttext_reads_the_same_of_lid_176(language_model_file: Path) -> None:
    compare(language_model_file.read_bytes(), fasttext.load_model(str(language_model_file)), every=1)


def compare(data: bytes, oracle, *, every: int) -> None:
    model = parse_model(data)
    tables = model.tables
    letters, starts = tables.letters.tobytes(), tables.starts.tolist()
    words = [letters[a:b].decode() for a, b in itertools.pairwise(starts)]
    # fastText lists both by falling count, which is the order of the file
    assert words == oracle.get_words()
    assert [f"__label__{label}" for label in model.labels] == oracle.get_labels()
    assert words[tables.end_of_line[0]] == "</s>"
    for row in range(0, len(tables.vectors), every):
        assert (oracle.get_input_vector(row) == tables.vectors[row]).all()
    # of the output matrix fastText tells nothing: its predictions do, in the tests of the kernel
    nodes = np.frombuffer(data[-len(model.labels) * 64 :], "<f4").reshape(-1, 16)
    assert (nodes[:-1] == tables.nodes).all()
    for number, word in enumerate(words):
        assert oracle.get_word_id(word) == number
    kept = np.unpackbits(tables.kept.view(np.uint8), bitorder="little").astype(bool)
    assert (kept == (tables.ngrams >= 0)).all()
    assert not any(table.flags.writeable for table in tables)


def test_kept_ngrams_come_after_the_words(small: bytes) -> None:
    ngrams = parse_model(small).tables.ngrams
    assert np.flatnonzero(ngrams >= 0).tolist() == [5, 700, 1_999_999]
    assert ngrams[[5, 700, 1_999_999]].tolist() == [5, 6, 4]


def test_a_tree_by_hand() -> None:
    # 1+3 -> 6: 4; 4+5 -> 7: 9; then 20+20 -> 8, and 9+40 -> 9, and 49+50 -> 10. A leaf joins only if strictly smaller.
    left, right = huffman_tree([50, 20, 20, 5, 3, 1])
    assert left.tolist() == [-1] * 6 + [5, 6, 7, 1, 9]
    assert right.tolist() == [-1] * 6 + [4, 3, 2, 8, 0]


@pytest.mark.parametrize(("word", "value"), [(b"", 0x811C9DC5), (b"a", 0xE40C292C), (b"foobar", 0xBF9CF968)])
def test_ascii_words_have_the_published_hash(word: bytes, value: int) -> None:
    assert word_hash(word) == value


@pytest.mark.parametrize(
    ("argument", "value", "needs"),
    [("dim", 8, 16), ("wordNgrams", 2, 1), ("loss", 2, 1), ("loss", 3, 1), ("loss", 4, 1), ("model", 1, 3),
     ("model", 2, 3), ("bucket", 1_999_999, 2_000_000), ("minn", 1, 2), ("maxn", 5, 4)],
)  # fmt: skip
def test_another_kind_of_model_is_refused_by_name(
    model_bytes: Callable[..., bytes], argument: str, value: int, needs: int
) -> None:
    data = model_bytes(ngrams=FEW, **{argument: value})
    assert refusal(data) == f"a model with {argument} {value}; only {needs} is supported"


@pytest.mark.parametrize(
    ("options", "says"),
    [({"words": ("the",)}, "damaged: a word twice, or no </s>"),
     ({"words": ("</s>", "x", "x")}, "damaged: a word twice, or no </s>"),
     ({"counts": (3, 4)}, "damaged: the labels' counts do not fall"),
     ({"counts": (3, -1)}, "damaged: the labels' counts do not fall"),
     ({"counts": (10**15 - 1, 1)}, "damaged: the labels' counts do not fall"),
     ({"counts": (3,)}, "damaged: 5 entries of 4 words and 2 to 256 labels (1)"),
     ({"counts": (1,) * 257}, "damaged: 261 entries of 4 words and 2 to 256 labels (257)"),
     ({"ngrams": {5: 0, 2_000_000: 1}}, "damaged: an n-gram's bucket is twice there or out of range"),
     ({"ngrams": {5: 0, -1: 1}}, "damaged: an n-gram's bucket is twice there or out of range"),
     ({"ngrams": {5: 0, 6: 2}}, "damaged: an n-gram's number is out of range"),
     ({"ngrams": {5: 0, 6: -1}}, "damaged: an n-gram's number is out of range"),
     ({"ngrams": {}}, "a model with 0 pruned n-grams; only a pruned one, of 1 to 2000000, is supported"),
     ({"scale": np.inf}, "damaged: output matrix has a number that is not finite")],
)  # fmt: skip
def test_what_cannot_be_in_a_model(model_bytes: Callable[..., bytes], options: dict[str, object], says: str) -> None:
    assert refusal(model_bytes(**{"ngrams": FEW, **options})) == says


def test_the_most_labels_and_the_greatest_counts(model_bytes: Callable[..., bytes]) -> None:
    assert len(parse_model(model_bytes(ngrams=FEW, counts=(1,) * 256)).labels) == 256
    assert len(parse_model(model_bytes(ngrams=FEW, counts=(10**15 - 2, 1))).labels) == 2


def test_other_files(small: bytes) -> None:
    assert refusal(b"PK\3\4" + small[4:]) == "not a fastText model: it does not begin with fastText's magic number"
    assert refusal(small[:4] + b"\13" + small[5:]) == "format version 11 of fastText, not 12"
    assert refusal(b"") == "damaged: header at byte 0 needs 8 bytes, 0 left"
    assert refusal(small + b"\0") == "1 bytes after the end of the model"
    at = small.index(b"\1\1" + (4 + len(FEW)).to_bytes(8, "little"))
    assert refusal(small[:at] + b"\0" + small[at + 1 :]).startswith("a model with a plain input matrix")
    at = len(small) - 6 * 16 * 4 - 17
    assert refusal(small[:at] + b"\1" + small[at + 1 :]).startswith("a model with a quantised output matrix")


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_part_of_a_file_is_taken_for_the_whole(small: bytes, data: st.DataObject) -> None:
    refusal(small[: data.draw(st.integers(0, len(small) - 1))])


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damage_is_refused_or_gives_tables_within_bounds(small: bytes, data: st.DataObject) -> None:
    damaged = bytearray(small)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, min(400, len(small) - 1)))] = data.draw(st.integers(0, 255))
    try:
        tables = parse_model(bytes(damaged)).tables
    except ValueError:
        return
    assert tables.ngrams.min() >= -1
    assert tables.ngrams.max() < len(tables.vectors)
    assert tables.starts[-1] == len(tables.letters)
    assert (tables.slots == -1).any()
