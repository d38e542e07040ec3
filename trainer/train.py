"""Trains a model on the shards that pipelines.encode wrote: `python -m trainer.train --help`."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch

from schemas.errors import RunError
from trainer import checkpoints
from trainer.assembly import build, config_for, evaluation_for, first_words, identity_of, peaks_of, phase_of, reader
from trainer.dataset import DataSet, open_data
from trainer.loop import Run, loop
from trainer.meter import metered
from trainer.parallel import Team, team
from trainer.progress import Identity, Progress, begin, from_state, go_on, to_state
from trainer.settings import Settings, as_json, parse
from trainer.sizes import flops_per_token


def run(argv: Sequence[str] | None) -> None:
    settings = parse(argv)
    with team(replicas=settings.replicas, timeout_s=settings.timeout_s) as us:
        train(settings, us)


def train(settings: Settings, us: Team) -> None:
    """Trains, or goes on. Raises RunError before the first step if the options do not fit the data or the run."""
    if settings.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only so
    torch.use_deterministic_algorithms(settings.deterministic)
    _check_batch(settings, us)
    data = open_data(settings.data, verify=settings.verify, rank=us.rank, world=us.world)
    config = config_for(settings, data, us)
    identity = identity_of(settings, data, config)
    us.same((data.manifest.dataset_id, identity), what="the data set and the run")
    out = Path(settings.out)
    found = checkpoints.latest(out)
    us.same(found and found.step, what=f"the last checkpoint in {out}")
    progress = _progress(settings, data, identity, found)
    read = reader(settings, data, progress, us)
    model, adam = build(settings, config, us)
    if found:
        checkpoints.restore(found, model, adam)
    with metered(out, first=us.first, tensorboard=settings.tensorboard) as meter:
        if meter:
            checkpoints.write_whole(out / "run.json", json.dumps(to_state(progress), indent=1) + "\n")
            meter.event("start", {"settings": as_json(settings), "world": us.world, "from_step": progress.step})
            first_words(settings, data, config, progress, us)
        loop(Run(
            settings=settings, team=us, model=model, optimiser=adam, progress=progress, meter=meter, read=read,
            checkpoints=checkpoints.Checkpoints(out, us, keep=settings.keep, beside=not settings.sync_checkpoints),
            evaluation=evaluation_for(settings, data), peaks=peaks_of(settings, us),
            flops_per_token=flops_per_token(config, identity.seq_len),
        ))


def _check_batch(settings: Settings, us: Team) -> None:
    share = us.world * settings.micro_batch
    if settings.global_batch % share:
        raise RunError(
            f"--global-batch {settings.global_batch} is not a multiple of {us.world} processes x --micro-batch "
            f"{settings.micro_batch} = {share}. Change one of the three."
        )


def _progress(settings: Settings, data: DataSet, identity: Identity, found: checkpoints.Saved | None) -> Progress:
    phase = phase_of(settings, data)
    if found is None:
        return begin(identity, phase, global_batch=settings.global_batch)
    return go_on(
        from_state(found.state), identity, phase, global_batch=settings.global_batch, new_phase=settings.new_phase
    )


def main() -> None:
    """Ends the process at once when it failed: the others must not wait for its threads."""
    try:
        run(None)
    except KeyboardInterrupt:
        _end("interrupted. The same command goes on from the last checkpoint.")
    except RunError as error:
        _end(str(error))
    except Exception:
        traceback.print_exc()
        _end("a fault, see above. The same command goes on from the last checkpoint.")


def _end(message: str) -> None:
    rank = f" (rank {os.environ['RANK']})" if int(os.environ.get("WORLD_SIZE", "1")) > 1 else ""
    print(f"winnow{rank}: {message}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(1)


if __name__ == "__main__":
    main()
