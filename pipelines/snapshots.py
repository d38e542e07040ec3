"""`cc:SNAPSHOT`: the files of a crawl of Common Crawl, by the list that it publishes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from pipelines.reach import Reach
from pipelines.remote import Listed, Named, look_at, read_lines
from schemas.errors import RunError

_ASKED = re.compile(r"cc:(?P<snapshot>CC-[A-Z0-9-]+(?:/[0-9]{4}/[0-9]{2})?)(?:/(?P<kind>warc|wet))?")
"""CC-MAIN-2026-43; CC-NEWS/2026/10, whose lists are by month."""
_PATH = re.compile(r"[a-z-]+(?:/[A-Za-z0-9_-][A-Za-z0-9._=-]*)+")
"""No %, no blank and no part that starts with a dot: what a list says goes into addresses. A table's
folders are COLUMN=VALUE."""
_LINES = re.compile(r"/cdx-[0-9]+\.gz$")
"""Beside cluster.idx and metadata.yaml."""


def snapshot_files(pattern: str, *, reach: Reach) -> list[Listed]:
    """The files, in the list's order. Raises RunError where the list cannot be had, or one of the files."""
    asked = _ASKED.fullmatch(pattern)
    if not asked:
        raise RunError(f"{pattern}: is no snapshot. Write cc:CC-MAIN-2026-43, or cc:CC-MAIN-2026-43/wet for its texts.")
    folder, kind = f"crawl-data/{asked['snapshot']}/", asked["kind"] or "warc"
    paths = _listed(f"{folder}{kind}.paths.gz", folder, reach)
    return look_at([Named(name=p, path=reach.cc_base + p) for p in _chosen(paths, reach)], reach=reach)


def index_files(snapshot: str, *, kind: str, reach: Reach) -> list[Listed]:
    """The files of a snapshot's index of its pages, in the list's order: `parquet`, or `cdxj` lines, which are of other
    records too. Raises RunError as `snapshot_files`."""
    name = "cc-index-table" if kind == "parquet" else "cc-index"
    paths = _listed(f"crawl-data/{snapshot}/{name}.paths.gz", "cc-index/", reach)
    wanted = [p for p in paths if ("/subset=warc/" in p if kind == "parquet" else _LINES.search(p))]
    if not wanted:
        raise RunError(
            f"{reach.cc_base}crawl-data/{snapshot}/{name}.paths.gz: names no index of pages. Check the snapshot: older "
            "ones have none."
        )
    near = replace(reach, tolerate_missing=False)  # nobody could say what is missing then
    return look_at([Named(name=p, path=reach.cc_base + p) for p in wanted], reach=near)


def _listed(name: str, folder: str, reach: Reach) -> list[str]:
    """The paths in a list below --cc-base, all of them below `folder`."""
    paths = read_lines(reach.cc_base + name, reach=reach)
    wrong = next((p for p in paths if not _PATH.fullmatch(p) or not p.startswith(folder)), None)
    if wrong or not paths:
        what = f"{wrong[:200]!r} is no path below {folder}" if wrong else "it is empty"
        raise RunError(f"{reach.cc_base}{name}: cannot be read as a list of files: {what}. Check --cc-base.")
    return paths


def _chosen(paths: list[str], reach: Reach) -> list[str]:
    if reach.sample_files is not None:
        paths = sorted(paths, key=_order)[: reach.sample_files]
    return paths[: reach.limit_files]


def _order(path: str) -> bytes:
    """A sample is the start of this order, so a larger one holds it; nothing but the name decides."""
    return hashlib.blake2b(path.encode(), digest_size=16, person=b"files").digest()
