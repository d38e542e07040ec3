from __future__ import annotations

import re
import unicodedata
from collections import Counter

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
POLICY = [b"terms of use", b"privacy policy", b"cookie policy", b"uses cookies", b"use of cookies", b"use cookies"]
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


def top(words: list[str], n: int) -> int:
    """Characters of the most frequent n words in a row, in all the places where they are."""
    grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    return sum(len(" ".join(gram)) * times for gram, times in grams.most_common(1))


def covered(words: list[str], n: int) -> int:
    """Characters of n words in a row that were there before; the search goes on after them."""
    seen: set[tuple[str, ...]] = set()
    total = at = 0
    while at + n <= len(words):
        gram = tuple(words[at : at + n])
        if gram in seen:
            total += len("".join(gram))
            at += n
        else:
            seen.add(gram)
            at += 1
    return total


def ngrams(text: str) -> dict[str, float]:
    words = text.split()
    tops = {f"top_{n}gram_char_ratio": ratio(top(words, n), len(text)) for n in (2, 3, 4)}
    return tops | {f"duplicate_{n}gram_char_ratio": ratio(covered(words, n), len(text)) for n in range(5, 11)}


def fineweb(text: str) -> dict[str, float]:
    lines = [line for line in text.split("\n") if line.strip()]
    return {
        "terminal_punctuation_line_ratio": ratio(sum(line.endswith(tuple(".!?\"'")) for line in lines), len(lines)),
        "short_line_ratio": ratio(sum(len(line) <= 30 for line in lines), len(lines)),
        "duplicate_full_line_char_ratio": ratio(repeats(lines)[1], len(text.replace("\n", ""))),
        "newline_word_ratio": ratio(text.count("\n"), len(text.split())),
    }


def sentences(line: str) -> int:
    ends = [word.rstrip("\"')]").endswith((".", "?", "!")) for word in line.split()]
    return sum(ends) + (not ends[-1])


def c4(text: str) -> dict[str, float]:
    cleaned = re.sub(r"\[[0-9]*\]|\[edit\]|\[citation needed\]", "", text)
    lines = [line.strip() for line in cleaned.split("\n") if line.strip()]
    small = [line.encode().lower() for line in lines]  # bytes: ASCII alone has cases
    scripts = [b"javascript" in line for line in small]
    policies = [any(phrase in line for phrase in POLICY) for line in small]
    good = [
        line
        for line, script, policy in zip(lines, scripts, policies, strict=True)
        if not script and not policy and max(map(len, line.split())) <= 1000
    ]
    kept = [
        line
        for line in good
        if len(line.split()) >= 5 and line.endswith((".", "?", "!", '"')) and not line.endswith("...")
    ]
    return {
        "curly_bracket_count": text.count("{"),
        "lorem_ipsum_line_count": sum(b"lorem ipsum" in line for line in small),
        "javascript_line_count": sum(scripts),
        "policy_line_count": sum(policies),
        "c4_line_count": len(kept),
        "c4_sentence_count": sum(map(sentences, kept)),
        "fineweb_sentence_count": sum(sentences(line) for line in good if len(line.split()) >= 3),
    }


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
        **ngrams(text),
        **fineweb(text),
        **c4(text),
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
    assert signals.keys() < reference(text).keys()
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
        ("a b", "top_2gram_char_ratio", 3 / 3),
        ("a", "top_2gram_char_ratio", 0.0),
        ("aa bb c aa  bb", "top_2gram_char_ratio", 2 * 5 / 14),
        ("a a a a", "top_2gram_char_ratio", 3 * 3 / 7),
        ("xxx y a b\na b xxx y", "top_2gram_char_ratio", 2 * 5 / 19),
        ("éé\u00a0中 x", "top_2gram_char_ratio", 4 / 6),
        ("1 11 11 1 11 2", "top_2gram_char_ratio", 2 * 4 / 14),
        ("a b c a b c", "top_3gram_char_ratio", 2 * 5 / 11),
        ("a b c a b d", "top_3gram_char_ratio", 5 / 11),
        ("aaaa b c a b c a b d", "top_3gram_char_ratio", 2 * 5 / 20),
        ("a b c", "top_4gram_char_ratio", 0.0),
        ("a b c d", "top_4gram_char_ratio", 1.0),
        ("a b c d e a b c d f", "top_4gram_char_ratio", 2 * 7 / 19),
        ("a b c d e a b c d e", "duplicate_5gram_char_ratio", 5 / 19),
        ("a b c d e a b c d f", "duplicate_5gram_char_ratio", 0.0),
        ("a b c d e f a b c d e f", "duplicate_5gram_char_ratio", 5 / 23),
        ("a a a a a a", "duplicate_5gram_char_ratio", 5 / 11),
        ("a a a a a a a a a a", "duplicate_5gram_char_ratio", 5 / 19),
        ("a a a a a a a a a a a", "duplicate_5gram_char_ratio", 10 / 21),
        # the walk passes over the second bcdef, for it lies in the second abcde; the third counts
        ("a b c d e f a b c d e f b c d e f", "duplicate_5gram_char_ratio", 10 / 33),
        # the first bcdey begins in the second abcde, where the walk does not look, so the second is met as the first
        ("a b c d e a b c d e y b c d e y", "duplicate_5gram_char_ratio", 5 / 31),
        ("éé b c d e éé b c d e", "duplicate_5gram_char_ratio", 6 / 21),
        ("a b c d e f a b c d e f", "duplicate_6gram_char_ratio", 6 / 23),
        ("a b c d e f a b c d e f", "duplicate_7gram_char_ratio", 0.0),
        ("a b c d e f g a b c d e f g", "duplicate_7gram_char_ratio", 7 / 27),
        ("a b c d e f g h a b c d e f g h", "duplicate_8gram_char_ratio", 8 / 31),
        ("a b c d e f g h i a b c d e f g h i", "duplicate_9gram_char_ratio", 9 / 35),
        ("a b c d e f g h i j a b c d e f g h i j", "duplicate_10gram_char_ratio", 10 / 39),
        ("a b c d e f g h i j a b c d e f g h i", "duplicate_10gram_char_ratio", 0.0),
        ("a.\nb!\n\n \nc?\nd\"\ne'\nf…\ng. \nh”\ni:", "terminal_punctuation_line_ratio", 5 / 9),
        ("a\r\nb.\r\nc.", "terminal_punctuation_line_ratio", 1 / 3),
        (f"{'x' * 30}\n{'x' * 31}", "short_line_ratio", 1 / 2),
        (f"{'😀' * 30}\n{'😀' * 31}\n\n \n", "short_line_ratio", 1 / 2),
        (f" {'x' * 29}\n  {'x' * 29}\n", "short_line_ratio", 1 / 2),
        ("ab\nab\n \n \nab \n\n\n", "duplicate_full_line_char_ratio", 2 / 9),
        ("é😀\né😀", "duplicate_full_line_char_ratio", 2 / 4),
        ("a\n\nb c\n", "newline_word_ratio", 3 / 3),
        ("a\r\u2028b", "newline_word_ratio", 0.0),
        ("{a}{\n{", "curly_bracket_count", 3),
        ("Lorem  ipsum\nxLOREM ipsumx lorem ipsum\nlorem\nipsum", "lorem_ipsum_line_count", 1),
        ("lorem ipsum", "lorem_ipsum_line_count", 1),
        ("JavaScript\nno javascript javascript\njava script\nejavascripts\njava[7]script", "javascript_line_count", 4),
        ("Terms of Use\nprivacy policy\nCOOKIE POLICY", "policy_line_count", 3),
        ("uses cookies\nthe use of cookies\nreuse cookiesuse cookies", "policy_line_count", 3),
        ("terms of us\nprivacy polic\ncookie polic\nuse cookie\noof cookies\nterms\nof use", "policy_line_count", 0),
        ("use coo\u212aies\nu\u017fe cookies", "policy_line_count", 0),
        ("a b c d e.\na b c d.\na b c d e\na b c d e?\na b c d e!\na b c d e\"\na b c d e'", "c4_line_count", 4),
        ("a b c d e...\na b c d e..\na b c d ...\na b c d .", "c4_line_count", 2),
        (" a b\u00a0c d e.\u3000\r\n", "c4_line_count", 1),
        (f"a b c d {'é' * 999}.\na b c d {'é' * 1000}.", "c4_line_count", 1),
        ("a b c d javascript.\na b c use cookies.\na b c lorem ipsum.", "c4_line_count", 1),
        ("a b c d e.[12]\na b c d e.[]\na b c d e.[edit][1]\na b c d e.[citation needed]", "c4_line_count", 4),
        ("a b c d e.[x]\na b c d e.[1\na b c d e.[Edit]\na b c d e.[edit", "c4_line_count", 0),
        ("a b c d [1].\na b c d e[[1].", "c4_line_count", 2),
        ("a b c d e [1]\na b c d [1]", "c4_line_count", 0),
        ("a b c d [citation needed] .\na b[2][edit] c d.", "c4_line_count", 1),
        ("A b. C d? E!\nx y\nF (g h.) \"i j.\" k", "c4_sentence_count", 3),
        ("a b c d \"e\"", "c4_sentence_count", 1),
        ("a b. c d \"e\"", "c4_sentence_count", 2),
        ("a b.' c!) d?] e.\"", "c4_sentence_count", 4),
        ("\" ' ) . (.) c.", "c4_sentence_count", 3),
        ("a b c\nd e f.\ng h.\ni j. k", "fineweb_sentence_count", 4),
        (f"a b javascript\na b {'x' * 1001}\na use cookies\na b c", "fineweb_sentence_count", 1),
        ("", "fineweb_sentence_count", 0),
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
        pytest.param("[" * 280_000, id="openings of citations"),
        pytest.param("[1]" * 90_000, id="citations"),
        pytest.param("kkkkkkvvvpppfff " * 17_500, id="the rare letters of phrases"),
    ],
)
def test_280_kilobytes_of_one_kind(text):
    assert disagreements([text, "a", text[:-1]]) == []


@given(st.lists(texts_like_ours, max_size=6))
@settings(max_examples=400, deadline=None)
def test_random_texts_agree_with_the_reference(texts):
    assert disagreements(texts) == []


@given(st.lists(st.sampled_from([*"ab", "ab", "é", "\n", "."]), max_size=60), st.sampled_from([" ", "  ", "\u00a0"]))
@settings(max_examples=400, deadline=None)
def test_few_words_over_and_over_agree_with_the_reference(words, space):
    assert disagreements([space.join(words)]) == []


@given(
    st.lists(
        st.sampled_from(
            [*"[]() .?!\"'\n\n", "[1]", "[", "1", "]", "[edit]", "[citation needed]", "javascript", "java", "Script",
             "use", "s", "of", " ", "cookies", "cookie", "policy", "privacy", "terms", "Lorem", "ipsum", "a b", "c d e",
             "x" * 999, "é"]
        ),
        max_size=24,
    )
)  # fmt: skip
@settings(max_examples=600, deadline=None)
def test_lines_like_those_c4_drops_agree_with_the_reference(pieces):
    assert disagreements(["".join(pieces), " ".join(pieces)]) == []


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


@pytest.mark.parametrize("name", ["wet", "news", "licences", "sentences", "declarations", "articles", "archives"])
def test_real_texts_agree_with_the_reference(name, corpus):
    texts = corpus(name)
    assert len(texts) >= 60
    assert disagreements(texts) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "least"), [("tatoeba", 125_146), ("wikis", 3_000), ("benchmark", 50_000)])
def test_many_texts_agree_with_the_reference(name, least, corpus):
    texts = corpus(name)
    assert len(texts) >= least
    assert disagreements(texts) == []
