"""Which documents a step trained on: the command behind `python -m trainer.order`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from schemas.errors import RunError
from trainer.batches import Batches, sample_rows
from trainer.dataset import open_data
from trainer.mapped import Mapped
from trainer.mixture import PlannedPhase, order_of, parse_mix

RUN_FILE = "run.json"


@dataclass(frozen=True, kw_only=True)
class Run:
    """run.json. `steps`: (first step, its first sample, global batch) of each stretch of steps of one global batch.
    `seq_len` 0: the stored one."""

    seed: int
    seq_len: int
    block_rows: int
    phases: tuple[PlannedPhase, ...]
    steps: tuple[tuple[int, int, int], ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one line a sample, or what is wrong; 1 for the latter."""
    parser = argparse.ArgumentParser(prog="python -m trainer.order", description="The documents behind a step.")
    parser.add_argument("--data", metavar="MANIFEST", help="shards/manifest.json; default: the one that run.json names")
    parser.add_argument("--at", required=True, type=int, metavar="STEP", help="as the log counts steps")
    parser.add_argument("--split", default="train")
    parser.add_argument("--run", metavar="RUN_FOLDER", help="take the rest from its run.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mix", metavar="SOURCE=WEIGHT,...", help="default: in proportion to the rows")
    parser.add_argument("--global-batch", type=int, help="samples a step; step 0 is the first without --run")
    parser.add_argument("--seq-len", type=int, help="default: the stored one")
    parser.add_argument("--block-rows", type=int, default=1)
    options = parser.parse_args(arguments)
    try:
        print("sample\tsource\tepoch\tshard\trow\tdocuments")
        for line in lines(options):
            print(line)
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def lines(options: argparse.Namespace) -> Iterator[str]:
    """Tab-separated: sample, source, epoch, shard's path, row in it, documents with a token in the sample."""
    if options.at < 0:
        raise RunError(f"--at {options.at}: steps are not negative")
    run = read_run(options.run) if options.run else _asked(options)
    samples = samples_of(run, options.at)
    phases = [phase for phase in run.phases if phase.start <= samples[-1]]
    data = open_data(options.data or phases[-1].data, verify="off")
    rows = sample_rows(data, options.split, run.seq_len or data.manifest.seq_len)
    if not options.run:
        phases = [replace(phases[0], dataset_id=data.manifest.dataset_id)]
    order = order_of(seed=run.seed, block_rows=run.block_rows, phases=phases, rows=rows,
                     dataset_id=data.manifest.dataset_id)
    if samples[0] < order.phases[0].start:
        raise RunError(f"step {options.at} begins at sample {samples[0]}, before data set "
                       f"{data.manifest.dataset_id} was drawn from, at sample {order.phases[0].start}")
    batches = Batches(data=data, split=options.split, order=order, seq_len=run.seq_len or data.manifest.seq_len)
    draw = order.draw(samples)
    for n, (shard, row, piece) in enumerate(batches.locate(samples)):
        documents = documents_of(data.mapped(shard), row, piece=piece, seq_len=batches.seq_len)
        yield "\t".join([str(samples[n]), shard.source, str(draw.epoch[n]), shard.path, str(row), " ".join(documents)])


def documents_of(mapped: Mapped, row: int, *, piece: int, seq_len: int) -> list[str]:
    """The documents with a token in piece `piece` of a row, targets included, in order, in hexadecimal."""
    first = piece * seq_len
    last = min(first + seq_len, int(mapped.n_real[row]) - 1)
    if last < first:
        return []
    ids = mapped.rows.column("doc_ids")[row].as_py()
    starts = mapped.starts[mapped.starts_at[row] : mapped.starts_at[row + 1]]
    continued = len(ids) - len(starts)
    low, high = (int(np.count_nonzero(starts <= at)) + continued - 1 for at in (first, last))
    return [document.hex() for document in ids[low : high + 1]]


def samples_of(run: Run, step: int) -> npt.NDArray[np.int64]:
    """The samples of a step. Raises RunError for one before the first that the run wrote down."""
    stretches = [s for s in run.steps if s[0] <= step]
    if not stretches:
        raise RunError(f"step {step}: the first step of the run is {min(s[0] for s in run.steps)}")
    first_step, first_sample, batch = max(stretches)
    return first_sample + (step - first_step) * batch + np.arange(batch)


def read_run(folder: str) -> Run:
    """RUN_FOLDER/run.json. Raises RunError unless it can be read and has what `Run` needs."""
    path = Path(folder) / RUN_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        phases = tuple(PlannedPhase(start=int(p["start"]), data=str(p["data"]), dataset_id=str(p["dataset_id"]),
                                    mix=dict(p["mix"])) for p in raw["phases"])
        steps = tuple((int(step), int(sample), int(batch)) for step, sample, batch in raw["steps"])
        run = Run(seed=int(raw["seed"]), seq_len=int(raw["seq_len"]), block_rows=int(raw["block_rows"]), phases=phases,
                  steps=steps)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: not the run.json of a training run ({error!r}); --run is the folder that was given to "
                       "trainer.train as --out") from error
    if not phases or not steps:
        raise RunError(f"{path}: no phases or no steps in it; has the run taken its first step?")
    return run


def _asked(options: argparse.Namespace) -> Run:
    """What the options say, where there is no run.json."""
    if not options.data or not options.global_batch or options.global_batch < 1:
        raise RunError("give --run RUN_FOLDER, or --data and --global-batch (--seed, --mix, --seq-len, --block-rows "
                       "as the run had them)")
    phase = PlannedPhase(start=0, data=options.data, dataset_id="", mix=parse_mix(options.mix) if options.mix else {})
    return Run(seed=options.seed, seq_len=options.seq_len or 0, block_rows=options.block_rows, phases=(phase,),
               steps=((0, 0, options.global_batch),))
