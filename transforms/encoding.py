"""Texts to token ids."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Tokenizer

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


def _batches(texts: pa.StringArray, batch_bytes: int) -> Iterator[tuple[int, int]]:
    """Ranges of texts of at most `batch_bytes` together; a longer text is alone."""
    ends = np.cumsum(pc.binary_length(texts).to_numpy(zero_copy_only=False), dtype=np.int64)
    low = 0
    while low < len(ends):
        before = int(ends[low - 1]) if low else 0
        high = max(low + 1, int(np.searchsorted(ends, before + batch_bytes, side="right")))
        yield low, high
        low = high
