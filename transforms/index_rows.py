"""Rows of an index of an archive's records: which of them are asked for, and where those records lie.

Whatever the index is written in, its rows come as Arrow columns of these names and types; a filter asks for its own:

- `url`, `domain` (the registered one, of the address's host), `tld`, `mime`, `languages` (ISO 639-3, comma-separated):
  string; null matches no filter;
- `status`: int64;
- `fetched`: int64, seconds since 1970, UTC.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.places import FILES, PLACES

_BATCH = 1 << 16
_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
"""No %, no blank and no part that starts with a dot: what an index says goes into addresses."""
DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Filters:
    """A row is chosen if each filter that has values holds for one of them. `url`: patterns in which * stands for any
    characters and ? for one; `since` and `until`: days YYYYMMDD, both included, "" for no bound."""

    languages: tuple[str, ...] = ()
    domain: tuple[str, ...] = ()
    tld: tuple[str, ...] = ()
    mime: tuple[str, ...] = ()
    status: tuple[int, ...] = ()
    url: tuple[str, ...] = ()
    since: str = ""
    until: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that the filters ask for."""
        named = ("languages", "domain", "tld", "mime", "status", "url")
        dated = ("fetched",) if self.since or self.until else ()
        return (*(name for name in named if getattr(self, name)), *dated)

    @property
    def seconds(self) -> tuple[int | None, int | None]:
        """The first second that is asked for, and the first that is so no more."""
        return (
            _seconds(self.since) if self.since else None,
            _seconds(self.until) + DAY if self.until else None,
        )


def _seconds(day: str) -> int:
    return calendar.timegm((int(day[:4]), int(day[4:6]), int(day[6:]), 0, 0, 0))


def chosen(columns: Mapping[str, pa.Array], *, rows: int, filters: Filters) -> pa.Array:
    """Of each of `rows` rows whether all filters hold; bool, without nulls."""
    holds = pa.array(np.ones(rows, bool))
    for name in filters.columns:
        column = columns[name]
        if name == "fetched":
            since, until = filters.seconds
            one = pc.greater_equal(column, since if since is not None else -(1 << 62))
            one = pc.and_kleene(one, pc.less(column, until if until is not None else 1 << 62))
        elif name == "languages":
            one = pc.match_substring_regex(column, rf"(?:^|,)(?:{'|'.join(map(re.escape, filters.languages))})(?:,|$)")
        elif name == "url":
            one = pc.match_substring_regex(column, rf"\A(?s:{'|'.join(map(_expression, filters.url))})\z")
        else:
            one = pc.is_in(column, value_set=pa.array(getattr(filters, name), column.type))
        holds = pc.and_(holds, pc.fill_null(one, False))
    return holds


def _expression(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(c) or re.escape(c) for c in pattern)


def may_hold(name: str, least: object, most: object, *, filters: Filters) -> bool:
    """Whether rows whose column `name` lies in [least, most] can be chosen; `fetched` in seconds. Columns whose order
    says nothing about their filter always may."""
    if name == "fetched":
        since, until = filters.seconds
        return not ((since is not None and most < since) or (until is not None and least >= until))  # type: ignore[operator]
    if name not in ("domain", "tld", "status"):
        return True
    return any(least <= value <= most for value in getattr(filters, name))


class BadPlaceError(Exception):
    """An index names a place where no record can lie."""


class Places:
    """Gathers places in any order. Their files' names are kept once each."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, file: pa.Array, offset: pa.Array, length: pa.Array) -> None:
        """Raises BadPlaceError where a name is no relative path, or a place lies outside any file."""
        if not len(file):
            return
        encoded = file.dictionary_encode()
        names = encoded.dictionary.to_pylist()
        wrong = next((n for n in names if not _FILE.fullmatch(n)), None)
        if wrong is not None or encoded.null_count:
            raise BadPlaceError(f"{(wrong or 'null')[:200]!r} is no relative path of an archive")
        if offset.null_count or length.null_count or pc.min(offset).as_py() < 0 or pc.min(length).as_py() < 1:
            raise BadPlaceError("an offset is below 0, or a length below 1")
        codes = np.array([self._codes.setdefault(n, len(self._codes)) for n in names], np.int64)
        columns = (a.cast(pa.int64()).to_numpy() for a in (encoded.indices, offset, length))
        at, offsets, lengths = columns
        self._found.append((codes[at], offsets, lengths))

    def tables(self) -> tuple[Iterator[pa.RecordBatch], pa.RecordBatch]:
        """(batches of PLACES, all of FILES). Of two places with the same start the longer is kept."""
        names = sorted(self._codes)
        rank = np.zeros(len(names), np.int64)
        rank[[self._codes[n] for n in names]] = np.arange(len(names))
        empty = np.zeros(0, np.int64)
        codes, offsets, lengths = (np.concatenate([empty, *c]) for c in ([f[k] for f in self._found] for k in range(3)))
        files = rank[codes]
        order = np.lexsort((-lengths, offsets, files))
        files, offsets, lengths = files[order], offsets[order], lengths[order]
        first = np.ones(len(files), bool)
        first[1:] = (files[1:] != files[:-1]) | (offsets[1:] != offsets[:-1])
        files, offsets, lengths = files[first], offsets[first], lengths[first]
        of_name = pa.array(names, pa.string())
        records = np.bincount(files, minlength=len(names))
        starts = np.concatenate([[0], np.cumsum(records)]).astype(np.int64)
        sums = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        summary = pa.record_batch(
            [of_name, pa.array(records, pa.int64()), pa.array(sums[starts[1:]] - sums[starts[:-1]])], schema=FILES
        )
        return _batches(of_name, files, offsets, lengths), summary


def _batches(names: pa.Array, *columns: np.ndarray) -> Iterator[pa.RecordBatch]:
    files, offsets, lengths = columns
    for at in range(0, len(files), _BATCH):
        part = slice(at, at + _BATCH)
        places = [names.take(pa.array(files[part])), pa.array(offsets[part]), pa.array(lengths[part])]
        yield pa.record_batch(places, schema=PLACES)


def by_file(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """(file, its [(offset, length)]) of PLACES in any order: sorted, each start once, with the longest length."""
    gathered = Places()
    for batch in batches:
        gathered.add(*batch.columns)
    file, places = None, []
    for batch in gathered.tables()[0]:
        for name, offset, length in zip(*(c.to_pylist() for c in batch.columns), strict=True):
            if name != file and file is not None:
                yield file, places
                places = []
            file = name
            places.append((offset, length))
    if file is not None:
        yield file, places
