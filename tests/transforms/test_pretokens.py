"""The counts must be those of Hugging Face's own split, piece by piece."""

from __future__ import annotations

import lzma
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from transforms.pretoken_classes import LETTER, NUMBER, SPACE, class_table
from transforms.pretokens import COUNTS, MAX_PRETOKEN_BYTES, add_counts, byte_alphabet, count_pretokens

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SPLIT = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)

# Everything the pattern treats specially, and characters of one to four bytes of each class.
PIECES = st.sampled_from(
    ["'", "'re", "'ve", "'ll", "re", "ve", "ll", "RE", *"stmdSvrel", *"\u200béж字\U000200001²Ⅷ\U0001d7d7!…😀\u0301"]
    + [" ", "  ", "\n", "\t", "\r\n", "\x00", "\u00a0", "\u3000", "\u2028", "\x1c"]
)


def expected(texts: list[str]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(piece for piece, _ in SPLIT.pre_tokenize_str(text))
    return dict(counts)


def as_dict(batch: pa.RecordBatch) -> dict[str, int]:
    assert batch.schema.equals(COUNTS)
    names = batch.column("pretoken").to_pylist()
    assert names == sorted(set(names), key=str.encode), "one row each, sorted by bytes"
    return dict(zip(names, batch.column("count").to_pylist(), strict=True))


def table(rows: list[tuple[str, int]]) -> pa.RecordBatch:
    return pa.record_batch([pa.array([r[0] for r in rows], pa.string()), pa.array([r[1] for r in rows])], schema=COUNTS)


def test_every_code_point_has_the_class_that_hugging_face_gives_it() -> None:
    classes = class_table()
    points = [p for p in range(sys.maxunicode + 1) if not 0xD800 <= p < 0xE000]
    pieces = SPLIT.pre_tokenize_str("".join(map(chr, points)))
    assert pieces[-1][1][1] == len(points)
    # A piece holds one class (the space before a word apart), so one member tells the class of all its members.
    for _, (first, end) in pieces:
        kinds = {int(classes[points[k]]) for k in range(first, end) if points[k] != 0x20}
        ch = chr(points[end - 1])
        alone = [len(SPLIT.pre_tokenize_str(side + ch + side)) == 1 for side in "a1!"]
        kind = LETTER if alone[0] else NUMBER if alone[1] else 0 if alone[2] else SPACE
        assert kinds == {kind}, hex(ord(ch))


def spell(piece: str) -> str:
    return "".join(byte_alphabet()[b] for b in piece.encode())


def test_the_alphabet_is_hugging_faces() -> None:
    assert set(byte_alphabet()) == set(SPLIT.alphabet())
    assert len(byte_alphabet()) == 256
    assert spell("a é\n😀") == "".join(piece for piece, _ in SPLIT.pre_tokenize_str("a é\n😀"))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.lists(PIECES, max_size=40).map("".join), st.text(max_size=60)), max_size=6))
def test_counts_equal_hugging_faces(texts: list[str]) -> None:
    assert as_dict(count_pretokens(pa.array(texts, pa.string()))) == expected(texts)


def test_counts_of_real_text_equal_hugging_faces() -> None:
    path = DATA / "langid" / "lingua-sentences-75lang-first200.tsv.xz"
    if not path.exists():
        pytest.skip(f"no test data at {path}")
    texts = lzma.decompress(path.read_bytes()).decode().split("\n")
    assert len(texts) > 14_000
    assert as_dict(count_pretokens(pa.array(texts))) == expected(texts)


def test_more_distinct_pieces_than_the_first_classesholds() -> None:
    texts = [
        " ".join(f"w{chr(0x4E00 + k % 20_000)}" for k in range(start, start + 500)) for start in range(0, 30_000, 500)
    ]
    assert as_dict(count_pretokens(pa.array(texts))) == expected(texts)


def test_a_slice_is_counted_alone() -> None:
    texts = pa.array(["before", "in one", "", "in two", "after"])
    assert as_dict(count_pretokens(texts[1:4])) == expected(["in one", "", "in two"])
    assert as_dict(count_pretokens(texts[5:])) == {}


def test_the_longest_piece_counted_has_1024_bytes() -> None:
    assert MAX_PRETOKEN_BYTES == 1024
    for longest in ["a" * 1024, " " + "a" * 1023, "é" * 512, "!" * 1024, "\n" * 1024]:
        assert as_dict(count_pretokens(pa.array([longest]))) == expected([longest])
        assert as_dict(count_pretokens(pa.array([f"{longest}{longest[-1]}"]))) == {}
    assert as_dict(count_pretokens(pa.array(["x " + "a" * 1025 + " y"]))) == {"x": 1, "Ġy": 1}


def test_a_page_of_one_word_takes_linear_time() -> None:
    assert as_dict(count_pretokens(pa.array(["a" * (4 << 20) + " b"]))) == {"Ġb": 1}


def test_text_that_is_not_utf8_is_read_within_its_bounds() -> None:
    raw = b"ab\xf0" + b"\xff\xe4 c\xe4\xb8" + b"d"
    texts = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(np.array([0, 3, 9, 10], np.int32)), pa.py_buffer(raw)]
    )
    counts = as_dict(count_pretokens(texts))
    assert sum(len(piece) * count for piece, count in counts.items()) == len(raw)
    assert counts["d"] == 1


def test_texts_must_be_strings_and_none_null() -> None:
    with pytest.raises(ValueError, match="1 of 2 texts are null"):
        count_pretokens(pa.array(["a", None]))
    with pytest.raises(TypeError, match="large_string"):
        count_pretokens(pa.array(["a"], pa.large_string()))


ROWS = st.lists(st.tuples(st.sampled_from("abcdé"), st.integers(0, 1 << 40)), max_size=20)


@settings(deadline=None)
@given(st.lists(ROWS, max_size=5), st.randoms())
def test_sums_do_not_depend_on_order_or_grouping(tables: list[list[tuple[str, int]]], random: object) -> None:
    total: Counter[str] = Counter()
    for name, count in (row for rows in tables for row in rows):
        total[name] += count
    summed = add_counts(table(rows) for rows in tables)
    assert as_dict(summed) == dict(total)
    shuffled = [row for rows in tables for row in rows]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert add_counts([table(shuffled[:3]), table(shuffled[3:])]).equals(summed)
    assert add_counts([add_counts([table(rows)]) for rows in tables]).equals(summed)


def test_many_tables_are_summed_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.pretokens._COLLAPSE_ROWS", 3)
    tables = [table([("a", 1), (f"w{k}", k)]) for k in range(50)]
    assert as_dict(add_counts(tables)) == {"a": 50} | {f"w{k}": k for k in range(50)}


def test_sums_are_64_bit_and_never_wrap() -> None:
    most = (1 << 63) - 1
    assert as_dict(add_counts([table([("a", most - 1), ("b", 1 << 33)]), table([("a", 1)])])) == {
        "a": most,
        "b": 1 << 33,
    }
    with pytest.raises(OverflowError, match="'a'"):
        add_counts([table([("a", most), ("b", 1)]), table([("a", 1)])])
    with pytest.raises(OverflowError, match="'a'"):
        add_counts([table([("a", most)] * 4)])


def test_a_classeswith_bad_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        add_counts([table([("a", -1)])])
    with pytest.raises(ValueError, match="columns"):
        add_counts([pa.record_batch({"pretoken": ["a"], "count": pa.array([1], pa.int32())})])
    assert add_counts([]).equals(table([]))
