"""Which engine tells the language is a part's decision: it is in the plan key, and gives the same documents."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.ingest_parts import work
from pipelines.inputs import InputFile
from pipelines.recipes import WEB_EN
from pipelines.settings import Settings
from schemas.recipes import Dedupe, Extract, LanguageEngine
from transforms.beam.files import Found
from transforms.beam.ingest import IngestPart

MODEL = Path(os.environ.get("WINNOW_LANGUAGE_MODEL") or Path.home() / ".cache" / "winnow" / "lid.176.ftz")
TEXTS = ["The cat sat on the mat.", "Der Hund liegt\nim Garten.", "Les enfants jouent.", "猫は好きです。", "</s>"]


def planned(engine: LanguageEngine, path: Path):
    recipe = dataclasses.replace(WEB_EN, extract=Extract(language_engine=engine))
    file = InputFile(source="web", name="a", found=Found(path=str(path), size=path.stat().st_size, identity="i"))
    [part] = work(Settings(recipe=recipe, sources={"web": recipe}), [file]).parts
    return part, recipe


def test_engines_have_their_own_plan_keys_and_the_same_documents(tmp_path: Path) -> None:
    if not MODEL.is_file():
        pytest.skip(f"NO LANGUAGE MODEL at {MODEL}: run `python -m pipelines.models` to fetch it")
    data = tmp_path / "a.jsonl"
    data.write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
    tables, keys = [], []
    for engine in ("kernel", "fasttext"):
        part, recipe = planned(engine, data)
        process = IngestPart(
            out=str(tmp_path / engine), extracts={"web": recipe.extract}, dedupe=Dedupe(), model=str(MODEL),
            batch_rows=4,
        )
        process.setup()
        record = process(part)
        keys.append(record.plan_key)
        tables.append(pq.read_table(tmp_path / engine / f"documents/{part.part}.parquet"))
    assert keys[0] != keys[1]
    assert tables[0].equals(tables[1])
    assert tables[0].column("language").to_pylist()[:4] == ["en", "de", "fr", "ja"]
