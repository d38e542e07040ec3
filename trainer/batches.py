"""Samples of the order to rows in memory. Costs a copy of the tokens, and nothing that a worker process would help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from schemas.errors import RunError
from schemas.shards import Shard
from trainer.dataset import DataSet
from trainer.order import Order
from trainer.rows import Rows

BLOCK = 8_192
"""Samples whose places are computed at a time; for 16 at a time they would cost more than the rows. A rank uses only
its slice of each step, but where that is one sample in 100 it still has a row's place in 25 µs."""

_Ints = npt.NDArray[np.int64]


def sample_rows(data: DataSet, split: str, seq_len: int) -> dict[str, int]:
    """The samples of `seq_len` targets that an epoch of each source has. Raises RunError unless it divides the stored
    length: a stored row is cut into so many samples."""
    stored = data.manifest.seq_len
    if not 1 <= seq_len <= stored:
        raise RunError(f"--seq-len {seq_len}, but the rows of {data.path} have {stored}; use that or a divisor, or "
                       "encode again with longer rows")
    if stored % seq_len:
        raise RunError(f"--seq-len {seq_len} does not divide the {stored} of the rows of {data.path}; use a divisor")
    return {name: rows * (stored // seq_len) for name, rows in data.rows(split).items()}


@dataclass(frozen=True, kw_only=True)
class Batches:
    """The samples of `order` out of `split`, of `seq_len` targets each.

    Piece p of a stored row has its tokens p * seq_len to (p + 1) * seq_len, both included. `masked` has the stored rows
    of each source that give no target, ascending: see `trainer.takedown.masked_rows`.

    Raises RunError where `sample_rows` does, and when a phase of the order is one of other sources or rows.
    """

    data: DataSet
    split: str
    order: Order
    seq_len: int
    masked: Mapping[str, _Ints] = field(default_factory=dict)
    _blocks: dict[int, _Ints] = field(init=False, default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        rows = sample_rows(self.data, self.split, self.seq_len)
        for c in (c for phase in self.order.phases for c in phase.components):
            if rows.get(c.name, 0) != c.rows:
                raise RunError(f"{self.data.path}: {rows.get(c.name, 0)} samples of {c.name} in {self.split}, but "
                               f"the order is one of {c.rows}: it belongs to another data set or --seq-len")

    def read(self, samples: _Ints) -> Rows:
        """The rows of `samples`, int64[n], in their order.

        Raises ValueError for samples before the order's first phase, and RunError for a shard that is not as the
        manifest says.
        """
        return self._gather(samples, self._located(samples))

    def locate(self, samples: _Ints) -> list[tuple[Shard, int, int]]:
        """For each sample its shard, the row in it, and the piece; -1 as piece where the row is masked. Raises
        ValueError as `read`."""
        return [(self._shards[s], row, piece) for s, row, piece in self._located(samples).T.tolist()]

    def read_source(self, source: str, rows: _Ints) -> Rows:
        """Rows of one source by their number, stored row * pieces + piece, whatever the order: for evaluation."""
        return self._gather(rows, self._places(self._first_row[source] * self._pieces + rows))

    @property
    def _pieces(self) -> int:
        return self.data.manifest.seq_len // self.seq_len

    @cached_property
    def _shards(self) -> tuple[Shard, ...]:
        """Of all sources, each source's together."""
        return tuple(s for name in self.data.rows(self.split) for s in self.data.shards(self.split, name))

    @cached_property
    def _ends(self) -> _Ints:
        """Stored rows up to the end of each shard, all sources counted through."""
        return np.cumsum([s.rows for s in self._shards], dtype=np.int64)

    @cached_property
    def _first_row(self) -> dict[str, int]:
        rows = self.data.rows(self.split)
        return dict(zip(rows, (np.cumsum([0, *rows.values()])[:-1]).tolist(), strict=True))

    @cached_property
    def _masked_rows(self) -> _Ints:
        found = [np.asarray(rows, np.int64) + self._first_row[name] for name, rows in self.masked.items()]
        return np.sort(np.concatenate([np.empty(0, np.int64), *found]))

    def _located(self, samples: _Ints) -> _Ints:
        """`_places` of samples, out of their blocks."""
        if len(samples) and int(samples.min()) < self.order.phases[0].start:
            raise ValueError(f"sample {int(samples.min())} is before the order's first phase")
        number = samples // BLOCK
        places = np.empty((3, len(samples)), np.int64)
        for b in dict.fromkeys(number.tolist()):
            here = number == b
            places[:, here] = self._block(b)[:, samples[here] - b * BLOCK]
        return places

    def _block(self, number: int) -> _Ints:
        """`_places` of BLOCK consecutive samples; those of the last two blocks are kept."""
        found = self._blocks.get(number)
        if found is None:
            first = max(number * BLOCK, self.order.phases[0].start)
            draw = self.order.draw(np.arange(first, (number + 1) * BLOCK))
            base = np.array([self._first_row.get(name, 0) * self._pieces for name in self.order.sources])
            found = np.zeros((3, BLOCK), np.int64)
            found[:, first - number * BLOCK :] = self._places(base[draw.component] + draw.row)
            for old in list(self._blocks)[:-1]:
                del self._blocks[old]
            self._blocks[number] = found
        return found

    def _places(self, rows: _Ints) -> _Ints:
        """Samples counted through all sources to int64[3, n]: shard, row in it, and piece, or -1 for a masked row."""
        stored, piece = np.divmod(rows, self._pieces)
        shard = np.searchsorted(self._ends, stored, side="right")
        row = stored - np.concatenate([[0], self._ends])[shard]
        masked = np.isin(stored, self._masked_rows) if len(self._masked_rows) else np.zeros(len(rows), np.bool_)
        return np.stack([shard, row, np.where(masked, -1, piece)])

    def _gather(self, samples: _Ints, places: _Ints) -> Rows:
        n, width = len(samples), self.seq_len + 1
        tokens = np.empty((n, width), self.data.manifest.token_dtype)
        n_real, starts, lang, source = [], [], [], []
        for i, (s, row, piece) in enumerate(places.T.tolist()):
            shard = self._shards[s]
            mapped = self.data.mapped(shard)
            at = piece * self.seq_len
            if piece >= 0:
                tokens[i] = mapped.tokens[row, at : at + width]
            n_real.append(mapped.n_real[row] - at if piece >= 0 else 0)
            starts.append(mapped.starts[mapped.starts_at[row] : mapped.starts_at[row + 1]])
            lang.append(mapped.lang[row])
            source.append(self._codes[shard.source])
        real = np.clip(np.array(n_real, np.int32), 0, width)
        real[real < 2] = 0  # one token alone is nobody's target
        tokens[real == 0] = self.data.pad_id
        start_row = np.repeat(np.arange(n, dtype=np.int32), [len(s) for s in starts])
        start_at = np.concatenate([np.empty(0, np.int32), *starts], dtype=np.int32)
        if self._pieces > 1:
            start_at -= (places[2] * self.seq_len).astype(np.int32)[start_row]
        kept = (start_at >= 0) & (start_at < real[start_row])
        return Rows(samples=samples, tokens=tokens, n_real=real, start_row=start_row[kept], start_at=start_at[kept],
                    source=np.array(source, np.int16), lang=np.array(lang, np.int16))

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.data.manifest.sources)}
