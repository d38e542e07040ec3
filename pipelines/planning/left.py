"""What is left to do: the parts of the first stage that is not complete, and all stages after that one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipelines.planning.basis import Basis
from pipelines.planning.timing import StageEstimate
from pipelines.run import Work, finished
from schemas.stages import DEDUPE, ENCODE, INGEST
from transforms.beam import files
from transforms.beam.parts import PlannedPart, committed, record_path


@dataclass(frozen=True, kw_only=True)
class Left:
    """`parts` of the `whole` parts of `stage` are not done; `stages` are that one, for these, and those after it;
    `bytes` are of inputs that ingest has not read. Where everything is complete there is no stage."""

    stage: str = ""
    parts: int = 0
    whole: int = 0
    bytes: int = 0
    stages: tuple[StageEstimate, ...] = ()


def left_of(out: str, works: Mapping[str, Callable[[], Work]], basis: Basis) -> Left:
    """`works` are of stages by name, in their order: each is asked for when those before it are complete."""
    names = list(works)
    for n, name in enumerate(names):
        work = works[name]()
        if finished(out, work) is None:
            todo = _todo(out, work)
            return Left(
                stage=name, parts=len(todo), whole=len(work.parts),
                bytes=sum(p.size for p in todo) if name == INGEST.name else 0,
                stages=(_first(work, todo, basis), *(s for s in basis.stages() if s.stage in names[n + 1 :])),
            )
    return Left()


def _todo(out: str, work: Work) -> list[PlannedPart]:
    parts = {record_path(out, p.stage, p.part): p for p in work.parts}
    done = files.asked(lambda path: committed(out, parts[path]), list(parts))
    return [part for part, record in zip(parts.values(), done, strict=True) if record is None]


def _first(work: Work, todo: list[PlannedPart], basis: Basis) -> StageEstimate:
    """The stage for these of its parts alone. Those of dedupe depend on each other; those of encode are groups of the
    others, and of as many of these as is their share of the bytes."""
    names = None if work.stage in (DEDUPE, ENCODE) else {p.part for p in todo}
    found = next(s for s in basis.stages(names) if s.stage == work.stage.name)
    if work.stage is not ENCODE:
        return found
    share = sum(p.size for p in todo) / max(1, sum(p.size for p in work.parts))
    return found.shared(share, parts=len(todo))
