"""The learning rate of a step, as a pure function of it."""

from __future__ import annotations

import math

from trainer.settings import Settings


def learning_rate(step: int, settings: Settings) -> float:
    """Of step 1 to `steps`. Rises linearly to `lr` at step `warmup`, and ends at `lr * min_lr` at the last step.

    cosine: half a wave (Loshchilov and Hutter, SGDR, 2017, without restarts). linear: a line. wsd: `lr` until the last
    `decay` of the steps, then a line (Hu et al., MiniCPM, 2024, there with an exponential tail; Hägele et al., Scaling
    Laws and Compute-Optimal Training Beyond Fixed Training Durations, 2024, compare the shapes). Beyond the last step
    the rate stays.
    """
    if step < settings.warmup:
        return settings.lr * step / settings.warmup
    low = settings.lr * settings.min_lr
    tail = round(settings.decay * settings.steps)
    first = settings.steps - tail if settings.schedule == "wsd" else settings.warmup
    done = min(1.0, max(0, step - first) / max(1, settings.steps - first))
    left = (1 + math.cos(math.pi * done)) / 2 if settings.schedule == "cosine" else 1 - done
    return low + (settings.lr - low) * left
