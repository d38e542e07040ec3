"""Small models as `trainer.export` writes them, for the tests of exports and of generation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from trainer.export import export
from trainer.model import ModelConfig, Transformer
from transforms.merges import Bpe
from transforms.pretokens import byte_alphabet
from transforms.tokenizer_file import SPECIAL_TOKENS, tokenizer_json

torch.set_num_threads(1)  # two threads over matrices this small wait for each other
SPECIAL_IDS = {name: i for i, name in enumerate(SPECIAL_TOKENS)}
MERGES = (("t", "h"), ("th", "e"), ("i", "n"))
VOCAB = len(SPECIAL_TOKENS) + 256 + len(MERGES)
CONFIG: dict[str, Any] = {"vocab_size": VOCAB + 5, "layers": 2, "width": 48, "heads": 4, "kv_heads": 2, "hidden": 80,
                          "causal": True, "qk_norm": False, "tied": False}
"""Five ids more than the tokenizer has: a vocabulary rounded up."""


def model_of(seed: int = 1, **changes: Any) -> Transformer:
    """Weights far from where they begin: every norm another factor, logits of several units."""
    model = Transformer(ModelConfig(**(CONFIG | changes)))
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.copy_(0.5 + torch.rand(parameter.shape, generator=draws))
            else:
                scale = 1.0 if name.startswith("embed") else parameter.shape[1] ** -0.5
                parameter.copy_(torch.randn(parameter.shape, generator=draws) * scale * 1.5)
    return model.eval()


def write(model: Transformer, folder: Path) -> Path:
    """The folder of the export; the tokenizer's file is made beside it."""
    tokenizer = folder.parent / f"{folder.name}-tokenizer.json"
    tokenizer.parent.mkdir(parents=True, exist_ok=True)
    vocab = (*SPECIAL_TOKENS, *byte_alphabet(), *("".join(pair) for pair in MERGES))
    tokenizer.write_bytes(tokenizer_json(Bpe(vocab=vocab, merges=MERGES), special_tokens=SPECIAL_TOKENS))
    export(model.state_dict(), model.config, tokenizer_json=tokenizer, special_ids=SPECIAL_IDS, seq_len=128,
           folder=folder)
    return folder
