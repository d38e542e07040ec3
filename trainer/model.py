"""One transformer: a decoder, or with `causal=False` a bidirectional encoder of the same blocks.

Pre-norm blocks as in LLaMA (Touvron et al. 2023, arXiv:2302.13971): RMSNorm, rotary positions, SwiGLU, no biases.
Weights mean the same as in the checkpoints of Llama, Qwen3 and EuroBERT, so `trainer.export` only renames them.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn import functional

from trainer.attention import LayerCache, Mask, attend, block_mask, boolean_mask, continuation_mask
from trainer.sizes import SIZES, ModelConfig, config_of, flops_per_token, parameter_count

__all__ = ["SIZES", "ModelConfig", "Transformer", "config_of", "flops_per_token", "parameter_count"]

INIT_STD = 0.02
"""Of every matrix: GPT-2's (Radford et al. 2018, section 4.1)."""

Cache = list[LayerCache]
"""One for each block."""


def rope_bits(positions: Tensor, *, head_width: int, base: float) -> Tensor:
    """int32[2, t, head_width / 2]: cosines and sines of the angles position * base ** (-2i / head_width), as bits.

    They are float32 in disguise: FSDP2 casts every floating-point argument of a block to the precision it computes
    in, and bf16 keeps 8 bits of a sine. Being neither parameter nor buffer, they need no loading and no materialising.
    """
    powers = torch.arange(0, head_width, 2, device=positions.device, dtype=torch.float32) / head_width
    angles = positions.float()[:, None] * (1.0 / base**powers)
    return torch.stack([angles.cos(), angles.sin()]).view(torch.int32)


def rotate(x: Tensor, rope: Tensor) -> Tensor:
    """x[b, heads, t, d], channel i and i + d/2 turned as a pair by the angles of `rope_bits`; computed in float32."""
    cos, sin = rope.view(torch.float32)
    left, right = x.float().chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head_width, self.causal = config.head_width, config.causal
        keys = config.kv_heads * config.head_width
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key = nn.Linear(config.width, keys, bias=False)
        self.value = nn.Linear(config.width, keys, bias=False)
        self.output = nn.Linear(config.width, config.width, bias=False)
        self.query_norm = nn.RMSNorm(config.head_width, eps=config.norm_eps) if config.qk_norm else nn.Identity()
        self.key_norm = nn.RMSNorm(config.head_width, eps=config.norm_eps) if config.qk_norm else nn.Identity()

    def forward(self, x: Tensor, rope: Tensor, mask: Mask, cache: LayerCache | None) -> Tensor:
        query, key, value = (
            matrix(x).unflatten(-1, (-1, self.head_width)) for matrix in (self.query, self.key, self.value)
        )
        query = rotate(self.query_norm(query).transpose(1, 2), rope)
        key, value = rotate(self.key_norm(key).transpose(1, 2), rope), value.transpose(1, 2)
        if cache is not None:
            key, value = cache.extend(key, value)
        mixed = attend(query, key, value, mask=mask, causal=self.causal)
        out: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return out


class SwiGLU(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(functional.silu(self.gate(x)) * self.up(x))
        return out


class Block(nn.Module):
    """The unit that is sharded, compiled and recomputed."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.width, eps=config.norm_eps)
        self.attention = Attention(config)
        self.mlp_norm = nn.RMSNorm(config.width, eps=config.norm_eps)
        self.mlp = SwiGLU(config)

    def forward(self, x: Tensor, rope: Tensor, mask: Mask = None, cache: LayerCache | None = None) -> Tensor:
        """x[b, t, width] to the same. `rope` from `rope_bits`."""
        x = x + self.attention(self.attention_norm(x), rope, mask, cache)
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class Transformer(nn.Module):
    """Tokens to logits. Without `initialise` or loading, its weights are torch's defaults, or nothing on meta."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, eps=config.norm_eps)
        # tied has no second module: two names of one tensor come apart in `to_empty`, and stand twice in a checkpoint
        self.head = None if config.tied else nn.Linear(config.width, config.vocab_size, bias=False)

    def forward(self, tokens: Tensor, documents: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """tokens int64[b, t] to logits [b, t, vocab_size], in the precision of the weights.

        documents   int32[b, t]: a position sees only those of its own number in its row; None: no such mask
        cache       those of the positions before `tokens`, from `new_cache`; it grows by t. Decoders only

        Raises ValueError where a cache comes with documents or an encoder.
        """
        if cache is not None and (documents is not None or not self.config.causal):
            raise ValueError("a cache goes with a decoder and without documents")
        before = len(cache[0]) if cache is not None else 0
        at = torch.arange(before, before + tokens.shape[1], device=tokens.device)
        rope = rope_bits(at, head_width=self.config.head_width, base=self.config.rope_base)
        mask = self._mask(documents)
        if before:
            mask = continuation_mask(queries=tokens.shape[1], keys=before + tokens.shape[1], device=tokens.device)
        x = self.embed(tokens)
        for layer, block in enumerate(self.blocks):
            x = block(x, rope, mask, cache[layer] if cache is not None else None)
        x = self.norm(x)
        return functional.linear(x, self.embed.weight) if self.head is None else self.head(x)

    def _mask(self, documents: Tensor | None) -> Mask:
        if documents is None:
            return None
        make = block_mask if self.config.attention == "flex" else boolean_mask
        return make(documents, causal=self.config.causal)

    def new_cache(self) -> Cache:
        return [LayerCache() for _ in self.blocks]

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Fills every parameter: norms with 1, matrices from N(0, 0.02), a function of seed, name and shape alone.

        The two matrices of a block that write to the residual stream are scaled by 1 / sqrt(2 * layers), the number of
        such additions (GPT-2: Radford et al. 2019, section 2.3). Each rank draws whole tensors on its CPU, in
        float32, and keeps its part, so the weights are the same before `fully_shard` and after it, at any world size
        and on any device. After wrappers that rename parameters it gives other weights: call it before those.
        Raises ValueError on a parameter that is still on meta: `to_empty(device=...)` comes first.
        """
        for name, parameter in self.named_parameters():
            if parameter.is_meta:
                raise ValueError(f"{name} is on meta: call to_empty(device=...) before initialise")
            value = _initial(name, tuple(parameter.shape), seed=seed, layers=self.config.layers)
            if isinstance(parameter, DTensor):  # src_data_rank=None: each rank cuts its own part, nothing is sent
                value = distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements,
                                          src_data_rank=None)
            parameter.copy_(value)


def _initial(name: str, shape: tuple[int, ...], *, seed: int, layers: int) -> Tensor:
    if len(shape) == 1:
        return torch.ones(shape)
    key = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()
    draws = torch.Generator().manual_seed(int.from_bytes(key, "big") >> 1)
    residual = name.endswith(("attention.output.weight", "mlp.down.weight"))
    return torch.empty(shape).normal_(0.0, INIT_STD / (math.sqrt(2 * layers) if residual else 1.0), generator=draws)
