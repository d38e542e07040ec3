"""Rates: what a unit of input becomes and costs, as earlier runs measured it. A small JSON file; ours is rates.json."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.planning.spread import ZERO, Spread
from schemas.errors import RunError
from schemas.stages import STAGES
from transforms.beam import files

OURS = Path(__file__).with_name("rates.json")
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class KindRates:
    """Of one kind of file, such as `warc.gz`. CPU is in seconds, user and system; bytes of input are those of the files
    as they lie. Kept are documents that come out of filter, with their text in UTF-8."""

    documents: Spread
    """Documents for each byte of input."""
    text: Spread
    """Bytes of text for each byte of input."""
    kept: Spread
    """Share of the documents."""
    kept_text: Spread
    """Share of the bytes of text."""
    duplicates: Spread
    """Share of the documents that others stand for."""
    ingest_cpu: Spread
    """For each byte of input."""
    ingest_out: Spread
    """Bytes for each byte of input."""
    dedupe_out: Spread
    """Bytes for each document."""
    filter_cpu: Spread
    """For each byte of text."""
    filter_out: Spread
    """Bytes for each byte of kept text."""
    count_cpu: Spread
    """The tokenizer's counting, for each byte of kept text."""
    count_out: Spread
    """Bytes of a part's counts: this times its bytes of kept text to the power HEAPS."""
    encode_cpu: Spread
    """For each byte of kept text."""
    encode_out: Spread
    """Bytes for each byte of kept text."""


HEAPS = 0.6
"""Distinct words of a text grow with a power of its length: Heaps 1978; 0.4 to 0.6 in Manning, Raghavan and Schütze,
Introduction to Information Retrieval, 5.1.1. Ours are pre-tokens, in which numbers and code abound: the upper end."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """The memory of one run: bytes of the largest worker process, and of the launcher, at so many units: of ingest
    and filter the largest part's bytes of input, of dedupe all documents, of tokenizer bytes of counts, of encode all
    kept text."""

    units: float
    worker: int
    launcher: int


@dataclass(frozen=True, kw_only=True)
class StageRates:
    """Of one stage, beside its parts: what a launch takes in one process, what each of several workers takes on top
    (both CPU seconds), and what Beam and shuffles take for each document (tokenizer: byte of counts; encode: byte of
    kept text). A part with next to nothing in it takes `part_cpu` and `part_out` bytes; other rates are of the rest."""

    launch_cpu: float
    worker_cpu: float
    beside: Spread
    part_cpu: float = 0.0
    part_out: float = 0.0
    one: tuple[Point, ...] = ()
    """Memory of runs in one process, by units."""
    many: tuple[Point, ...] = ()
    """And of runs with several workers."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """`said` tells where they come from: commit, machine, command, date. `learning` is the CPU of learning the
    tokenizer for each byte of a run's counts."""

    said: dict[str, str]
    kinds: dict[str, KindRates]
    stages: dict[str, StageRates]
    learning: Spread = ZERO


def to_json(rates: Rates) -> bytes:
    def short(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.4g}")
        if isinstance(value, dict):
            return {key: short(v) for key, v in value.items()}
        return [short(v) for v in value] if isinstance(value, list | tuple) else value

    data = {"version": VERSION, **short(dataclasses.asdict(rates))}
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def read_rates(path: str | None = None) -> Rates:
    """Of a file that `pipelines.plan --measure` has written; None: ours. Raises RunError if it is none."""
    try:
        text = OURS.read_text() if path is None else files.read_text(path)
        if text is None:
            raise RunError(f"--rates {path}: is not there. pipelines.plan --measure OUT --rates {path} makes it.")
        return _rates(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"--rates {path}: holds no rates: {error}. pipelines.plan --measure OUT makes it.") from error


def _rates(data: dict[str, Any]) -> Rates:
    if data["version"] != VERSION:
        raise ValueError(f"they are of version {data['version']}, not {VERSION}")
    rates = Rates(
        said=dict(data["said"]), learning=Spread(**data["learning"]),
        kinds={kind: KindRates(**{n: Spread(**s) for n, s in of.items()}) for kind, of in data["kinds"].items()},
        stages={
            name: StageRates(
                launch_cpu=of["launch_cpu"], worker_cpu=of["worker_cpu"], part_cpu=of["part_cpu"],
                part_out=of["part_out"], beside=Spread(**of["beside"]),
                one=tuple(Point(**p) for p in of["one"]), many=tuple(Point(**p) for p in of["many"]),
            )
            for name, of in data["stages"].items()
        },
    )
    lacking = [stage.name for stage in STAGES if stage.name not in rates.stages]
    if lacking:
        raise ValueError(f"the stage {lacking[0]} is not in it")
    return rates
