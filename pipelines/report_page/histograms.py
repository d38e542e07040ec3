"""Signals over the documents of a recipe's sources: how they are spread, and where its bounds cut. No pictures.

Every document is counted on the kept side of a bound or beyond it exactly as the rule decides: a bound is an edge of a
bar. Edges are whole numbers or one division, so that the same counts give the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pipelines.report_page.facts import RuleSet
from pipelines.report_page.reading import Reader
from schemas.recipes import Rule
from schemas.records import Output

ROWS = 1 << 18
"""Documents of a recipe that are looked at: up to 2 MiB of numbers a signal."""
PART_ROWS = 1 << 14
"""Of one part, so that a large part does not stand for all, when there are more than ROWS; more if few parts are."""
SETS = 8
"""Recipes whose signals are shown."""
BARS = 40
_PREFERRED = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80)
"""Steps of about a quarter that people read easily, near the R10 series of ISO 3. Counts are cut at these times powers
of ten: word counts reach from 1 to 100,000."""

Values = npt.NDArray[np.float64] | npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """A signal and its rule. Bar i holds the documents from edges[i] to below edges[i + 1], the last all above it too.
    `scale` is "steps" if bars of growing width are drawn equally wide. `kept` says of each bar on which side it is."""

    rule: Rule
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    kept: tuple[bool, ...]
    below: int
    within: int
    above: int
    scale: str
    least: float
    most: float


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The histograms of a recipe, over `looked_at` of the `documents` of its sources, in `parts` of `all_parts`."""

    sources: tuple[str, ...]
    documents: int
    looked_at: int
    parts: int
    all_parts: int
    histograms: tuple[Histogram, ...]


def spreads(
    reader: Reader, *, rule_sets: Sequence[RuleSet], outputs: Mapping[str, Sequence[Output]], rows: int = ROWS,
    part_rows: int = PART_ROWS,
) -> tuple[Spread, ...]:
    """Reads the columns that rules name. `outputs` are the parts of documents/ by source.

    Every document counts if there are at most `rows`. Else parts are taken in the order of a hash of their path, and of
    each some row groups in the order of a hash, until there are that many."""
    found = []
    for rules in [r for r in rule_sets if r.rules][:SETS]:
        parts = [o for source in rules.sources for o in outputs.get(source, ()) if o.rows]
        documents = sum(o.rows for o in parts)
        names = list(dict.fromkeys(rule.column for rule in rules.rules))
        tables, had = [], 0
        for output in sorted(parts, key=lambda o: (xxhash.xxh3_64_intdigest(o.path.encode()), o.path)):
            if had >= rows:
                break
            limit = None if documents <= rows else min(max(part_rows, -(-rows // len(parts))), rows - had)
            table = reader.some(output, names, limit).select(names)
            tables += [table] if table.num_rows else []
            had += table.num_rows
        if had:
            columns = pa.concat_tables(tables)
            histograms = tuple(histogram(columns.column(r.column).to_numpy(), r) for r in rules.rules)
            found.append(Spread(sources=rules.sources, documents=documents, looked_at=had, parts=len(tables),
                                all_parts=len(parts), histograms=histograms))
    return tuple(found)


def histogram(values: Values, rule: Rule) -> Histogram:
    """`values` [documents], none of them null or negative, in bars. Raises ValueError if there are none."""
    if not len(values):
        raise ValueError(f"no document has {rule.column}")
    bounds = _cuts(rule, whole=values.dtype.kind == "i")
    steps = values.dtype.kind == "i" and rule.column != "language_confidence"
    ordered = np.sort(values)
    most = float(ordered[(99 * (len(ordered) - 1)) // 100])
    if not steps:
        most = min(most, 3 * max(bounds))  # else a few strange documents would press the bounds into a corner
    high = max(most, 1.25 * max(bounds), 1e-9)
    edges = _moved(_steps(high) if steps else _even(high), bounds)
    counts = np.diff(np.searchsorted(ordered, [-np.inf, *edges[1:-1], np.inf]))
    below = int(np.searchsorted(ordered, rule.low)) if rule.low is not None else 0
    above = len(ordered) - int(np.searchsorted(ordered, rule.high, side="right")) if rule.high is not None else 0
    kept = tuple(
        (rule.low is None or edge >= rule.low) and (rule.high is None or edge <= rule.high) for edge in edges[:-1]
    )
    return Histogram(
        rule=rule, edges=tuple(float(e) for e in edges), counts=tuple(int(c) for c in counts), kept=kept, below=below,
        within=len(ordered) - below - above, above=above, scale="steps" if steps else "even",
        least=float(ordered[0]), most=float(ordered[-1]),
    )


def _cuts(rule: Rule, *, whole: bool) -> list[float]:
    """Where bars must end: at the low bound, and just above the high one, which is still kept."""
    low = [] if rule.low is None else [np.ceil(rule.low) if whole else rule.low]
    high = [] if rule.high is None else [np.floor(rule.high) + 1 if whole else np.nextafter(rule.high, np.inf)]
    return [float(b) for b in (*low, *high)]


def _steps(high: float) -> list[float]:
    """0, 1, 2 … and the preferred numbers, to the first that is above `high`."""
    edges = [0, *sorted({step * 10**k // 10 for k in range(16) for step in _PREFERRED if step * 10**k % 10 == 0})]
    edges = sorted({*edges, *range(11)})
    end = next((i for i, e in enumerate(edges) if e > high), len(edges) - 1)
    return [float(e) for e in edges[: end + 1]]


def _even(high: float) -> list[float]:
    """BARS equal bars to the first preferred number that is not below `high`."""
    top = next(float(step * 10**k) / 10**9 for k in range(20) for step in _PREFERRED if step * 10**k >= high * 10**9)
    return [top * i / BARS for i in range(BARS + 1)]


def _moved(edges: list[float], bounds: Sequence[float]) -> list[float]:
    """Each bound takes the place of the edge that is nearest, so that no bar is on both sides of it."""
    taken: set[int] = set()
    for bound in bounds:
        free = [i for i in range(len(edges)) if i not in taken and (i or bound <= 0)]
        if bound in edges or not free:
            taken.update(i for i, e in enumerate(edges) if e == bound)
            continue
        nearest = min(free, key=lambda i: (abs(edges[i] - bound), i))
        edges[nearest] = bound
        taken.add(nearest)
    return sorted(set(edges))
