from __future__ import annotations

import cmath
import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from trainer.attention import attend, block_mask, boolean_mask
from trainer.model import ModelConfig, Transformer, rope_bits, rotate
from trainer.sizes import SIZES, config_of, flops_per_token, parameter_count

torch.set_num_threads(1)  # two threads over matrices this small wait for each other
CONFIG = ModelConfig(vocab_size=61, layers=3, width=64, heads=4, kv_heads=2, hidden=96, causal=True, qk_norm=True,
                     tied=True)
UNCOMPILED = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")


def model_of(seed: int = 1, **changes: Any) -> Transformer:
    model = Transformer(dataclasses.replace(CONFIG, **changes))
    model.initialise(seed)
    with torch.no_grad():  # beyond what a start has: norms and logits that differ, attention that is not flat
        draws = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.mul_(1 + torch.rand(parameter.shape, generator=draws) * 3)
    return model.eval()


def tokens_of(*shape: int, seed: int = 5, vocab: int = 61) -> Tensor:
    return torch.randint(0, vocab, shape, generator=torch.Generator().manual_seed(seed))


# what a size is

@pytest.mark.parametrize(("name", "millions"), [("30m", 30), ("124m", 124), ("350m", 350), ("774m", 774),
                                                ("1.5b", 1500)])
def test_a_name_is_the_count_of_parameters(name, millions):
    config = config_of(name, vocab_size=50_304, causal=True, qk_norm=False, tied=True, attention="sdpa")
    with torch.device("meta"):
        model = Transformer(config)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == parameter_count(config)
    assert abs(count / 1e6 / millions - 1) < 0.0125, count
    assert config.head_width == 64


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("qk_norm", [True, False])
def test_the_count_is_that_of_the_module(tied, qk_norm):
    config = dataclasses.replace(CONFIG, tied=tied, qk_norm=qk_norm)
    assert parameter_count(config) == sum(p.numel() for p in Transformer(config).parameters())


def test_the_operations_are_those_of_the_published_formula():
    """12 d**2 weights a block, where the hidden width is 8/3 of d: 6 (12 L d**2 + V d) + 12 L d T by hand."""
    config = config_of("124m", vocab_size=50_304, causal=True, qk_norm=True, tied=False, attention="sdpa")
    by_hand = 6 * (12 * 12 * 768**2 + 50_304 * 768) + 12 * 12 * 768 * 1024
    assert flops_per_token(config, 1024) == by_hand == 854_654_976
    grouped = dataclasses.replace(config, kv_heads=4)
    assert by_hand - flops_per_token(grouped, 1024) == 6 * 12 * 2 * 768 * (768 - 256)


def test_a_size_that_is_not_there_is_refused_by_name():
    with pytest.raises(ValueError, match="no model size '7b'; there are tiny, 30m"):
        config_of("7b", vocab_size=100, causal=True, qk_norm=False, tied=True, attention="sdpa")
    assert "tiny" in SIZES


@pytest.mark.parametrize(("changes", "what"), [
    ({"heads": 3}, "width of 64 is not 3 heads"), ({"heads": 64}, "even number"), ({"kv_heads": 3}, "3 key heads"),
    ({"layers": 0}, "at least 1"), ({"attention": "flash"}, "not 'flash'"),
])
def test_a_shape_that_cannot_be_is_refused(changes, what):
    with pytest.raises(ValueError, match=what):
        dataclasses.replace(CONFIG, **changes)


# its parts, against plain formulas

def test_rotary_positions_are_complex_rotations():
    x = torch.randn(2, 3, 7, 10, generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([0, 1, 2, 5, 77, 1000, 4095])
    turned = rotate(x, rope_bits(positions, head_width=10, base=500.0))
    for (b, h, t, i) in np.ndindex(2, 3, 7, 5):
        pair = complex(x[b, h, t, i], x[b, h, t, i + 5])
        wanted = pair * cmath.exp(1j * int(positions[t]) * 500.0 ** (-2 * i / 10))
        # an angle of up to 4,095 in float32 is right to 2.5e-4
        assert abs(wanted - complex(turned[b, h, t, i], turned[b, h, t, i + 5])) < 1e-3


def test_rotary_positions_are_computed_in_float32_whatever_the_weights_are():
    """In bf16 the angle of position 1,001 would be that of 1,000."""
    rope = rope_bits(torch.tensor([1000, 1001]), head_width=2, base=1e4)
    assert not rope.is_floating_point()
    turned = rotate(torch.tensor([1.0, 0.0], dtype=torch.bfloat16).expand(1, 1, 2, 2), rope)
    assert turned.dtype == torch.bfloat16
    for row, position in zip(turned[0, 0].tolist(), (1000, 1001), strict=True):
        assert row == pytest.approx([math.cos(position), math.sin(position)], abs=2**-8)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_grouped_queries_are_a_loop_over_heads(masked, causal):
    draws = torch.Generator().manual_seed(2)
    query, key, value = (torch.randn(2, heads, 9, 8, generator=draws) for heads in (6, 2, 2))
    documents = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 2, 2], [4, 4, 4, 4, 4, 4, 4, 4, 7]])
    mask = boolean_mask(documents, causal=causal) if masked else None
    found = attend(query, key, value, mask=mask, causal=causal)
    for b, h, t in np.ndindex(2, 6, 9):
        seen = [s for s in range(9) if (not causal or s <= t) and (not masked or documents[b, s] == documents[b, t])]
        weights = [math.exp(float(query[b, h, t] @ key[b, h // 3, s]) / math.sqrt(8)) for s in seen]
        wanted = sum(w * value[b, h // 3, s].double() for w, s in zip(weights, seen, strict=True)) / sum(weights)
        torch.testing.assert_close(found[b, h, t].double(), wanted, atol=1e-5, rtol=0)


@UNCOMPILED
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("t", [5, 128, 131, 300])
def test_flex_and_sdpa_agree(causal, t):
    draws = torch.Generator().manual_seed(t)
    query, key, value = (torch.randn(2, heads, t, 16, generator=draws) for heads in (4, 2, 2))
    documents = (torch.rand(2, t, generator=draws) < 8 / t).cumsum(1).int()
    assert documents.max() > 0
    by_flex = attend(query, key, value, mask=block_mask(documents, causal=causal), causal=causal)
    by_sdpa = attend(query, key, value, mask=boolean_mask(documents, causal=causal), causal=causal)
    torch.testing.assert_close(by_flex, by_sdpa, atol=1e-5, rtol=0)


# what a position may know

@UNCOMPILED
@pytest.mark.parametrize("attention", ["sdpa", "flex"])
@pytest.mark.parametrize("causal", [True, False])
@torch.no_grad()
def test_a_document_knows_nothing_of_the_others(causal, attention):
    model = model_of(causal=causal, attention=attention)
    tokens = tokens_of(2, 150)
    documents = torch.tensor([[0] * 60 + [1] * 90, [3] * 131 + [4] * 19], dtype=torch.int32)
    changed = torch.where(documents == documents[:, :1], (tokens + 1) % 61, tokens)
    before, after = model(tokens, documents), model(changed, documents)
    second = documents != documents[:, :1]
    assert (before[second] - after[second]).abs().max() <= 1e-6
    assert (before[~second] - after[~second]).abs().max() > 0.1
    assert (model(tokens)[second] - model(changed)[second]).abs().max() > 0.01  # unmasked it does
    if not causal:  # and an encoder's first document nothing of the second
        changed = torch.where(second, (tokens + 1) % 61, tokens)
        assert (before[~second] - model(changed, documents)[~second]).abs().max() <= 1e-6


@torch.no_grad()
def test_a_document_is_the_same_wherever_it_stands():
    """So positions need no new count in each document."""
    for causal in (True, False):
        model = model_of(causal=causal)
        tokens = tokens_of(1, 50)
        documents = torch.tensor([[0] * 20 + [1] * 30], dtype=torch.int32)
        torch.testing.assert_close(model(tokens, documents)[:, 20:], model(tokens[:, 20:]), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_decoder_does_not_look_ahead_and_an_encoder_does():
    tokens = tokens_of(2, 40)
    changed = torch.cat([tokens[:, :25], (tokens[:, 25:] + 1) % 61], 1)
    for documents in (None, torch.zeros(2, 40, dtype=torch.int32)):
        decoder, encoder = model_of(), model_of(causal=False)
        assert torch.equal(decoder(tokens, documents)[:, :25], decoder(changed, documents)[:, :25])
        assert (encoder(tokens, documents)[:, :25] - encoder(changed, documents)[:, :25]).abs().max() > 0.01


@torch.no_grad()
def test_one_document_is_no_mask():
    for causal in (True, False):
        model, tokens = model_of(causal=causal), tokens_of(2, 40)
        torch.testing.assert_close(model(tokens), model(tokens, torch.ones(2, 40, dtype=torch.int32)))


@torch.no_grad()
def test_a_cache_changes_nothing():
    model, tokens = model_of(), tokens_of(2, 30)
    whole, cache = model(tokens), model.new_cache()
    parts = [model(part, cache=cache) for part in tokens.split([7, 1, 1, 13, 1, 7], dim=1)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=2e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="decoder and without documents"):
        model(tokens, torch.zeros(2, 30, dtype=torch.int32), model.new_cache())
    with pytest.raises(ValueError, match="decoder and without documents"):
        model_of(causal=False)(tokens, cache=model.new_cache())
