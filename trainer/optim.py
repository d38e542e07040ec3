"""AdamW, with weight decay on matrices only."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from trainer.settings import Settings


def optimiser(model: nn.Module, settings: Settings) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019); gains of norms are not decayed."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    fused = all(p.device.type == "cuda" for p in parameters)
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(settings.beta1, settings.beta2), eps=1e-8, fused=fused)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def clip(parameters: Iterable[nn.Parameter], largest: float) -> torch.Tensor:
    """The gradient's norm over all ranks, before it is scaled down to `largest` (0: it is not)."""
    norm = torch.nn.utils.clip_grad_norm_(parameters, largest or float("inf"))
    return norm.full_tensor() if isinstance(norm, DTensor) else norm
