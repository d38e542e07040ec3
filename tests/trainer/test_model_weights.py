"""How the weights begin, and that they are the same however they are sharded."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trainer.model import ModelConfig, Transformer

torch.set_num_threads(1)  # two threads over matrices this small wait for each other
ROOT = Path(__file__).parents[2]
CONFIG = ModelConfig(vocab_size=67, layers=2, width=64, heads=4, kv_heads=2, hidden=96, causal=True, qk_norm=True,
                     tied=False)


def state_of(seed: int, config: ModelConfig = CONFIG) -> dict[str, torch.Tensor]:
    model = Transformer(config)
    model.initialise(seed)
    return model.state_dict()


def test_a_start_is_a_function_of_the_seed():
    torch.manual_seed(1)
    first = state_of(7)
    torch.manual_seed(2)
    again, other = state_of(7), state_of(8)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if first[name].dim() == 2)
    with torch.device("meta"):
        model = Transformer(CONFIG)
    with pytest.raises(ValueError, match="weight is on meta"):
        model.initialise(7)
    model.to_empty(device="cpu")
    model.initialise(7)
    assert all(torch.equal(first[name], tensor) for name, tensor in model.state_dict().items())


def test_a_parameter_draws_for_itself():
    """Others may come or go: the blocks of a deeper, tied model without QK-norm begin as these, up to the scale."""
    deeper = ModelConfig(vocab_size=67, layers=8, width=64, heads=4, kv_heads=2, hidden=96, causal=False,
                         qk_norm=False, tied=True)
    first, second = state_of(7), state_of(7, deeper)
    assert torch.equal(first["embed.weight"], second["embed.weight"])
    name = "blocks.1.attention.output.weight"
    torch.testing.assert_close(first[name], second[name] * 2)
    equal = {name for name in first for other in first if name < other and first[name].shape == first[other].shape
             and first[name].dim() == 2 and torch.equal(first[name], first[other])}
    assert not equal


def test_the_scale_is_gpt_2s():
    config = ModelConfig(vocab_size=500, layers=8, width=128, heads=4, kv_heads=4, hidden=512, causal=True,
                         qk_norm=True, tied=True)
    for name, tensor in state_of(3, config).items():
        if tensor.dim() == 1:
            assert torch.equal(tensor, torch.ones_like(tensor))
            continue
        residual = "attention.output" in name or "mlp.down" in name
        std = 0.02 / (math.sqrt(16) if residual else 1)
        # the spread of a sample's deviation is std / sqrt(2 n)
        assert abs(tensor.std() / std - 1) < 5 / math.sqrt(2 * tensor.numel()), name
        assert abs(tensor.mean()) < 5 * std / math.sqrt(tensor.numel()), name


RANK = """
import os, sys, torch, torch.distributed as dist
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from tests.trainer.test_model_weights import CONFIG, Transformer, state_of
torch.set_num_threads(1)
rank, world = int(sys.argv[1]), int(sys.argv[2])
dist.init_process_group("gloo", init_method="file://" + sys.argv[3], rank=rank, world_size=world)
mesh = dist.init_device_mesh("cpu", (world,))
half = MixedPrecisionPolicy(param_dtype=torch.bfloat16)
whole = state_of(7)
for late in (False, True):
    with torch.device("meta"):
        model = Transformer(CONFIG)
    if not late:
        model.to_empty(device="cpu")
        model.initialise(7)
    for block in model.blocks:
        fully_shard(block, mesh=mesh, mp_policy=half)
    fully_shard(model, mesh=mesh, mp_policy=half)
    if late:
        model.to_empty(device="cpu")
        model.initialise(7)
    for name, tensor in model.state_dict().items():
        assert tensor.to_local().numel() < whole[name].numel() or world == 1, name
        assert torch.equal(tensor.full_tensor(), whole[name]), (late, name)
plain = Transformer(CONFIG)
plain.load_state_dict(whole)
plain.to(torch.bfloat16)
tokens = torch.arange(2000).remainder(67)[None]
documents = (torch.arange(2000) // 900).int()[None]
sharded = model(tokens, documents)
assert sharded.dtype == torch.bfloat16
assert torch.equal(sharded, plain(tokens, documents)), (sharded - plain(tokens, documents)).abs().max()
sharded.float().sum().backward()
assert all(parameter.grad is not None for parameter in model.parameters())
dist.destroy_process_group()
"""


def test_two_ranks_hold_the_weights_and_the_logits_of_one(tmp_path):
    """Initialised before sharding or after; and in bf16 no rank computes its rotary positions in bf16."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    ranks = [
        subprocess.Popen([sys.executable, "-c", RANK, str(rank), "2", str(tmp_path / "store")], cwd=ROOT,
                         env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for rank in range(2)
    ]
    try:
        told = [rank.communicate(timeout=120)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], told
