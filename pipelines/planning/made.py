"""A plan: made of a run's parts and rates, held against a limit, and kept at OUT/plan.json for the report."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.planning.asked import Asked
from pipelines.planning.estimate import Group, Job, fit, stages
from pipelines.planning.kinds import CHOSEN, UNKNOWN
from pipelines.planning.prices import Money, money, read_prices
from pipelines.planning.rates import KindRates, Rates, read_rates
from pipelines.planning.spread import ZERO, Spread, total
from pipelines.planning.timing import StageEstimate
from pipelines.settings import Settings
from schemas.errors import RunError
from transforms.beam import files
from transforms.beam.parts import PlannedPart

_FILE = "plan.json"
PACKING = {"": 1.0, ".gz": 5.0, ".bz2": 5.0, ".zst": 5.5}
"""Bytes that one byte holds: BENCHMARKS.md, formats. For kinds that were measured in another packing alone."""
_GUESS = 2.0
"""How far rates of another kind are trusted."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will take. `fit` is how many workers the machine holds; `guesses` says what was not measured."""

    groups: tuple[Group, ...]
    recipe: str
    workers: int
    stages: tuple[StageEstimate, ...]
    rates: dict[str, str]
    cores: int
    memory: int
    fit: int
    guesses: tuple[str, ...]
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


def groups_of(kinds: Mapping[tuple[str, str], str], parts: Sequence[PlannedPart]) -> tuple[Group, ...]:
    """Parts by source and kind; `kinds` are those of the files by (source, name). Others are of records that an index
    chose, which are those of WARC files."""
    grouped: dict[tuple[str, str], list[PlannedPart]] = {}
    for part in parts:
        grouped.setdefault((part.source, kinds.get((part.source, part.name), CHOSEN)), []).append(part)
    return tuple(
        Group(source=source, kind=kind, files=len({p.name for p in of}), sizes=tuple(p.size for p in of))
        for (source, kind), of in sorted(grouped.items())
    )


def plan_of(
    settings: Settings, groups: tuple[Group, ...], asked: Asked, *, workers: int, rates: Rates | None = None
) -> Plan:
    """Raises RunError where rates or prices cannot be read."""
    rates, guesses = completed(rates or read_rates(asked.rates), sorted({g.kind for g in groups}))
    done = stages(Job(groups=groups, recipe=settings.recipe, workers=workers), rates)
    plan = Plan(
        groups=groups, recipe=_named(settings), workers=workers, stages=tuple(done), rates=rates.said,
        cores=asked.cores, memory=asked.memory, fit=fit(done, cores=asked.cores, memory=asked.memory),
        guesses=tuple(guesses),
    )
    if asked.prices is None:
        return plan
    prices = read_prices(asked.prices, asked.region)
    return dataclasses.replace(
        plan, prices=f"{prices.region}, {prices.said}, {prices.date}",
        money=money(done, prices, workers=workers, input_bytes=plan.bytes, months=asked.months),
    )


def _named(settings: Settings) -> str:
    names = sorted({recipe.name for recipe in settings.sources.values()})
    return ", ".join(names) or settings.recipe.name


def completed(rates: Rates, kinds: Sequence[str]) -> tuple[Rates, list[str]]:
    """The rates with those of kinds that nobody measured, from the same in another packing or from pages: (rates, what
    was guessed)."""
    known, guesses = dict(rates.kinds), []
    for kind in kinds:
        if kind in known:
            continue
        if kind == UNKNOWN:
            known[kind] = _nothing()
            guesses.append("files of unknown formats give one dead letter each")
            continue
        name, packed = _split(kind)
        other = next((k for k in sorted(rates.kinds) if _split(k)[0] == name), next(iter(sorted(rates.kinds)), None))
        if other is None:
            raise RunError("--rates: no kind of file was measured. Make them anew with pipelines.plan --measure.")
        factor = PACKING[packed] / PACKING[_split(other)[1]]
        known[kind] = _scaled(rates.kinds[other], factor)
        guesses.append(f"{kind} was not measured: taken from {other}")
    return dataclasses.replace(rates, kinds=known), guesses


def _split(kind: str) -> tuple[str, str]:
    name, dot, packed = kind.partition(".")
    return name, dot + packed


def _scaled(rates: KindRates, factor: float) -> KindRates:
    names = ("documents", "text", "ingest_cpu", "ingest_out")
    wide = {name: getattr(rates, name).times(factor).widened(_GUESS) for name in names}
    return dataclasses.replace(rates, **wide)


def _nothing() -> KindRates:
    return KindRates(**{f.name: ZERO for f in dataclasses.fields(KindRates)})


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
        sizes = group.pop("sizes")
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


__all__ = ["Plan", "check", "groups_of", "keep", "kept", "plan_of", "planned_stages", "to_json"]
