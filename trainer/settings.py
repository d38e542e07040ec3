"""What a training run is told: one frozen dataclass, and the command line that fills it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from schemas.errors import RunError
from trainer.dataset import Verify
from trainer.sizes import SIZES

OBJECTIVES = ("clm", "mlm")
SCHEDULES = ("cosine", "linear", "wsd")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every option of `trainer.train`. What may change between two starts of a run, and what may not, is decided in
    `trainer.identity`."""

    data: str
    out: str
    objective: str = "clm"
    model: str = "124m"
    qk_norm: bool | None = None
    kv_heads: int | None = None
    tied: bool = True
    attention: str = "auto"
    document_masks: bool = True
    seq_len: int | None = None
    mix: str | None = None
    seed: int = 0
    block_rows: int = 1
    takedown: str | None = None
    verify: Verify = "sample"
    new_phase: bool = False
    steps: int = 1000
    global_batch: int = 64
    micro_batch: int = 8
    lr: float = 6e-4
    min_lr: float = 0.1
    schedule: str = "cosine"
    warmup: int = 100
    decay: float = 0.2
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0
    precision: str = "auto"
    compile: bool = False
    recompute: bool = False
    replicas: int = 1
    deterministic: bool = False
    timeout_s: float = 600.0
    checkpoint_every: int = 500
    keep: int = 3
    sync_checkpoints: bool = False
    eval_every: int = 250
    eval_rows: int = 512
    tensorboard: bool = True
    peak: bool = True


def parse(argv: Sequence[str] | None) -> Settings:
    """Raises RunError where two options do not fit, before anything is opened."""
    settings = Settings(**vars(_parser().parse_args(argv)))
    for name in ("steps", "global_batch", "micro_batch", "block_rows", "replicas", "checkpoint_every", "keep"):
        if getattr(settings, name) < 1:
            raise RunError(f"--{name.replace('_', '-')} {getattr(settings, name)}: give a number of at least 1.")
    if settings.warmup + round(settings.decay * settings.steps) > settings.steps and settings.schedule == "wsd":
        raise RunError(
            f"--warmup {settings.warmup} and --decay {settings.decay} of --steps {settings.steps} leave no steps "
            "between them. Lower one of them, or train for longer."
        )
    return settings


def as_json(settings: Settings) -> dict[str, object]:
    return asdict(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.train", allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__ and "Trains a model on the shards that pipelines.encode wrote.\n\n"
        "The same command goes on where a run was stopped or killed, on any number of processes.",
        epilog="one process:     python -m trainer.train --data OUT/shards/manifest.json --out RUN --model tiny\n"
        "eight GPUs:      torchrun --nproc-per-node 8 -m trainer.train --data ... --out RUN --compile\n"
        "several hosts:   torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \\\n"
        "                   -m trainer.train ...      (deploy/ has jobs for Slurm and Kubernetes)\n"
        "which documents were in a step:   python -m trainer.order --run RUN --at STEP",
    )
    _data(parser.add_argument_group("data"))
    _model(parser.add_argument_group("model"))
    _optimisation(parser.add_argument_group("optimisation"))
    _machine(parser.add_argument_group("machine"))
    _keeping(parser.add_argument_group("keeping and seeing"))
    return parser


def _data(group: argparse._ArgumentGroup) -> None:
    d = Settings(data="", out="")
    group.add_argument("--data", required=True, metavar="MANIFEST", help="shards/manifest.json of a finished output")
    group.add_argument("--mix", metavar="NAME=W,...", help="share of each source; default: by their rows")
    group.add_argument("--seq-len", type=int, metavar="N", help="targets a sample; must divide the stored row's")
    group.add_argument("--seed", type=int, default=d.seed, help="of order, masks and weights (%(default)s)")
    group.add_argument("--block-rows", type=int, default=d.block_rows, metavar="N",
                       help="shuffle blocks of N rows instead of single ones: for disks across a network (%(default)s)")
    group.add_argument("--takedown", metavar="FILE", help="documents, or rows of shards, that may no longer be read")
    group.add_argument("--verify", choices=("full", "sample", "off"), default=d.verify,
                       help="which shards' digests are checked at the start (%(default)s)")
    group.add_argument("--new-phase", action="store_true",
                       help="go on from the last checkpoint with another --data or --mix than it was made with")


def _model(group: argparse._ArgumentGroup) -> None:
    d = Settings(data="", out="")
    group.add_argument("--objective", choices=OBJECTIVES, default=d.objective,
                       help="clm: next token, a decoder; mlm: masked tokens, an encoder (%(default)s)")
    group.add_argument("--model", default=d.model, choices=tuple(SIZES), help="size (%(default)s)")
    group.add_argument("--qk-norm", action=argparse.BooleanOptionalAction, default=d.qk_norm,
                       help="normalise queries and keys; default: in decoders")
    group.add_argument("--kv-heads", type=int, metavar="N", help="grouped queries: heads of keys; default: the size's")
    group.add_argument("--tied", action=argparse.BooleanOptionalAction, default=d.tied,
                       help="one table for tokens that go in and come out")
    group.add_argument("--attention", choices=("auto", "sdpa", "flex"), default=d.attention,
                       help="auto: flex on a GPU where documents are masked and blocks compiled, else sdpa")
    group.add_argument("--document-masks", action=argparse.BooleanOptionalAction, default=d.document_masks,
                       help="no attention across documents")


def _optimisation(group: argparse._ArgumentGroup) -> None:
    d = Settings(data="", out="")
    group.add_argument("--steps", type=int, default=d.steps, help="optimiser steps (%(default)s)")
    group.add_argument("--global-batch", type=int, default=d.global_batch, metavar="N",
                       help="samples a step (%(default)s)")
    group.add_argument("--micro-batch", type=int, default=d.micro_batch, metavar="N",
                       help="samples at once on one device; the rest is accumulated (%(default)s)")
    group.add_argument("--lr", type=float, default=d.lr, help="highest learning rate (%(default)s)")
    group.add_argument("--min-lr", type=float, default=d.min_lr, metavar="F",
                       help="last rate, as a share of it (%(default)s)")
    group.add_argument("--schedule", choices=SCHEDULES, default=d.schedule, help="(%(default)s)")
    group.add_argument("--warmup", type=int, default=d.warmup, metavar="STEPS", help="(%(default)s)")
    group.add_argument("--decay", type=float, default=d.decay, metavar="F",
                       help="wsd: share of the steps that decay (%(default)s)")
    group.add_argument("--weight-decay", type=float, default=d.weight_decay, metavar="F",
                       help="of matrices (%(default)s)")
    group.add_argument("--beta1", type=float, default=d.beta1, help="of AdamW (%(default)s)")
    group.add_argument("--beta2", type=float, default=d.beta2, help="of AdamW (%(default)s)")
    group.add_argument("--clip", type=float, default=d.clip, help="largest norm of the gradient; 0: none (%(default)s)")


def _machine(group: argparse._ArgumentGroup) -> None:
    d = Settings(data="", out="")
    group.add_argument("--precision", choices=("auto", "bf16", "fp32"), default=d.precision,
                       help="of products; weights stay fp32. auto: bf16 on a GPU, else fp32")
    group.add_argument("--compile", action="store_true", help="torch.compile each block")
    group.add_argument("--recompute", action="store_true",
                       help="forget activations and compute them twice: less memory")
    group.add_argument("--replicas", type=int, default=d.replicas, metavar="N",
                       help="HSDP: copies of the weights, each spread over processes / N (%(default)s: FSDP)")
    group.add_argument("--deterministic", action="store_true", help="refuse operations that do not repeat bit for bit")
    group.add_argument("--timeout-s", type=float, default=d.timeout_s, metavar="S",
                       help="how long a process waits for the others before it gives up (%(default)s)")


def _keeping(group: argparse._ArgumentGroup) -> None:
    d = Settings(data="", out="")
    group.add_argument("--out", required=True, metavar="RUN",
                       help="folder of checkpoints and logs, seen by all processes")
    group.add_argument("--checkpoint-every", type=int, default=d.checkpoint_every, metavar="STEPS",
                       help="(%(default)s)")
    group.add_argument("--keep", type=int, default=d.keep, metavar="N", help="checkpoints to keep (%(default)s)")
    group.add_argument("--sync-checkpoints", action="store_true", help="wait for each to be written")
    group.add_argument("--eval-every", type=int, default=d.eval_every, metavar="STEPS", help="0: never (%(default)s)")
    group.add_argument("--eval-rows", type=int, default=d.eval_rows, metavar="N",
                       help="validation samples a source, always the same (%(default)s)")
    group.add_argument("--tensorboard", action=argparse.BooleanOptionalAction, default=d.tensorboard,
                       help="RUN/tensorboard beside RUN/metrics.jsonl")
    group.add_argument("--peak", action=argparse.BooleanOptionalAction, default=d.peak,
                       help="measure what the device can multiply at the start, for MFU")
