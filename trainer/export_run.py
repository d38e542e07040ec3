"""`python -m trainer.export --run RUN --output FOLDER`: a checkpoint as a model that `transformers` loads."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import xxhash

from schemas.errors import RunError
from trainer.checkpoints import Saved, latest, saved, weights_of
from trainer.dataset import DataSet, describe
from trainer.export import export
from trainer.model import Transformer
from trainer.progress import from_state
from trainer.sizes import ModelConfig, parameter_count


def run(argv: Sequence[str] | None) -> None:
    asked = _parser().parse_args(argv)
    checkpoint = saved(asked.run, asked.step) if asked.step is not None else latest(asked.run)
    if checkpoint is None:
        raise RunError(f"{asked.run}: there is no complete checkpoint. Train first: python -m trainer.train --help")
    progress = from_state(checkpoint.state)
    data = describe(asked.data or progress.phases[-1].data)
    config = ModelConfig(**progress.identity.model)
    tokenizer = tokenizer_of(data, progress.identity.tokenizer_digest, asked.tokenizer)
    export(
        _weights(checkpoint, config), config, tokenizer_json=tokenizer, special_ids=data.manifest.special_ids,
        seq_len=progress.identity.seq_len, folder=asked.output,
    )
    print(f"{asked.output}: {parameter_count(config):,} parameters after step {checkpoint.step:,}.")
    print(f"Try it: python -m trainer.generate --model {asked.output} --prompt 'The'")


def tokenizer_of(data: DataSet, digest: str, given: Path | None) -> Path:
    """Where tokenizer.json lies: as given, or where pipelines.clean wrote it.

    Raises RunError unless its digest is the run's."""
    path = given or Path(data.path).parent.parent / "tokenizer" / "tokenizer.json"
    try:
        found = xxhash.xxh3_128_hexdigest(path.read_bytes())
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}. Give the tokenizer's path as --tokenizer.") from error
    if found != digest:
        raise RunError(
            f"{path}: its digest is {found}, and the run's tokenizer is {digest}. Give that one's path as --tokenizer."
        )
    return path


def _weights(checkpoint: Saved, config: ModelConfig) -> dict[str, torch.Tensor]:
    return weights_of(checkpoint, Transformer(config))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.export", description=__doc__, allow_abbrev=False)
    parser.add_argument("--run", type=Path, required=True, metavar="RUN", help="--out of trainer.train")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where the model is written")
    parser.add_argument("--step", type=int, metavar="N", help="of which checkpoint; default: the last complete one")
    parser.add_argument("--data", metavar="MANIFEST", help="the shards' manifest, where it has moved since")
    parser.add_argument("--tokenizer", type=Path, metavar="FILE",
                        help="default: tokenizer/tokenizer.json of the output that holds the shards")
    return parser


def main() -> None:
    try:
        run(None)
    except RunError as error:
        sys.exit(f"winnow: {error}")
