from __future__ import annotations

import csv
import functools
import gzip
import itertools
import json
import lzma
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.signatures import bands, sign
from transforms.words import hash_bytes

MASK = (1 << 64) - 1
GOLDEN, FINISH = 0x9E3779B97F4A7C15, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
SOLO_NAMES = (
    "CJK UNIFIED", "CJK COMPATIBILITY", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "HENTAIGANA",
    "THAI ", "LAO ", "KHMER ", "MYANMAR ",
)  # fmt: skip
texts_like_ours = st.text(
    st.one_of(st.sampled_from("aAbİΣ中文ไทยกำ가か😀-_ \n1²\u0301\u093f"), st.characters(codec="utf-8")), max_size=60
)


def absorb(state: int, value: int) -> int:
    state = (state ^ value) * GOLDEN & MASK
    return state ^ state >> 32


def finish(state: int) -> int:
    state = (state ^ state >> 30) * FINISH[0] & MASK
    state = (state ^ state >> 27) * FINISH[1] & MASK
    return state ^ state >> 31


def hash_of_bytes(data: bytes) -> int:
    """The twin of `hash_bytes`."""
    state = absorb(GOLDEN, len(data))
    for i in range(0, len(data), 8):
        state = absorb(state, int.from_bytes(data[i : i + 8], "little"))
    return finish(state)


@functools.cache
def hash_of_word(word: str) -> int:
    return finish(functools.reduce(absorb, map(ord, word), GOLDEN))


def hash_of_shingle(shingle: tuple[str, ...]) -> int:
    return finish(functools.reduce(absorb, map(hash_of_word, shingle), GOLDEN)) >> 32


@functools.cache
def kind(character: str) -> tuple[str, str]:
    """(letter, solo, mark or other; lower case)."""
    category = unicodedata.category(character)[0]
    lower = character.lower()[0]
    if category == "L":
        solo = unicodedata.name(character, "").startswith(SOLO_NAMES) or character in "々〆〻〼"
        return ("solo" if solo else "letter"), lower
    return {"N": "letter", "M": "mark"}.get(category, "other"), lower


def words_of(text: str) -> list[str]:
    """The shingle words in plain Python."""
    words: list[str] = []
    before = "other"
    for character in text:
        now, lower = kind(character)
        if (now == "mark" and before != "other") or now == before == "letter":
            words[-1] += lower
        elif now in ("letter", "solo"):
            words.append(lower)
            before = now
        else:
            before = "other"
    return words


def shingles_of(text: str, ngram: int) -> set[tuple[str, ...]]:
    words = words_of(text)
    if not words:
        return set()
    return {tuple(words[i : i + ngram]) for i in range(max(1, len(words) - ngram + 1))}


def datasketch_of(text: str, *, ngram: int, permutations: int, seed: int) -> bytes | None:
    """The signature by datasketch itself."""
    shingles = shingles_of(text, ngram)
    minhash = MinHash(num_perm=permutations, seed=seed, hashfunc=hash_of_shingle)
    minhash.update_batch(shingles)
    return minhash.hashvalues.astype("<u4").tobytes() if shingles else None


def disagreements(texts: list[str], *, ngram: int = 5, permutations: int = 112, seed: int = 1) -> list[int]:
    ours = sign(pa.array(texts, pa.string()), ngram=ngram, permutations=permutations, seed=seed)
    ours.validate(full=True)
    assert ours.type == pa.binary()
    assert len(ours) == len(texts)
    theirs = [datasketch_of(t, ngram=ngram, permutations=permutations, seed=seed) for t in texts]
    return [i for i, (a, b) in enumerate(zip(ours.to_pylist(), theirs, strict=True)) if a != b]


def same(a: str, b: str, ngram: int = 1) -> bool:
    first, second = sign(pa.array([a, b]), ngram=ngram, permutations=16, seed=1).to_pylist()
    return first == second


def matrix(signatures: pa.BinaryArray) -> np.ndarray:
    return np.frombuffer(b"".join(signatures.to_pylist()), "<u4").reshape(len(signatures), -1)


@given(st.binary(max_size=40), st.integers(0, 9))
@settings(deadline=None)
def test_the_byte_hash_has_a_plain_twin(data, before):
    text = np.frombuffer(b"\xaa" * before + data + b"\x55", np.uint8)
    assert int(hash_bytes(text, before, before + len(data))) == hash_of_bytes(data)


def test_the_byte_hash_tells_zeros_and_lengths_apart():
    zeros = np.zeros(64, np.uint8)
    assert len({int(hash_bytes(zeros, 0, n)) for n in range(65)}) == 65
    flips = [int(hash_bytes(np.eye(40, dtype=np.uint8)[i], 0, 40)) for i in range(40)]
    assert len(set(flips)) == 40
    changed = [(a ^ b).bit_count() for a, b in itertools.pairwise(flips)]
    assert 28 < sum(changed) / len(changed) < 36


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("a", ["a"]),
        (" … — 😀 \u0301\ufe0f\n", []),
        ("Don't stop_NOW, 3.5²", ["don", "t", "stop", "now", "3", "5²"]),
        ("naïve nai\u0308ve", ["naïve", "nai\u0308ve"]),
        ("ΑΣ İx", ["ασ", "ix"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("a中文b", ["a", "中", "文", "b"]),
        ("中\u0301a", ["中\u0301", "a"]),
        ("ภาษาไทย2", ["ภ", "า", "ษ", "า", "ไ", "ท", "ย", "2"]),
        ("ที่", ["ที่"]),
        ("コーヒー", ["コ", "ー", "ヒ", "ー"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("\u0301a \u0301b-\u0301c", ["a", "b", "c"]),
        ("𐐀x 𠀀y", ["𐐨x", "𠀀", "y"]),
        ("a\x00b", ["a", "b"]),
    ],
)
def test_words_worked_out_by_hand(text, words):
    assert words_of(text) == words
    signed = sign(pa.array([text]), ngram=1, permutations=8, seed=7).to_pylist()[0]
    if not words:
        assert signed is None
        return
    minhash = MinHash(num_perm=8, seed=7, hashfunc=lambda word: hash_of_shingle((word,)))
    minhash.update_batch(words)
    assert signed == minhash.hashvalues.astype("<u4").tobytes()


@pytest.mark.parametrize(
    ("a", "b", "ngram", "expected"),
    [
        ("The CAT, sat!", "the cat sat", 5, True),
        ("the cat", "cat the", 5, False),
        ("the cat", "thecat", 5, False),
        ("a b c d", "a b c d a b c d", 5, False),
        ("a b c d", "a b c d a b c d", 1, True),
        ("a b c d e", "a b c d e f", 5, False),
        ("a a a a a", "a a a a a a a", 5, True),
        ("a a a a", "a a a a a", 5, False),
        ("中文", "中 文", 5, True),
        ("ab", "a b", 5, False),
    ],
)
def test_which_texts_are_alike(a, b, ngram, expected):
    assert same(a, b, ngram) is expected


@given(st.lists(texts_like_ours, max_size=5), st.integers(1, 6), st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_random_texts_agree_with_datasketch(texts, ngram, permutations, seed):
    assert disagreements(texts, ngram=ngram, permutations=permutations, seed=seed) == []


@given(st.lists(texts_like_ours, max_size=8), st.data())
@settings(max_examples=100, deadline=None)
def test_a_signature_depends_on_its_text_alone(texts, data):
    settings = {"ngram": 2, "permutations": 9, "seed": 3}
    whole = sign(pa.array(texts, pa.string()), **settings)
    assert sign(pa.array(texts, pa.large_string()), **settings).equals(whole)
    start = data.draw(st.integers(0, len(texts)))
    length = data.draw(st.integers(0, len(texts) - start))
    part = pa.array(["héad", *texts, "tail"], pa.string()).slice(1 + start, length)
    assert sign(part, **settings).equals(whole.slice(start, length))


def test_280_kilobytes_of_one_phrase():
    phrase = "all work and no play makes jack a dull boy "
    assert disagreements([phrase * 6_512, phrase * 2, "x" * 280_000, "中" * 93_333, "😀" * 70_000]) == []
    assert same(phrase * 6_512, phrase * 2, 5)


def test_seeds_differ():
    a, b = (sign(pa.array(["a b"]), ngram=5, permutations=4, seed=s) for s in (1, 2))
    assert a != b


def test_nulls_and_other_arrays_are_refused():
    with pytest.raises(ValueError, match="1 of 2 rows are null"):
        sign(pa.array(["a", None]), ngram=5, permutations=4, seed=1)
    with pytest.raises(TypeError, match="expected strings"):
        sign(pa.array([1]), ngram=5, permutations=4, seed=1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ngram": 0}, "at least 1, got 0 and 4"),
        ({"permutations": 0}, "at least 1, got 5 and 0"),
        ({"seed": -1}, "[Ss]eed must be"),
        ({"seed": 2**32}, "[Ss]eed must be"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        sign(pa.array(["a"]), **({"ngram": 5, "permutations": 4, "seed": 1} | wrong))


def test_bands_have_a_plain_twin():
    texts = pa.array(["", "one two three four five six", "中文", "one two three four five seven"])
    signatures = sign(texts, ngram=2, permutations=6, seed=1)
    expected = [
        [finish(functools.reduce(absorb, map(int, row[2 * b : 2 * b + 2]), absorb(GOLDEN, b))) for b in range(3)]
        for row in matrix(signatures.drop_null())
    ]
    hashes = bands(signatures.slice(1), bands=3, rows=2)
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == expected
    assert bands(signatures.slice(2, 1), bands=3, rows=2).tolist() == expected[1:2]
    assert bands(signatures.slice(0, 0), bands=3, rows=2).shape == (0, 3)


def test_equal_rows_in_different_bands_have_different_hashes():
    row = np.full(8, 7, "<u4").tobytes()
    assert len(set(bands(pa.array([row]), bands=4, rows=2)[0].tolist())) == 4


@pytest.mark.parametrize("shape", [(14, 7), (14, 9), (7, 8), (112, 2), (0, 8), (14, 0), (-14, -8)])
def test_bands_that_do_not_fit_are_refused(shape):
    signatures = sign(pa.array(["a", "b"]), ngram=5, permutations=112, seed=1)
    assert bands(signatures, bands=14, rows=8).shape == (2, 14)
    with pytest.raises(ValueError, match="bands"):
        bands(signatures, bands=shape[0], rows=shape[1])


def test_one_wrong_or_null_signature_is_refused():
    with pytest.raises(ValueError, match="signature 1 has 7 bytes"):
        bands(pa.array([b"x" * 8, b"x" * 7, b"x" * 9]), bands=1, rows=2)
    with pytest.raises(ValueError, match="null"):
        bands(pa.array([b"x" * 8, None]), bands=1, rows=2)


@pytest.mark.parametrize("name", ["wet", "news", "licences", "sentences", "declarations", "articles", "archives"])
def test_real_texts_agree_with_datasketch(name, corpus):
    assert disagreements(corpus(name)) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["tatoeba", "wikis", "benchmark"])
def test_many_texts_agree_with_datasketch(name, corpus):
    assert disagreements(corpus(name)) == []


@pytest.fixture(scope="module")
def licences(data_folder) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Licence texts; pairs [n, 2] of their positions; the pairs' exact Jaccard similarities, all that are >= 0.3."""
    with lzma.open(data_folder / "dedupe" / "spdx-license-texts-728.jsonl.xz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    positions = {row["id"]: i for i, row in enumerate(rows)}
    with gzip.open(data_folder / "dedupe" / "spdx-exact-jaccard-word5gram.tsv.gz", "rt", encoding="utf-8") as file:
        gold = list(csv.DictReader(file, delimiter="\t"))
    pairs = np.array([[positions[row["a"]], positions[row["b"]]] for row in gold])
    return pa.array([row["text"] for row in rows]), pairs, np.array([float(row["jaccard"]) for row in gold])


SEEDS = range(1, 21)


def test_estimates_err_as_theory_says(licences):
    """A signature of k permutations estimates J with variance J (1 - J) / k. The gold pairs share texts, so their
    errors are not independent: over 20 seeds the bias must be below 0.005 and the root mean square error within 10 %
    of theory. The gold words keep `_` and split at marks; ours do not, which moves J by far less."""
    texts, pairs, exact = licences
    errors = []
    for seed in SEEDS:
        values = matrix(sign(texts, ngram=5, permutations=112, seed=seed))
        errors.append((values[pairs[:, 0]] == values[pairs[:, 1]]).mean(axis=1) - exact)
    theory = np.sqrt((exact * (1 - exact) / 112).mean())
    assert abs(np.mean(errors)) < 0.005
    assert np.sqrt(np.square(errors).mean()) == pytest.approx(theory, rel=0.1)


def test_bands_recall_pairs_as_computed(licences):
    """14 bands of 8 rows make candidates of a pair with probability 1 - (1 - J**8)**14. Over 20 seeds the share of
    pairs found must be within 0.02 of the mean of that, both for J >= 0.8 and for 0.3 <= J < 0.8; of all the pairs
    below 0.3, fewer than the probability at 0.3."""
    texts, pairs, exact = licences
    near = exact >= 0.8
    assert near.sum() == 393
    expected = 1 - (1 - exact**8) ** 14
    found, others = [], []
    for seed in SEEDS:
        hashes = bands(sign(texts, ngram=5, permutations=112, seed=seed), bands=14, rows=8)
        together = (hashes[:, None, :] == hashes[None, :, :]).any(axis=2)
        found.append(together[pairs[:, 0], pairs[:, 1]])
        together[pairs[:, 0], pairs[:, 1]] = together[pairs[:, 1], pairs[:, 0]] = False
        others.append(np.triu(together, 1).sum())
    share = np.mean(found, axis=0)
    assert share[near].mean() == pytest.approx(expected[near].mean(), abs=0.02)
    assert share[~near].mean() == pytest.approx(expected[~near].mean(), abs=0.02)
    assert np.all(share[exact == 1] == 1)
    assert np.mean(others) / (len(texts) * (len(texts) - 1) / 2 - len(pairs)) < 1 - (1 - 0.3**8) ** 14


def test_datasketchs_index_reads_the_signatures():
    texts = ["one two three four five six seven", "one two three four five six seven", "eight nine ten eleven twelve"]
    index = MinHashLSH(params=(14, 8), num_perm=112)
    for i, values in enumerate(matrix(sign(pa.array(texts), ngram=5, permutations=112, seed=1))):
        index.insert(i, MinHash(seed=1, hashvalues=values, scheme="affine32"))
    values = matrix(sign(pa.array(texts[:1]), ngram=5, permutations=112, seed=1))[0]
    assert sorted(index.query(MinHash(seed=1, hashvalues=values, scheme="affine32"))) == [0, 1]
