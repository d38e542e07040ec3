"""tiktoken with the vocabulary that winnow learnt, so nothing is downloaded."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

import tiktoken
from common import Figures, main, measured, size_of, texts, tokens_told

PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
"""GPT-2's split, which ByteLevel makes."""


def byte_of() -> dict[str, int]:
    """The byte that each character of a byte-level vocabulary stands for: GPT-2's table."""
    itself = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in itself]
    return {chr(b): b for b in itself} | {chr(256 + k): b for k, b in enumerate(others)}


def encode(inputs: Path, scratch: Path) -> Figures:
    documents = texts(inputs)
    content = json.loads((inputs / "tokenizer.json").read_text(encoding="utf-8"))
    special = {token["content"]: token["id"] for token in content["added_tokens"]}
    table = byte_of()
    vocabulary = content["model"]["vocab"].items()
    ranks = {bytes(table[c] for c in token): n for token, n in vocabulary if token not in special}
    encoding = tiktoken.Encoding("winnow", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=special)
    cost, ids = measured(lambda: [encoding.encode_ordinary(text) for text in documents])
    told = tokens_told(chain.from_iterable(ids))
    return Figures(cost=cost, documents=len(documents), size=size_of(documents), result=told)


if __name__ == "__main__":
    main({"encode": encode})
