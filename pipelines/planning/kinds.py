"""Of which kind the inputs are, such as `warc.gz`: a few files of each ending are looked into, and tell of the rest."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from schemas.errors import RunError
from transforms.beam import files
from transforms.beam.parts import PlannedPart
from transforms.inflate import Inflated
from transforms.ranges import format_of

LOOKED_INTO = 4
"""Files of each source and ending: a crawl's hundred thousand are alike."""
CHOSEN = "warc.gz"
"""What the records are of that an index chose."""
UNKNOWN = "unknown"
"""A file of no format that we read: one dead letter."""
_HEAD = 1 << 16
_PACKED = {None: "", "gzip": ".gz", "bzip2": ".bz2", "zstd": ".zst"}
_NAMES = (
    (re.compile(r"\.warc\.wet\b"), "wet"), (re.compile(r"\.warc\b"), "warc"), (re.compile(r"\.parquet$"), "parquet"),
    (re.compile(r"\.(jsonl|ndjson|json)\b"), "jsonl"), (re.compile(r"\.xml\b"), "wikipedia"),
)
_ENDINGS = re.compile(r"(?:\.[a-z][a-z0-9]{0,9}){1,3}$")


def kinds_of(parts: Iterable[PlannedPart]) -> dict[tuple[str, str], str]:
    """The kind of each file that the parts of ingest read, by (source, name). Files on this machine are looked into, of
    others only the names, where these tell."""
    paths = {(p.source, p.name): p.work.get("path") for p in parts}
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for (source, name), path in paths.items():
        if path:
            groups.setdefault(_group(source, name), []).append((str(path), name))
    known = {group: _kind_of_group(of) for group, of in groups.items()}
    return {(s, n): known[_group(s, n)] if path else CHOSEN for (s, n), path in paths.items()}


def by_kind(
    parts: Iterable[PlannedPart], kinds: Mapping[tuple[str, str], str]
) -> dict[tuple[str, str], list[PlannedPart]]:
    """Parts by (source, kind); `kinds` are those of files by (source, name)."""
    found: dict[tuple[str, str], list[PlannedPart]] = {}
    for part in parts:
        found.setdefault((part.source, kinds[part.source, part.name]), []).append(part)
    return found


def _group(source: str, name: str) -> tuple[str, str]:
    ending = _ENDINGS.search(name.lower())
    return source, ending[0] if ending else ""


def _kind_of_group(of: list[tuple[str, str]]) -> str:
    step = max(1, len(of) // LOOKED_INTO)
    kinds = Counter(kind_of(path, name) for path, name in of[::step][:LOOKED_INTO])
    return kinds.most_common(1)[0][0]


def kind_of(path: str, name: str) -> str:
    """By the content of a local file, else by the name, and where that does not tell, by the content if it can be had
    with no more than one request."""
    named = kind_by_name(name)
    if (named and not files.is_local(path)) or path.startswith(("http:", "https:")):
        return named or UNKNOWN
    try:
        with files.open_read(path) as raw:
            kind, packed = format_of(raw)
            if kind == "warc" and _is_wet(raw):
                kind = "wet"
    except (OSError, RunError):  # ingest will say so, where it matters
        return named or UNKNOWN
    return f"{kind}{_PACKED[packed]}" if kind else UNKNOWN


def _is_wet(raw: io.BufferedIOBase) -> bool:  # type: ignore[override]
    """WET files are WARCs of `conversion` records after the first."""
    raw.seek(0)
    return b"\r\nWARC-Type: conversion\r\n" in io.BufferedReader(Inflated(raw), _HEAD).read(_HEAD)  # type: ignore[arg-type]


def kind_by_name(name: str) -> str | None:
    """What a file's name says, None if it does not."""
    low = name.lower()
    packed = next((p for p in (".gz", ".bz2", ".zst") if low.endswith(p)), "")
    kind = next((kind for pattern, kind in _NAMES if pattern.search(low)), None)
    return f"{kind}{packed}" if kind else None
