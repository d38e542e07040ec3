"""A number that is not known yet: low, likely, high."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Spread:
    """`low` <= `mid` <= `high`. Sums and products take low with low and high with high, as if all that is unknown were
    wrong in the same direction: wider than chance would have it, and never narrower."""

    low: float
    mid: float
    high: float

    def __add__(self, other: Spread) -> Spread:
        return Spread(low=self.low + other.low, mid=self.mid + other.mid, high=self.high + other.high)

    def __mul__(self, other: Spread) -> Spread:
        return Spread(low=self.low * other.low, mid=self.mid * other.mid, high=self.high * other.high)

    def times(self, n: float) -> Spread:
        return Spread(low=self.low * n, mid=self.mid * n, high=self.high * n)

    def at_most(self, n: float) -> Spread:
        return Spread(low=min(self.low, n), mid=min(self.mid, n), high=min(self.high, n))

    def widened(self, factor: float) -> Spread:
        return Spread(low=self.low / factor, mid=self.mid, high=self.high * factor)

    def shown(self, how: Callable[[float], str]) -> str:
        """`likely (low to high)`, or the one where all three look alike."""
        low, mid, high = how(self.low), how(self.mid), how(self.high)
        return mid if low == mid == high else f"{mid} ({low} to {high})"


ZERO = Spread(low=0.0, mid=0.0, high=0.0)


def exactly(n: float) -> Spread:
    return Spread(low=n, mid=n, high=n)


def total(spreads: Iterable[Spread]) -> Spread:
    return sum(spreads, start=ZERO)


LEAST = 1.1
"""No rate is trusted closer than this factor: the same part measured twice on a shared machine differs by as much."""
ALONE = 1.33
"""How far a rate is trusted that a single part gave, so that nothing is known of its spread. Our choice."""


def measured(parts: Iterable[tuple[float, float]]) -> Spread | None:
    """The rate amount/units from (amount, units) of parts: all amounts over all units, with the 10th and the 90th
    percentile of the parts' own rates, each part counting by its units, as low and high; at least LEAST away, or
    ALONE if there is one part. None if there are no units."""
    known = sorted(((a / u, u) for a, u in parts if u > 0))
    units = math.fsum(u for _, u in known)
    if not units:
        return None
    mid = math.fsum(rate * u for rate, u in known) / units
    factor = LEAST if len(known) > 1 else ALONE
    low, high = _percentile(known, 0.1 * units), _percentile(known, 0.9 * units)
    return Spread(low=min(low, mid / factor), mid=mid, high=max(high, mid * factor))


def _percentile(known: list[tuple[float, float]], at: float) -> float:
    passed = 0.0
    for rate, units in known:
        passed += units
        if passed >= at:
            return rate
    return known[-1][0]
