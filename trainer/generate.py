"""`python -m trainer.generate --model FOLDER --prompt TEXT`: what an exported model says.

A decoder continues the prompt. An encoder says what may stand where the prompt has `<|mask|>`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tokenizers import Tokenizer

from schemas.errors import RunError
from trainer.decoding import beam, fill, greedy, sample
from trainer.export import MASK, load_exported, raw_config
from trainer.model import Transformer

GUESSES = 5
"""Told for each mask."""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        print(answer(options))
    except RunError as error:
        print(f"trainer.generate: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    own = argparse.ArgumentParser(prog="python -m trainer.generate", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--model", type=Path, required=True, help="the folder that trainer.export wrote")
    own.add_argument("--prompt", required=True, help="text; empty: the beginning of a document")
    how = own.add_mutually_exclusive_group()
    how.add_argument("--greedy", action="store_true", help="the likeliest token each time (default: draw one)")
    how.add_argument("--beams", type=int, help="beam search of this width")
    own.add_argument("--top-k", type=int, default=0, help="draw among the k likeliest tokens; 0: all")
    own.add_argument("--top-p", type=float, default=1.0, help="draw among the likeliest that weigh p together")
    own.add_argument("--temperature", type=float, default=1.0, help="below 1 draws likelier tokens")
    own.add_argument("--seed", type=int, default=0, help="of the draws")
    own.add_argument("--max-tokens", type=int, default=64, help="to generate, at most")
    return own


def answer(options: argparse.Namespace) -> str:
    """What the command prints. Raises RunError on a wrong folder, prompt or option."""
    model, raw = load_exported(options.model), raw_config(options.model)
    path = options.model / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise RunError(f"{path}: {error}; export the model again") from error
    prompt = tokenizer.encode(options.prompt, add_special_tokens=False).ids
    try:
        if not model.config.causal:
            return _filled(model, tokenizer, prompt, mask_id=raw["mask_token_id"])
        return _continued(model, tokenizer, prompt, end_id=raw["eos_token_id"], options=options)
    except ValueError as error:
        raise RunError(f"{error}; see --help") from error


def _continued(
    model: Transformer, tokenizer: Tokenizer, prompt: list[int], *, end_id: int, options: argparse.Namespace
) -> str:
    start = prompt or [end_id]
    if options.greedy:
        found = greedy(model, start, max_tokens=options.max_tokens, end_id=end_id)
    elif options.beams is not None:
        found = beam(model, start, beams=options.beams, max_tokens=options.max_tokens, end_id=end_id)
    else:
        found = sample(model, start, max_tokens=options.max_tokens, end_id=end_id, seed=options.seed,
                       temperature=options.temperature, top_k=options.top_k, top_p=options.top_p)
    return str(tokenizer.decode(prompt + found))


def _filled(model: Transformer, tokenizer: Tokenizer, prompt: list[int], *, mask_id: int) -> str:
    if mask_id not in prompt:
        raise RunError(f"the prompt of an encoder needs a {MASK}: it says what may stand there")
    lines = []
    for number, guesses in enumerate(fill(model, prompt, mask_id=mask_id, top=GUESSES), 1):
        told = "  ".join(f"{tokenizer.decode([token])!r} {share:.3f}" for token, share in guesses)
        lines.append(f"{MASK} {number}: {told}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
