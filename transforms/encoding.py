"""Texts to token ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Tokenizer

Tokens = npt.NDArray[np.unsignedinteger[Any]]
"""Token ids, uint16 or uint32."""
BATCH_BYTES = 1 << 20
"""Text encoded at a time: an encoding holds about a hundred bytes a token until its ids are copied out."""


def encode_texts(
    tokenizer: Tokenizer, texts: pa.StringArray, *, batch_bytes: int = BATCH_BYTES
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """The token ids of all texts one after another, and the number of ids of each text.

    No special token is added, and none is recognised: a page that spells `<|endoftext|>` gives the ids of those
    thirteen characters, so no text can forge a boundary. For that `tokenizer.encode_special_tokens` is switched on,
    and left on. The ids depend on neither `batch_bytes` nor the number of the tokenizer's threads.

    Raises ValueError if a text is null, and if the tokenizer is set to truncate or pad, which would lose text.
    """
    if texts.null_count:
        raise ValueError(f"{texts.null_count} of {len(texts)} texts are null")
    if tokenizer.truncation is not None or tokenizer.padding is not None:
        raise ValueError("the tokenizer truncates or pads; call its no_truncation() and no_padding() first")
    tokenizer.encode_special_tokens = True
    lengths = np.zeros(len(texts), np.int64)
    chunks = [np.empty(0, np.uint32)]
    for low, high in _batches(texts, batch_bytes):
        encodings = tokenizer.encode_batch_fast(texts[low:high].to_pylist(), add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        lengths[low:high] = [len(i) for i in ids]
        chunks.extend(np.array(i, np.uint32) for i in ids)
    return np.concatenate(chunks), lengths


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Documents, tokenised, in order: 16-byte ids, language codes, tokens a document, all tokens one after another,
    UTF-8 bytes a document."""

    ids: pa.FixedSizeBinaryArray
    languages: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    tokens: Tokens
    text_bytes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def stream_tokens(self) -> int:
        """Tokens with an end marker after each document."""
        return len(self.tokens) + len(self.lengths)

    def reaching(self, stream_tokens: int) -> int:
        """How many documents, at least one, it takes to have `stream_tokens`; all of them if they have fewer."""
        ends = np.cumsum(self.lengths + 1)
        return min(int(np.searchsorted(ends, stream_tokens)) + 1, len(self))

    def take(self, low: int, high: int) -> Encoded:
        """The documents from number `low` to before number `high`."""
        first, last = int(self.lengths[:low].sum()), int(self.lengths[:high].sum())
        return Encoded(
            ids=self.ids.slice(low, high - low), languages=self.languages[low:high], lengths=self.lengths[low:high],
            tokens=self.tokens[first:last], text_bytes=self.text_bytes[low:high],
        )

    @staticmethod
    def of(pieces: Sequence[Encoded]) -> Encoded:
        """Pieces joined, in their order."""
        empty = [np.zeros(0, np.int64)]
        tokens: list[Tokens] = [p.tokens for p in pieces] or [np.zeros(0, np.uint16)]
        return Encoded(
            ids=pa.concat_arrays([pa.array([], pa.binary(16)), *(p.ids for p in pieces)]),
            languages=np.concatenate(empty + [p.languages for p in pieces]),
            lengths=np.concatenate(empty + [p.lengths for p in pieces]),
            tokens=np.concatenate(tokens),
            text_bytes=np.concatenate(empty + [p.text_bytes for p in pieces]),
        )


def sums_by_language(
    documents: Encoded, words: npt.NDArray[np.int64], *, languages: Sequence[str]
) -> dict[str, dict[str, int]]:
    """What the documents of each language come to: `documents`, `bytes`, `words` and `tokens`, end markers left out.
    `words` [documents] are counted elsewhere. Languages of which there is no document are not named."""
    sums = np.zeros((len(languages), 4), np.int64)
    each = [np.ones(len(documents), np.int64), documents.text_bytes, words, documents.lengths]
    np.add.at(sums, documents.languages, np.stack(each, axis=1))
    there = np.flatnonzero(sums[:, 0]).tolist()
    names = ("documents", "bytes", "words", "tokens")
    return {name: {languages[k]: int(sums[k, i]) for k in there} for i, name in enumerate(names)}


def encode_documents(tokenizer: Tokenizer, documents: pa.RecordBatch, *, languages: Sequence[str]) -> Encoded:
    """Rows of clean/ (id, text, language), tokenised; tokens are uint16 where the vocabulary fits. Raises ValueError at
    a language that is not in `languages`."""
    texts = documents.column("text")
    tokens, lengths = encode_texts(tokenizer, texts)
    small = tokenizer.get_vocab_size() <= 1 << 16
    codes = {name: code for code, name in enumerate(languages)}
    found = documents.column("language").to_pylist()
    if unknown := sorted(set(found) - codes.keys()):
        raise ValueError(f"documents in {', '.join(unknown)}, which is none of {', '.join(languages)}")
    return Encoded(
        ids=documents.column("id"), languages=np.array([codes[name] for name in found], np.int64), lengths=lengths,
        tokens=tokens.astype(np.uint16) if small else tokens,
        text_bytes=pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64),
    )


def _batches(texts: pa.StringArray, batch_bytes: int) -> Iterator[tuple[int, int]]:
    """Ranges of texts of at most `batch_bytes` together; a longer text is alone."""
    ends = np.cumsum(pc.binary_length(texts).to_numpy(zero_copy_only=False), dtype=np.int64)
    low = 0
    while low < len(ends):
        before = int(ends[low - 1]) if low else 0
        high = max(low + 1, int(np.searchsorted(ends, before + batch_bytes, side="right")))
        yield low, high
        low = high
