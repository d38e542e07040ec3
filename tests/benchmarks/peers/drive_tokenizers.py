"""Hugging Face tokenizers, one thread: byte-level BPE learnt from texts, and texts encoded."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

from common import Figures, main, measured, merges_told, size_of, texts, tokens_told
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

BATCH = 1000


def learn(inputs: Path, scratch: Path) -> Figures:
    documents = texts(inputs)

    def work() -> Tokenizer:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=32_000, min_frequency=2, special_tokens=["<|endoftext|>", "<|pad|>", "<|mask|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        )
        tokenizer.train_from_iterator(documents, trainer)
        return tokenizer

    cost, tokenizer = measured(work)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    told = merges_told(" ".join(pair) for pair in merges)
    return Figures(cost=cost, documents=len(documents), size=size_of(documents), result=told)


def encode(inputs: Path, scratch: Path) -> Figures:
    documents = texts(inputs)
    tokenizer = Tokenizer.from_file(str(inputs / "tokenizer.json"))
    tokenizer.encode_special_tokens = True

    def work() -> list[list[int]]:
        ids: list[list[int]] = []
        for low in range(0, len(documents), BATCH):
            encoded = tokenizer.encode_batch(documents[low : low + BATCH], add_special_tokens=False)
            ids.extend(one.ids for one in encoded)
        return ids

    cost, ids = measured(work)
    told = tokens_told(chain.from_iterable(ids))
    return Figures(cost=cost, documents=len(documents), size=size_of(documents), result=told)


if __name__ == "__main__":
    main({"learn": learn, "encode": encode})
