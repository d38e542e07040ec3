"""What `--keep` leaves of a finished run, and OUT/removed.json, which says what it removed.

A stage whose data was removed stays complete: its manifest still tells what was there, and removed.json, written before
the first file goes, that it is there no more. Shards and tokenizer.json always stay.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.layout import is_of_a_part
from schemas.errors import OptionError, RunError
from schemas.records import Manifest, Output
from schemas.stages import BY_NAME, DEDUPE, ENCODE, FILTER, INGEST, STAGES, TOKENIZER, Stage
from transforms.beam import files

FILE = "removed.json"
READS: dict[str, tuple[Stage, ...]] = {
    INGEST.name: (), DEDUPE.name: (INGEST,), FILTER.name: (INGEST, DEDUPE), TOKENIZER.name: (FILTER,),
    ENCODE.name: (FILTER,),
}
"""The stages whose parts a stage reads."""
SAMPLED = (INGEST, DEDUPE, FILTER)
"""Those that the report takes samples from."""


class GoneError(RunError):
    """A stage has to run, and what it reads was removed. `stages`: what makes that again."""

    def __init__(self, message: str, stages: tuple[Stage, ...]) -> None:
        super().__init__(message)
        self.stages = stages


@dataclass(frozen=True, kw_only=True)
class Removed:
    """Of one stage: the plan whose manifest names the files, how many they were and their bytes. `swept` when the last
    of them is gone."""

    plan_key: str
    files: int
    bytes: int
    swept: bool = False


def add_retention(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep", metavar="FOLDERS",
        help=f"what stays of the stages' data after success, of {','.join(s.folder for s in STAGES)} (default all); "
             "shards/, tokenizer.json and all manifests always stay. Without documents/ another input or rule reads "
             "every archive again",
    )
    parser.add_argument(
        "--gc", nargs="?", const="remove", choices=("remove", "list"), metavar="list",
        help="remove the files of parts that no manifest names, after the run or, without --input, alone; --gc=list "
             "prints them instead",
    )


def kept_folders(text: str | None) -> tuple[str, ...] | None:
    """`--keep=clean,shards` as folders; None: everything stays. Raises OptionError at a name of no stage's folder."""
    if text is None:
        return None
    known = [s.folder for s in STAGES]
    chosen = tuple(name.strip().rstrip("/") for name in text.split(","))
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise OptionError(f"--keep {unknown[0]!r}: no such folder of a run. Known: {', '.join(known)}.")
    return chosen


def removed(out: str) -> dict[str, Removed]:
    """By stage. A file that says nothing readable removed nothing: what is not there is then made again."""
    try:
        text = files.read_text(files.join(out, FILE))
        return {name: Removed(**fields) for name, fields in json.loads(text)["removed"].items()} if text else {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def is_removed(manifest: Manifest, gone: dict[str, Removed]) -> bool:
    return manifest.stage in gone and gone[manifest.stage].plan_key == manifest.plan_key


def data_of(manifest: Manifest) -> list[Output]:
    """What may be removed of a stage: the files of its parts, not those of the stage as a whole."""
    return [o for part in manifest.parts for o in part.outputs.values() if is_of_a_part(o.path)]


def check_reads(out: str, stage: Stage) -> None:
    """Raises GoneError where a stage that must run reads what was removed."""
    gone = removed(out)
    stages = tuple(read for read in READS.get(stage.name, ()) if read.name in gone)
    if stages:
        folders = " and ".join(f"{s.folder}/" for s in stages)
        raise GoneError(
            f"{stage.name}: must run and reads {folders}, which --keep removed. pipelines.clean makes that again.",
            stages,
        )


def forget_removed(out: str, stages: Sequence[Stage]) -> None:
    """They are complete no longer, unless their files are there."""
    gone = removed(out)
    if gone.keys() & {s.name for s in stages}:
        _write(out, {name: what for name, what in gone.items() if BY_NAME[name] not in stages})


def mark_removed(out: str, kept: Sequence[str], manifests: Sequence[Manifest]) -> list[Manifest]:
    """Writes down which stages' data is to go, and returns those of which some may still be there."""
    gone = removed(out)
    chosen = [m for m in manifests if m.stage != ENCODE.name and BY_NAME[m.stage].folder not in kept]
    going = [m for m in chosen if not (is_removed(m, gone) and gone[m.stage].swept)]
    if going:
        _write(out, gone | {m.stage: _of(m) for m in going})
    return going


def sweep_removed(out: str, going: Sequence[Manifest]) -> tuple[int, int]:
    """Removes the data of these stages. Returns how many files that were, and their bytes."""
    outputs = [output for m in going for output in data_of(m)]
    for _ in files.asked(files.remove, [files.join(out, output.path) for output in outputs]):
        pass
    if going:
        _write(out, removed(out) | {m.stage: _of(m, swept=True) for m in going})
    return len(outputs), sum(output.bytes for output in outputs)


def _of(manifest: Manifest, *, swept: bool = False) -> Removed:
    outputs = data_of(manifest)
    return Removed(
        plan_key=manifest.plan_key, files=len(outputs), bytes=sum(o.bytes for o in outputs), swept=swept
    )


def _write(out: str, gone: dict[str, Removed]) -> None:
    path = files.join(out, FILE)
    if not gone:
        files.remove(path)
        return
    content = {"schema_version": 1, "removed": {name: vars(what) for name, what in gone.items()}}
    files.write_bytes(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
