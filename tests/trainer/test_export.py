from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from schemas.errors import RunError
from tests.trainer.exported import CONFIG, SPECIAL_IDS, VOCAB, model_of, write
from trainer.export import export, load_exported

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what transformers imports; its calls in the tests are held to no warning
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle of an export")

DECODERS: list[dict[str, Any]] = [
    {"qk_norm": qk_norm, "tied": tied, "kv_heads": kv_heads, "rope_base": base}
    for qk_norm, tied, kv_heads, base in [
        (False, False, 4, 1e4), (False, True, 2, 5e5), (True, False, 1, 1e4), (True, True, 2, 1e4)]
]
ENCODERS: list[dict[str, Any]] = [{"causal": False, "tied": False, "kv_heads": 2},
                                  {"causal": False, "tied": True, "kv_heads": 4, "rope_base": 5e5}]
TEXT = "the thin 数 theatre"


def loaded(folder: Path) -> Any:
    automatic = transformers.AutoModelForCausalLM
    if "EuroBert" in (folder / "config.json").read_text():
        automatic = transformers.AutoModelForMaskedLM
    model, told = automatic.from_pretrained(folder, output_loading_info=True)
    assert not any(told.values()), told  # no weight missing, unexpected or of another shape
    return model


@pytest.mark.parametrize("changes", [*DECODERS, *ENCODERS], ids=str)
@torch.no_grad()
def test_transformers_gives_the_same_logits(tmp_path, changes):
    model = model_of(**changes)
    theirs = loaded(write(model, tmp_path / "model"))
    wanted = {(True, False): "LlamaForCausalLM", (True, True): "Qwen3ForCausalLM",
              (False, False): "EuroBertForMaskedLM"}[model.config.causal, model.config.qk_norm]
    assert type(theirs).__name__ == wanted
    assert theirs.dtype == torch.float32
    tokens = torch.randint(0, CONFIG["vocab_size"], (3, 100), generator=torch.Generator().manual_seed(0))
    ours = model(tokens)
    assert ours.std() > 0.5  # logits that say something: parity of zeros proves nothing
    assert (ours - theirs(tokens).logits).abs().max() < 1e-4


@pytest.mark.parametrize("changes", [*DECODERS, *ENCODERS], ids=str)
@torch.no_grad()
def test_what_was_exported_loads_again(tmp_path, changes):
    model = model_of(**changes)
    again = load_exported(write(model, tmp_path / "model"))
    assert again.config == model.config
    assert not again.training
    tokens = torch.arange(90).reshape(2, 45)
    assert torch.equal(model(tokens), again(tokens))


@torch.no_grad()
def test_what_transformers_saves_again_loads_too(tmp_path):
    model = model_of(tied=True)
    loaded(write(model, tmp_path / "model")).save_pretrained(tmp_path / "again")
    tokens = torch.arange(90).reshape(2, 45)
    assert torch.equal(model(tokens), load_exported(tmp_path / "again")(tokens))


def test_half_precision_stays_half(tmp_path):
    folder = write(model_of().to(torch.bfloat16), tmp_path / "model")
    assert loaded(folder).dtype == load_exported(folder).embed.weight.dtype == torch.bfloat16


@pytest.mark.parametrize("changes", [DECODERS[0], ENCODERS[0]], ids=["decoder", "encoder"])
def test_the_tokenizer_comes_along(tmp_path, changes):
    tokenizer = transformers.AutoTokenizer.from_pretrained(write(model_of(**changes), tmp_path / "model"))
    assert len(tokenizer) == VOCAB
    ids = tokenizer(TEXT)["input_ids"]
    assert ids[0] == VOCAB - 2  # "the" is a merge, and nothing is put before it
    assert tokenizer.decode(ids) == TEXT
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.mask_token_id) \
        == (0, 0, 1, 2)
    assert tokenizer("<|mask|>")["input_ids"] == [2]
    assert tokenizer.model_max_length == 128
    assert "token_type_ids" not in tokenizer(TEXT)
    padded = tokenizer(["a", "the"], padding=True, return_tensors="pt")
    assert loaded(tmp_path / "model")(**padded).logits.shape == (2, 1, CONFIG["vocab_size"])


def test_configurations_name_their_special_tokens(tmp_path):
    model = loaded(write(model_of(), tmp_path / "model"))
    found = model.generation_config
    assert (found.bos_token_id, found.eos_token_id, found.pad_token_id) == (0, 0, 1)
    assert model.config.max_position_embeddings == 128
    encoder = loaded(write(model_of(causal=False), tmp_path / "encoder"))
    assert encoder.config.mask_token_id == 2


def test_an_export_needs_no_transformers(tmp_path):
    program = f"""
import sys
sys.modules["transformers"] = None
from pathlib import Path
from tests.trainer.exported import model_of, write
from trainer.export import load_exported
load_exported(write(model_of(), Path({str(tmp_path / "model")!r})))
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_same_weights_are_the_same_bytes(tmp_path):
    first, second = write(model_of(), tmp_path / "a"), write(model_of(), tmp_path / "b")
    write(model_of(2), tmp_path / "c")
    write(model_of(), tmp_path / "c")  # over an older one
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes() == (tmp_path / "c" / path.name).read_bytes()


def test_an_encoder_with_qk_norm_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"no such model .* train the encoder without it"):
        write(model_of(causal=False, qk_norm=True), tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("what", ["absent", "more", "shape"])
def test_tensors_of_another_model_are_refused(tmp_path, what):
    model = model_of()
    state = dict(model.state_dict())
    if what == "absent":
        del state["blocks.1.mlp.up.weight"]
    elif what == "more":
        state["blocks.2.mlp.up.weight"] = state["blocks.1.mlp.up.weight"]
    else:
        state["norm.weight"] = state["norm.weight"][:-1]
    with pytest.raises(ValueError, match=r"1 tensors are not .* (norm|blocks\.[12]\.mlp\.up)\.weight"):
        export(state, model.config, tokenizer_json=tmp_path / "t", special_ids=SPECIAL_IDS, seq_len=8, folder=tmp_path)
    with pytest.raises(ValueError, match=r"special_ids lacks <\|mask\|>, <\|pad\|>"):
        export(model.state_dict(), dataclasses.replace(model.config, causal=False), tokenizer_json=tmp_path / "t",
               special_ids={"<|endoftext|>": 0}, seq_len=8, folder=tmp_path)


@pytest.mark.parametrize(("damage", "what"), [
    ("no config", "config.json: .*give the folder"), ("another model", "not a model that trainer.export wrote"),
    ("no weights", "model.safetensors: .*export the model again"), ("cut", "model.safetensors: .*export the model"),
    ("other weights", "1 tensors are not"), ("no object", "not a model that trainer.export wrote"),
])
def test_a_folder_of_something_else_is_refused(tmp_path, damage, what):
    folder = write(model_of(), tmp_path / "model")
    weights, config = folder / "model.safetensors", folder / "config.json"
    if damage == "no config":
        config.unlink()
    elif damage == "another model":
        config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "gpt2"}))
    elif damage == "no object":
        config.write_text("[]")
    elif damage == "no weights":
        weights.unlink()
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        tensors = load_file(weights)
        save_file({name: tensor for name, tensor in tensors.items() if name != "model.norm.weight"}, weights)
    with pytest.raises(RunError, match=what):
        load_exported(folder)
