"""Which row is sample i: a pure function of the seed, the sources' rows and their weights.

Samples are numbered from 0 over the whole run, whatever the number of ranks, so the number of the next sample is all
that a run needs to go on. Sample i of a phase that starts at s falls into slot (i - s) mod SLOTS of a fixed pattern,
which says from which source it is drawn; every source counts its own draws; draw n of a source with N rows is place
n mod N of the shuffle that belongs to (seed, source, epoch n div N).

    python -m trainer.order --data shards/manifest.json --at STEP --run RUN_FOLDER

lists the documents behind a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from trainer.permutation import key_of, permute
from trainer.quotas import Pattern, pattern_of

ORDER_VERSION = 1
"""Part of a checkpoint. Golden vectors hold the code to it: another order needs another number."""
WINDOW_BLOCKS = 64
"""Block shuffle: rows of this many blocks are mixed, so that a step has rows from many places, and the pages that it
reads ahead are still few: 64 blocks of 64 rows of 2,049 tokens are 17 MB."""

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Component:
    """A source as the order sees it: `rows` samples an epoch, drawn in proportion to `weight`, which may be 0."""

    name: str
    rows: int
    weight: float


@dataclass(frozen=True, kw_only=True)
class Phase:
    """From sample `start` on, until the next phase. `dataset_id` tells data sets apart, and is otherwise not used."""

    start: int
    components: tuple[Component, ...]
    dataset_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """For n samples: `component` int16[n], a position in `Order.sources`; `epoch` int64[n] from 0; `row` int64[n]."""

    component: npt.NDArray[np.int16]
    epoch: _Ints
    row: _Ints


@dataclass(frozen=True, kw_only=True)
class Order:
    """The order of a run. Samples before the first phase are nobody's.

    The draws of a source go on in the next phase where the last one left them, also after a phase without it; they
    start from zero where the data set changes, or the number of its rows.

    `block_rows` above 1 is for disks that are slow at random reads: blocks of that many consecutive rows are shuffled,
    and the rows of WINDOW_BLOCKS neighbours in that order are mixed. An epoch is still every row exactly once.

    Raises ValueError on phases that do not ascend, on names given twice, and where `pattern_of` does.
    """

    seed: int
    phases: tuple[Phase, ...]
    block_rows: int = 1

    def __post_init__(self) -> None:
        starts = [phase.start for phase in self.phases]
        if not starts or starts[0] < 0 or starts != sorted(set(starts)):
            raise ValueError(f"phases must start at ascending samples from 0 on, not at {starts}")
        if self.block_rows < 1:
            raise ValueError(f"block_rows must be at least 1, not {self.block_rows}")
        for phase in self.phases:
            names = [c.name for c in phase.components]
            if len(set(names)) != len(names):
                raise ValueError(f"a source is given twice: {', '.join(names)}")
            if empty := [c.name for c in phase.components if c.weight > 0 and c.rows < 1]:
                raise ValueError(f"no rows to draw from {', '.join(empty)}")
        self._tables  # noqa: B018  # wrong weights are found here, and not at the first draw

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The names of all phases' components, in the order in which they first come."""
        return tuple(dict.fromkeys(c.name for phase in self.phases for c in phase.components))

    def effective_weights(self, phase: Phase) -> dict[str, float]:
        """The shares that `phase` really draws, each a multiple of 1 / SLOTS."""
        table = self._tables[self.phases.index(phase)]
        return {c.name: table.pattern.share(k) for k, c in enumerate(phase.components)}

    def draw(self, samples: _Ints) -> Draw:
        """The rows of `samples`, int64[n], in any order. Costs least in blocks of thousands: see `permute`.

        Raises ValueError for a sample before the first phase.
        """
        phase_of = np.searchsorted([p.start for p in self.phases], samples, side="right") - 1
        if len(samples) and int(phase_of.min()) < 0:
            raise ValueError(f"sample {int(samples.min())} is before the first phase, at {self.phases[0].start}")
        component = np.empty(len(samples), np.int16)
        epoch, row = np.empty(len(samples), np.int64), np.empty(len(samples), np.int64)
        for p in np.unique(phase_of).tolist():
            phase, table = self.phases[p], self._tables[p]
            here = np.flatnonzero(phase_of == p)
            local, count = table.pattern.draws(samples[here] - phase.start)
            for k in np.unique(local).tolist():
                c, of_k = phase.components[k], local == k
                at, nth = here[of_k], count[of_k] + table.before[k]
                component[at] = self.sources.index(c.name)
                epoch[at] = nth // c.rows
                row[at] = self._shuffled(c, nth % c.rows, epoch[at])
        return Draw(component=component, epoch=epoch, row=row)

    @cached_property
    def _tables(self) -> tuple[_Table, ...]:
        tables: list[_Table] = []
        drawn: dict[str, tuple[int, int]] = {}  # name: rows, draws so far
        for p, phase in enumerate(self.phases):
            if p and phase.dataset_id != self.phases[p - 1].dataset_id:
                drawn = {}
            pattern = pattern_of(tuple(c.weight for c in phase.components))
            before = [n if rows == c.rows else 0 for c in phase.components for rows, n in [drawn.get(c.name, (0, 0))]]
            tables.append(_Table(pattern=pattern, before=tuple(before)))
            if p + 1 < len(self.phases):
                length = self.phases[p + 1].start - phase.start
                for k, c in enumerate(phase.components):
                    drawn[c.name] = (c.rows, before[k] + pattern.count(k, length))
        return tuple(tables)

    def _shuffled(self, c: Component, place: _Ints, epoch: _Ints) -> _Ints:
        """Places of epochs to rows."""
        if self.block_rows == 1:
            return permute(place, size=c.rows, key=self._keys(c.name, "rows", epoch, np.zeros_like(epoch)))
        # The last block may be short. It is shuffled as if it were whole; rows that are not there are shuffled on.
        row = self._by_blocks(c, place, epoch)
        outside = np.flatnonzero(row >= c.rows)
        while len(outside):
            row[outside] = self._by_blocks(c, row[outside], epoch[outside])
            outside = outside[row[outside] >= c.rows]
        return row

    def _by_blocks(self, c: Component, place: _Ints, epoch: _Ints) -> _Ints:
        """A bijection of [0, blocks * block_rows) for every epoch."""
        blocks = -(-c.rows // self.block_rows)
        whole = WINDOW_BLOCKS * self.block_rows
        window = place // whole
        mixed = np.empty_like(place)
        for at, size in ((np.flatnonzero(window < blocks // WINDOW_BLOCKS), whole),
                         (np.flatnonzero(window == blocks // WINDOW_BLOCKS), blocks % WINDOW_BLOCKS * self.block_rows)):
            if len(at):
                first = window[at] * whole
                key = self._keys(c.name, "window", epoch[at], window[at])
                mixed[at] = first + permute(place[at] - first, size=size, key=key)
        block = permute(mixed // self.block_rows, size=blocks,
                        key=self._keys(c.name, "blocks", epoch, np.zeros_like(epoch)))
        return block * self.block_rows + mixed % self.block_rows

    def _keys(self, name: str, what: str, epoch: _Ints, window: _Ints) -> npt.NDArray[np.uint64]:
        """The key of each (epoch, window): one, where all are the same."""
        if (epoch == epoch[0]).all() and (window == window[0]).all():
            return key_of(self.seed, name, what, int(epoch[0]), int(window[0]))
        windows = int(window.max()) + 1
        pairs, which = np.unique(epoch * windows + window, return_inverse=True)
        keys = [key_of(self.seed, name, what, *divmod(pair, windows)) for pair in pairs.tolist()]
        return np.stack(keys, axis=1)[:, which]


@dataclass(frozen=True, kw_only=True)
class _Table:
    """What a phase needs: its pattern, and the draws of each of its components before it."""

    pattern: Pattern
    before: tuple[int, ...]


if __name__ == "__main__":
    import sys

    from trainer.step import main

    sys.exit(main())
