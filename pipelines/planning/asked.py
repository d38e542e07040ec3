"""The options of a plan."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass

from schemas.errors import RunError

GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a plan. `cores` and `memory` (bytes) are those of a machine, this one's unless given; `sample`
    the bytes of each source to be read beforehand."""

    only: bool = False
    """Nothing is run: --dry-run, or pipelines.plan."""
    rates: str | None = None
    prices: str | None = None
    region: str | None = None
    months: float = 1.0
    max_cost: float | None = None
    cores: int = 1
    memory: int = GIB
    sample: int = 0
    json: bool = False
    measure: tuple[str, ...] = ()


    @property
    def wanted(self) -> bool:
        """Whether a plan is all there is to do, or decides whether anything is."""
        return self.only or self.max_cost is not None


NOTHING = Asked()
READING = ("clean", "plan", "ingest")
"""Commands that read inputs, of which there can be samples."""
SAMPLE = 4.0
"""Megabytes. With them the plan of pages unlike any that was measured is within a quarter of its run: BENCHMARKS.md."""


def add_asked(parser: argparse.ArgumentParser, *, command: str) -> None:
    group = parser.add_argument_group("the plan")
    if command != "plan":
        group.add_argument("--dry-run", action="store_true", help="print the plan, as pipelines.plan does, and end")
    else:
        group.add_argument("--measure", action="append", metavar="OUT",
                           help="instead of --input: write the rates of this finished run to --rates; may be given "
                                "several times: with a run of a few tiny documents, starts are told from work")
    group.add_argument("--rates", metavar="FILE", help="rates of earlier runs, which pipelines.plan --measure writes "
                                                       "(default: those in the repository)")
    if command in READING:
        group.add_argument("--sample", type=float, metavar="MB",
                           help="first read about so many megabytes of each source, from all over it, for what its own "
                                "pages become and cost: much closer than rates of other pages (default "
                                f"{SAMPLE:g} for a plan that is printed or held against --max-cost, else 0)")
    group.add_argument("--prices", metavar="FILE.toml", help="what cores, shuffle, storage and egress cost, by region: "
                                                             "deploy/prices.example.toml")
    group.add_argument("--price-region", metavar="NAME", help="the region in --prices, where it has several")
    group.add_argument("--storage-months", type=float, default=1.0, metavar="N",
                       help="how long the output is kept (default 1)")
    group.add_argument("--max-cost", type=float, metavar="X",
                       help="refuse a run whose high estimate costs more, before any worker starts; needs --prices")
    group.add_argument("--machine-cores", type=int, metavar="N", help="cores of a machine (default: this one's)")
    group.add_argument("--machine-memory", type=float, metavar="GIB", help="its memory in GiB (default: this one's)")
    group.add_argument("--json", action="store_true", help="print the plan as JSON")


def asked_of(ours: argparse.Namespace, *, command: str) -> Asked:
    """Raises RunError at a value out of range."""
    if ours.max_cost is not None and ours.prices is None:
        raise RunError("--max-cost needs --prices FILE.toml: no prices are built in.")
    if ours.price_region is not None and ours.prices is None:
        raise RunError("--price-region chooses among the regions of --prices FILE.toml. Give that too.")
    only = command == "plan" or ours.dry_run
    sample = ours.sample if command in READING else 0.0
    if sample is None:
        sample = SAMPLE if only or ours.max_cost is not None else 0.0
    for name, value, least in (
        ("--storage-months", ours.storage_months, 0), ("--max-cost", ours.max_cost, 0), ("--sample", sample, 0),
        ("--machine-cores", ours.machine_cores, 1), ("--machine-memory", ours.machine_memory, 0.1),
    ):
        if value is not None and not least <= value < float("inf"):
            raise RunError(f"{name} must be at least {least:g}.")
    return Asked(
        only=only, rates=ours.rates, prices=ours.prices, region=ours.price_region,
        months=ours.storage_months, max_cost=ours.max_cost, json=ours.json, sample=round(sample * 1e6),
        cores=ours.machine_cores or _cores(),
        memory=round(ours.machine_memory * GIB) if ours.machine_memory else _memory(),
        measure=tuple(ours.measure or ()) if command == "plan" else (),
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return GIB
