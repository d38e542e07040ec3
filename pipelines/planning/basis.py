"""What a plan stands on: the parts of ingest, kinds of their files, rates, and what complete stages know already."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

from pipelines.options import Options
from pipelines.planning.estimate import Job, stages
from pipelines.planning.guesses import completed
from pipelines.planning.kinds import by_kind, kinds_of
from pipelines.planning.rates import Rates, read_rates
from pipelines.planning.timing import StageEstimate
from pipelines.planning.volumes import NOTHING, Group, Known
from pipelines.run import Work, needed
from pipelines.settings import Settings
from schemas.stages import DEDUPE, FILTER, INGEST, STAGES, Stage
from transforms.beam.parts import PlannedPart


@dataclass(frozen=True, kw_only=True)
class Basis:
    """`kinds` are those of files by (source, name); `facts` what complete stages have made of a part of ingest, by its
    name; `guesses` say what was not measured."""

    settings: Settings
    workers: int
    parts: Sequence[PlannedPart]
    kinds: Mapping[tuple[str, str], str]
    rates: Rates
    facts: Mapping[str, Known] = dataclasses.field(default_factory=dict)
    guesses: tuple[str, ...] = ()

    def groups(self, names: Container[str] | None = None) -> tuple[Group, ...]:
        """Of all parts, or of those of these names."""
        chosen = [p for p in self.parts if names is None or p.part in names]
        return tuple(
            Group(source=source, kind=kind, files=len({p.name for p in of}), sizes=tuple(p.size for p in of),
                  known=_together([self.facts.get(p.part, NOTHING) for p in of]))
            for (source, kind), of in sorted(by_kind(chosen, self.kinds).items())
        )

    def stages(self, names: Container[str] | None = None) -> list[StageEstimate]:
        """Every stage of a run over them."""
        return stages(Job(groups=self.groups(names), recipe=self.settings.recipe, workers=self.workers), self.rates)


Sampler = Callable[
    [Options, Settings, Work, Mapping[tuple[str, str], str], Rates], tuple[Mapping[tuple[str, str], str], Rates]
]
"""Kinds of files and rates to those of the inputs' own pages: `pipelines.planning.sample`, which runs the stages."""


def basis_of(options: Options, settings: Settings, planned: Work, *, sample: Sampler | None = None) -> Basis:
    """Of the work of ingest, with a sample where one is asked for. Raises RunError where rates cannot be read."""
    kinds: Mapping[tuple[str, str], str] = kinds_of(planned.parts)
    rates, guesses = completed(read_rates(options.plan.rates), sorted(set(kinds.values())))
    if sample and options.plan.sample:
        kinds, rates = sample(options, settings, planned, kinds, rates)
    return Basis(
        settings=settings, workers=options.workers, parts=planned.parts, kinds=kinds, rates=rates, guesses=guesses
    )


def facts_before(out: str, stage: Stage) -> dict[str, Known]:
    """What the stages before this one have made of each part. Raises RunError where one of them is not complete."""
    before = {s: needed(out, s).parts for s in STAGES[: STAGES.index(stage)]}
    found = {r.part: Known(documents=r.counts.went_out, text=r.text_bytes) for r in before.get(INGEST, ())}
    for r in before.get(DEDUPE, ()):
        found[r.part] = dataclasses.replace(found[r.part], duplicates=sum(r.counts.dropped.values()))
    for r in before.get(FILTER, ()):
        found[r.part] = dataclasses.replace(found[r.part], kept=r.counts.went_out, kept_text=r.text_bytes)
    return found


def _together(known: Sequence[Known]) -> Known:
    """What is known of each of them, summed up."""
    def of(name: str) -> int | None:
        values = [getattr(k, name) for k in known]
        return None if None in values else sum(values)

    return Known(**{f.name: of(f.name) for f in dataclasses.fields(Known)})
