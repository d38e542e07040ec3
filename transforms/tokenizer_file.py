"""The tokenizer as a file: Hugging Face's `tokenizer.json`, and how to load it so that text cannot forge a marker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from transforms.merges import Bpe
from transforms.pretokens import byte_alphabet

END_OF_DOCUMENT = "<|endoftext|>"
"""Id 0: stands after each document in a packed row. The name is GPT-2's."""
PADDING = "<|pad|>"
"""Id 1: fills what is left of a last row."""
MASK = "<|mask|>"
"""Id 2: for masked-language-model training; never in a shard."""
SPECIAL_TOKENS = (END_OF_DOCUMENT, PADDING, MASK)
"""In id order, from 0."""


def tokenizer_json(bpe: Bpe, *, special_tokens: tuple[str, ...]) -> bytes:
    """The file, in UTF-8: BPE, GPT-2's split, bytes as characters, `special_tokens` as added tokens 0 to n - 1.

    The same arguments give the same bytes. Text encodes as GPT-2's would: no prefix space, no normalizer, nothing
    added around it. Raises ValueError unless the vocabulary begins with `special_tokens`.
    """
    if bpe.vocab[: len(special_tokens)] != special_tokens:
        raise ValueError(f"the vocabulary begins with {bpe.vocab[: len(special_tokens)]}, not {special_tokens}")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    split = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {token: i for i, token in enumerate(bpe.vocab)},
        "merges": bpe.merges,
    }
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": token, **flags} for i, token in enumerate(special_tokens)],
        "normalizer": None,
        "pre_tokenizer": split,
        "post_processor": None,
        "decoder": split,
        "model": model,
    }
    return (json.dumps(content, ensure_ascii=False, separators=(",", ":"))).encode()


def load_for_encoding(path_or_bytes: Path | bytes) -> Tokenizer:
    """A tokenizer for text from the web: `<|endoftext|>` in it is thirteen characters, never token 0.

    The added tokens are taken out before loading, so nothing looks for them in text, and no merge spells one
    (`transforms.merges`). The property `Tokenizer.encode_special_tokens` would do the same, but is lost when a
    tokenizer is pickled or copied (tokenizers 0.23). The ids are those of the file; a special id still decodes to its
    name, and `decode` does not skip it. Raises ValueError where the file has a part that could change the text
    or the ids: a normalizer, a post-processor, truncation or padding.
    """
    raw = path_or_bytes if isinstance(path_or_bytes, bytes) else path_or_bytes.read_bytes()
    content: dict[str, Any] = json.loads(raw)
    for part in ("normalizer", "post_processor", "truncation", "padding"):
        if content.get(part) is not None:
            raise ValueError(f"the tokenizer has a {part}: encoding would not keep the text as it is")
    vocab = content["model"]["vocab"]
    for token in content["added_tokens"]:
        if vocab.get(token["content"]) != token["id"]:
            raise ValueError(f"added token {token['content']!r} is not in the model's vocabulary as {token['id']}")
    content["added_tokens"] = []
    tokenizer: Tokenizer = Tokenizer.from_str(json.dumps(content, ensure_ascii=False))
    return tokenizer


def token_bytes(tokenizer: Tokenizer) -> npt.NDArray[np.int32]:
    """int32[vocabulary size]: how many bytes of text each token id stands for, 0 for a special token.

    Special is what no text can give: neither one byte nor the result of a merge. So a tokenizer from
    `load_for_encoding` and one with its added tokens give the same. Raises ValueError where ids have gaps.
    """
    model = json.loads(tokenizer.to_str())["model"]
    text = set(byte_alphabet()) | {left + right for left, right in model["merges"]}
    vocab = tokenizer.get_vocab(with_added_tokens=True)
    if sorted(vocab.values()) != list(range(len(vocab))):
        raise ValueError("the token ids are not 0 to n - 1")
    sizes = np.zeros(len(vocab), np.int32)
    for token, i in vocab.items():
        sizes[i] = len(token) if token in text else 0
    return sizes
