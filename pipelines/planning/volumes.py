"""What is read, and what becomes of it: documents and text, kept or not. Estimated, or known where it has been done."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.planning.rates import KindRates
from pipelines.planning.spread import Spread, exactly


@dataclass(frozen=True, kw_only=True)
class Known:
    """What stages that are complete have made of a group; None: nobody knows yet."""

    documents: int | None = None
    text: int | None = None
    duplicates: int | None = None
    kept: int | None = None
    kept_text: int | None = None


NOTHING = Known()


@dataclass(frozen=True, kw_only=True)
class Group:
    """Parts of one source and kind: their sizes in bytes."""

    source: str
    kind: str
    files: int
    sizes: tuple[int, ...]
    known: Known = NOTHING

    @property
    def bytes(self) -> int:
        return sum(self.sizes)


@dataclass(frozen=True, kw_only=True)
class Volume:
    """What becomes of a group."""

    documents: Spread
    text: Spread
    kept: Spread
    kept_text: Spread
    duplicates: Spread


def volume(group: Group, rates: KindRates, known: Known = NOTHING) -> Volume:
    def of(fact: int | None, estimated: Spread) -> Spread:
        return estimated if fact is None else exactly(fact)

    documents = of(known.documents, rates.documents.times(group.bytes))
    text = of(known.text, rates.text.times(group.bytes))
    return Volume(
        documents=documents, text=text, duplicates=of(known.duplicates, documents * rates.duplicates),
        kept=of(known.kept, documents * rates.kept.at_most(1)),
        kept_text=of(known.kept_text, text * rates.kept_text.at_most(1)),
    )
