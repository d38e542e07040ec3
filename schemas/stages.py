"""The stages of a run, in order, and where each leaves its output."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stage:
    """`folder` is below the output directory. Its manifest is written last: it is there when the stage is done."""

    name: str
    folder: str
    does: str
    manifest: str = "manifest.json"


SELECT = Stage(name="select", folder="select", does="an index's rows to the places of the records to fetch")
"""Only of a run that reads by an index, before ingest: no stage of the others."""
INGEST = Stage(name="ingest", folder="documents", does="archives to text, languages, signals and signatures")
DEDUPE = Stage(name="dedupe", folder="duplicates", does="clusters of exact and near duplicates, and who survives")
FILTER = Stage(name="filter", folder="clean", does="the rules: clean/ with text, dropped/ with reasons")
TOKENIZER = Stage(name="tokenizer", folder="tokenizer", does="byte-level BPE from pre-token counts")
ENCODE = Stage(
    name="encode", folder="shards", does="packed token shards, Arrow and TFRecord",
    manifest="stage.json",  # shards/manifest.json is the trainer's: schemas.shards
)
STAGES: tuple[Stage, ...] = (INGEST, DEDUPE, FILTER, TOKENIZER, ENCODE)
BY_NAME: dict[str, Stage] = {s.name: s for s in (SELECT, *STAGES)}
