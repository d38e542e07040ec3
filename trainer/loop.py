"""One step of training, and the steps one after another."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule

from schemas.errors import RunError
from trainer.checkpoints import Checkpoints
from trainer.evaluation import Evaluation
from trainer.meter import Meter, Peaks, console, say
from trainer.objectives import IGNORE, Examples, loss_sum
from trainer.optim import clip, set_rate
from trainer.parallel import Team
from trainer.prefetch import Prefetch
from trainer.progress import Progress, to_state
from trainer.schedule import learning_rate
from trainer.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that the loop needs, ready. `read` gives this rank's examples of a step, on the CPU."""

    settings: Settings
    team: Team
    model: nn.Module
    optimiser: torch.optim.Optimizer
    read: Callable[[int], Examples]
    progress: Progress
    checkpoints: Checkpoints
    evaluation: Evaluation | None
    meter: Meter | None
    peaks: Peaks
    flops_per_token: float


def loop(run: Run) -> None:
    """Trains from the step after `progress` to the last. A SIGTERM ends it, after a checkpoint, in the next step.

    Raises RunError at a loss that is not a number."""
    settings, team = run.settings, run.team
    stop = _Asked(signal.SIGTERM)
    done, stopping = run.progress.step, False
    since = time.perf_counter()
    first, began = done, since
    with Prefetch(run.read, first=done + 1, step=1) as ahead:
        while done < settings.steps and not stopping:
            examples, waited = ahead.next()
            now = run.progress.after(done + 1)
            values = step(run, examples, number=done + 1)
            done += 1
            loss, stopped = (float(v) for v in team.sum(values["loss"], float(stop.heard)))
            stopping = stopped > 0
            took, since = time.perf_counter() - since, time.perf_counter()
            _check_loss(loss, run, now)
            _tell(run, now, {**values, "loss": loss}, waited=waited, took=took,
                  left=(settings.steps - done) * (since - began) / (done - first))
            if settings.eval_every and (done % settings.eval_every == 0 or done == settings.steps):
                _evaluate(run, done)
            run.checkpoints.settle(wait=False)
            if stopping or done % settings.checkpoint_every == 0 or done == settings.steps:
                run.checkpoints.save(run.model, run.optimiser, step=done, state=to_state(now))
            since = time.perf_counter()
    run.checkpoints.settle(wait=True)
    if stopping and team.first:
        say(f"SIGTERM: saved after step {done:,}. The same command goes on from there.")


def step(run: Run, examples: Examples, *, number: int) -> dict[str, Any]:
    """Makes one step with this rank's share of a global batch. The loss is the mean over all ranks' targets; `loss` in
    what is returned is this rank's part of it, on the device."""
    team, micro = run.team, run.settings.micro_batch
    targets = team.sum((examples.targets != IGNORE).sum())[0].clamp(min=1)
    total = torch.zeros((), dtype=torch.float64, device=team.device)
    parts = len(examples.inputs) // micro
    for part in range(parts):
        low, high = part * micro, (part + 1) * micro
        inputs = examples.inputs[low:high].to(team.device, non_blocking=True)
        wanted = examples.targets[low:high].to(team.device, non_blocking=True)
        documents = examples.documents
        if documents is not None:
            documents = documents[low:high].to(team.device, non_blocking=True)
        cast(FSDPModule, run.model).set_requires_gradient_sync(part == parts - 1)
        loss, _ = loss_sum(run.model(inputs, documents), wanted)
        torch.autograd.backward(loss * (team.world / targets).float())  # sharding takes the mean over the ranks
        total += loss.detach().double()
    rate = learning_rate(number, run.settings)
    set_rate(run.optimiser, rate)
    norm = clip(run.model.parameters(), run.settings.clip)
    run.optimiser.step()
    run.optimiser.zero_grad()
    return {"loss": total / targets, "grad_norm": norm, "lr": rate}


class _Asked:
    """Whether a signal has come."""

    def __init__(self, number: signal.Signals) -> None:
        self.heard = False
        signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.heard = True


def _check_loss(loss: float, run: Run, now: Progress) -> None:
    if not math.isfinite(loss):
        raise RunError(
            f"the loss of step {now.step:,} is {loss}, and nothing was saved of it. To see what it read: "
            f"python -m trainer.order --data {run.settings.data} --run {run.settings.out} --at {now.step}. "
            "Lower --lr; or remove the newest checkpoints, to go on from an older one."
        )


def _tell(run: Run, now: Progress, values: dict[str, Any], *, waited: float, took: float, left: float) -> None:
    if not run.meter:
        return
    batch, tokens = run.settings.global_batch, run.settings.global_batch * now.identity.seq_len
    rate = tokens / took
    values = {
        "step": now.step, **values, "grad_norm": float(values["grad_norm"]), "samples": now.next,
        "tokens": now.next * now.identity.seq_len, "tokens_per_s": rate, "step_ms": took * 1e3,
        "data_wait_ms": waited * 1e3, "world": run.team.world, "global_batch": batch,
        "memory_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None,
        **run.peaks.shares(rate * run.flops_per_token),
    }
    run.meter.event("step", values)
    if run.meter.due() or now.step == run.settings.steps:
        console(values, steps=run.settings.steps, seconds_left=left)


def _evaluate(run: Run, step: int) -> None:
    if run.evaluation is None:
        return
    found = run.evaluation.run(run.model, run.team)
    if run.meter:
        run.meter.event("evaluation", {"step": step, **found})
        bits = f", {found['bits_per_byte']:.4f} bits a byte" if "bits_per_byte" in found else ""
        each = "  ".join(f"{name} {values['loss']:.4f}" for name, values in found["sources"].items())
        say(f"step {step:,}  validation loss {found['loss']:.4f}{bits}  ({each})")
