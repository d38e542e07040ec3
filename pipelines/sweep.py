"""`pipelines.clean --gc`: removes what a run left behind that no manifest names.

That is what parts of files that left had written, shards of a run that had more of them, what --keep had not removed
yet, what an index chose for a run that reads by none now, notes of a takedown that is over, and what lies in scratch/.
Of a stage without a manifest the finished parts of its plan are kept: the next run goes on with them. Only names that a
run gives are looked at, in the folders that it makes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from pipelines.layout import LAYOUT, is_of_a_part
from pipelines.listed import BEFORE
from pipelines.report_page.markup import size
from pipelines.retention import data_of, is_removed, removed
from pipelines.run import read_manifest, say
from pipelines.settings import read_settings
from schemas.errors import RunError
from schemas.records import part_from_json
from schemas.stages import SELECT, STAGES, Stage
from transforms.beam import files, metrics, stores
from transforms.beam.parts import plan_path, record_path


def check_sweepable(out: str) -> None:
    """Before the lock, which would make the folder. Raises RunError where `out` is no run's output or has no lock."""
    read_settings(out)
    if files.size(files.join(out, BEFORE)) is not None:
        raise RunError(f"--gc {out}: a takedown is not finished here, and needs the old shards. Run it again first.")
    if not files.is_local(out) and not stores.is_stored(out):
        raise RunError(f"--gc {out}: no lock keeps other runs out there. Only folders, s3:// and gs:// can be swept.")


def sweep(out: str, *, only_list: bool) -> None:
    """Removes what nothing names, or prints it, a line each: path and bytes. The lock must be held."""
    found = list(orphans(out))
    if only_list:
        for path, n in found:
            print(f"{path}\t{n}")
    else:
        for _ in files.asked(files.remove, [files.join(out, path) for path, _ in found]):
            pass
    did = "nothing was removed" if only_list else "removed"
    what = f"{len(found):,} files, {size(sum(n for _, n in found))}, that no manifest names"
    say(f"{'gc':9} {what}: {did}" if found else f"{'gc':9} nothing to remove")


def orphans(out: str) -> Iterator[tuple[str, int]]:
    """Paths below `out` that no manifest and no unfinished plan names, with their bytes, sorted."""
    named = {path for stage in (SELECT, *STAGES) for path in _named(out, stage)}
    for folder in sorted(LAYOUT):
        for name, n in sorted(_below(out, folder)):
            path = f"{folder}/{name}"
            if is_of_a_part(path) and path not in named:
                yield path, n


def _named(out: str, stage: Stage) -> Iterator[str]:
    manifest = read_manifest(out, stage)
    if manifest is None:
        yield from _unfinished(out, stage)
        return
    gone = is_removed(manifest, removed(out))
    yield from (o.path for o in [*manifest.outputs.values(), *([] if gone else data_of(manifest))])
    for part in manifest.parts:
        yield f"{stage.folder}/{part.part}.json"
        yield f"{metrics.FOLDER}/{stage.name}/{part.part}.json"


def _unfinished(out: str, stage: Stage) -> Iterator[str]:
    """The finished parts of the stage's plan, if it is of that plan that they are."""
    text = files.read_text(plan_path(out, stage)) or ""
    planned = [json.loads(line) for line in text.split("\n")[:-1]]
    # a takedown starts from parts of earlier keys
    keys = {str(p["part"]): {p["plan_key"], *p["work"].get("earlier", ())} for p in planned}
    paths = [record_path(out, stage.name, part) for part in keys]
    for (part, wanted), record in zip(keys.items(), files.asked(files.read_text, paths), strict=True):
        try:
            found = part_from_json(record) if record else None
        except ValueError:
            continue
        if found and found.plan_key in wanted:
            yield from (o.path for o in found.outputs.values())
            yield f"{stage.folder}/{part}.json"
            yield f"{metrics.FOLDER}/{stage.name}/{part}.json"


def _below(out: str, folder: str) -> Iterator[tuple[str, int]]:
    """Name below OUT/folder, with slashes, and bytes. Links to other folders are not followed."""
    top = files.join(out, folder)
    if stores.is_stored(out):
        yield from ((o.path.removeprefix(f"{top}/"), o.size) for o in stores.below(f"{top}/"))
        return
    for parent, _, names in os.walk(top):
        for name in names:
            path = os.path.join(parent, name)
            yield os.path.relpath(path, top).replace(os.sep, "/"), os.lstat(path).st_size
