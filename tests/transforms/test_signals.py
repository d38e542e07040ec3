from __future__ import annotations

import re
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.columns import schema_of
from schemas.signals import SIGNAL_NAMES, SIGNALS
from transforms.signals import COUNTS, RATIOS, measure

STOP = {"the", "be", "to", "of", "and", "that", "have", "with"}
BULLET, ELLIPSIS = "\u2022", "\u2026"
texts_like_ours = st.text(
    st.one_of(st.sampled_from("a bT.…•-#\n\n\n \u00a0,中é😀\u0301"), st.characters(codec="utf-8")), max_size=80
)


def ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def repeats(elements: list[str]) -> tuple[int, int]:
    """How many elements repeat an earlier one, and the length of those."""
    seen: set[str] = set()
    again = [e for e in elements if e in seen or seen.add(e)]
    return len(again), sum(map(len, again))


def reference(text: str) -> dict[str, float]:
    """The signals in plain Python."""
    words = text.split()
    plain = [w for w in words if any(unicodedata.category(c)[0] not in "PS" for c in w)]
    full = [line.strip() for line in text.split("\n") if line.strip()]
    lines = re.split(r"\n+", text)
    paragraphs = re.split(r"\n{2,}", text.strip())
    line_repeats, line_characters = repeats(lines)
    paragraph_repeats, paragraph_characters = repeats(paragraphs)
    return {
        "char_count": len(text),
        "word_count": len(plain),
        "mean_word_length": ratio(sum(map(len, plain)), len(plain)),
        "hash_word_ratio": ratio(text.count("#"), len(words)),
        "ellipsis_word_ratio": ratio(text.count("...") + text.count(ELLIPSIS), len(words)),
        "bullet_line_ratio": ratio(sum(line.startswith((BULLET, "-")) for line in full), len(full)),
        "ellipsis_line_ratio": ratio(sum(line.endswith(("...", ELLIPSIS)) for line in full), len(full)),
        "alpha_word_ratio": ratio(sum(any(c.isalpha() for c in w) for w in words), len(words)),
        "stop_word_count": len(STOP & set(words)),
        "duplicate_line_ratio": ratio(line_repeats, len(lines)),
        "duplicate_line_char_ratio": ratio(line_characters, len(text)),
        "duplicate_paragraph_ratio": ratio(paragraph_repeats, len(paragraphs)),
        "duplicate_paragraph_char_ratio": ratio(paragraph_characters, len(text)),
    }


def signals_of(text: str) -> dict[str, float]:
    return measure(pa.array([text], pa.string())).to_pylist()[0]


def disagreements(texts: list[str]) -> list[tuple[int, str, float, float]]:
    """(text, signal, ours, reference) wherever the two differ by a single bit."""
    rows = measure(pa.array(texts, pa.string())).to_pylist()
    wrong = []
    for i, (row, text) in enumerate(zip(rows, texts, strict=True)):
        expected = reference(text)
        wrong += [(i, name, row[name], expected[name]) for name in row if row[name] != expected[name]]
    return wrong


@pytest.mark.parametrize("texts", [[], [""], ["a b", "c"]])
def test_the_table_is_the_declared_one(texts):
    batch = measure(pa.array(texts, pa.string()))
    assert batch.schema.equals(schema_of(SIGNALS))
    assert batch.num_rows == len(texts)
    batch.validate(full=True)


def test_each_signal_is_measured_once():
    assert sorted([*COUNTS, *RATIOS]) == sorted(SIGNAL_NAMES)


@pytest.mark.parametrize("text", ["", " ", "\n", "\n\n\n", " \t\r\n\u00a0\u2028\u3000"])
def test_a_text_without_words_has_no_signals_but_its_length(text):
    signals = signals_of(text)
    assert signals.pop("char_count") == len(text)
    repeated = {"duplicate_line_ratio": signals.pop("duplicate_line_ratio")}
    assert set(signals.values()) == {0}
    assert repeated == {"duplicate_line_ratio": {"\n": 0.5, "\n\n\n": 0.5}.get(text, 0.0)}


@pytest.mark.parametrize(
    ("text", "signal", "expected"),
    [
        ("a", "char_count", 1),
        ("é中😀\u0301", "char_count", 4),
        ("a\x00b", "char_count", 3),
        ("a", "word_count", 1),
        ("one\u00a0two\u2003three\u3000four\x1cfive\x85six", "word_count", 6),
        ("zero\u200bwidth", "word_count", 1),
        ("- … -- $ © 😀", "word_count", 0),
        ("- a -", "word_count", 1),
        ("中文 测试。", "word_count", 2),
        ("ab cdé --", "mean_word_length", 5 / 2),
        ("中文😀 x", "mean_word_length", 2.0),
        ("#a ## b c", "hash_word_ratio", 3 / 4),
        ("##", "hash_word_ratio", 2.0),
        ("a... b…", "ellipsis_word_ratio", 1.0),
        (".....", "ellipsis_word_ratio", 1.0),
        ("......", "ellipsis_word_ratio", 2.0),
        (".. .", "ellipsis_word_ratio", 0.0),
        ("..…...", "ellipsis_word_ratio", 2.0),
        ("\u2027 \u2025 \u20a6", "ellipsis_word_ratio", 0.0),
        ("• a\n- b\n -c\nd - e\n\n \n*f", "bullet_line_ratio", 3 / 5),
        ("\u00a0\u2022a\n\u2023b\n\u2012c\n‚d", "bullet_line_ratio", 1 / 4),
        ("•", "bullet_line_ratio", 1.0),
        ("-", "bullet_line_ratio", 1.0),
        ("a...\nb… \nc..\n\nd.... e\n…", "ellipsis_line_ratio", 3 / 5),
        ("..\n.", "ellipsis_line_ratio", 0.0),
        ("a\n..", "ellipsis_line_ratio", 0.0),
        ("...", "ellipsis_line_ratio", 1.0),
        ("a...\u00a0\r\nb", "ellipsis_line_ratio", 1 / 2),
        ("a1 1 ١ é ² 中 _", "alpha_word_ratio", 3 / 7),
        ("the be to of and that have with", "stop_word_count", 8),
        ("the the the", "stop_word_count", 1),
        ("The the, tha thee with\nof", "stop_word_count", 2),
        ("a\nb\na\na", "duplicate_line_ratio", 2 / 4),
        ("a\nb\na\na", "duplicate_line_char_ratio", 2 / 7),
        ("a\n\n\n\na", "duplicate_line_ratio", 1 / 2),
        ("a\na ", "duplicate_line_ratio", 0.0),
        ("\na\n", "duplicate_line_ratio", 1 / 3),
        ("\n\n\na\nb", "duplicate_line_ratio", 0.0),
        ("é中\né中", "duplicate_line_char_ratio", 2 / 5),
        ("x\n\nx\ny\n\n\nx\n", "duplicate_paragraph_ratio", 1 / 3),
        ("x\n\nx\ny\n\n\nx\n", "duplicate_paragraph_char_ratio", 1 / 11),
        ("\n\n \nab\n\nab\n\n", "duplicate_paragraph_ratio", 1 / 2),
        ("\n\n \nab\n\nab\n\n", "duplicate_paragraph_char_ratio", 2 / 12),
        ("a\n \na", "duplicate_paragraph_ratio", 0.0),
        ("é😀\n\né😀", "duplicate_paragraph_char_ratio", 2 / 6),
    ],
)
def test_signals_worked_out_by_hand(text, signal, expected):
    assert signals_of(text)[signal] == expected
    assert reference(text)[signal] == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("all work and no play " * 14_000, id="one phrase, one line"),
        pytest.param("all work and no play\n" * 14_000, id="one line"),
        pytest.param("all work\n\n" * 28_000, id="one paragraph"),
        pytest.param("a " * 140_000, id="as many words as bytes allow"),
        pytest.param("\n" * 280_000, id="newlines"),
        pytest.param("\n".join(map(str, range(48_000))), id="distinct lines"),
        pytest.param("x" * 280_000, id="one word"),
    ],
)
def test_280_kilobytes_of_one_kind(text):
    assert disagreements([text, "a", text[:-1]]) == []


@given(st.lists(texts_like_ours, max_size=6))
@settings(max_examples=400, deadline=None)
def test_random_texts_agree_with_the_reference(texts):
    assert disagreements(texts) == []


@given(st.lists(texts_like_ours, max_size=8), st.data())
@settings(max_examples=100, deadline=None)
def test_a_row_depends_on_its_text_alone(texts, data):
    whole = measure(pa.array(texts, pa.string()))
    assert measure(pa.array(texts, pa.large_string())).equals(whole)
    start = data.draw(st.integers(0, len(texts)))
    length = data.draw(st.integers(0, len(texts) - start))
    part = pa.array(["héad", *texts, "tail"], pa.string()).slice(1 + start, length)
    assert measure(part).equals(whole.slice(start, length))


def test_an_array_without_offsets_is_measured():
    assert measure(pa.Array.from_buffers(pa.string(), 0, [None, None, pa.py_buffer(b"")])).num_rows == 0


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_nulls_are_refused(kind):
    texts = pa.array(["a", None, "b", None], kind)
    with pytest.raises(ValueError, match="2 of 4 rows are null"):
        measure(texts)
    assert measure(texts.slice(2, 1)).num_rows == 1


@pytest.mark.parametrize("data", [b"\xff", b"caf\xc3", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"])
def test_bytes_that_are_not_utf8_are_refused(data):
    buffers = [None, pa.py_buffer(np.array([0, len(data)], np.int32)), pa.py_buffer(data)]
    with pytest.raises(ValueError, match="UTF8"):
        measure(pa.Array.from_buffers(pa.string(), 1, buffers))


@pytest.mark.parametrize("array", [pa.array([1]), pa.array(["a"], pa.string_view()), pa.array([["a"]])])
def test_other_arrays_are_refused(array):
    with pytest.raises(TypeError, match="expected strings"):
        measure(array)


@pytest.mark.parametrize("name", ["wet", "news", "licences", "sentences", "declarations", "articles"])
def test_real_texts_agree_with_the_reference(name, corpus):
    texts = corpus(name)
    assert len(texts) >= 60
    assert disagreements(texts) == []


@pytest.mark.slow
def test_all_of_tatoeba_agrees_with_the_reference(corpus):
    texts = corpus("tatoeba")
    assert len(texts) == 125_146
    assert disagreements(texts) == []
