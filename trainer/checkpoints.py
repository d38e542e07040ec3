"""RUN/checkpoints/step-00000500/: the run after a step, complete when its COMPLETE is there and never before.

A checkpoint is written by all ranks (torch.distributed.checkpoint), beside the training unless told otherwise, and can
be read by any number of them. Only rank 0 writes COMPLETE, once all ranks' files are on disk; only then are older
checkpoints removed. What a killed run left without it is removed when its place is needed, or when a later one is
complete.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save, save

from schemas.errors import RunError
from trainer.parallel import Team

COMPLETE = "COMPLETE"
_AGAIN = "Mend that, and give the same command again: it goes on from the checkpoint before"
_NAME = re.compile(r"step-(\d{8})")


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A complete checkpoint. `state` is what the loop wanted kept beside weights and moments."""

    folder: Path
    step: int
    state: dict[str, Any]


def latest(run: Path) -> Saved | None:
    """The complete checkpoint of the last step. Raises RunError where its marker cannot be read."""
    steps = sorted(_complete_steps(run), reverse=True)
    return saved(run, steps[0]) if steps else None


def saved(run: Path, step: int) -> Saved:
    """Raises RunError where the checkpoint of that step is not complete, naming those that are."""
    folder = _folder(run, step)
    try:
        return Saved(folder=folder, step=step, state=json.loads((folder / COMPLETE).read_text()))
    except FileNotFoundError as error:
        there = ", ".join(map(str, sorted(_complete_steps(run)))) or "none"
        raise RunError(f"{folder}: there is no complete checkpoint. Complete are those of steps: {there}.") from error
    except ValueError as error:
        raise RunError(f"{folder / COMPLETE}: {error}. Remove {folder}: the one before is taken then.") from error


def restore(checkpoint: Saved, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Fills model and optimiser, spread as they are now, in place."""
    weights, moments = get_state_dict(model, optimiser)
    state: dict[str, Any] = {"model": weights, "optimiser": moments}
    with _readable(checkpoint.folder, "read", "Remove it: the one before is taken then"):
        load(state, checkpoint_id=checkpoint.folder)
    set_state_dict(model, optimiser, model_state_dict=state["model"], optim_state_dict=state["optimiser"])


def weights_of(checkpoint: Saved, model: nn.Module) -> dict[str, torch.Tensor]:
    """The whole weights of a checkpoint, in one process without others; `model` says their names and shapes."""
    state: dict[str, Any] = {"model": get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))}
    with _readable(checkpoint.folder, "read", "Give another --step"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)  # which is what we asked for
        load(state, checkpoint_id=checkpoint.folder, no_dist=True)
    whole: dict[str, torch.Tensor] = state["model"]
    return whole


class Checkpoints:
    """Writes checkpoints, one at a time. `settle` must be called now and then, and at the end with `wait`."""

    def __init__(self, run: Path, team: Team, *, keep: int, beside: bool) -> None:
        self._run, self._team, self._keep, self._beside = run, team, keep, beside
        # a group of their own: those who write must not speak on the line on which the training does
        self._line: Any = torch.distributed.new_group(backend="gloo") if beside else None
        self._writing: tuple[int, dict[str, Any], Future[Any]] | None = None

    def save(self, model: nn.Module, optimiser: torch.optim.Optimizer, *, step: int, state: dict[str, Any]) -> None:
        """Takes a copy, and writes it beside the training, after what is still being written."""
        self.settle(wait=True)
        folder = _folder(self._run, step)
        if self._team.first:
            shutil.rmtree(folder, ignore_errors=True)  # what a killed run left of it
            folder.mkdir(parents=True)
        torch.distributed.barrier()
        weights, moments = get_state_dict(model, optimiser)
        whole = {"model": weights, "optimiser": moments}
        if self._beside:
            self._writing = (step, state, self._begin(whole, folder))
        else:
            with _readable(folder, "written", _AGAIN):
                save(whole, checkpoint_id=folder)
            self._complete(step, state)

    def _begin(self, whole: dict[str, Any], folder: Path) -> Future[Any]:
        future = async_save(whole, checkpoint_id=folder, process_group=self._line)
        assert isinstance(future, Future)  # AsyncSaveResponse only comes from other stagers
        return future

    def settle(self, *, wait: bool) -> None:
        """Completes the checkpoint that is being written, if all its files are on disk. Raises what went wrong."""
        if self._writing and (wait or self._writing[2].done()):
            step, state, future = self._writing
            self._writing = None
            with _readable(_folder(self._run, step), "written", _AGAIN):
                future.result()
            self._complete(step, state)

    def _complete(self, step: int, state: dict[str, Any]) -> None:
        """On rank 0 a checkpoint is written only when all ranks have told it that theirs are."""
        if not self._team.first:
            return
        write_whole(_folder(self._run, step) / COMPLETE, json.dumps(state, indent=1, sort_keys=True) + "\n")
        kept = sorted(_complete_steps(self._run))[-self._keep :]
        for path in (self._run / "checkpoints").iterdir():
            found = _NAME.fullmatch(path.name)
            if found and int(found[1]) not in kept and int(found[1]) < step:
                (path / COMPLETE).unlink(missing_ok=True)  # first: what is half removed must not look whole
                shutil.rmtree(path)


@contextlib.contextmanager
def _readable(folder: Path, done: str, remedy: str) -> Iterator[None]:
    """What torch raises is no Exception, and a traceback of every rank: the ranks' own words are its last lines."""
    try:
        yield
    except CheckpointException as error:
        words = "; ".join(f"rank {rank}: {failure[0]}" for rank, failure in sorted(error.failures.items()))
        raise RunError(f"{folder} could not be {done}: {words}. {remedy}.") from error


def write_whole(path: Path, text: str) -> None:
    """Writes a small file so that it is there whole or not at all, even after a loss of power."""
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _folder(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:08d}"


def _complete_steps(run: Path) -> list[int]:
    folder = run / "checkpoints"
    names = [p.name for p in folder.iterdir() if (p / COMPLETE).exists()] if folder.is_dir() else []
    return [int(found[1]) for name in names if (found := _NAME.fullmatch(name))]
