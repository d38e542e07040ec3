"""Which positions may look at which: document masks, and the two ways of computing attention under them.

`sdpa` is torch's scaled_dot_product_attention with a table of booleans, right everywhere and quadratic in memory.
`flex` is torch's flex_attention, which skips blocks of 128 x 128 pairs that no document has. It is meant for CUDA, and
for compiled blocks: elsewhere it is slow and torch warns, and on a CPU it has no backward. Without documents both are
the same unmasked or causal SDPA call.

Positions are not counted anew in each document: rotary embeddings depend on the distance of two positions only, and a
mask leaves only pairs of one document.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

Mask = Tensor | BlockMask | None
"""bool[b or 1, 1, queries, keys], True where a query may see a key; its block form; or None: no more than `causal`."""


def boolean_mask(documents: Tensor, *, causal: bool) -> Tensor:
    """bool[b, 1, t, t]: pairs of one document and, if `causal`, no key after its query. Every query sees itself."""
    same = documents[:, None, :, None] == documents[:, None, None, :]
    if not causal:
        return same
    t = documents.shape[1]
    return same & torch.ones(t, t, dtype=torch.bool, device=documents.device).tril()


def block_mask(documents: Tensor, *, causal: bool) -> BlockMask:
    """The same pairs as `boolean_mask`, for flex_attention."""
    b, t = documents.shape

    def visible(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        same = documents[batch, query] == documents[batch, key]
        return same & (key <= query) if causal else same

    return create_block_mask(visible, B=b, H=None, Q_LEN=t, KV_LEN=t, device=str(documents.device))


def continuation_mask(*, queries: int, keys: int, device: torch.device) -> Tensor:
    """bool[1, 1, queries, keys]: the queries are the last of the positions 0 to keys - 1, and see none after them."""
    at = torch.arange(keys - queries, keys, device=device)
    return (torch.arange(keys, device=device) <= at[:, None])[None, None]


def attend(query: Tensor, key: Tensor, value: Tensor, *, mask: Mask, causal: bool) -> Tensor:
    """softmax(query key^T / sqrt(d)) value, where `mask` allows; `causal` counts only without a mask.

    query[b, heads, t, d]; key and value [b, kv_heads, s, d], each serving heads / kv_heads neighbouring query heads
    (grouped-query attention, Ainslie et al. 2023, arXiv:2305.13245). Returns [b, heads, t, d].
    """
    grouped = query.shape[1] != key.shape[1]
    if isinstance(mask, BlockMask):
        mixed = flex_attention(query, key, value, block_mask=mask, enable_gqa=grouped)
        assert isinstance(mixed, Tensor)  # a tuple only where the log-sum-exp is asked for
        return mixed
    if mask is None:
        return functional.scaled_dot_product_attention(query, key, value, is_causal=causal, enable_gqa=grouped)
    if grouped:  # of the CUDA kernels that take a table of booleans, not all take fewer key heads than query heads
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


class LayerCache:
    """The keys and values of one block, [b, kv_heads, s, d] each, of the positions that went through it so far."""

    def __init__(self) -> None:
        self.key: Tensor | None = None
        self.value: Tensor | None = None

    def __len__(self) -> int:
        return 0 if self.key is None else self.key.shape[2]

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Appends those of t more positions; returns all."""
        if self.key is not None and self.value is not None:
            key, value = torch.cat([self.key, key], 2), torch.cat([self.value, value], 2)
        self.key, self.value = key, value
        return key, value

    def take(self, rows: Tensor) -> None:
        """Keeps these rows of the batch, int64[rows], in this order; one may be taken several times."""
        if self.key is not None and self.value is not None:
            self.key, self.value = self.key[rows], self.value[rows]
