"""Validation loss and bits per byte, by source and language, on samples that are always the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from trainer.batches import Batches
from trainer.dataset import DataSet
from trainer.objectives import IGNORE, Examples, loss_sum
from trainer.parallel import Team
from trainer.permutation import key_of, permute
from trainer.rows import Rows


def fixed_set(rows: Mapping[str, int], *, most: int) -> dict[str, npt.NDArray[np.int64]]:
    """Of each source all its rows, or `most` of them: the first of a permutation that depends on its name alone."""
    return {
        name: np.sort(permute(np.arange(min(n, most)), size=n, key=key_of("evaluation", name)))
        for name, n in rows.items() if n
    }


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is evaluated and how: `rows` of each source, `examples` as in training but with masks of their own."""

    data: DataSet
    batches: Batches
    rows: Mapping[str, npt.NDArray[np.int64]]
    examples: Callable[[Rows], Examples]
    micro_batch: int
    bytes_known: bool
    """False for masked tokens: their loss is not one of the text's bytes."""

    def run(self, model: nn.Module, team: Team) -> dict[str, Any]:
        """Loss in nats a target, and bits a byte of UTF-8, over all and by `sources` and `languages`.

        Every rank makes the same number of forward passes, with samples of weight 0 where there are not enough.
        """
        manifest = self.data.manifest
        sums = torch.zeros(len(manifest.sources) + len(manifest.languages), 3, dtype=torch.float64)
        model.eval()
        with torch.no_grad():
            for source, numbers in self.rows.items():
                self._add_source(sums, model, source, numbers, team)
        model.train()
        totals = team.sum(*sums.flatten().to(team.device)).reshape(sums.shape).tolist()
        sources, languages = totals[: len(manifest.sources)], totals[len(manifest.sources) :]
        return {
            **self._figures([sum(column) for column in zip(*sources, strict=True)]),
            "sources": self._named(manifest.sources, sources),
            "languages": self._named(manifest.languages, languages),
        }

    def _add_source(
        self, sums: torch.Tensor, model: nn.Module, source: str, numbers: npt.NDArray[np.int64], team: Team
    ) -> None:
        stride = team.world * self.micro_batch
        for low in range(team.rank * self.micro_batch, math.ceil(len(numbers) / stride) * stride, stride):
            wanted = np.arange(low, low + self.micro_batch)
            rows = self.batches.read_source(source, numbers[np.minimum(wanted, len(numbers) - 1)])
            self._add(sums, model, rows, wanted < len(numbers), team.device)

    def _add(
        self, sums: torch.Tensor, model: nn.Module, rows: Rows, counts: npt.NDArray[np.bool_], device: torch.device
    ) -> None:
        examples = self.examples(rows)
        targets = torch.where(torch.from_numpy(counts)[:, None], examples.targets, IGNORE)
        documents = None if examples.documents is None else examples.documents.to(device)
        logits = model(examples.inputs.to(device), documents)
        losses = loss_sum(logits, targets.to(device))[1]
        each = torch.stack([
            losses.double().cpu(), (targets != IGNORE).sum(1).double(),
            torch.from_numpy(_bytes(rows, self.data.token_bytes) * counts).double(),
        ], dim=1)
        sums.index_add_(0, torch.from_numpy(rows.source.astype(np.int64)), each)
        sums.index_add_(0, torch.from_numpy(rows.lang.astype(np.int64)) + len(self.data.manifest.sources), each)

    def _figures(self, sums: list[float]) -> dict[str, float]:
        loss, targets, size = sums
        found = {"loss": loss / max(1.0, targets), "targets": targets}
        return {**found, "bits_per_byte": loss / (math.log(2) * size)} if self.bytes_known and size else found

    def _named(self, names: tuple[str, ...], sums: list[list[float]]) -> dict[str, dict[str, float]]:
        return {name: self._figures(s) for name, s in zip(names, sums, strict=True) if s[1]}


def _bytes(rows: Rows, token_bytes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """int64[n]: UTF-8 bytes of the targets of each row."""
    real = np.arange(1, rows.tokens.shape[1]) < rows.n_real[:, None]
    found: npt.NDArray[np.int64] = np.where(real, token_bytes[rows.tokens[:, 1:]], 0).sum(1, dtype=np.int64)
    return found
