"""The ingest stage's part: an archive, or a range of one, to documents/ and dead_letters/."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, BinaryIO, cast

from schemas.documents import DEAD_LETTERS, DOCUMENTS
from schemas.errors import MissingRunError, RunError
from schemas.recipes import Dedupe, Extract
from schemas.records import Output, PartRecord
from schemas.stages import INGEST
from transforms.archive import read_archive
from transforms.at_places import read_places
from transforms.beam import models, selected
from transforms.beam.child import limits_of
from transforms.beam.children import end_idle, load_extractor
from transforms.beam.ingest_account import Account
from transforms.beam.isolated import Isolated
from transforms.beam.parts import PlannedPart
from transforms.beam.ranged import coalesced
from transforms.beam.sources import Checked, open_source, open_spans
from transforms.beam.tables import TableWriter, read_table
from transforms.beam.takedown_list import takedown_for
from transforms.beam.takedowns import updated
from transforms.beam.verdicts import Verdicts
from transforms.beam.web_requests import NETWORK, Network
from transforms.extraction import Failed, Waiting
from transforms.extractors import html_extractor, named
from transforms.inflate import Inflated
from transforms.measure import batches, documents
from transforms.outcomes import DETAIL_CHARACTERS, DeadLetter, Outcome, Page
from transforms.ranges import read_range
from transforms.replay import Lost, replayed

MISSING = "missing"
"""The reason of a dead letter that is a whole part."""


@dataclass(frozen=True, kw_only=True)
class IngestPart:
    """Reads the archive at part.work['path'], all of it, or from byte `start` to `end`, or what the dead letters of
    `letters` tell of, or of many archives below `base` what select/ has between `first` and `last`, as the source's
    `extract` says. With `tolerate_missing`, a part that cannot be had is one dead letter and nothing
    else."""

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
            return self._written(part, self._archives(part))
        except MissingRunError as error:
            if not self.tolerate_missing:
                raise
            return self._written(part, [(part.work.get("first", part.name), [missing(part, str(error))])])

    def _written(self, part: PlannedPart, archives: Iterable[tuple[str, Iterable[Outcome]]]) -> PartRecord:
        account = Account(takedown=takedown_for(self.out, part))
        model = models.language_model(self.model, engine=self.extracts[part.source].language_engine)
        dead_path = f"dead_letters/{part.part}.parquet"
        with (
            TableWriter(self.out, f"{INGEST.folder}/{part.part}.parquet", DOCUMENTS) as table,
            TableWriter(self.out, dead_path, DEAD_LETTERS) as dead,
        ):
            for name, outcomes in archives:
                pages = account.watch(outcomes, part.source, name, dead)
                for batch in batches(pages, rows=self.batch_rows):
                    rows = documents(batch, source=part.source, file=name, model=model, dedupe=self.dedupe)
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

    def _archives(self, part: PlannedPart) -> Iterator[tuple[str, Iterator[Outcome]]]:
        """(logical name, its outcomes) of each archive that the part is of."""
        verdicts = Verdicts(out=self.out, part=part).load()
        if "first" not in part.work:
            yield part.name, self._outcomes(part, verdicts)
            return
        found = selected.places(self.out, source=part.source, first=part.work["first"], last=part.work["last"])
        for name, places in found:
            yield name, self._chosen(part, name, places, verdicts.of_file(name))

    def _chosen(
        self, part: PlannedPart, name: str, places: list[tuple[int, int]], verdicts: Verdicts
    ) -> Iterator[Outcome]:
        """Neighbours are fetched together: none of what lies between two of them is large."""
        path, extract = part.work["base"] + name, self.extracts[part.source]
        spans = coalesced((offset, offset + length) for offset, length in places)
        try:
            with open_spans(path, spans, network=self.network) as file:
                yield from read_places(file, places, extract=extract, settle=_isolated(verdicts, extract))
        except OSError as error:
            raise RunError(f"{path}: cannot be read: {error}. Check --cc-base.") from error

    def _outcomes(self, part: PlannedPart, verdicts: Verdicts) -> Iterator[Outcome]:
        path, extract = part.work["path"], self.extracts[part.source]
        settle = _isolated(verdicts, extract)
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


def _isolated(verdicts: Verdicts, extract: Extract) -> Isolated:
    def judged(waiting: Waiting, verdict: Failed) -> None:
        wikitext = waiting.question.kind == "wikitext"
        name = named("mwparserfromhell") if wikitext else html_extractor(extract.extractor)
        verdicts.add(waiting, verdict, extractor=name)

    return Isolated(limits=limits_of(extract), known=verdicts.of, judged=judged)


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
