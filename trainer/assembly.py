"""From settings and data to the parts of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from schemas.errors import RunError
from trainer.batches import Batches, sample_rows
from trainer.dataset import DataSet
from trainer.evaluation import Evaluation, fixed_set
from trainer.meter import Peaks, datasheet_peak, measured_peak, say
from trainer.mixture import PlannedPhase, check_rows, components_of, order_of, parse_mix
from trainer.model import Transformer
from trainer.objectives import Examples, causal, masked
from trainer.optim import optimiser
from trainer.order import Order, Phase
from trainer.parallel import Team, spread
from trainer.progress import Identity, Progress
from trainer.rows import Rows
from trainer.settings import Settings
from trainer.sizes import ModelConfig, config_of, parameter_count
from trainer.takedown import masked_rows, read_takedown

EVALUATION_SEED = 0x5EED
"""Of the masks of masked-LM evaluation: any number, always the same."""


def config_for(settings: Settings, data: DataSet, us: Team) -> ModelConfig:
    # flex makes one kernel of mask and attention, where it is compiled; else it writes out what sdpa does too
    worth_it = us.device.type == "cuda" and settings.document_masks and settings.compile
    flex = settings.attention == "flex" or (settings.attention == "auto" and worth_it)
    attention: Literal["sdpa", "flex"] = "flex" if flex else "sdpa"
    causal = settings.objective == "clm"
    qk_norm = causal if settings.qk_norm is None else settings.qk_norm  # transformers knows no encoder with it
    config = config_of(
        settings.model, vocab_size=data.manifest.vocab_size, causal=causal, qk_norm=qk_norm, tied=settings.tied,
        attention=attention,
    )
    try:
        return dataclasses.replace(config, kv_heads=settings.kv_heads or config.kv_heads)
    except ValueError as error:
        raise RunError(f"--kv-heads {settings.kv_heads}: {error}.") from error


def identity_of(settings: Settings, data: DataSet, config: ModelConfig) -> Identity:
    shape = dataclasses.asdict(config)
    del shape["attention"]  # another way to the same result
    return Identity(
        objective=settings.objective, model=shape, tokenizer_digest=data.manifest.tokenizer_digest,
        seed=settings.seed, seq_len=settings.seq_len or data.manifest.seq_len, block_rows=settings.block_rows,
    )


def phase_of(settings: Settings, data: DataSet) -> PlannedPhase:
    """What today's options say of the data, as if it were a run's first phase; the weights add up to 1."""
    components = components_of(
        samples_of(settings, data, "train"), parse_mix(settings.mix) if settings.mix else {}, where=settings.data
    )
    total = sum(c.weight for c in components)
    mix = {c.name: c.weight / total for c in components}
    return PlannedPhase(start=0, data=settings.data, dataset_id=data.manifest.dataset_id, mix=mix)


def samples_of(settings: Settings, data: DataSet, split: str) -> dict[str, int]:
    return sample_rows(data, split, settings.seq_len or data.manifest.seq_len)


def build(settings: Settings, config: ModelConfig, us: Team) -> tuple[Transformer, torch.optim.AdamW]:
    """The model, the same at any number of processes, spread over them; and its optimiser."""
    model = Transformer(config).to(us.device)
    model.initialise(settings.seed)
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and us.device.type == "cuda")
    accumulates = settings.global_batch > us.world * settings.micro_batch
    spread(model, us, bf16=bf16, recompute=settings.recompute, compiled=settings.compile, accumulates=accumulates)
    return model, optimiser(model, settings)


def reader(settings: Settings, data: DataSet, progress: Progress, us: Team) -> Callable[[int], Examples]:
    """Step to this rank's examples: its share of the global batch is one piece of the order."""
    identity = progress.identity
    order = order_of(
        seed=identity.seed, block_rows=identity.block_rows, phases=progress.phases,
        rows=samples_of(settings, data, "train"), dataset_id=data.manifest.dataset_id,
    )
    check_rows(order, global_batch=settings.global_batch, where=settings.data)
    batches = Batches(
        data=data, split="train", seq_len=identity.seq_len, order=order, masked=_masked(settings, data, "train")
    )
    examples = examples_of(settings, data, seed=settings.seed)
    share = settings.global_batch // us.world

    def read(step: int) -> Examples:
        low, _ = progress.samples(step)
        made = examples(batches.read(np.arange(low + us.rank * share, low + (us.rank + 1) * share)))
        return _pinned(made) if us.device.type == "cuda" else made

    return read


def _pinned(made: Examples) -> Examples:
    """In memory that a GPU can fetch from while it computes."""
    documents = None if made.documents is None else made.documents.pin_memory()
    return Examples(inputs=made.inputs.pin_memory(), targets=made.targets.pin_memory(), documents=documents)


def examples_of(settings: Settings, data: DataSet, *, seed: int) -> Callable[[Rows], Examples]:
    special = data.manifest.special_ids

    def examples(rows: Rows) -> Examples:
        if settings.objective == "clm":
            made = causal(rows)
        else:
            made = masked(
                rows, seed=seed, mask_id=special["<|mask|>"], special_ids=special.values(),
                vocab_size=data.manifest.vocab_size,
            )
        return made if settings.document_masks else dataclasses.replace(made, documents=None)

    return examples


def evaluation_for(settings: Settings, data: DataSet) -> Evaluation | None:
    """None where the data has no validation split, or none is asked for."""
    if "validation" not in data.manifest.splits:
        return None
    samples = samples_of(settings, data, "validation")
    rows = fixed_set(samples, most=settings.eval_rows)
    if not settings.eval_every or not rows:
        return None
    whole = Phase(start=0, components=components_of(samples, {}, where=settings.data))
    batches = Batches(
        data=data, split="validation", order=Order(seed=0, phases=(whole,)),
        seq_len=settings.seq_len or data.manifest.seq_len, masked=_masked(settings, data, "validation"),
    )
    return Evaluation(
        data=data, batches=batches, rows=rows, micro_batch=settings.micro_batch,
        examples=examples_of(settings, data, seed=EVALUATION_SEED), bytes_known=settings.objective == "clm",
    )


def peaks_of(settings: Settings, us: Team) -> Peaks:
    if not us.first:
        return Peaks(datasheet=None, measured=None)
    sheet = datasheet_peak(us.device)
    return Peaks(
        datasheet=sheet and sheet * us.world, measured=measured_peak(us.device) * us.world if settings.peak else None
    )


def first_words(settings: Settings, data: DataSet, config: ModelConfig, progress: Progress, us: Team) -> None:
    phase = progress.phases[-1]
    start = f"goes on after step {progress.step:,}" if progress.step else "begins"
    mix = ", ".join(f"{name} {share:.1%}" for name, share in phase.mix.items())
    where = f"{us.world} x {us.device.type}"
    say(f"{settings.model}: {parameter_count(config):,} parameters; {where}; {settings.out} {start}")
    samples = sum(n for name, n in samples_of(settings, data, "train").items() if phase.mix.get(name))
    say(f"data set {phase.dataset_id}: {samples:,} samples of {progress.identity.seq_len:,} tokens; {mix}")
    epochs = settings.steps * settings.global_batch / samples
    say(f"{settings.steps:,} steps of {settings.global_batch:,} samples read it {epochs:.2f} times")


def _masked(settings: Settings, data: DataSet, split: str) -> dict[str, npt.NDArray[np.int64]]:
    return masked_rows(data, split, read_takedown(settings.takedown)) if settings.takedown else {}
