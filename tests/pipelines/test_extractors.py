"""Which extractor makes the text is a source's decision: in its plan keys, with its documents, refused where absent."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines import clean, fingerprints, ingest
from pipelines.fingerprints import extractor_versions
from pipelines.ingest_parts import work
from pipelines.inputs import InputFile
from pipelines.recipes import WEB_EN
from pipelines.sample.archive import warc_record
from pipelines.settings import Settings
from schemas.errors import RunError
from schemas.recipes import Extract, Extractor
from schemas.records import manifest_from_json
from transforms.beam.files import Found

EXTRACTORS: tuple[Extractor, ...] = ("resiliparse", "precision")
LINE = "The harbour of the {} was quiet in the morning, and the boats lay still while the crew had their bread. "
END = "{} has many a boat, and that is all that there is to tell of it."


def archive(folder: Path, name: str, towns: tuple[str, ...]) -> None:
    """A WARC with an article on each town, an empty page, a monster and a page of plain text."""
    bodies = [
        *(f"<html><body><nav>Menu of {town}</nav><article><p>{LINE.format(town) * 5}<p>{END.format(town)}</article>"
          "<footer>Imprint</footer>" for town in towns),
        "<html></html>", "<div>" * 100_000,
    ]
    records = [
        warc_record(
            "response", name=f"{name}-{k}", when="2026-01-01T00:00:00Z", content_type="application/http", more=(),
            block=f"HTTP/1.1 200 OK\r\nContent-Type: text/{kind}\r\n\r\n{body}".encode(),
        )
        for k, (kind, body) in enumerate([*(("html", b) for b in bodies), ("plain", LINE.format(name) * 7)])
    ]
    folder.mkdir()
    (folder / f"{name}.warc").write_bytes(b"".join(records))


def rows(out: Path, folder: str) -> list[dict]:
    return [row for path in sorted((out / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_two_sources_with_different_extractors(tmp_path: Path) -> None:
    theirs = f"trafilatura {pytest.importorskip('trafilatura').__version__}"
    ours = f"resiliparse {importlib.metadata.version('resiliparse')}"
    archive(tmp_path / "web", "web", ("Whitby", "Leith"))
    archive(tmp_path / "news", "news", ("Bergen", "Aarhus"))
    (tmp_path / "more").mkdir()
    (tmp_path / "more/a.jsonl").write_text(json.dumps({"text": LINE.format("Oban") * 6}) + "\n")
    (tmp_path / "wiki").mkdir()
    (tmp_path / "wiki/w.xml").write_text(
        "<mediawiki>\n<page><title>Kirkwall</title><ns>0</ns><id>1</id><revision><id>2</id><text>"
        f"{LINE.format('Kirkwall') * 6}</text></revision></page>\n</mediawiki>"
    )
    recipe = tmp_path / "precise.toml"
    recipe.write_text(
        'base = "web-en"\n[extract]\nextractor = "precision"\n[tokenizer]\nvocab_size = 300\n[encode]\nseq_len = 32\n'
    )
    plain = tmp_path / "plain.toml"
    plain.write_text('base = "web-en"\n[tokenizer]\nvocab_size = 300\n[encode]\nseq_len = 32\n')
    out = tmp_path / "out"
    arguments = [
        f"--input=web={tmp_path / 'web'}", f"--input=news={tmp_path / 'news'}@{recipe}",
        f"--input=more={tmp_path / 'more'}", f"--input=wiki={tmp_path / 'wiki'}", f"--output={out}",
        f"--recipe={plain}",
    ]
    clean.run(arguments)

    found = rows(out, "documents")
    assert {(d["source"], d["media_type"], d["extractor"]) for d in found} == {
        ("web", "text/html", ours), ("web", "text/plain", None), ("news", "text/html", theirs),
        ("news", "text/plain", None), ("more", None, None),
        ("wiki", "text/x-wiki", f"mwparserfromhell {importlib.metadata.version('mwparserfromhell')}"),
    }
    text = {d["record_id"]: d["text"] for d in found if d["source"] == "news" and d["media_type"] == "text/html"}
    assert sorted(text.values()) == [
        f"{(LINE.format(town) * 5).strip()}\n{END.format(town)}" for town in ("Aarhus", "Bergen")
    ]
    kept = rows(out, "clean")
    assert {(d["id"], d["extractor"]) for d in kept} <= {(d["id"], d["extractor"]) for d in found}
    assert {ours, theirs} <= {d["extractor"] for d in kept}
    [letter] = rows(out, "dead_letters")
    assert (letter["source"], letter["reason"]) == ("news", "extractor_limit")
    manifest = manifest_from_json((out / "documents/manifest.json").read_text())
    assert manifest.libraries["trafilatura"] == extractor_versions("precision")["trafilatura"]
    assert manifest.recipes["news"]["extractor"] == "precision"
    assert manifest.recipes["web"]["extractor"] == "resiliparse"


def keys(folder: Path) -> dict[str, str]:
    """Plan keys of the parts of two sources, one an extractor."""
    path = folder / "a.jsonl"
    path.write_text("{}\n")
    files = [
        InputFile(source=name, name="a", found=Found(path=str(path), size=3, identity="i")) for name in EXTRACTORS
    ]
    recipes = {n: dataclasses.replace(WEB_EN, extract=Extract(extractor=n)) for n in EXTRACTORS}
    planned = work(Settings(recipe=WEB_EN, sources=recipes), files)
    return {part.source: part.plan_key for part in planned.parts}


@pytest.mark.parametrize(("library", "redone"), [
    ("trafilatura", {"precision"}), ("lxml", {"precision"}), ("justext", {"precision"}),
    ("resiliparse", set(EXTRACTORS)), ("mwparserfromhell", set(EXTRACTORS)), ("htmldate", set()),
])  # fmt: skip
def test_a_new_version_redoes_the_sources_that_use_it(
    library: str, redone: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, version = keys(tmp_path), importlib.metadata.version
    cached = (fingerprints.stage_fingerprint, fingerprints._closure)
    [c.cache_clear() for c in cached]
    monkeypatch.setattr(importlib.metadata, "version", lambda n: "0" if n.lower() == library else version(n))
    after = keys(tmp_path)
    monkeypatch.undo()
    [c.cache_clear() for c in cached]
    assert {name for name in EXTRACTORS if after[name] != before[name]} == redone
    assert keys(tmp_path) == before


def test_libraries_are_named_where_they_are_used() -> None:
    def named(*extractors: Extractor) -> set[str]:
        recipes = {n: dataclasses.replace(WEB_EN, extract=Extract(extractor=n)) for n in extractors}
        return set(work(Settings(recipe=WEB_EN, sources=recipes), []).libraries)

    both, alone = named(*EXTRACTORS), named("resiliparse")
    assert both - alone == {"trafilatura", "lxml", "justext"}
    assert not alone - both


def test_a_recipe_whose_extractor_is_not_installed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "precise.toml").write_text('base = "web-en"\n[extract]\nextractor = "precision"\n')
    version = importlib.metadata.version

    def lacking(name: str) -> str:
        if name == "trafilatura":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", lacking)
    out = tmp_path / "out"
    with pytest.raises(RunError) as raised:
        ingest.run([f"--input={tmp_path / 'a.jsonl'}@{tmp_path / 'precise.toml'}", f"--output={out}"])
    assert str(raised.value) == (
        "extract, extractor: 'precision' needs trafilatura, which is not installed. "
        "Run: python -m pip install 'winnow-data[precision]'"
    )
    assert not (out / "run.json").exists()
    ingest.run([f"--input={tmp_path / 'a.jsonl'}", f"--output={out}"])  # nobody asks for it here
