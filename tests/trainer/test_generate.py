from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.exported import CONFIG, model_of, write
from trainer.decoding import beam, fill, greedy, sample, shaped
from trainer.generate import main
from trainer.model import Transformer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what transformers imports; its calls in the tests are held to no warning
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle of generation")

END = 0
PROMPTS = [[65], [70, 71, 72, 9, 9], list(range(100, 160))]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> list[tuple[Transformer, Any]]:
    """Ours and theirs. The end marker is made likely, so that some sequences end before their limit."""
    found = []
    for seed, qk_norm in ((1, False), (2, True), (3, False)):
        model = model_of(seed, qk_norm=qk_norm)
        with torch.no_grad():
            model.head.weight[END] += 0.08 * model.head.weight.sum(0)
        folder = write(model, tmp_path_factory.mktemp("models") / "model")
        found.append((model, transformers.AutoModelForCausalLM.from_pretrained(folder)))
    return found


def by_transformers(model: Any, prompt: list[int], **how: Any) -> list[int]:
    tokens = torch.tensor([prompt])
    found = model.generate(tokens, attention_mask=torch.ones_like(tokens), **({"do_sample": False} | how))
    return found[0, len(prompt) :].tolist()


def trimmed(tokens: list[int]) -> list[int]:
    """Up to and with the end marker: transformers fills a batch with padding behind it."""
    return tokens[: tokens.index(END) + 1] if END in tokens else tokens


def test_greedy_is_transformers_greedy(models):
    ends = Counter()
    for ours, theirs in models:
        for prompt in PROMPTS:
            found = greedy(ours, prompt, max_tokens=25, end_id=END)
            assert found == by_transformers(theirs, prompt, max_new_tokens=25)
            ends[found[-1] == END] += 1
    assert len(ends) == 2, ends  # both ways to stop were seen


@pytest.mark.parametrize("beams", [1, 2, 4, 7])
def test_beams_are_transformers_beams(models, beams):
    ends = Counter()
    for ours, theirs in models:
        for prompt in PROMPTS:
            for limit in (1, 3, 12):
                found = beam(ours, prompt, beams=beams, max_tokens=limit, end_id=END)
                wanted = by_transformers(theirs, prompt, max_new_tokens=limit, num_beams=beams, early_stopping=False)
                assert found == trimmed(wanted)
                ends[found[-1] == END, len(found) == limit] += 1
    assert ends[True, False] and ends[False, True], ends


def test_a_wider_beam_finds_a_likelier_text(models):
    """With room for every sequence of two tokens the best mean is found: every one is tried."""
    ours, _ = models[1]
    vocab = CONFIG["vocab_size"]
    with torch.no_grad():
        first = ours(torch.tensor([PROMPTS[0]]))[0, -1].log_softmax(-1)
        pairs = torch.cat([torch.tensor(PROMPTS[0]).expand(vocab, -1), torch.arange(vocab)[:, None]], 1)
        second = ours(pairs)[:, -1].log_softmax(-1)
    means = (first[:, None] + second) / 2
    means[END] = -torch.inf
    best = divmod(int(means.argmax()), vocab)
    wanted = [END] if first[END] > means.max() else list(best)
    assert beam(ours, PROMPTS[0], beams=vocab // 2, max_tokens=2, end_id=END) == wanted


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [
    (1.0, 0, 1.0), (0.7, 0, 1.0), (1.0, 5, 1.0), (1.0, 0, 0.8), (1.3, 40, 0.9), (1.0, 1, 1.0), (1.0, 0, 1e-6),
    (2.0, 10_000, 0.999),
])
def test_distributions_are_transformers_distributions(temperature, top_k, top_p):
    logits = torch.randn(20, 500, generator=torch.Generator().manual_seed(8)) * 3
    logits[3:6] = logits[3:6].round()  # ties
    processors = [transformers.TemperatureLogitsWarper(temperature)]
    if top_k:
        processors.append(transformers.TopKLogitsWarper(top_k))
    if top_p < 1:
        processors.append(transformers.TopPLogitsWarper(top_p))
    wanted = transformers.LogitsProcessorList(processors)(torch.zeros(20, 1, dtype=torch.int64), logits)
    for row in range(20):
        found = shaped(logits[row], temperature=temperature, top_k=top_k, top_p=top_p).softmax(-1)
        if top_p < 1 and 3 <= row < 6:  # which of equal tokens is cut is the sort's choice
            found, theirs = found.sort().values, wanted[row].softmax(-1).sort().values
        else:
            theirs = wanted[row].softmax(-1)
        torch.testing.assert_close(found, theirs, atol=1e-6, rtol=1e-5)


def test_draws_follow_the_distribution_and_the_seed(models):
    ours, _ = models[0]
    with torch.no_grad():
        logits = ours(torch.tensor([PROMPTS[1]]))[0, -1]
    shares = shaped(logits, temperature=1.5, top_k=4, top_p=1.0).softmax(-1)
    how = {"max_tokens": 1, "end_id": END, "temperature": 1.5, "top_k": 4}
    counts = Counter(sample(ours, PROMPTS[1], seed=seed, **how)[0] for seed in range(600))
    assert set(counts) == set(shares.nonzero().flatten().tolist())
    for token, count in counts.items():
        p = float(shares[token])
        assert abs(count / 600 - p) < 5 * (p * (1 - p) / 600) ** 0.5
    how |= {"max_tokens": 20, "top_k": 0}
    texts = [sample(ours, PROMPTS[1], seed=seed, **how) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    likeliest = sample(ours, PROMPTS[1], seed=1, **(how | {"top_k": 1}))
    assert likeliest == greedy(ours, PROMPTS[1], max_tokens=20, end_id=END)


def test_what_cannot_be_is_refused(models):
    ours, _ = models[0]
    with pytest.raises(ValueError, match="prompt of 0 tokens"):
        greedy(ours, [], max_tokens=3, end_id=END)
    with pytest.raises(ValueError, match="0 to come"):
        beam(ours, [5], beams=2, max_tokens=0, end_id=END)
    for beams in (0, CONFIG["vocab_size"] // 2 + 1):
        with pytest.raises(ValueError, match="from 1 to half"):
            beam(ours, [5], beams=beams, max_tokens=3, end_id=END)
    for wrong in ({"temperature": 0.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.1}):
        with pytest.raises(ValueError, match="the first must be above 0"):
            sample(ours, [5], max_tokens=3, end_id=END, seed=1, **wrong)


def test_an_encoder_fills_its_masks():
    model = model_of(causal=False)
    tokens = [70, 2, 71, 72, 2]
    with torch.no_grad():
        shares = model(torch.tensor([tokens]))[0].softmax(-1)
    found = fill(model, tokens, mask_id=2, top=3)
    assert [len(guesses) for guesses in found] == [3, 3]
    for at, guesses in zip((1, 4), found, strict=True):
        order = shares[at].argsort(descending=True)[:3].tolist()
        assert [token for token, _ in guesses] == order
        assert [share for _, share in guesses] == pytest.approx(shares[at, order].tolist())


# the command

@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write(model_of(), tmp_path_factory.mktemp("command") / "model")


def test_the_command_continues_a_prompt(folder, capsys):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    prompt = tokenizer("the ")["input_ids"]
    for options, how in ((["--greedy"], {}), (["--beams", "3"], {"num_beams": 3})):
        assert main(["--model", str(folder), "--prompt", "the ", "--max-tokens", "12", *options]) == 0
        wanted = prompt + by_transformers(theirs, prompt, max_new_tokens=12, **how)
        assert capsys.readouterr().out == tokenizer.decode(wanted, skip_special_tokens=True) + "\n"


def test_the_command_draws_by_its_seed(folder, capsys):
    def told(*options: str) -> str:
        assert main(["--model", str(folder), "--prompt", "", "--max-tokens", "12", *options]) == 0
        return capsys.readouterr().out

    assert told("--seed", "4") == told("--seed", "4") != told("--seed", "5")
    assert told("--top-k", "1") == told("--greedy") == told("--top-p", "1e-9") == told("--temperature", "1e-6")


def test_the_command_fills_masks(tmp_path, capsys):
    folder = write(model_of(causal=False), tmp_path / "model")
    assert main(["--model", str(folder), "--prompt", "a <|mask|> b <|mask|>"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["<|mask|> 1", "<|mask|> 2"]
    assert main(["--model", str(folder), "--prompt", "a b"]) == 1
    assert "the prompt of an encoder needs a <|mask|>" in capsys.readouterr().err


def test_the_command_says_what_is_wrong_on_one_line(folder, tmp_path, capsys):
    for options in (["--model", str(tmp_path / "none"), "--prompt", "a"],
                    ["--model", str(folder), "--prompt", "a", "--top-p", "2"],
                    ["--model", str(folder), "--prompt", "a", "--beams", "0"],
                    ["--model", str(folder), "--prompt", "a", "--max-tokens", "0"]):
        assert main(options) == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("trainer.generate: ")
        assert told.err.count("\n") == 1
