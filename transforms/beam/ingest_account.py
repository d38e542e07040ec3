"""What becomes of each record of a part of ingest: counted, let through, taken down, or written to dead_letters/."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from schemas.documents import DEAD_LETTERS
from schemas.records import Counts
from transforms.beam.tables import TableWriter
from transforms.identity import document_id
from transforms.outcomes import DeadLetter, Outcome, Page, Skipped
from transforms.takedown import FOLLOWERS, REASON, WITHHELD, Takedown, is_listed, may_hold

_NOTHING = Takedown()


@dataclass(kw_only=True)
class Account:
    """What became of each record of a part, counted where it happens."""

    takedown: Takedown = field(default_factory=Takedown)
    records: int = 0
    documents: int = 0
    text_bytes: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    """Bytes of the dead letters, by reason."""
    languages: Counter[str] = field(default_factory=Counter)

    def watch(self, outcomes: Iterable[Outcome], source: str, file: str, dead: TableWriter) -> Iterator[Page]:
        """Lets pages of an archive through, counts what is skipped or taken down, writes dead letters down."""
        after = False  # the last page was taken down
        for outcome in outcomes:
            self.records += 1
            match outcome:
                case Page():
                    if after := self._is_listed(outcome, source, file):
                        self.skipped[REASON] += 1
                    else:
                        yield outcome
                case Skipped(reason=reason):
                    self.skipped[reason] += 1
                case DeadLetter(reason=reason, length=length):
                    self.dead[reason] += 1
                    self.lost[reason] += length
                    kept = self._allowed(outcome, source, file, after=after)
                    dead.write(dead_letter_row(kept, source=source, file=file))

    def _is_listed(self, page: Page, source: str, file: str) -> bool:
        return self.takedown != _NOTHING and is_listed(self.takedown, document=_id(page, source, file), url=page.url)

    def _allowed(self, letter: DeadLetter, source: str, file: str, *, after: bool) -> DeadLetter:
        """Without its record, if that may be of a listed document."""
        if self.takedown == _NOTHING:
            return letter
        if (after and letter.reason in FOLLOWERS) or may_hold(
            self.takedown, document=_id(letter, source, file), record=letter.record
        ):
            return replace(letter, record=b"", detail=WITHHELD)
        return letter

    def add(self, batch: pa.RecordBatch) -> None:
        self.documents += batch.num_rows
        self.text_bytes += pc.sum(pc.binary_length(batch.column("text"))).as_py()
        self.languages.update(batch.column("language").to_pylist())

    def counts(self) -> Counts:
        return Counts(
            came_in=self.records, went_out=self.documents,
            dropped=dict(sorted(self.skipped.items())), dead_letters=dict(sorted(self.dead.items())),
        )


def _id(outcome: Page | DeadLetter, source: str, file: str) -> bytes:
    return document_id(source=source, file=file, offset=outcome.offset, inner_offset=outcome.inner_offset)


def dead_letter_row(letter: DeadLetter, *, source: str, file: str) -> pa.RecordBatch:
    """One DEAD_LETTERS row."""
    return pa.RecordBatch.from_pylist([{"source": source, "file": file, **vars(letter)}], schema=DEAD_LETTERS)
