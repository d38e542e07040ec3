"""The names that a run gives to the files of parts, below its output: nothing else is ever removed."""

from __future__ import annotations

import re

from schemas.stages import BY_NAME, ENCODE, SELECT, STAGES
from transforms.beam import metrics

_PART = r"part-[0-9a-f]{16}"
_KEY = r"[0-9a-f]{16}"
"""The first digits of a plan key."""
_SHARDS = r"[a-z0-9][a-z0-9_-]{0,63}-\d{5,}"
LAYOUT: dict[str, str] = {
    **{stage.folder: rf"{_PART}\.(?:json|parquet)" for stage in STAGES if stage != ENCODE},
    "dead_letters": rf"{_PART}\.parquet",
    "dropped": rf"{_PART}\.parquet",
    SELECT.folder: rf"(?:files-)?{_PART}\.(?:json|parquet)",
    "takedown": rf"index/{_SHARDS}-{_KEY}\.parquet|rows/{_SHARDS}-{_KEY}-{_KEY}\.json",
    ENCODE.folder: rf"{_SHARDS}\.json|(?:train|validation|test)/[a-z0-9_-]+/shard-\d{{5,}}\.(?:arrow|tfrecord)",
    metrics.FOLDER: rf"(?:{'|'.join(BY_NAME)})/(?:{_PART}|{_SHARDS})\.json",
    "scratch": r"[0-9a-f]{32}\.blocks",
}
"""Folder below the output to the names in it that belong to parts."""


def is_of_a_part(path: str) -> bool:
    """Of a path below the output, with slashes."""
    folder, _, name = path.partition("/")
    return folder in LAYOUT and re.fullmatch(LAYOUT[folder], name) is not None
