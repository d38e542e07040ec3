"""`wiki:DB/DATE`: the articles of a dump of Wikimedia, by the list and the checksums that it publishes."""

from __future__ import annotations

import json
import re
from typing import Any

from pipelines.reach import Reach
from pipelines.remote import Listed, Named, look_at, read_lines, read_text
from schemas.errors import MissingRunError, RunError

_ASKED = re.compile(r"wiki:(?P<db>[a-z][a-z0-9_]*)/(?P<date>[0-9]{8})")
_PIECE = re.compile(r"[0-9]+\.xml-p[0-9]+p[0-9]+\.bz2")
_JOBS = (
    "articlesmultistreamdump", "articlesmultistreamdumprecombine", "articlesdump", "articlesdumprecombine",
)
"""Of https://dumps.wikimedia.org/DB/DATE/dumpstatus.json, the best first: many streams can be read as many parts, and
so can many files. A small wiki has no recombined ones."""
_HEX = re.compile(r"[0-9a-f]{40}")


def dump_files(pattern: str, *, reach: Reach) -> list[Listed]:
    """The files of pages-articles, in the order of their names: those of many streams, and the pieces rather than the
    whole, where the dump has them. Raises RunError where there is no such dump, or it is not finished."""
    asked = _ASKED.fullmatch(pattern)
    if not asked:
        raise RunError(f"{pattern}: is no dump. Write wiki:DB/DATE, as wiki:simplewiki/20261101.")
    folder = f"{reach.wiki_base}{asked['db']}/{asked['date']}/"
    prefix = f"{asked['db']}-{asked['date']}-"
    try:
        named = _by_status(f"{folder}dumpstatus.json", folder, prefix, reach)
    except MissingRunError:  # old dumps on mirrors have only these
        named = _by_sums(f"{folder}{prefix}sha1sums.txt", folder, prefix, reach)
    return look_at(named, reach=reach)


def _by_status(path: str, folder: str, prefix: str, reach: Reach) -> list[Named]:
    try:
        jobs: dict[str, Any] = json.loads(read_text(path, reach=reach))["jobs"]
        for job in _JOBS:
            files = jobs.get(job, {}).get("files", {})
            names = _articles(list(files), prefix)
            if names and jobs[job].get("status") == "done":
                return [_named(n, folder, str(files[n]["sha1"]), path, int(files[n]["size"])) for n in names]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path}: is no status of a dump: {error}. Check --wiki-base.") from error
    raise RunError(f"{path}: its pages-articles are not finished. Give an earlier date, or wait.")


def _by_sums(path: str, folder: str, prefix: str, reach: Reach) -> list[Named]:
    sums = dict(reversed(line.split(maxsplit=1)) for line in read_lines(path, reach=reach) if len(line.split()) == 2)
    names = _articles(list(sums), prefix)
    if not names:
        raise RunError(f"{path}: names no pages-articles. Check --wiki-base, and that the dump is finished.")
    return [_named(n, folder, sums[n], path, None) for n in names]


def _articles(names: list[str], prefix: str) -> list[str]:
    """Of the dump's files those to read, sorted. Names that hold anything else are none of a dump's."""
    for start in (f"{prefix}pages-articles-multistream", f"{prefix}pages-articles"):
        pieces = sorted(n for n in names if n.startswith(start) and _PIECE.fullmatch(n.removeprefix(start)))
        whole = [n for n in names if n == f"{start}.xml.bz2"]
        if pieces or whole:
            return pieces or whole
    return []


def _named(name: str, folder: str, sha1: str, path: str, size: int | None) -> Named:
    if not _HEX.fullmatch(sha1):
        raise RunError(f"{path}: {sha1[:60]!r} is no SHA-1 of {name}. Check --wiki-base.")
    return Named(name=name, path=folder + name, digest=f"sha1:{sha1}", size=size)
