"""The plan of whole snapshots of Common Crawl, on paper: what deploy/SCALE.md quotes.

    python -m pipelines.planning.scale --snapshots 1 --workers 4000
    python -m pipelines.planning.scale --snapshots 10 --workers 20000

The arithmetic is that of `pipelines.plan`, over sizes that nobody has to fetch. What a gigabyte of a snapshot becomes
is below, each number with its source; what it costs is pipelines/planning/rates.json, and BENCHMARKS.md for pages.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys

from pipelines.planning.estimate import Job, stages
from pipelines.planning.rates import KindRates, Rates, read_rates
from pipelines.planning.show import columns, count, duration, size
from pipelines.planning.spread import Spread, exactly, total
from pipelines.planning.volumes import Group
from pipelines.recipes import WEB_EN

FILES, FILE_BYTES, PAGES = 90_000, 1_000_000_000, 28_000
"""WARC files of a snapshot, their size, and pages in each: a snapshot has 2.4 to 2.7 billion (commoncrawl.org/blog)."""
TEXT = Spread(low=2_500, mid=4_000, high=5_300)
"""Bytes of text a page. 5,300 is of the gold news pages (BENCHMARKS.md); most pages have less. Our guess below it."""
PAGES_A_SECOND = Spread(low=550, mid=430, high=300)
"""WARC to clean, of a core: BENCHMARKS.md has 541 for pages of 29 kB of HTML and 430 for pages of 174 kB."""
KEPT = Spread(low=0.05, mid=0.12, high=0.2)
"""Of the pages, by a recipe as web-en. English is less than half of a snapshot
(commoncrawl.github.io/cc-crawl-statistics), and FineWeb has 15 trillion tokens of 96 snapshots (Penedo et al. 2024):
156 billion each, the low end here."""
DUPLICATES = Spread(low=0.1, mid=0.25, high=0.4)
SAMPLE_PER_MILLION = 2_000
"""Documents whose text the tokenizer counts: 0.2 % of 300 million is more than any tokenizer needs."""
ROW = 900
"""Bytes of a row of documents/ beside its text, compressed: signature, digest, address and signals. Our estimate."""
PACKED = Spread(low=0.38, mid=0.41, high=0.5)
"""Of a text, by zstd: `filter_out` and `ingest_out` of rates.json."""


def crawl(rates: KindRates) -> KindRates:
    """What a byte of a snapshot becomes and costs, where pages of another kind would tell wrongly."""
    pages = PAGES / FILE_BYTES
    text, speed = TEXT.times(pages), PAGES_A_SECOND
    return dataclasses.replace(
        rates, documents=Spread(low=pages * 0.9, mid=pages, high=pages * 1.1), text=text,
        ingest_cpu=Spread(low=pages / speed.low, mid=pages / speed.mid, high=pages / speed.high),
        ingest_out=text * PACKED + exactly(pages * ROW),
        kept=KEPT, kept_text=KEPT, duplicates=DUPLICATES,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snapshots", type=int, default=1, metavar="N", help="of 90,000 WARC files each (default 1)")
    parser.add_argument("--workers", type=int, default=4_000, metavar="N", help="cores at work (default 4000)")
    asked = parser.parse_args()
    sys.stdout.write(paper(snapshots=asked.snapshots, workers=asked.workers))


def paper(*, snapshots: int, workers: int) -> str:
    """Stage by stage, likely values with low and high in brackets, and the sums."""
    ours = read_rates()
    rates: Rates = dataclasses.replace(ours, kinds={"warc.gz": crawl(ours.kinds["warc.gz"])})
    recipe = dataclasses.replace(
        WEB_EN, tokenizer=dataclasses.replace(WEB_EN.tokenizer, sample_per_million=SAMPLE_PER_MILLION)
    )
    group = Group(source="web", kind="warc.gz", files=FILES * snapshots, sizes=(FILE_BYTES,) * (FILES * snapshots))
    found = stages(Job(groups=(group,), recipe=recipe, workers=workers), rates)
    hours = [(s, s.cpu_s.times(1 / 3600)) for s in found]
    rows = [["stage", "parts", "documents", "core-hours", "written", "shuffled", "wall"]]
    rows += [
        [s.stage, f"{s.parts:,}", s.documents.shown(count), cpu.shown(count), s.out_bytes.shown(size),
         s.shuffle_bytes.shown(size), s.wall_s.shown(duration)]
        for s, cpu in hours
    ]
    rows.append([
        "together", "", "", total(cpu for _, cpu in hours).shown(count), total(s.out_bytes for s in found).shown(size),
        total(s.shuffle_bytes for s in found).shown(size), total(s.wall_s for s in found).shown(duration),
    ])
    head = f"{snapshots} x {FILES:,} WARC files, {size(group.bytes)}; {workers:,} workers"
    return "\n".join([head, *columns(rows)]) + "\n"


if __name__ == "__main__":
    main()
