"""A plan: made of a run's parts and rates, held against a limit, and kept at OUT/plan.json for the report."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from pipelines.planning.asked import Asked
from pipelines.planning.basis import Basis
from pipelines.planning.estimate import fit
from pipelines.planning.left import Left
from pipelines.planning.prices import Money, money, read_prices
from pipelines.planning.spread import Spread, total
from pipelines.planning.timing import StageEstimate
from pipelines.planning.volumes import Group
from pipelines.settings import Settings
from schemas.errors import RunError
from schemas.stages import INGEST, Stage
from transforms.beam import files

_FILE = "plan.json"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will take, from its beginning; `left` what it still will, where an output was looked at. `fit` is how
    many workers the machine holds; `guesses` says what was not measured."""

    groups: tuple[Group, ...]
    recipe: str
    workers: int
    stages: tuple[StageEstimate, ...]
    rates: dict[str, str]
    cores: int
    memory: int
    fit: int
    guesses: tuple[str, ...]
    left: Left | None = None
    money: Money | None = None
    prices: str = ""

    @property
    def bytes(self) -> int:
        return sum(group.bytes for group in self.groups)

    @property
    def parts(self) -> int:
        return sum(len(group.sizes) for group in self.groups)

    def sum(self, what: str) -> Spread:
        """Of `cpu_s`, `out_bytes`, `shuffle_bytes` or `wall_s` over the stages."""
        return total(getattr(stage, what) for stage in self.stages)


def plan_of(basis: Basis, asked: Asked, *, only: Stage | None = None, left: Left | None = None) -> Plan:
    """Of all stages, or of `only` this one; money is for what is `left` of them, all if that is None. Raises RunError
    where prices cannot be read."""
    groups = basis.groups()
    found = [s for s in basis.stages() if only is None or s.stage == only.name]
    plan = Plan(
        groups=groups, recipe=_named(basis.settings), workers=basis.workers, stages=tuple(found),
        rates=basis.rates.said, cores=asked.cores, memory=asked.memory,
        fit=fit(found, cores=asked.cores, memory=asked.memory), guesses=basis.guesses, left=left,
    )
    if asked.prices is None:
        return plan
    prices = read_prices(asked.prices, asked.region)
    reads = plan.bytes if only in (None, INGEST) else 0
    return dataclasses.replace(
        plan, prices=f"{prices.region}, {prices.said}, {prices.date}",
        money=money(
            found if left is None else left.stages, prices, workers=basis.workers,
            input_bytes=reads if left is None else left.bytes, months=asked.months,
        ),
    )


def _named(settings: Settings) -> str:
    names = sorted({recipe.name for recipe in settings.sources.values()})
    return ", ".join(names) or settings.recipe.name


def check(plan: Plan, asked: Asked) -> None:
    """Raises RunError if the run might cost more than it may."""
    if asked.max_cost is None or plan.money is None:
        return
    cost = plan.money.total
    if cost.high > asked.max_cost:
        raise RunError(
            f"--max-cost {asked.max_cost:g}: the run may cost {cost.shown(_money)} {plan.money.currency}. "
            "Nothing was started. Read less, raise the limit, or narrow the estimate with --sample or --rates."
        )


def _money(x: float) -> str:
    return f"{x:,.2f}" if x >= 1 else f"{x:.2g}"


def to_json(plan: Plan) -> str:
    data = dataclasses.asdict(plan)
    for group in data["groups"]:  # a hundred thousand sizes say no more than these
        sizes, _ = group.pop("sizes"), group.pop("known")
        group.update(parts=len(sizes), bytes=sum(sizes), largest=max(sizes, default=0))
    sums = ("cpu_s", "out_bytes", "shuffle_bytes", "wall_s")
    data["total"] = {what: dataclasses.asdict(plan.sum(what)) for what in sums}
    if plan.money:
        data["money"]["total"] = dataclasses.asdict(plan.money.total)
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def keep(out: str, plan: Plan) -> None:
    """Writes OUT/plan.json, unless it says so already. No digest covers it, nothing decides by it, it has no clock."""
    path, content = files.join(out, _FILE), to_json(plan)
    with contextlib.suppress(ValueError):
        if files.read_text(path) == content:
            return
    files.write_bytes(path, content.encode())


def kept(out: str) -> dict[str, Any] | None:
    """What OUT/plan.json holds, None if there is none: nobody depends on it."""
    try:
        text = files.read_text(files.join(out, _FILE))
        found = json.loads(text) if text else None
        return found if isinstance(found, dict) else None
    except (OSError, ValueError):
        return None


def planned_stages(out: str) -> dict[str, StageEstimate]:
    """The stages of OUT/plan.json by name; empty if there is none, or of another version."""
    fields = {f.name for f in dataclasses.fields(StageEstimate)}
    try:
        return {
            stage["stage"]: StageEstimate(**{
                name: Spread(**value) if isinstance(value, dict) else value
                for name, value in stage.items() if name in fields
            })
            for stage in (kept(out) or {}).get("stages", ())
        }
    except (TypeError, KeyError):
        return {}
