"""Rates of kinds of files that nobody measured, taken from those that somebody did."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from pipelines.planning.kinds import UNKNOWN
from pipelines.planning.rates import KindRates, Rates
from pipelines.planning.spread import ZERO
from schemas.errors import RunError

PACKING = {"": 1.0, ".gz": 5.0, ".bz2": 5.0, ".zst": 5.5}
"""Bytes that one byte holds: BENCHMARKS.md, formats. For kinds that were measured in another packing alone."""
_GUESS = 2.0
"""How far rates of another kind are trusted."""


def completed(rates: Rates, kinds: Sequence[str]) -> tuple[Rates, tuple[str, ...]]:
    """The rates with those of kinds that nobody measured, from the same in another packing or from pages: (rates, what
    was guessed)."""
    known, guesses = dict(rates.kinds), []
    for kind in kinds:
        if kind in known:
            continue
        if kind == UNKNOWN:
            known[kind] = _nothing()
            guesses.append("files of unknown formats give one dead letter each")
            continue
        name, packed = _split(kind)
        other = next((k for k in sorted(rates.kinds) if _split(k)[0] == name), next(iter(sorted(rates.kinds)), None))
        if other is None:
            raise RunError("--rates: no kind of file was measured. Make them anew with pipelines.plan --measure.")
        factor = PACKING[packed] / PACKING[_split(other)[1]]
        known[kind] = _scaled(rates.kinds[other], factor)
        guesses.append(f"{kind} was not measured: taken from {other}")
    return dataclasses.replace(rates, kinds=known), tuple(guesses)


def _split(kind: str) -> tuple[str, str]:
    name, dot, packed = kind.partition(".")
    return name, dot + packed


def _scaled(rates: KindRates, factor: float) -> KindRates:
    names = ("documents", "text", "ingest_cpu", "ingest_out")
    wide = {name: getattr(rates, name).times(factor).widened(_GUESS) for name in names}
    return dataclasses.replace(rates, **wide)


def _nothing() -> KindRates:
    return KindRates(**{f.name: ZERO for f in dataclasses.fields(KindRates)})
