"""Gradients: one batch is learnt by heart, in parts or whole, compiled or not."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from trainer.attention import boolean_mask
from trainer.model import ModelConfig, Transformer, rope_bits
from trainer.objectives import IGNORE, loss_sum

torch.set_num_threads(1)  # two threads over matrices this small wait for each other
CONFIG = ModelConfig(vocab_size=32, layers=2, width=64, heads=4, kv_heads=2, hidden=128, causal=True, qk_norm=True,
                     tied=True)


def model_of(**changes: object) -> Transformer:
    model = Transformer(dataclasses.replace(CONFIG, **changes))  # type: ignore[arg-type]
    model.initialise(1)
    return model


def batch(*shape: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(4)
    tokens = torch.randint(0, 32, (shape[0], shape[1] + 1), generator=draws)
    documents = (torch.rand(shape, generator=draws) < 0.1).cumsum(1).int()
    return tokens[:, :-1], tokens[:, 1:], documents


@pytest.mark.parametrize(("causal", "qk_norm", "tied"), [
    (True, True, True), (True, False, False), (False, False, True),
])
def test_one_batch_is_learnt_by_heart(causal, qk_norm, tied):
    """Random tokens in one document each: nothing but memory helps, and ln 32 = 3.47 is where it starts."""
    model = model_of(causal=causal, qk_norm=qk_norm, tied=tied)
    inputs, targets, _ = batch(4, 16)
    if not causal:  # what an encoder can see is no question: hide it
        inputs, targets = torch.where(inputs % 2 == 0, 0, inputs), torch.where(inputs % 2 == 0, inputs, IGNORE)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    count, losses = int((targets != IGNORE).sum()), []
    for _ in range(150):
        loss = loss_sum(model(inputs, torch.zeros_like(inputs, dtype=torch.int32)), targets)[0] / count
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    assert abs(losses[0] - math.log(32 if causal else 16)) < (0.3 if causal else 1.0)
    assert losses[-1] < 0.02


def test_gradients_in_parts_are_those_of_the_whole():
    model, (inputs, targets, documents) = model_of(), batch(6, 24)
    targets = targets.clone()
    targets[0, 5:], targets[3, :] = IGNORE, IGNORE
    count = int((targets != IGNORE).sum())

    def gradients(sizes: list[int]) -> list[torch.Tensor]:
        model.zero_grad()
        for part in zip(inputs.split(sizes), documents.split(sizes), targets.split(sizes), strict=True):
            (loss_sum(model(part[0], part[1]), part[2])[0] / count).backward()
        return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]

    whole = gradients([6])
    assert len(whole) == len(list(model.parameters()))
    for sizes in ([1] * 6, [4, 2], [3, 3]):
        for one, other in zip(gradients(sizes), whole, strict=True):
            torch.testing.assert_close(one, other, atol=1e-6 * float(other.abs().max()) + 1e-9, rtol=1e-5)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_block_compiles_without_a_break(backend):
    torch._dynamo.reset()
    model, (inputs, _, documents) = model_of(), batch(2, 24)
    block, rope = model.blocks[0], rope_bits(torch.arange(24), head_width=16, base=1e4)
    compiled = torch.compile(block, fullgraph=True, backend=backend)
    for mask in (None, boolean_mask(documents, causal=True)):
        x = model.embed(inputs).detach() * 50
        plain, fused = _with_gradients(block, x, rope, mask), _with_gradients(compiled, x, rope, mask)
        for one, other in zip(fused, plain, strict=True):
            torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


def _with_gradients(block, x, rope, mask) -> list[torch.Tensor]:
    block.zero_grad()
    out = block(x, rope, mask)
    out.square().sum().backward()
    return [out.detach()] + [parameter.grad.clone() for parameter in block.parameters()]
