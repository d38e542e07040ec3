"""The ingest stage's part: an archive, or a range of one, to documents/ and dead_letters/."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc

from schemas.documents import DEAD_LETTERS, DOCUMENTS
from schemas.errors import MissingRunError, RunError
from schemas.recipes import Dedupe, Extract
from schemas.records import Counts, Output, PartRecord
from schemas.stages import INGEST
from transforms.archive import read_archive
from transforms.beam import models
from transforms.beam.children import end_idle, limits_of, load_extractor
from transforms.beam.isolated import Isolated
from transforms.beam.parts import PlannedPart
from transforms.beam.sources import Checked, open_source
from transforms.beam.tables import TableWriter, read_table
from transforms.beam.takedowns import takedown_for, updated
from transforms.beam.verdicts import Verdicts
from transforms.beam.web_requests import NETWORK, Network
from transforms.extraction import Failed, Waiting
from transforms.extractors import html_extractor, named
from transforms.identity import document_id
from transforms.inflate import Inflated
from transforms.measure import batches, documents
from transforms.outcomes import DETAIL_CHARACTERS, DeadLetter, Outcome, Page, Skipped
from transforms.ranges import read_range
from transforms.replay import Lost, replayed
from transforms.takedown import FOLLOWERS, REASON, WITHHELD, Takedown, is_listed, may_hold

MISSING = "missing"
"""The reason of a dead letter that is a whole part."""


@dataclass(frozen=True, kw_only=True)
class IngestPart:
    """Reads the archive at part.work['path'], all of it, or from byte `start` to `end`, or what the dead letters of
    `letters` tell of, as the source's `extract` says. With `tolerate_missing`, a part that cannot be had is one dead
    letter and nothing else."""

    out: str
    extracts: dict[str, Extract]
    dedupe: Dedupe
    model: str
    batch_rows: int
    network: Network = NETWORK
    tolerate_missing: bool = False

    def setup(self) -> None:
        warm = [Page(offset=0, inner_offset=0, text="a warm-up compiles the kernels")]
        for engine in sorted({extract.language_engine for extract in self.extracts.values()}):
            model = models.language_model(self.model, engine=engine)
            documents(warm, source="", file="", model=model, dedupe=self.dedupe)
        for extract in self.extracts.values():
            load_extractor(extract)

    def teardown(self) -> None:
        end_idle()

    def __call__(self, part: PlannedPart) -> PartRecord:
        if kept := updated(self.out, part, rows=self.batch_rows):
            return kept
        try:
            return self._written(part, self._outcomes(part))
        except MissingRunError as error:
            if not self.tolerate_missing:
                raise
            return self._written(part, [missing(part, str(error))])

    def _written(self, part: PlannedPart, outcomes: Iterable[Outcome]) -> PartRecord:
        account = _Account(takedown=takedown_for(self.out, part))
        model = models.language_model(self.model, engine=self.extracts[part.source].language_engine)
        dead_path = f"dead_letters/{part.part}.parquet"
        with (
            TableWriter(self.out, f"{INGEST.folder}/{part.part}.parquet", DOCUMENTS) as table,
            TableWriter(self.out, dead_path, DEAD_LETTERS) as dead,
        ):
            pages = account.watch(outcomes, part, dead)
            for batch in batches(pages, rows=self.batch_rows):
                rows = documents(batch, source=part.source, file=part.name, model=model, dedupe=self.dedupe)
                account.add(rows)
                table.write(rows)
        return PartRecord(
            stage=part.stage, part=part.part, plan_key=part.plan_key, source=part.source, name=part.name,
            outputs={"documents": table.output, "dead_letters": dead.output}, input_bytes=part.size,
            text_bytes=account.text_bytes, counts=account.counts(),
            tallies={
                "language": dict(sorted(account.languages.items())),
                "bytes lost": dict(sorted(account.lost.items())),
            },
        )

    def _outcomes(self, part: PlannedPart) -> Iterator[Outcome]:
        path, extract = part.work["path"], self.extracts[part.source]
        settle = self._isolated(part, extract)
        try:
            with self._open(part) as file:
                if "letters" in part.work:
                    yield from replayed(file, _letters(**part.work["letters"]), extract=extract, settle=settle)
                elif "start" in part.work:
                    start, end = part.work["start"], part.work["end"]
                    yield from read_range(file, extract=extract, start=start, end=end, settle=settle)
                else:
                    yield from read_archive(Inflated(file), extract=extract, settle=settle)
                if isinstance(checked := getattr(file, "raw", None), Checked):
                    checked.finish()
        except OSError as error:
            raise RunError(f"{path}: cannot be read: {error}. Make it readable, or leave it out of --input.") from error

    def _open(self, part: PlannedPart) -> BinaryIO:
        """With the file's digest checked, where its source has published one, by the part that holds its start."""
        file = open_source(part.work["path"], identity=part.work.get("identity"), network=self.network)
        if part.work.get("digest") and not part.work.get("start"):
            checked = Checked(file, digest=part.work["digest"], path=part.work["path"])
            return cast(BinaryIO, io.BufferedReader(checked))
        return file

    def _isolated(self, part: PlannedPart, extract: Extract) -> Isolated:
        verdicts = Verdicts(out=self.out, part=part).load()

        def judged(waiting: Waiting, verdict: Failed) -> None:
            wikitext = waiting.question.kind == "wikitext"
            name = named("mwparserfromhell") if wikitext else html_extractor(extract.extractor)
            verdicts.add(waiting, verdict, extractor=name)

        return Isolated(limits=limits_of(extract), known=verdicts.of, judged=judged)


_NOTHING = Takedown()


@dataclass(kw_only=True)
class _Account:
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

    def watch(self, outcomes: Iterable[Outcome], part: PlannedPart, dead: TableWriter) -> Iterator[Page]:
        """Lets pages through, counts what is skipped or taken down, writes dead letters down."""
        after = False  # the last page was taken down
        for outcome in outcomes:
            self.records += 1
            match outcome:
                case Page():
                    if after := self._is_listed(outcome, part):
                        self.skipped[REASON] += 1
                    else:
                        yield outcome
                case Skipped(reason=reason):
                    self.skipped[reason] += 1
                case DeadLetter(reason=reason, length=length):
                    self.dead[reason] += 1
                    self.lost[reason] += length
                    kept = self._allowed(outcome, part, after=after)
                    dead.write(dead_letter_row(kept, source=part.source, file=part.name))

    def _is_listed(self, page: Page, part: PlannedPart) -> bool:
        return self.takedown != _NOTHING and is_listed(self.takedown, document=_id(page, part), url=page.url)

    def _allowed(self, letter: DeadLetter, part: PlannedPart, *, after: bool) -> DeadLetter:
        """Without its record, if that may be of a listed document."""
        if self.takedown == _NOTHING:
            return letter
        if (after and letter.reason in FOLLOWERS) or may_hold(
            self.takedown, document=_id(letter, part), record=letter.record
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


def _letters(*, out: str, output: dict[str, Any]) -> Iterator[Lost]:
    """The places in a part of OUT/dead_letters. Raises RunError if it is not what its record says."""
    names = [f.name for f in fields(Lost)]
    for batch in read_table(out, Output(**output), columns=names, rows=1024):
        yield from (Lost(**row) for row in batch.select(names).to_pylist())


def missing(part: PlannedPart, why: str) -> DeadLetter:
    """What stands for all of a part that could not be had."""
    return DeadLetter(
        offset=part.work.get("start", 0), inner_offset=0, length=part.size, reason=MISSING, record=b"",
        detail=why[:DETAIL_CHARACTERS].encode("utf-8", "replace").decode(),
    )


def _id(outcome: Page | DeadLetter, part: PlannedPart) -> bytes:
    return document_id(
        source=part.source, file=part.name, offset=outcome.offset, inner_offset=outcome.inner_offset
    )


def dead_letter_row(letter: DeadLetter, *, source: str, file: str) -> pa.RecordBatch:
    """One DEAD_LETTERS row."""
    return pa.RecordBatch.from_pylist([{"source": source, "file": file, **vars(letter)}], schema=DEAD_LETTERS)
