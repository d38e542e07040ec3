from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from schemas.shards import shard_schema
from transforms.encoding import Encoded, encode_texts
from transforms.packing import pack

DATA = Path(__file__).parents[3] / "shared" / "data"
END, PAD = 0, 1
TEXTS = ["the cat sat on the mat", "", "naïve café – 東京 🙂", "the\n\nend  ", "<|endoftext|>", "cat" * 300]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Byte-level BPE, small, its two special tokens first."""
    result = Tokenizer(models.BPE())
    result.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    result.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<|endoftext|>", "<|pad|>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    result.train_from_iterator(["the cat sat on the mat, the end of the cat"] * 20, trainer)
    return result


def token_bytes(tokenizer: Tokenizer) -> np.ndarray:
    """A byte-level token is spelt with one printable character a byte."""
    names = {i: name for name, i in tokenizer.get_vocab().items()}
    return np.array([0, 0, *(len(names[i]) for i in range(2, len(names)))], np.int32)


def split(ids: np.ndarray, lengths: np.ndarray) -> list[list[int]]:
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths))[:-1]]


def test_ids_are_those_of_each_text_alone(tokenizer: Tokenizer) -> None:
    ids, lengths = encode_texts(tokenizer, pa.array(TEXTS))
    assert ids.dtype == np.uint32 and lengths.dtype == np.int64
    assert lengths[1] == 0
    assert split(ids, lengths) == [tokenizer.encode(t, add_special_tokens=False).ids for t in TEXTS]
    assert [tokenizer.decode(part) for part in split(ids, lengths)] == TEXTS


def test_a_page_cannot_forge_an_end_marker(tokenizer: Tokenizer) -> None:
    fresh = Tokenizer.from_str(tokenizer.to_str())
    assert fresh.encode("a<|endoftext|>b<|pad|>", add_special_tokens=False).ids.count(END) == 1  # the danger is real
    ids, _ = encode_texts(fresh, pa.array(["a<|endoftext|>b<|pad|>"]))
    assert END not in ids and PAD not in ids
    assert fresh.decode(ids.tolist()) == "a<|endoftext|>b<|pad|>"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*TEXTS, "x", "日"]), max_size=20), st.integers(1, 60), st.integers(0, 20))
def test_the_size_of_batches_changes_nothing(texts: list[str], batch_bytes: int, cut: int) -> None:
    # A tokenizer whose ids are easy to know: one a character.
    letters = sorted(set("".join([*TEXTS, "x", "日"])))
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    expected = [[letters.index(c) for c in t] for t in texts]
    # A slice: offsets into the parent's bytes.
    array = pa.array(["before", *texts, "after"]).slice(1, len(texts))
    assert split(*encode_texts(tokenizer, array, batch_bytes=batch_bytes)) == expected
    parts = [encode_texts(tokenizer, part) for part in (array[:cut], array[cut:])]
    assert [d for part in parts for d in split(*part)] == expected


def test_batches_are_bounded_in_bytes(tokenizer: Tokenizer) -> None:
    class Spy:
        truncation = padding = None

        def __init__(self) -> None:
            self.seen: list[list[str]] = []

        def encode_batch_fast(self, texts: list[str], *, add_special_tokens: bool) -> list:  # type: ignore[type-arg]
            assert not add_special_tokens
            self.seen.append(texts)
            return tokenizer.encode_batch_fast(texts, add_special_tokens=add_special_tokens)

    spy = Spy()
    ids, lengths = encode_texts(spy, pa.array(["aa", "", "bb", "ééé", "", "c", "d"]), batch_bytes=4)
    assert spy.seen == [["aa", "", "bb"], ["ééé"], ["", "c", "d"]]
    assert len(lengths) == 7 and lengths.sum() == len(ids)


def test_no_text_gives_no_ids(tokenizer: Tokenizer) -> None:
    ids, lengths = encode_texts(tokenizer, pa.array([], pa.string()))
    assert (ids.shape, ids.dtype, lengths.shape) == ((0,), np.uint32, (0,))


def test_nulls_and_tokenizers_that_lose_text_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="1 of 2 texts are null"):
        encode_texts(tokenizer, pa.array(["a", None]))
    for setting in ("enable_truncation", "enable_padding"):
        other = Tokenizer.from_str(tokenizer.to_str())
        getattr(other, setting)(**({"max_length": 4} if setting == "enable_truncation" else {}))
        with pytest.raises(ValueError, match="truncates or pads"):
            encode_texts(other, pa.array(["a"]))


@pytest.mark.parametrize("seq_len", [5, 64])
def test_rows_decode_to_the_texts_and_count_their_bytes(tokenizer: Tokenizer, seq_len: int) -> None:
    ids, lengths = encode_texts(tokenizer, pa.array(TEXTS))
    sizes = token_bytes(tokenizer)
    batch = pack(ids, lengths, pa.array([bytes(16)] * len(TEXTS), pa.binary(16)), np.zeros(len(TEXTS), np.int64),
                 seq_len=seq_len, end_id=END, pad_id=PAD, token_bytes=sizes, source_code=0,
                 schema=shard_schema(seq_len=seq_len, vocab_size=tokenizer.get_vocab_size()))
    rows = [row["input_ids"][: row["n_real"]] for row in batch.to_pylist()]
    stream = rows[0][:1] + [i for row in rows for i in row[1:]]
    pieces = " ".join(map(str, stream)).split(f" {END}")
    assert [tokenizer.decode([int(i) for i in piece.split()]) for piece in pieces] == [*TEXTS, ""]
    assert sum(batch.column("n_bytes").to_pylist()) + sizes[stream[0]] == sum(len(t.encode()) for t in TEXTS)


def test_real_pages_come_back(tokenizer: Tokenizer) -> None:
    path = DATA / "wet" / "dolma-cc_en_head-0091.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent: the test data is not part of the repository")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    ids, lengths = encode_texts(tokenizer, pa.array(texts), batch_bytes=20_000)
    assert len(lengths) == 10
    assert [tokenizer.decode(part) for part in split(ids, lengths)] == texts


def encoded(lengths: list[int]) -> Encoded:
    return Encoded(
        ids=pa.array([bytes([k]) * 16 for k in range(len(lengths))], pa.binary(16)),
        languages=np.arange(len(lengths)), lengths=np.array(lengths, np.int64),
        tokens=np.arange(sum(lengths), dtype=np.uint32), text_bytes=np.arange(len(lengths)) * 10,
    )


@given(st.lists(st.integers(0, 5), max_size=12), st.data())
def test_pieces_of_documents_join_to_all_of_them(lengths, data):
    whole = encoded(lengths)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lengths)), max_size=4)))
    bounds = [0, *cuts, len(lengths)]
    joined = Encoded.of([whole.take(a, b) for a, b in pairwise(bounds)])
    assert joined.ids.equals(whole.ids)
    for name in ("languages", "lengths", "tokens", "text_bytes"):
        assert getattr(joined, name).tolist() == getattr(whole, name).tolist(), name


@pytest.mark.parametrize(("wanted", "documents"), [(0, 1), (4, 1), (5, 2), (6, 3), (9, 3), (10, 4), (11, 4), (99, 4)])
def test_how_many_documents_reach_a_number_of_tokens(wanted, documents):
    # with their end markers they end at 4, 5, 9, 10
    assert encoded([3, 0, 3, 0]).reaching(wanted) == documents
