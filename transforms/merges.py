"""Learning a byte-level BPE vocabulary from a table of pre-token counts.

Byte-pair encoding is Sennrich et al. 2016, arXiv 1508.07909; over bytes, Radford et al. 2019 (GPT-2). The merges, and
their order, are those that Hugging Face's `BpeTrainer` (tokenizers 0.23) learns from the same counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.merge_loop import merge_loop
from transforms.pretokens import add_counts, byte_alphabet

MAX_BYTES = (1 << 31) // 3 - 1
"""Bytes of distinct pre-tokens that can be learnt from: the loop numbers three records a byte with 32 bits."""
_BLOCK_WORDS = 1 << 14


@dataclass(frozen=True, kw_only=True)
class Bpe:
    """A vocabulary in id order (special tokens, 256 bytes in code point order, merged tokens) and the merges in rank
    order. Text is spelt in `byte_alphabet()`. Merge i makes the i-th merged token."""

    vocab: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]


def learn_merges(pretokens: pa.RecordBatch, *, vocab_size: int, min_count: int, special_tokens: tuple[str, ...]) -> Bpe:
    """The vocabulary of at most `vocab_size` tokens: the most frequent pair is merged, again and again, until none is
    left that occurs `min_count` times (0 and 1 mean the same). Ties: the smaller left id, then the smaller right id.

    `pretokens` is a table of `transforms.pretokens.COUNTS`, in any order. Memory grows with its distinct pre-tokens:
    50 to 60 bytes for each byte of them (measured on 235,056 of 3.1 MB). Raises ValueError where `vocab_size` has no
    room for the special tokens and 256 bytes, for a special token that text could spell too (see `_check_special`),
    and for a pre-token outside the byte alphabet; OverflowError where a pair's count could pass 2^63 - 1, or the table
    has over MAX_BYTES.
    """
    _check_special(special_tokens)
    base = len(special_tokens) + 256
    if vocab_size < base:
        raise ValueError(f"vocab_size is {vocab_size}: {len(special_tokens)} special tokens and 256 bytes are {base}")
    table = add_counts([pretokens])
    ranks, ends = _ranks(table.column("pretoken"))
    counts = table.column("count").to_numpy()
    _check_size(ends, counts)
    vocab = sorted(byte_alphabet())
    merges: list[tuple[str, str]] = []
    for left, right in merge_loop(ranks, ends, counts, vocab_size - base, min_count):
        merges.append((vocab[left], vocab[right]))
        vocab.append(vocab[left] + vocab[right])
    return Bpe(vocab=(*special_tokens, *vocab), merges=tuple(merges))


def _check_special(special_tokens: tuple[str, ...]) -> None:
    """Printable ASCII with a letter and a mark other than the apostrophe: GPT-2's split parts the two, so that no
    pre-token, hence no merged token, can be spelt so."""
    if len(set(special_tokens)) != len(special_tokens):
        raise ValueError(f"a special token comes twice: {special_tokens}")
    for token in special_tokens:
        printable = all("!" <= ch <= "~" for ch in token)
        marks = any(not ch.isalnum() and ch != "'" for ch in token)
        if not (printable and marks and any(ch.isalpha() for ch in token)):
            raise ValueError(
                f"special token {token!r} is not printable ASCII with a letter and a mark: text may spell it"
            )


def _check_size(ends: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> None:
    if ends[-1] > MAX_BYTES:
        raise OverflowError(f"{ends[-1]} bytes of distinct pre-tokens: at most {MAX_BYTES}")
    # Floating point cannot wrap; half of the limit leaves room for its rounding.
    if float(np.dot(counts.astype(np.float64), np.diff(ends))) >= 2.0**62:
        raise OverflowError("the pairs of all pre-tokens could pass 2^63 - 1")


def _ranks(pretokens: pa.StringArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Each character's place in the sorted alphabet, all words joined, and where each word ends, from 0."""
    lengths = pc.utf8_length(pretokens).to_numpy()
    ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    places = np.empty(int(ends[-1]), np.uint8)
    for start in range(0, len(pretokens), _BLOCK_WORDS):
        words = pretokens.slice(start, _BLOCK_WORDS)
        places[ends[start] : ends[start + len(words)]] = _places(words)
    return places, ends


def _places(pretokens: pa.StringArray) -> npt.NDArray[np.int64]:
    """The place of each of their characters. Takes 30 times their memory."""
    points = np.frombuffer("".join(pretokens.to_pylist()).encode("utf-32-le"), np.uint32)
    alphabet = np.array(sorted(map(ord, byte_alphabet())), np.uint32)
    places = np.searchsorted(alphabet, points)
    strange = alphabet[np.minimum(places, 255)] != points
    if strange.any():
        raise ValueError(f"{chr(points[strange.argmax()])!r} in a pre-token is no character of the byte alphabet")
    return places
