"""What things cost: a small TOML file that the user writes from their own contract or a provider's list. We ship none:
prices change, and differ by contract."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from pipelines.planning.spread import Spread, exactly, total
from pipelines.planning.timing import StageEstimate
from schemas.errors import RunError
from schemas.stages import DEDUPE, TOKENIZER
from transforms.beam import files

GB = 1e9
"""As providers count them."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Of one region, in `currency`. `said` and `date` tell where they are from."""

    region: str
    currency: str
    said: str
    date: str
    core_hour: float
    """A core of a worker for an hour."""
    memory_gb_hour: float = 0.0
    """A gigabyte of a worker's memory for an hour, where it is charged apart."""
    shuffle_gb: float = 0.0
    """A gigabyte that crosses a shuffle, where the engine's service charges for it."""
    storage_gb_month: float = 0.0
    """A gigabyte of the output for a month."""
    egress_gb: float = 0.0
    """A gigabyte of input on its way to the workers from where it lies."""


@dataclass(frozen=True, kw_only=True)
class Money:
    """What a run costs. Compute is, at least, the cores that work, and at most all workers' from a stage's start to its
    end: a worker that waits for the last part is paid for."""

    currency: str
    compute: Spread
    memory: Spread
    shuffle: Spread
    storage: Spread
    egress: Spread

    @property
    def total(self) -> Spread:
        return total([self.compute, self.memory, self.shuffle, self.storage, self.egress])


def read_prices(path: str, region: str | None) -> Prices:
    """Raises RunError, naming file and field, where a price is missing, none, or of no region of that name."""
    try:
        text = files.read_text(path)
        if text is None:
            raise RunError(f"--prices {path}: is not there. deploy/prices.example.toml shows what belongs into it.")
        data = tomllib.loads(text)
        regions: dict[str, Any] = data["regions"]
        if region is None and len(regions) > 1:
            raise RunError(
                f"--prices {path}: has the regions {', '.join(sorted(regions))}. Choose one with --price-region."
            )
        chosen = region or next(iter(regions))
        if chosen not in regions:
            raise RunError(f"--price-region {chosen}: is not in {path}. It has {', '.join(sorted(regions))}.")
        return _prices(chosen, data, regions[chosen])
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        said = f"lacks {error}" if isinstance(error, KeyError) else f"cannot be used: {error}"
        raise RunError(f"--prices {path}: {said}. deploy/prices.example.toml shows what belongs into it.") from error


def _prices(region: str, data: dict[str, Any], of: dict[str, Any]) -> Prices:
    known = {f.name for f in fields(Prices)} - {"region", "currency", "said", "date"}
    if odd := sorted(of.keys() - known):
        raise ValueError(f"regions.{region}.{odd[0]} is no price that is known ({', '.join(sorted(known))})")
    for name, value in of.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise ValueError(f"regions.{region}.{name} must be a number, 0 or more")
    return Prices(
        region=region, currency=str(data["currency"]), said=str(data["source"]), date=str(data["date"]),
        **{name: float(value) for name, value in {"core_hour": of["core_hour"], **of}.items()},
    )


def money(stages: Sequence[StageEstimate], prices: Prices, *, workers: int, input_bytes: int, months: float) -> Money:
    """What `workers` cost from the first stage to the last, and the output for `months`."""
    busy = total(s.cpu_s for s in stages)
    held = total(s.wall_s for s in stages).times(workers)
    hours = Spread(low=busy.low, mid=max(busy.mid, held.mid), high=max(busy.high, held.high)).times(1 / 3600)
    largest = max((s.worker_bytes for s in stages), key=lambda s: s.high, default=exactly(0))
    shuffled = total(s.shuffle_bytes for s in stages if s.stage in (DEDUPE.name, TOKENIZER.name))
    return Money(
        currency=prices.currency, compute=hours.times(prices.core_hour),
        memory=(hours * largest).times(prices.memory_gb_hour / GB), shuffle=shuffled.times(prices.shuffle_gb / GB),
        storage=total(s.out_bytes for s in stages).times(months * prices.storage_gb_month / GB),
        egress=exactly(input_bytes * prices.egress_gb / GB),
    )
