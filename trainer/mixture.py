"""What a person says of sources and weights, made into an order; what is wrong with it is said in one line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.errors import RunError
from trainer.order import Component, Order, Phase


@dataclass(frozen=True, kw_only=True)
class PlannedPhase:
    """A phase as run.json has it. `data`: the manifest's path; an empty `mix`: in proportion to the sources' rows."""

    start: int
    data: str
    dataset_id: str
    mix: Mapping[str, float]


def parse_mix(text: str) -> dict[str, float]:
    """`web=.7,wiki=.3` as a dict. Raises RunError on anything else, on a name given twice and on negative weights."""
    mix: dict[str, float] = {}
    for entry in text.split(","):
        name, _, value = (part.strip() for part in entry.partition("="))
        try:
            weight = float(value)
        except ValueError:
            weight = math.nan
        if not name or not (math.isfinite(weight) and weight >= 0):
            raise RunError(f"--mix {text}: {entry.strip()!r} is not SOURCE=WEIGHT with a weight of 0 or more")
        if name in mix:
            raise RunError(f"--mix {text}: {name} is given twice; give each source one weight")
        mix[name] = weight
    return mix


def components_of(rows: Mapping[str, int], mix: Mapping[str, float], *, where: str) -> tuple[Component, ...]:
    """The components for sources of `rows` samples each, by name, so that the spelling of a mix changes nothing.

    A source that a mix does not name is not drawn; without a mix, weights are proportional to rows. `where` is the data
    set in messages. Raises RunError on an unknown source, a weight that is negative or not a number, a positive weight
    of a source without rows, and weights that are all 0.
    """
    if unknown := sorted(mix.keys() - rows.keys()):
        raise RunError(f"{where} has no source {', '.join(unknown)}; it has {', '.join(sorted(rows)) or 'none'}")
    weights = dict(mix) if mix else {name: float(n) for name, n in rows.items()}
    for name, weight in sorted(weights.items()):
        if not (math.isfinite(weight) and weight >= 0):
            raise RunError(f"weight {weight} of source {name}: give 0 or more")
        if weight > 0 and rows[name] < 1:
            raise RunError(f"{where}: source {name} has weight {weight:g} but no rows; leave it out of --mix")
    if not any(weights.values()):
        raise RunError(f"{where}: no source with rows and a positive weight; see the manifest's totals, and --mix")
    return tuple(Component(name=name, rows=rows[name], weight=weights[name]) for name in sorted(weights))


def order_of(
    *, seed: int, block_rows: int, phases: Sequence[PlannedPhase], rows: Mapping[str, int], dataset_id: str
) -> Order:
    """The order of a run whose last phase draws from the data set at hand, of `rows` samples by source.

    Phases before a change of the data set do not count: every source starts from zero there. `Order.draw` refuses
    their samples. Raises RunError where `components_of` does, on phases that do not ascend, and when the last phase
    is of another data set.
    """
    last = phases[-1]
    if last.dataset_id != dataset_id:
        raise RunError(f"the phase from sample {last.start} on draws from data set {last.dataset_id} ({last.data}), "
                       f"not from {dataset_id}; give that manifest as --data")
    of_other = [n for n, phase in enumerate(phases) if phase.dataset_id != dataset_id]
    kept = phases[of_other[-1] + 1 :] if of_other else phases
    made = [Phase(start=p.start, dataset_id=dataset_id, components=components_of(rows, p.mix, where=p.data))
            for p in kept]
    try:
        return Order(seed=seed, phases=tuple(made), block_rows=block_rows)
    except ValueError as error:
        raise RunError(f"{last.data}: {error}") from error


def check_rows(order: Order, *, global_batch: int, where: str) -> None:
    """Raises RunError when the last phase's sources have fewer samples together than one global batch."""
    rows = sum(c.rows for c in order.phases[-1].components if c.weight > 0)
    if rows < global_batch:
        raise RunError(f"{where} has {rows} rows to draw from, fewer than one global batch of {global_batch}: "
                       "a step would repeat rows; use a smaller --global-batch or more data")
