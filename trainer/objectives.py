"""What a row asks of the model: the next token, or the tokens that were hidden."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from trainer.permutation import mixed
from trainer.rows import Rows

IGNORE = -100
"""A target that counts for nothing: torch's default `ignore_index`."""
PADDING_DOCUMENT = -1
"""The document number of padding in `masked`."""

_U64 = npt.NDArray[np.uint64]
_STEP = np.uint64(0x9E3779B97F4A7C15)
"""splitmix64's: 2^64 over the golden ratio, made odd (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195)."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """n samples of t positions.

    inputs      int64[n,t]
    targets     int64[n,t]: what the logits of each position are to say; IGNORE where nothing is asked
    documents   int32[n,t]: equal where two positions of a row belong to one document
    """

    inputs: Tensor
    targets: Tensor
    documents: Tensor | None


def document_numbers(rows: Rows) -> npt.NDArray[np.int32]:
    """int32[n,t+1]: how many documents have started in the row up to and with each position.

    0 is the document that began in an earlier row. An end marker has the number of the document that it ends; padding
    that of the last document.
    """
    starts = np.zeros(rows.tokens.shape, np.int32)
    starts[rows.start_row, rows.start_at] = 1
    return np.cumsum(starts, axis=1, dtype=np.int32)


def causal(rows: Rows) -> Examples:
    """The target of position p is token p + 1, and IGNORE from n_real - 1 on.

    The first token of a document is a target too, that of the end marker before it: the manifest's bits per byte
    divide by the bytes of all targets. Under document masks that end marker sees the document that it ends, and
    predicts the next one's first token without having seen any of it.
    """
    tokens = rows.tokens.astype(np.int64)
    t = tokens.shape[1] - 1
    asked = np.arange(t) < rows.n_real[:, None].astype(np.int64) - 1
    return Examples(
        inputs=torch.from_numpy(np.ascontiguousarray(tokens[:, :t])),
        targets=torch.from_numpy(np.where(asked, tokens[:, 1:], IGNORE)),
        documents=torch.from_numpy(np.ascontiguousarray(document_numbers(rows)[:, :t])),
    )


def masked(
    rows: Rows, *, seed: int, mask_id: int, special_ids: Iterable[int], vocab_size: int, rate: float = 0.15
) -> Examples:
    """Masked language modelling: BERT's 15 %, 80/10/10 (Devlin et al. 2019, arXiv:1810.04805, section 3.1).

    Of the first t tokens of a row each is chosen with probability `rate`: a target. Of the chosen, 80 % become
    `mask_id`, 10 % a token drawn evenly from all but `special_ids`, and 10 % stay. A special token (`mask_id` always
    is one) or padding is never chosen. What becomes of a token is a hash of (seed, sample, position): the same in any
    batch and on any rank, and another one each time that a row comes up again.

    Padding gets a document number of its own, so under document masks no text sees it; without them it is seen.
    The last token of a row is the first of the next, and is asked there.

    Raises ValueError where the rate is not from 0 to 1, or nothing is left to draw from.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"the rate of masked tokens is from 0 to 1, not {rate}")
    special = np.unique(np.array([*special_ids, mask_id], np.int64))
    ordinary = np.setdiff1d(np.arange(vocab_size), special)
    if not len(ordinary):
        raise ValueError(f"every token of a vocabulary of {vocab_size} is special")
    tokens = rows.tokens[:, :-1].astype(np.int64)
    t = tokens.shape[1]
    real = np.arange(t) < rows.n_real[:, None]
    first = _hashes(rows.samples, seed=seed, positions=t)
    choice, action = first >> np.uint64(32), first & np.uint64(0xFFFFFFFF)
    chosen = (choice < np.uint64(_share(rate))) & real & ~np.isin(tokens, special)
    # the upper half of a second hash times n, over 2**32: each of n tokens, even to within n / 2**32
    which = (mixed(first, _STEP) >> np.uint64(32)) * np.uint64(len(ordinary)) >> np.uint64(32)
    drawn = ordinary[which.astype(np.int64)]
    seen = np.where(action < np.uint64(_share(0.8)), mask_id, np.where(action < np.uint64(_share(0.9)), drawn, tokens))
    documents = np.where(real, document_numbers(rows)[:, :t], np.int32(PADDING_DOCUMENT))
    return Examples(
        inputs=torch.from_numpy(np.where(chosen, seen, tokens)),
        targets=torch.from_numpy(np.where(chosen, tokens, IGNORE)),
        documents=torch.from_numpy(documents),
    )


def loss_sum(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of cross entropies in nats, a float32 scalar, and its parts float32[b] by row.

    logits [b, t, v] of any float type, computed on in float32; targets int64[b, t], IGNORE counting 0.
    """
    flat = logits.flatten(0, 1).float()
    losses = functional.cross_entropy(flat, targets.flatten(), ignore_index=IGNORE, reduction="none")
    by_row = losses.view(targets.shape).sum(dim=1)
    return by_row.sum(), by_row


def _share(fraction: float) -> int:
    """How many of the 2**32 values of half a hash are that fraction of them."""
    return round(fraction * 2**32)


def _hashes(samples: npt.NDArray[np.int64], *, seed: int, positions: int) -> _U64:
    """uint64[n, positions]."""
    key = mixed(np.array([seed % 2**64], np.uint64), _STEP) ^ samples.astype(np.uint64)
    return mixed(mixed(key, _STEP)[:, None] ^ np.arange(positions, dtype=np.uint64), _STEP)
