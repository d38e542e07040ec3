"""Ways of choosing the next token. Each function continues one prompt, and is what `transformers` calls by its name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.model import Transformer


@torch.no_grad()
def greedy(model: Transformer, prompt: Sequence[int], *, max_tokens: int, end_id: int) -> list[int]:
    """The tokens after `prompt`, each the likeliest, until `end_id`, which is the last if it comes.

    Raises ValueError, as all here do, on an empty prompt or fewer than one token.
    """
    cache, tokens, found = model.new_cache(), _prompt(model, prompt, max_tokens), list[int]()
    while len(found) < max_tokens and end_id not in found[-1:]:
        logits = model(tokens, cache=cache)[0, -1].float()
        found.append(int(logits.argmax()))
        tokens = tokens.new_tensor([found[-1:]])
    return found


@torch.no_grad()
def sample(
    model: Transformer, prompt: Sequence[int], *, max_tokens: int, end_id: int, seed: int, temperature: float = 1.0,
    top_k: int = 0, top_p: float = 1.0,
) -> list[int]:
    """As `greedy`, each token drawn from `shaped` logits. The same seed gives the same tokens on the same machine."""
    cache, tokens, found = model.new_cache(), _prompt(model, prompt, max_tokens), list[int]()
    draws = torch.Generator().manual_seed(seed)
    while len(found) < max_tokens and end_id not in found[-1:]:
        logits = shaped(model(tokens, cache=cache)[0, -1], temperature=temperature, top_k=top_k, top_p=top_p)
        found.append(int(torch.multinomial(logits.softmax(-1).cpu(), 1, generator=draws)))
        tokens = tokens.new_tensor([found[-1:]])
    return found


def shaped(logits: Tensor, *, temperature: float, top_k: int, top_p: float) -> Tensor:
    """float32[v] from logits[v]: divided by `temperature`; then -inf below the `top_k` greatest, which all stay where
    several are equal to the least of them, 0 being all; then -inf outside the fewest likeliest tokens that weigh
    `top_p` together (nucleus sampling, Holtzman et al. 2020, arXiv:1904.09751).

    Raises ValueError unless temperature > 0, top_k >= 0 and 0 < top_p <= 1.
    """
    if not temperature > 0 or top_k < 0 or not 0 < top_p <= 1:
        raise ValueError(f"temperature {temperature}, top-k {top_k}, top-p {top_p}: the first must be above 0, the "
                         "second not below, the third in (0, 1]")
    logits = logits.float() / temperature
    if 0 < top_k < len(logits):
        logits = logits.masked_fill(logits < logits.topk(top_k).values[-1], -torch.inf)
    if top_p < 1:
        ordered, index = logits.sort(descending=True)
        share = ordered.softmax(-1)
        surplus = share.cumsum(-1) - share >= top_p  # what is likelier already weighs enough
        logits = logits.masked_fill(torch.zeros_like(surplus).scatter(0, index, surplus), -torch.inf)
    return logits


@torch.no_grad()
def beam(model: Transformer, prompt: Sequence[int], *, beams: int, max_tokens: int, end_id: int) -> list[int]:
    """The continuation with the highest mean log-probability a token that a search of this width finds.

    A sequence is finished by `end_id` or by `max_tokens`, if it then is among the best `beams`; the search ends when
    `beams` are finished and the best unfinished one is no better than the worst of them, by its mean so far. Those
    are the rules of `transformers` with a length penalty of 1 and early stopping off.
    Raises ValueError where the vocabulary has fewer than 2 * beams tokens.
    """
    if not 1 <= beams <= model.config.vocab_size // 2:
        raise ValueError(f"{beams} beams in a vocabulary of {model.config.vocab_size}: from 1 to half of it")
    cache, tokens = model.new_cache(), _prompt(model, prompt, max_tokens)
    running: list[list[int]] = [[]]
    scores = torch.zeros(1, device=tokens.device)
    finished: list[tuple[float, list[int]]] = []
    for length in range(1, max_tokens + 1):
        logs = model(tokens, cache=cache)[:, -1].float().log_softmax(-1) + scores[:, None]
        best, flat = logs.flatten().topk(2 * beams)  # at most half of them end here, so enough go on
        kept: list[tuple[float, int, list[int]]] = []
        for rank, (score, at) in enumerate(zip(best.tolist(), flat.tolist(), strict=True)):
            row, token = divmod(at, model.config.vocab_size)
            if token != end_id and length < max_tokens:
                kept.append((score, row, [*running[row], token]))
            elif rank < beams:
                finished.append((score / length, [*running[row], token]))
        finished = sorted(finished, key=lambda one: -one[0])[:beams]
        kept = kept[:beams]
        if not kept or (len(finished) == beams and kept[0][0] / length <= finished[-1][0]):
            break
        running = [sequence for _, _, sequence in kept]
        scores = scores.new_tensor([score for score, _, _ in kept])
        tokens = tokens.new_tensor([sequence[-1:] for sequence in running])
        for layer in cache:
            layer.take(tokens.new_tensor([row for _, row, _ in kept]))
    return finished[0][1]


@torch.no_grad()
def fill(model: Transformer, tokens: Sequence[int], *, mask_id: int, top: int) -> list[list[tuple[int, float]]]:
    """For each `mask_id` in `tokens`, in order: the `top` likeliest tokens of an encoder, and their probabilities."""
    logits = model(_prompt(model, tokens, 1))[0].float()
    shares = logits[[at for at, token in enumerate(tokens) if token == mask_id]].softmax(-1)
    best = shares.topk(min(top, shares.shape[-1]))
    return [list(zip(i.tolist(), p.tolist(), strict=True)) for i, p in zip(best.indices, best.values, strict=True)]


def _prompt(model: Transformer, prompt: Sequence[int], max_tokens: int) -> Tensor:
    """int64[1, t], where the model is."""
    if not prompt or max_tokens < 1:
        raise ValueError(f"a prompt of {len(prompt)} tokens and {max_tokens} to come: there must be one of each")
    return torch.tensor([list(prompt)], device=model.embed.weight.device)
