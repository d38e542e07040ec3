"""Weights as Hugging Face keeps them, so that `transformers` loads them, and back. Neither way needs `transformers`.

    decoder               LlamaForCausalLM
    decoder with QK-norm  Qwen3ForCausalLM
    encoder               EuroBertForMaskedLM (Boizard et al. 2025, arXiv:2503.05500)

The matrices are the same, only their names differ: Llama's rotary pairs are channels i and i + d/2, as ours.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from schemas.errors import RunError
from trainer.model import ModelConfig, Transformer

END, PADDING, MASK = "<|endoftext|>", "<|pad|>", "<|mask|>"
"""The special tokens of winnow's tokenizers, as the manifest's `special_ids` names them."""

_OUTSIDE = {
    "embed.weight": "model.embed_tokens.weight", "norm.weight": "model.norm.weight", "head.weight": "lm_head.weight",
}
_INSIDE = {
    "attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm",
    "attention.query": "self_attn.q_proj", "attention.key": "self_attn.k_proj", "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj", "attention.query_norm": "self_attn.q_norm",
    "attention.key_norm": "self_attn.k_norm", "mlp.gate": "mlp.gate_proj", "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
}


def export(
    model_state: Mapping[str, Tensor], config: ModelConfig, *, tokenizer_json: Path, special_ids: Mapping[str, int],
    seq_len: int, folder: Path,
) -> None:
    """Writes model.safetensors, config.json, generation_config.json, tokenizer.json and tokenizer_config.json.

    model_state     whole tensors (no DTensor) by `Transformer`'s names, kept in the precision that they have
    special_ids     as in the shard manifest, by token; END and PADDING must be there, and MASK for an encoder
    seq_len         positions the model was trained on: the limit that `transformers` warns about
    folder          made if need be; files of the same names are replaced, config.json last

    Raises RunError where no architecture of `transformers` has what the configuration asks for, and ValueError where
    the tensors are not the configuration's.
    """
    architecture, kind = _architecture(config)
    needed = {END, PADDING} if config.causal else {END, PADDING, MASK}
    if missing := sorted(needed - special_ids.keys()):
        raise ValueError(f"special_ids lacks {', '.join(missing)}")
    _check(model_state, config)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {_exported(name): tensor.detach().cpu().contiguous() for name, tensor in model_state.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(tokenizer_json, folder / "tokenizer.json")
    ids = {"bos_token_id": special_ids[END], "eos_token_id": special_ids[END], "pad_token_id": special_ids[PADDING]}
    _write(folder / "tokenizer_config.json", _tokenizer(special_ids, seq_len=seq_len))
    if config.causal:
        _write(folder / "generation_config.json", {"_from_model_config": True, **ids})
    dtype = str(model_state["embed.weight"].dtype).removeprefix("torch.")
    masks = {} if config.causal else {"mask_token_id": special_ids[MASK]}
    _write(folder / "config.json", {
        "architectures": [architecture], "model_type": kind, "dtype": dtype, "torch_dtype": dtype,
        **_sizes(config, seq_len=seq_len), **ids, **masks,
    })


def load_exported(folder: Path) -> Transformer:
    """The model of a folder that `export` wrote, on the CPU, in the precision of the file, not in training mode.

    Raises RunError where the folder is another thing.
    """
    config = config_of_export(folder)
    with torch.device("meta"):
        model = Transformer(config)
    try:
        tensors = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise RunError(f"{folder / 'model.safetensors'}: {error}; export the model again") from error
    state = {_own(name): tensor for name, tensor in tensors.items()}
    try:
        _check(state, config)
    except ValueError as error:
        raise RunError(f"{folder}: {error}; export the model again") from error
    model.load_state_dict(state, assign=True)
    return model.eval()


def config_of_export(folder: Path) -> ModelConfig:
    """The configuration that config.json states. Raises RunError where it is not one of ours."""
    raw = raw_config(folder)
    try:
        kinds = {"llama": (True, False), "qwen3": (True, True), "eurobert": (False, False)}
        causal, qk_norm = kinds[raw["model_type"]]
        return ModelConfig(
            vocab_size=raw["vocab_size"], layers=raw["num_hidden_layers"], width=raw["hidden_size"],
            heads=raw["num_attention_heads"], kv_heads=raw["num_key_value_heads"], hidden=raw["intermediate_size"],
            causal=causal, qk_norm=qk_norm, tied=raw["tie_word_embeddings"],
            rope_base=raw["rope_parameters"]["rope_theta"], norm_eps=raw["rms_norm_eps"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder / 'config.json'}: not a model that trainer.export wrote ({error!r}); "
                       "give the folder that it wrote") from error


def raw_config(folder: Path) -> dict[str, Any]:
    """config.json. Raises RunError where there is none."""
    try:
        raw = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{folder / 'config.json'}: {error}; give the folder that trainer.export wrote") from error
    return raw if isinstance(raw, dict) else {}


def _architecture(config: ModelConfig) -> tuple[str, str]:
    if config.causal:
        return ("Qwen3ForCausalLM", "qwen3") if config.qk_norm else ("LlamaForCausalLM", "llama")
    if config.qk_norm:
        raise RunError("export of an encoder with QK-norm: transformers has no such model (EuroBERT has no QK-norm); "
                       "train the encoder without it to export it")
    return "EuroBertForMaskedLM", "eurobert"


def _sizes(config: ModelConfig, *, seq_len: int) -> dict[str, Any]:
    """`rope_theta` stands twice: `transformers` reads it from rope_parameters from version 5 on, and alone before."""
    return {
        "vocab_size": config.vocab_size, "hidden_size": config.width, "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers, "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads, "head_dim": config.head_width, "hidden_act": "silu",
        "max_position_embeddings": seq_len, "rms_norm_eps": config.norm_eps, "rope_theta": config.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_base}, "attention_bias": False,
        "mlp_bias": False, "attention_dropout": 0.0, "initializer_range": 0.02, "tie_word_embeddings": config.tied,
        "use_cache": config.causal,
    }


def _tokenizer(special_ids: Mapping[str, int], *, seq_len: int) -> dict[str, Any]:
    """A document begins after an end marker, so that is the beginning token too, as in GPT-2; none is added to text."""
    masks = {"mask_token": MASK} if MASK in special_ids else {}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END, "pad_token": PADDING, **masks,
        "model_max_length": seq_len, "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }


def _check(state: Mapping[str, Tensor], config: ModelConfig) -> None:
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in Transformer(config).state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise ValueError(f"{len(wrong)} tensors are not the configuration's: first {name}, {found.get(name, 'absent')} "
                         f"instead of {wanted.get(name, 'absent')}")


def _exported(name: str) -> str:
    if block := re.fullmatch(r"blocks\.(\d+)\.(.+)\.weight", name):
        return f"model.layers.{block[1]}.{_INSIDE[block[2]]}.weight"
    return _OUTSIDE[name]


def _own(name: str) -> str:
    """The inverse of `_exported`; a name that it cannot give stays as it is."""
    if block := re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", name):
        inside = {theirs: ours for ours, theirs in _INSIDE.items()}
        return f"blocks.{block[1]}.{inside.get(block[2], block[2])}.weight"
    return {theirs: ours for ours, theirs in _OUTSIDE.items()}.get(name, name)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    from trainer.export_run import main

    main()
