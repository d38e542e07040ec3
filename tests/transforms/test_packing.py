from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.shards import shard_schema
from transforms.packing import pack

END, PAD, VOCAB = 0, 1, 300
TOKEN_BYTES = np.array([0, 0, *(1 + i % 7 for i in range(2, VOCAB))], np.int32)
Docs = list[tuple[list[int], int]]
"""The tokens and the language of each document."""


def ids_of(count: int) -> pa.FixedSizeBinaryArray:
    return pa.array([i.to_bytes(16, "big") for i in range(count)], pa.binary(16))


def packed(docs: Docs, seq_len: int, **changes: Any) -> pa.RecordBatch:
    arguments: dict[str, Any] = {
        "tokens": np.array([t for tokens, _ in docs for t in tokens], np.uint32),
        "doc_lengths": np.array([len(tokens) for tokens, _ in docs], np.int64),
        "doc_ids": ids_of(len(docs)),
        "languages": np.array([language for _, language in docs], np.int64),
        "seq_len": seq_len, "end_id": END, "pad_id": PAD, "token_bytes": TOKEN_BYTES, "source_code": 3,
        "schema": shard_schema(seq_len=seq_len, vocab_size=VOCAB),
    }
    return pack(**arguments | changes)


def expected(docs: Docs, seq_len: int) -> list[dict[str, Any]]:
    """The rows, one token at a time."""
    stream = [(token, d, i) for d, (tokens, _) in enumerate(docs) for i, token in enumerate([*tokens, END])]
    rows = []
    for at in range(0, len(stream) - 1, seq_len):
        row = stream[at : at + seq_len + 1]
        languages = Counter(docs[d][1] for _, d, _ in row[1:])
        rows.append({
            "input_ids": [token for token, _, _ in row] + [PAD] * (seq_len + 1 - len(row)),
            "doc_starts": [p for p, (_, _, i) in enumerate(row) if i == 0],
            "doc_ids": [d.to_bytes(16, "big") for d in sorted({d for _, d, _ in row})],
            "n_bytes": sum(int(TOKEN_BYTES[token]) for token, _, _ in row[1:]),
            "n_real": len(row),
            "source": 3,
            "lang": min(languages, key=lambda code: (-languages[code], code)),
        })
    return rows


@st.composite
def cases(draw: st.DrawFn) -> tuple[Docs, int]:
    seq_len = draw(st.integers(1, 40))
    lengths = draw(st.lists(st.integers(0, 5 * seq_len) | st.sampled_from([0, seq_len - 1, seq_len]), max_size=12))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    return [(rng.integers(2, VOCAB, n).tolist(), int(rng.integers(0, 4))) for n in lengths], seq_len


@settings(max_examples=300, deadline=None)
@given(cases())
def test_rows_equal_those_made_one_token_at_a_time(case: tuple[Docs, int]) -> None:
    docs, seq_len = case
    batch = packed(docs, seq_len)
    batch.validate(full=True)
    assert batch.schema == shard_schema(seq_len=seq_len, vocab_size=VOCAB)
    assert batch.to_pylist() == expected(docs, seq_len)


@settings(max_examples=200, deadline=None)
@given(cases())
def test_a_row_alone_tells_the_document_of_each_token(case: tuple[Docs, int]) -> None:
    docs, seq_len = case
    owners = [d for d, (tokens, _) in enumerate(docs) for _ in range(len(tokens) + 1)]
    counted = 0
    for r, row in enumerate(packed(docs, seq_len).to_pylist()):
        continued = len(row["doc_ids"]) - len(row["doc_starts"])
        assert continued in (0, 1)
        for p in range(row["n_real"]):
            document = row["doc_ids"][sum(start <= p for start in row["doc_starts"]) + continued - 1]
            assert int.from_bytes(document, "big") == owners[r * seq_len + p]
        counted += sum(start >= 1 or r == 0 for start in row["doc_starts"])
    assert counted == (len(docs) if len(owners) > 1 else 0)


@settings(max_examples=100, deadline=None)
@given(cases(), st.integers(0, 12), st.integers(0, 12))
def test_batches_of_documents_leave_no_trace(case: tuple[Docs, int], cut: int, more: int) -> None:
    docs, seq_len = case
    parts = [docs[:cut], docs[cut : cut + more], docs[cut + more :]]
    tokens = [np.array([t for tokens, _ in part for t in tokens], np.uint32) for part in parts]
    lengths = [np.array([len(tokens) for tokens, _ in part], np.int64) for part in parts]
    # Ids arrive as slices of a longer array, as they do from a column of a batch.
    around = pa.array([b"\xff" * 16, *ids_of(len(docs)).to_pylist(), b"\xee" * 16], pa.binary(16))
    batch = packed(docs, seq_len, tokens=np.concatenate(tokens), doc_lengths=np.concatenate(lengths),
                   doc_ids=around.slice(1, len(docs)))
    assert batch.equals(packed(docs, seq_len))


@pytest.mark.parametrize(("stream_tokens", "n_real"), [
    (0, []), (1, []), (2, [2]), (8, [8]), (9, [9]), (10, [9, 2]), (16, [9, 8]), (17, [9, 9]), (18, [9, 9, 2]),
])
def test_row_counts_at_the_boundaries_of_seq_len_8(stream_tokens: int, n_real: list[int]) -> None:
    docs = [(list(range(2, 1 + stream_tokens)), 0)] if stream_tokens else []
    batch = packed(docs, 8)
    assert batch.column("n_real").to_pylist() == n_real
    ids = [i for row in batch.column("input_ids").to_pylist() for i in row[1:]]
    assert ids.count(PAD) == 8 * len(n_real) - max(0, stream_tokens - 1)
    assert [i for i in ids if i != PAD] == [*range(3, 1 + stream_tokens), END][: max(0, stream_tokens - 1)]


def test_a_document_that_starts_at_the_shared_token_is_in_both_rows() -> None:
    first, second = packed([([5, 6, 7], 0), ([8, 9], 1)], 4).to_pylist()
    assert first == {"input_ids": [5, 6, 7, END, 8], "doc_starts": [0, 4], "doc_ids": ids_of(2).to_pylist(),
                     "n_bytes": sum(TOKEN_BYTES[[6, 7, 8]]), "n_real": 5, "source": 3, "lang": 0}
    assert second == {"input_ids": [8, 9, END, PAD, PAD], "doc_starts": [0], "doc_ids": ids_of(2).to_pylist()[1:],
                      "n_bytes": TOKEN_BYTES[9], "n_real": 3, "source": 3, "lang": 1}


@pytest.mark.parametrize(("docs", "language"), [
    ([([5, 6, 7], 2), ([8, 9, 5], 1)], 1),  # 3 targets against 4: the row's first token is not one
    ([([5, 6, 7, 8], 2), ([9, 5, 6], 1)], 1),  # 4 against 4: the smaller code
    ([([5, 6, 7, 8, 9], 2), ([5, 6], 1)], 2),
])
def test_lang_is_that_of_most_targets(docs: Docs, language: int) -> None:
    assert packed(docs, 8).column("lang").to_pylist()[0] == language


def test_documents_of_one_language_count_together() -> None:
    docs = [([5, 6], 2), ([5, 6, 7], 1), ([5, 6], 2)]  # 2 + 3 targets against 4
    assert packed(docs, 9).column("lang").to_pylist() == [2]


def test_two_byte_ids_reach_65535_and_four_byte_ids_pass_it() -> None:
    for vocab in (65_536, 65_537):
        counts = np.ones(vocab, np.int32)
        counts[:2] = 0
        batch = packed([([vocab - 1, 2], 0)], 2, token_bytes=counts, schema=shard_schema(seq_len=2, vocab_size=vocab))
        assert batch.column("input_ids").to_pylist() == [[vocab - 1, 2, END]]
    with pytest.raises(ValueError, match="uint16 ids for a vocabulary of 65537"):
        packed([([2], 0)], 2, token_bytes=counts, schema=shard_schema(seq_len=2, vocab_size=65_536))


def test_bytes_of_long_tokens_are_summed_over_many_blocks_of_rows() -> None:
    rng = np.random.default_rng(0)
    docs = [(rng.integers(2, VOCAB, 700_000).tolist(), 0) for _ in range(3)]
    stream = np.array([t for tokens, _ in docs for t in [*tokens, END]])
    sums = packed(docs, 1_000).column("n_bytes").to_numpy()
    assert len(sums) == 2_101
    assert sums.tolist() == np.add.reduceat(TOKEN_BYTES[stream[1:]], np.arange(0, len(stream) - 1, 1_000)).tolist()


@pytest.mark.parametrize(("changes", "message"), [
    ({"tokens": np.array([5, 6], np.uint32)}, "2 tokens for documents of 3 together"),
    ({"doc_lengths": np.array([3, 0], np.int64)}, "2 lengths, 1 ids and 1 languages"),
    ({"doc_ids": ids_of(2)}, "1 lengths, 2 ids"),
    ({"languages": np.zeros(0, np.int64)}, "0 languages"),
    ({"doc_lengths": np.array([4, -1]), "doc_ids": ids_of(2), "languages": np.zeros(2, np.int64)}, "negative length"),
    ({"tokens": np.array([5, VOCAB, 6], np.uint32)}, "token id 300 in a vocabulary of 300"),
    ({"tokens": np.array([5, END, 6], np.uint32)}, "holds the end marker 0"),
    ({"tokens": np.array([5, PAD, 6], np.uint32)}, "holds the pad marker 1"),
    ({"end_id": 7}, "end marker 7 must be in the vocabulary and stand for 0 bytes"),
    ({"pad_id": VOCAB}, "pad marker 300 must be"),
    ({"schema": shard_schema(seq_len=9, vocab_size=VOCAB)}, "10 tokens a row for a seq_len of 8"),
])
def test_arguments_that_disagree_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        packed([([5, 6, 7], 0)], 8, **changes)
