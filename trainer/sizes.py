"""The model's sizes: a frozen configuration, the shapes that have names, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A decoder (`causal`) or a bidirectional encoder. Widths are in channels; `hidden` is the SwiGLU's inner width.

    `qk_norm` normalises each head's queries and keys, as Qwen3 does (arXiv:2505.09388). `tied` uses the embedding as
    the output matrix. `rope_base` is that of Su et al. 2021 (arXiv:2104.09864), `norm_eps` that of LLaMA
    (arXiv:2302.13971). `attention`: how document masks are computed (`trainer.attention`).

    Raises ValueError where the heads do not divide the width into an even number of channels, or the key heads the
    heads.
    """

    vocab_size: int
    layers: int
    width: int
    heads: int
    kv_heads: int
    hidden: int
    causal: bool
    qk_norm: bool
    tied: bool
    rope_base: float = 10000.0
    norm_eps: float = 1e-6
    attention: Literal["sdpa", "flex"] = "sdpa"

    def __post_init__(self) -> None:
        if min(self.vocab_size, self.layers, self.width, self.heads, self.kv_heads, self.hidden) < 1:
            raise ValueError(f"every size must be at least 1: {self}")
        if self.width % (2 * self.heads):
            raise ValueError(f"a width of {self.width} is not {self.heads} heads of an even number of channels")
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.kv_heads} key heads do not divide {self.heads} heads")
        if self.attention not in ("sdpa", "flex"):
            raise ValueError(f"attention is sdpa or flex, not {self.attention!r}")

    @property
    def head_width(self) -> int:
        return self.width // self.heads


@dataclass(frozen=True, kw_only=True)
class Size:
    """The part of a configuration that a name stands for."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    hidden: int


SIZES: dict[str, Size] = {
    "tiny": Size(layers=4, width=128, heads=4, kv_heads=2, hidden=384),
    "30m": Size(layers=6, width=384, heads=6, kv_heads=6, hidden=1024),
    "124m": Size(layers=12, width=768, heads=12, kv_heads=12, hidden=2048),
    "350m": Size(layers=24, width=1024, heads=16, kv_heads=16, hidden=2688),
    "774m": Size(layers=36, width=1280, heads=20, kv_heads=20, hidden=3456),
    "1.5b": Size(layers=48, width=1600, heads=25, kv_heads=25, hidden=4096),
}
"""Layers, width and heads from 124m on are GPT-2's (Radford et al. 2019, table 2). Three matrices of 8/3 of the width
weigh as much as GPT-2's two of 4 (Shazeer 2020, arXiv:2002.05202); `hidden` is the multiple of 128 near it with which
the name is the count of parameters, within 1 %, tied, at GPT-2's vocabulary rounded up to 50,304. `tiny` is for tests
and CPUs, where the vocabulary is most of the model."""


def config_of(
    size: str, *, vocab_size: int, causal: bool, qk_norm: bool, tied: bool, attention: Literal["sdpa", "flex"]
) -> ModelConfig:
    """The configuration of a named size. Raises ValueError, with the names, where there is no such size."""
    if size not in SIZES:
        raise ValueError(f"no model size {size!r}; there are {', '.join(SIZES)}")
    s = SIZES[size]
    return ModelConfig(vocab_size=vocab_size, layers=s.layers, width=s.width, heads=s.heads, kv_heads=s.kv_heads,
                       hidden=s.hidden, causal=causal, qk_norm=qk_norm, tied=tied, attention=attention)


def parameter_count(config: ModelConfig) -> int:
    """Every parameter once: the embedding, which is the output matrix too if `tied`, the blocks and the norms."""
    norms = (2 * config.layers + 1) * config.width + config.qk_norm * config.layers * 2 * config.head_width
    return _block_matrices(config) + (1 if config.tied else 2) * config.vocab_size * config.width + norms


def flops_per_token(config: ModelConfig, seq_len: int) -> int:
    """Floating-point operations of forward and backward for one token of a row of `seq_len`.

    6 for each weight of a matrix that multiplies it, the output matrix included and the embedding, a look-up, not; and
    12 * layers * width * seq_len for attention: PaLM's count (Chowdhery et al. 2022, arXiv:2204.02311, appendix B).
    As there, attention counts in full: a causal or a document mask halves the work, not the count, and what
    activation checkpointing computes again does not count. A model FLOPs utilisation (MFU) is comparable only so.
    """
    weights = _block_matrices(config) + config.vocab_size * config.width
    return 6 * weights + 12 * config.layers * config.width * seq_len


def _block_matrices(config: ModelConfig) -> int:
    attention = 2 * config.width * (config.heads + config.kv_heads) * config.head_width
    return config.layers * (attention + 3 * config.width * config.hidden)
