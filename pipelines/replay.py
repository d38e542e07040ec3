"""`--replay OUT/dead_letters`: which records of which files a run could not read."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass

from pipelines.inputs import InputFile
from pipelines.places import check_place
from pipelines.reach import NEAR, Reach
from pipelines.recipes import recipe_named
from pipelines.run import needed
from pipelines.settings import Settings, read_settings
from schemas.errors import MissingRunError, RunError
from schemas.records import Output, PartRecord
from schemas.stages import INGEST
from transforms.beam import files, sources
from transforms.beam.ingest import MISSING
from transforms.beam.parts import PlannedPart, plan_path, read_plan

_FOLDER = "dead_letters"


@dataclass(frozen=True, kw_only=True)
class Letters:
    """The dead letters of a part of the run in `out`: their table, the bytes they tell of, whether they stand for the
    whole part, and the file they are of, with the bytes of it that were the part."""

    out: str
    output: Output
    lost: int
    whole: bool
    file: InputFile
    span: tuple[int, int] | None


def letters_of(given: str, *, output: str, recipe: str | None, reach: Reach = NEAR) -> tuple[Settings, list[Letters]]:
    """(settings of the run whose dead letters `given` is, its parts that have any). With `recipe`, that one for all its
    sources. Raises RunError if it is no such folder, ingest is not complete there, there are none, or a file is
    gone."""
    check_place(given, option="--replay")
    out, _, folder = given.rstrip("/").rpartition("/")
    out = out or ("/" if given.startswith("/") else ".")
    if folder != _FOLDER:
        raise RunError(f"--replay {given}: is no folder of dead letters. Give OUT/{_FOLDER} of a run.")
    if _same(out, output):
        raise RunError(f"--replay {given}: lies in --output. Give another --output, beside it.")
    settings = read_settings(out)
    if recipe:
        chosen = recipe_named(recipe)
        settings = dataclasses.replace(settings, recipe=chosen, sources=dict.fromkeys(settings.sources, chosen))
    manifest = needed(out, INGEST)
    planned = {(p.part, p.plan_key): p for p in read_plan(plan_path(out, INGEST))}
    letters = []
    for record in manifest.parts:
        if sum(record.counts.dead_letters.values()):
            part = planned.get((record.part, record.plan_key))
            if part is not None and "first" in part.work:
                raise RunError(
                    f"--replay {given}: {record.name} was read by an index. Run the command that read it "
                    "again: what was missing is tried again, and so is everything by another winnow."
                )
            if part is None or "letters" in part.work:
                raise RunError(
                    f"{plan_path(out, INGEST)}: does not say where {record.name} is. Replay the dead letters of the "
                    "run that read it first, once ingest is complete there."
                )
            letters.append(_letters(out, record, part, reach))
    if not letters:
        raise RunError(f"--replay {given}: there are no dead letters, so there is nothing to try again.")
    return settings, letters


def _letters(out: str, record: PartRecord, part: PlannedPart, reach: Reach) -> Letters:
    path = part.work["path"]
    try:
        found = sources.look(path, network=reach.network)
    except MissingRunError as error:
        raise RunError(
            f"{path}: cannot be had, and dead letters of {out} are of it. Bring it back to try them again. ({error})"
        ) from error
    return Letters(
        out=out, output=record.outputs[_FOLDER], lost=sum(record.tallies.get("bytes lost", {}).values()),
        whole=MISSING in record.counts.dead_letters,
        file=InputFile(source=part.source, name=part.name, found=found, digest=part.work.get("digest")),
        span=(part.work["start"], part.work["end"]) if "start" in part.work else None,
    )


def _same(one: str, other: str) -> bool:
    if files.is_local(one) and files.is_local(other):
        return os.path.realpath(one) == os.path.realpath(other)
    return one.rstrip("/") == other.rstrip("/")
