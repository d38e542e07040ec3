"""What is taken down from a run: its list, which only grows, and what a takedown leaves as it is.

A takedown redoes no more than it must. Tokenizer, language codes and the grouping of parts to shards stay those of the
finished run, in OUT/takedown/pin.json, for as long as everything else that decides is the same: else a few documents
less would mean other tokens in every shard. The run's stage record of encode is kept in OUT/takedown/before.json until
its successor is complete.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines.run import read_manifest
from pipelines.settings import Settings, read_settings
from schemas.errors import RunError
from schemas.records import Manifest, Output, PartRecord, manifest_from_json
from schemas.shards import from_json
from schemas.stages import ENCODE, INGEST, TOKENIZER
from transforms.beam import files
from transforms.beam.lists import read_list
from transforms.beam.parts import PlannedPart, plan_path, read_plan
from transforms.beam.takedown_list import LIST, Listed, list_text, read_listed
from transforms.identity import fingerprint
from transforms.takedown import Takedown, digest_of, takedown_of, union

PIN, BEFORE = "takedown/pin.json", "takedown/before.json"


@dataclass(frozen=True, kw_only=True)
class Pin:
    """`basis` is of all that decides but the list; `groups` are the parts behind each shard number, by source."""

    basis: str
    tokenizer: Output
    languages: tuple[str, ...]
    groups: dict[str, list[list[str]]]


def adopt(out: str, paths: Sequence[str], *, under: str | None = None) -> None:
    """Adds lists, and that of the run in `under`, to the run's own. Raises RunError at one that cannot be read."""
    takedown = Takedown()
    for path in paths:
        try:
            takedown = union(takedown, takedown_of(read_list(path)))
        except ValueError as error:
            raise RunError(f"{path}: {error}. Mend that line.") from error
    if under and (found := read_listed(under)):
        takedown = union(takedown, found.takedown)
    kept = read_listed(out)
    grown = union(kept.takedown, takedown) if kept else takedown
    digest = digest_of(grown)
    if grown == Takedown() or (kept and kept.digest == digest):
        return
    _keep_finished(out)
    earlier = (*kept.earlier, kept.digest) if kept else ()
    files.write_bytes(files.join(out, LIST), list_text(Listed(takedown=grown, digest=digest, earlier=earlier)).encode())


def with_list(parts: Sequence[PlannedPart], listed: Listed | None) -> list[PlannedPart]:
    """The parts of ingest as the list has them, of plans made with any list or none."""
    bare = [replace(p, plan_key=base_key(p), work=_bare(p.work)) for p in parts]
    return [_listed(p, listed) for p in bare] if listed else bare


def base_key(part: PlannedPart) -> str:
    """The plan key that a part of ingest would have without a list."""
    key: str = part.work.get("bare_key", part.plan_key)
    return key


def _bare(work: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in work.items() if name not in ("takedown", "bare_key", "earlier")}


def _listed(part: PlannedPart, listed: Listed) -> PlannedPart:
    base = part.plan_key
    earlier = [base, *(fingerprint([base, digest]) for digest in listed.earlier)]
    work = {**part.work, "takedown": listed.digest, "bare_key": base, "earlier": earlier}
    return replace(part, plan_key=fingerprint([base, listed.digest]), work=work)


def pinned(out: str, settings: Settings) -> Pin | None:
    """What stays as it is: None where nothing was taken down of a finished run, or the run is another now."""
    text = files.read_text(files.join(out, PIN))
    if not text or read_listed(out) is None:
        return None
    raw = json.loads(text)
    if raw["basis"] != basis(out, settings):
        return None
    languages = tuple(raw["languages"])
    return Pin(
        basis=raw["basis"], tokenizer=Output(**raw["tokenizer"]), languages=languages, groups=raw["groups"]
    )


def basis(out: str, settings: Settings) -> str:
    """Changes when anything that decides what lies in shards/ changes, but for the list and for our own later stages'
    code: a takedown by a newer winnow is no reason for another tokenizer either."""
    parts = sorted((p.part, base_key(p)) for p in read_plan(plan_path(out, INGEST)))
    how = settings.recipe
    decides = [dataclasses.asdict(r) for r in (how.dedupe, how.tokenizer, how.encode)]
    return fingerprint([parts, settings.rules(), decides])


def encoded(record: PartRecord) -> str:
    """Of a part of clean/, what tokens and shards depend on. Earlier versions did not tell: then it is all of it."""
    return record.digests.get("encoded", record.outputs["clean"].xxh3)


def before(out: str) -> tuple[str, Manifest] | None:
    """The data set's id and the stage record of encode when documents were taken down, until all is said of it."""
    text = files.read_text(files.join(out, BEFORE))
    if not text:
        return None
    raw = json.loads(text)
    return raw["dataset_id"], manifest_from_json(json.dumps(raw["encode"]))


def _keep_finished(out: str) -> None:
    """If all stages are complete, what must outlast the takedown."""
    encoded, learnt = read_manifest(out, ENCODE), read_manifest(out, TOKENIZER)
    text = files.read_text(files.join(out, ENCODE.folder, "manifest.json"))
    if encoded is None or learnt is None or text is None:
        return
    planned = {p.part: p for p in read_plan(plan_path(out, ENCODE))}
    groups: dict[str, list[list[str]]] = {}
    for part in sorted(planned.values(), key=lambda p: (p.source, p.work["shard"])):
        paths = [clean["path"] for clean in part.work["clean"]]
        groups.setdefault(part.source, []).append([p.rpartition("/")[2].removesuffix(".parquet") for p in paths])
    shards = from_json(text)
    pin = Pin(
        basis=basis(out, read_settings(out)), tokenizer=learnt.outputs["tokenizer"], languages=shards.languages,
        groups=groups,
    )
    _write(out, PIN, dataclasses.asdict(pin))
    if files.size(files.join(out, BEFORE)) is None:
        _write(out, BEFORE, {"dataset_id": shards.dataset_id, "encode": dataclasses.asdict(encoded)})


def _write(out: str, path: str, value: object) -> None:
    files.write_bytes(files.join(out, path), (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
