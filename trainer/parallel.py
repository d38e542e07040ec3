"""The processes of a run: who they are, how they find each other, and how the model is spread over them."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from schemas.errors import RunError
from trainer.model import Transformer


@dataclass(frozen=True, kw_only=True)
class Team:
    """This process among the others. `mesh` has one dimension (FSDP), or two: replicate, shard (HSDP)."""

    rank: int
    world: int
    device: torch.device
    mesh: DeviceMesh

    @property
    def first(self) -> bool:
        return self.rank == 0

    def same(self, value: object, *, what: str) -> None:
        """Raises RunError on every rank unless all of them hold the same value."""
        values: list[object] = [None] * self.world
        dist.all_gather_object(values, value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise RunError(
                    f"{what} is {other!r} on rank {rank} and {values[0]!r} on rank 0. "
                    "Give every process the same command, and files that all of them see alike."
                )

    def told(self, value: object) -> object:
        """What rank 0 holds, on every rank."""
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def sum(self, *values: torch.Tensor | float) -> torch.Tensor:
        """float64[len(values)] on the device: the sums over all ranks."""
        total = torch.stack([torch.as_tensor(v, dtype=torch.float64, device=self.device) for v in values])
        dist.all_reduce(total)
        return total


@contextlib.contextmanager
def team(*, replicas: int = 1, timeout_s: float = 600.0) -> Iterator[Team]:
    """Joins the processes that torchrun started, or is the only one. Raises RunError where `replicas` does not fit."""
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if world % replicas:
        raise RunError(f"--replicas {replicas} does not divide {world} processes. Give one of its divisors.")
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=datetime.timedelta(seconds=timeout_s), rank=rank,
        world_size=world, store=None if "RANK" in os.environ else dist.HashStore(),  # type: ignore[attr-defined]
    )
    try:
        if replicas == 1:
            mesh = init_device_mesh(device.type, (world,), mesh_dim_names=("shard",))
        else:
            shape = (replicas, world // replicas)
            mesh = init_device_mesh(device.type, shape, mesh_dim_names=("replicate", "shard"))
        yield Team(rank=rank, world=world, device=device, mesh=mesh)
    finally:
        dist.destroy_process_group()


def spread(model: Transformer, team: Team, *, bf16: bool, recompute: bool, compiled: bool, accumulates: bool) -> None:
    """Recomputes, compiles and shards each block, in that order, then the rest of `model`, in place.

    Weights, gradients' sums and the optimiser's state are float32; with `bf16` the products are not. Weights stay
    gathered from the forward to the backward pass where a step accumulates: gathering them for every micro-batch again
    costs more than their room.
    """
    bf16_products = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    policy = bf16_products if bf16 else MixedPrecisionPolicy()
    for number in range(len(model.blocks)):
        if recompute:
            model.blocks[number] = checkpoint_wrapper(model.blocks[number])
        if compiled:
            model.blocks[number].compile()
        fully_shard(model.blocks[number], mesh=team.mesh, mp_policy=policy, reshard_after_forward=not accumulates)
    fully_shard(model, mesh=team.mesh, mp_policy=policy, reshard_after_forward=not accumulates)
