"""`cc-index:SNAPSHOT?FILTERS` and `cdxj:PATTERN?FILTERS`: records chosen by an index, in a stage of its own before
ingest, and the parts of ingest that fetch them."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

import apache_beam as beam

from pipelines.fingerprints import library_versions, stage_fingerprint
from pipelines.inputs import Input, list_files, parse_input
from pipelines.options import Options
from pipelines.reach import Reach
from pipelines.run import Work, run_stage
from pipelines.snapshots import index_files
from schemas.errors import RunError
from schemas.records import Manifest
from schemas.stages import SELECT
from transforms.beam.files import Found
from transforms.beam.parts import PlannedPart, ProcessParts, WriteManifest
from transforms.beam.selected import parts_of
from transforms.beam.selection import SelectPart
from transforms.beam.tables import read_table
from transforms.identity import fingerprint
from transforms.index_rows import Filters

CODE = "transforms.beam.selection"
KINDS = ("cc-index:", "cdxj:")
PART_RECORDS = 10_000
"""Of a part: scattered over a crawl each is a request, and at ten a second those take a quarter of an hour."""
_ASKED = re.compile(r"cc-index:(?P<snapshot>CC-MAIN-[0-9]{4}[0-9-]*)(?:/(?P<kind>parquet|cdxj))?")
_VALUES = {
    "languages": (r"[a-z]{3}", "an ISO 639-3 code, as deu"),
    "domain": (r"[^\s/:*]+\.[^\s/:*]+", "a registered domain, as example.org"),
    "tld": (r"[^\s/:*.]+", "a top-level domain, as de"),
    "mime": (r"[^\s/*]+/[^\s/*]+", "a media type, as text/html"),
    "status": (r"[1-9][0-9]{2}", "a status of HTTP, as 200"),
    "url": (r".+", "a pattern, as https://*.example.org/news/*"),
    "from": (r"[0-9]{8}", "a day, YYYYMMDD"),
    "to": (r"[0-9]{8}", "a day, YYYYMMDD"),
}
"""By filter what a value looks like."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """An --input that names an index. `index` is cc-index:… or the pattern of CDXJ files."""

    given: str
    source: str
    index: str
    filters: Filters


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Files [first, last] of a source, by their names, of which `records` are to be read; `names` are all of them.
    `contents` tells of the places."""

    source: str
    names: tuple[str, ...]
    records: int
    bytes: int
    contents: str

    @property
    def name(self) -> str:
        first, last = self.names[0], self.names[-1]
        return first if first == last else f"{first} to {last}"


def is_selection(given: Input) -> bool:
    return given.pattern.startswith(KINDS)


def parse_selection(given: Input) -> Selection:
    """Raises RunError where there is no such filter, or a value is none of it."""
    index, _, query = given.pattern.partition("?")
    if index.startswith("cc-index:") and not _ASKED.fullmatch(index):
        raise RunError(
            f"--input {index}: names no index of a snapshot. Write cc-index:CC-MAIN-2026-43?FILTER=VALUE&…, or "
            "cc-index:CC-MAIN-2026-43/cdxj?… to read its CDXJ lines."
        )
    return Selection(given=given.pattern, source=given.source, index=index, filters=_filters(given.pattern, query))


def _filters(given: str, query: str) -> Filters:
    values: dict[str, list[str]] = {}
    for pair in filter(None, query.split("&")):
        name, _, text = pair.partition("=")
        if name not in _VALUES:
            raise RunError(f"--input {given}: {name!r} is no filter. Known: {', '.join(_VALUES)}.")
        found = [unquote(v) for v in ([text] if name == "url" else text.split(","))]
        wrong = next((v for v in found if not re.fullmatch(*_VALUES[name][:1], v) or not _is_day(name, v)), None)
        if wrong is not None:
            raise RunError(f"--input {given}: {name}={wrong} is not {_VALUES[name][1]}.")
        values.setdefault(name, []).extend(found)
    if not values:
        raise RunError(
            f"--input {given}: has no filter. Give some after a ?, joined by &: {', '.join(_VALUES)}. A whole snapshot "
            "is cc:SNAPSHOT, without its index."
        )
    days = {name: values.pop(name, []) for name in ("from", "to")}
    if any(len(of) > 1 for of in days.values()) or (all(days.values()) and days["from"] > days["to"]):
        raise RunError(f"--input {given}: from and to are one day each, from the earlier.")
    lower = {name: tuple(sorted({v.lower() for v in values.get(name, ())})) for name in ("domain", "tld", "mime")}
    return Filters(
        languages=tuple(sorted(set(values.get("languages", ())))), url=tuple(sorted(set(values.get("url", ())))),
        status=tuple(sorted({int(v) for v in values.get("status", ())})),
        since="".join(days["from"]), until="".join(days["to"]), **lower,
    )


def _is_day(name: str, value: str) -> bool:
    if name not in ("from", "to"):
        return True
    try:
        return bool(datetime.date(int(value[:4]), int(value[4:6]), int(value[6:])))
    except ValueError:
        return False


def check_plannable(options: Options) -> None:
    """Raises RunError where an input names an index."""
    if any(is_selection(parse_input(text)) for text in options.inputs):
        raise RunError(
            "--input: what an index chooses is known when the run has asked it. Plan without that input; the run "
            "of pipelines.clean makes its plan when it has, and --max-cost holds for that."
        )


def select(options: Options) -> list[Chosen]:
    """What the inputs that name an index choose, as parts to be; runs the stage where there are any. They depend on
    the chosen places and --part-bytes alone. Raises RunError where nothing is chosen."""
    inputs = [parse_selection(i) for i in map(parse_input, options.inputs) if is_selection(i)]
    if not inputs:
        return []
    process = SelectPart(out=options.output, network=options.reach.network)

    def graph(plan: beam.PCollection[str], blank: Manifest) -> None:
        plan | ProcessParts(options.output, process) | WriteManifest(options.output, blank)

    manifest = run_stage(options, select_work(inputs, reach=options.reach), graph)
    found = [c for s in sorted({i.source for i in inputs}) for c in _chosen(options, manifest, s)]
    for source in sorted({i.source for i in inputs} - {c.source for c in found}):
        asked = " and ".join(i.given for i in inputs if i.source == source)
        raise RunError(f"--input {asked}: no record of the index passes the filters. Ask for more, or leave it out.")
    return found


def select_work(inputs: Iterable[Selection], *, reach: Reach) -> Work:
    """One part for each file of an index and each set of filters."""
    parts: dict[str, PlannedPart] = {}
    for given in inputs:
        filters, kind, files = dataclasses.asdict(given.filters), *_index(given, reach)
        for name, found in files:
            part = "part-" + fingerprint([given.source, name, filters])[:16]
            key = [given.source, name, found.identity, kind, filters, stage_fingerprint(CODE)]
            parts[part] = PlannedPart(
                stage=SELECT.name, part=part, plan_key=fingerprint(key), source=given.source, name=name, number=0,
                size=found.size,
                work={"path": found.path, "identity": found.identity or None, "kind": kind, "filters": filters},
            )
    ordered = [dataclasses.replace(parts[part], number=k) for k, part in enumerate(sorted(parts))]
    return Work(stage=SELECT, parts=ordered, settings=None, recipes={}, libraries=library_versions(CODE))


def _index(given: Selection, reach: Reach) -> tuple[str, list[tuple[str, Found]]]:
    """(parquet or cdxj, the index's files with their names)."""
    asked = _ASKED.fullmatch(given.index)
    if asked:
        kind = asked["kind"] or "parquet"
        return kind, [(f.name, f.found) for f in index_files(asked["snapshot"], kind=kind, reach=reach)]
    pattern = Input(source=given.source, pattern=given.index.removeprefix("cdxj:"), recipe=None)
    near = dataclasses.replace(reach, tolerate_missing=False)
    return "cdxj", [(f.name, f.found) for f in list_files([pattern], reach=near)]


def _chosen(options: Options, manifest: Manifest, source: str) -> list[Chosen]:
    """Files in order of their names, as many to a part as have PART_RECORDS records and --part-bytes bytes together,
    or one that has more."""
    files: dict[str, tuple[int, int]] = {}
    parts = parts_of(manifest, source)
    for part in parts:
        for batch in read_table(options.output, part.outputs["files"], rows=1 << 16):
            for file, records, size in zip(*(c.to_pylist() for c in batch.columns), strict=True):
                before = files.get(file, (0, 0))
                files[file] = (before[0] + records, before[1] + size)
    contents = fingerprint(sorted(p.outputs["places"].content for p in parts))
    found: list[Chosen] = []
    for name in sorted(files):
        records, size = files[name]
        one = Chosen(source=source, names=(name,), records=records, bytes=size, contents=contents)
        last = found[-1] if found else None
        if last and last.records + records <= PART_RECORDS and last.bytes + size <= options.part_bytes:
            names = (*last.names, name)
            found[-1] = dataclasses.replace(one, names=names, records=last.records + records, bytes=last.bytes + size)
        else:
            found.append(one)
    return found
