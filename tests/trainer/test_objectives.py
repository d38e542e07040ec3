from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.objectives import IGNORE, Examples, causal, document_numbers, loss_sum, masked
from trainer.rows import Rows

END, PAD, MASK, VOCAB = 0, 1, 2, 300
SPECIAL = (END, PAD, MASK)
WORDS = 64


def rows_of(tokens: Any, *, starts: list[list[int]], n_real: list[int], samples: list[int] | None = None,
            dtype: type = np.uint16) -> Rows:
    n = len(n_real)
    pairs = [(row, at) for row, some in enumerate(starts) for at in some]
    return Rows(
        samples=np.array(range(n) if samples is None else samples, np.int64), tokens=np.array(tokens, dtype),
        n_real=np.array(n_real, np.int32), start_row=np.array([row for row, _ in pairs], np.int32),
        start_at=np.array([at for _, at in pairs], np.int32), source=np.zeros(n, np.int16), lang=np.zeros(n, np.int16),
    )


HAND = rows_of(
    [[7, 8, END, 9, 10], [10, END, END, 11, END], [12, END, PAD, PAD, PAD], [0, 0, 0, 0, 0]],
    starts=[[0, 3], [2, 3], [0], []], n_real=[5, 5, 2, 0],
)
"""Rows of 4 targets: a document of two tokens; one that goes on into the next row; an empty one; a short last row; and
one that was taken down."""


def test_documents_by_hand():
    found = document_numbers(HAND)
    assert found.tolist() == [[1, 1, 1, 2, 2], [0, 0, 1, 2, 2], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]
    assert found.dtype == np.int32


def test_next_tokens_by_hand():
    found = causal(HAND)
    assert found.inputs.tolist() == [[7, 8, END, 9], [10, END, END, 11], [12, END, PAD, PAD], [0, 0, 0, 0]]
    x = IGNORE
    assert found.targets.tolist() == [[8, END, 9, 10], [END, END, 11, END], [END, x, x, x], [x, x, x, x]]
    assert found.documents.tolist() == [[1, 1, 1, 2], [0, 0, 1, 2], [1, 1, 1, 1], [0, 0, 0, 0]]
    assert (found.inputs.dtype, found.targets.dtype, found.documents.dtype) == (torch.int64, torch.int64, torch.int32)
    assert all(tensor.is_contiguous() for tensor in (found.inputs, found.targets, found.documents))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=12), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_every_token_of_a_stream_but_the_first_is_a_target_once(lengths, t):
    """The rows of a stream, cut as the shards' schema says, one token at a time."""
    stream = [(token, d, p == 0) for d, n in enumerate(lengths) for p, token in enumerate([*range(3, 3 + n), END])]
    rows = [stream[at : at + t + 1] for at in range(0, len(stream) - 1, t)]
    if not rows:
        return
    found = causal(rows_of(
        [[token for token, _, _ in row] + [PAD] * (t + 1 - len(row)) for row in rows],
        starts=[[p for p, (_, _, first) in enumerate(row) if first] for row in rows], n_real=[len(row) for row in rows],
    ))
    assert found.targets[found.targets != IGNORE].tolist() == [token for token, _, _ in stream[1:]]
    for row, targets, documents in zip(rows, found.targets.tolist(), found.documents.tolist(), strict=True):
        for p in range(len(row) - 1):
            assert targets[p] == row[p + 1][0]
            for q in range(len(row) - 1):
                assert (documents[p] == documents[q]) == (row[p][1] == row[q][1])


# masked tokens

def splitmix64(x: int) -> int:
    """Vigna's splitmix64.c, one call of next() from state x, in Python's own integers."""
    x = (x + 0x9E3779B97F4A7C15) % 2**64
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
    return x ^ (x >> 31)


def hidden(token: int, *, seed: int, sample: int, position: int, rate: float) -> tuple[int, int]:
    """Input and target of one ordinary token."""
    first = splitmix64(splitmix64(splitmix64(seed) ^ sample) ^ position)
    if first // 2**32 >= rate * 2**32:
        return token, IGNORE
    share = first % 2**32 / 2**32
    drawn = len(SPECIAL) + (splitmix64(first) // 2**32 * (VOCAB - len(SPECIAL)) // 2**32)
    return (MASK if share < 0.8 else drawn if share < 0.9 else token), token


def text_rows(samples: list[int], *, t: int = WORDS) -> Rows:
    tokens = [[3 + (7 * sample + p) % (VOCAB - 3) for p in range(t + 1)] for sample in samples]
    return rows_of(tokens, starts=[[0] for _ in samples], n_real=[t + 1] * len(samples), samples=samples)


def hide(rows: Rows, **changes: Any) -> Examples:
    return masked(rows, **({"seed": 9, "mask_id": MASK, "special_ids": SPECIAL, "vocab_size": VOCAB} | changes))


def test_the_oracle_is_splitmix64():
    """The first output for two seeds that other implementations publish."""
    assert splitmix64(0) == 0xE220A8397B1DCDAF
    assert splitmix64(1234567) == 6457827717110365317


@pytest.mark.parametrize("rate", [0.15, 0.4, 1.0])
def test_masks_are_one_hash_a_token(rate):
    samples = [0, 1, 77, 2**40]
    rows = text_rows(samples)
    found = hide(rows, rate=rate)
    kinds = set()
    for i, sample in enumerate(samples):
        for p in range(WORDS):
            token = int(rows.tokens[i, p])
            wanted = hidden(token, seed=9, sample=sample, position=p, rate=rate)
            assert (int(found.inputs[i, p]), int(found.targets[i, p])) == wanted
            kinds.add((wanted[0] == MASK, wanted[0] == token, wanted[1] == IGNORE))
    assert len(kinds) >= 3


@given(st.permutations(range(12)), st.integers(1, 12), st.integers(-(2**70), 2**70))
@settings(max_examples=25, deadline=None)
def test_masks_are_the_same_in_any_batch(order, size, seed):
    whole = hide(text_rows(list(range(12))), seed=seed)
    for at in range(0, 12, size):
        some = list(order[at : at + size])
        part = hide(text_rows(some), seed=seed)
        assert torch.equal(part.inputs, whole.inputs[some])
        assert torch.equal(part.targets, whole.targets[some])


def test_the_shares_are_those_of_the_paper():
    rows = text_rows(list(range(20_000)))
    tokens = torch.from_numpy(rows.tokens[:, :-1].astype(np.int64))
    found = hide(rows)
    chosen = found.targets != IGNORE
    assert torch.equal(found.targets[chosen], tokens[chosen])
    assert torch.equal(found.inputs[~chosen], tokens[~chosen])
    n, total = int(chosen.sum()), chosen.numel()
    hidden_ones = int((found.inputs[chosen] == MASK).sum())
    kept = int((found.inputs[chosen] == tokens[chosen]).sum())
    drawn = found.inputs[chosen & (found.inputs != MASK) & (found.inputs != tokens)]
    ordinary = VOCAB - len(SPECIAL)
    for count, of, share in (
        (n, total, 0.15), (hidden_ones, n, 0.8), (kept, n, 0.1 + 0.1 / ordinary), (len(drawn), n, 0.1 - 0.1 / ordinary),
    ):
        assert abs(count / of - share) < 5 * math.sqrt(share * (1 - share) / of)
    counts = np.bincount(drawn.numpy(), minlength=VOCAB)
    assert not counts[list(SPECIAL)].any()
    squares = ((counts[3:] - len(drawn) / ordinary) ** 2 / (len(drawn) / ordinary)).sum()
    assert abs(squares - (ordinary - 1)) < 5 * math.sqrt(2 * (ordinary - 1))
    # no position and no sample is spared: each is chosen as often as chance has it
    for by in (chosen.double().mean(0), chosen.double().mean(1)):
        assert abs(float(by.std()) / math.sqrt(0.15 * 0.85 / (chosen.numel() / len(by))) - 1) < 0.5


def test_another_epoch_hides_other_tokens():
    first, second = hide(text_rows([3])), hide(text_rows([3]), seed=10)
    assert not torch.equal(first.targets, second.targets)


def test_special_tokens_and_padding_are_never_asked_for():
    found = hide(HAND, rate=1.0)
    x = IGNORE
    assert found.targets.tolist() == [[7, 8, x, 9], [10, x, x, 11], [12, x, x, x], [x, x, x, x]]
    assert found.inputs[found.targets == IGNORE].tolist() == [END, END, END, END, PAD, PAD, 0, 0, 0, 0]
    # padding that looks like text, as where the padding token is an ordinary one, is not text
    short = rows_of([[5, 6, 7, 8, 9]], starts=[[0]], n_real=[2])
    assert hide(short, rate=1.0).targets.tolist() == [[5, 6, x, x]]
    assert hide(text_rows([1, 2]), rate=0.0).targets.unique().tolist() == [x]


def test_padding_is_a_document_of_its_own():
    assert hide(HAND).documents.tolist() == [[1, 1, 1, 2], [0, 0, 1, 2], [1, 1, -1, -1], [-1, -1, -1, -1]]


@pytest.mark.parametrize(("changes", "what"), [
    ({"rate": 1.5}, "from 0 to 1, not 1.5"), ({"rate": -0.1}, "from 0 to 1"), ({"vocab_size": 3}, "is special"),
])
def test_what_cannot_be_hidden_is_refused(changes, what):
    with pytest.raises(ValueError, match=what):
        hide(HAND, **changes)


# the loss

@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_loss_is_a_sum_of_logarithms(dtype):
    draws = torch.Generator().manual_seed(3)
    logits = (torch.randn(3, 5, 11, generator=draws) * 4).to(dtype)
    targets = torch.randint(0, 11, (3, 5), generator=draws)
    targets[0, 2:], targets[2] = IGNORE, IGNORE
    whole, by_row = loss_sum(logits, targets)
    wanted = [0.0, 0.0, 0.0]
    for b, t in np.ndindex(3, 5):
        if targets[b, t] != IGNORE:
            row = logits[b, t].double().tolist()
            wanted[b] += math.log(sum(math.exp(x) for x in row)) - row[int(targets[b, t])]
    assert by_row.tolist() == pytest.approx(wanted, rel=1e-5)
    assert whole.item() == pytest.approx(sum(wanted), rel=1e-5)
    assert whole.dtype == by_row.dtype == torch.float32
    assert by_row[2] == 0
