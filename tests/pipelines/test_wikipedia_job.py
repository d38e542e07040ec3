"""The main job on Wikipedia dumps: a whole small wiki, and pages full of tables."""

from __future__ import annotations

import json

import pyarrow.parquet as pq

from pipelines import clean
from schemas.records import manifest_from_json


def test_dumps_run_to_the_end_and_every_page_is_accounted_for(shared_data, tmp_path):
    folder = shared_data / "wikipedia"
    clean.run([
        f"--input=ltg={folder}/ltgwiki-pages-articles.xml.bz2@wikipedia",
        f"--input=tables={folder}/enwiki-table-markup.xml.bz2@wikipedia", "--recipe=wikipedia", f"--output={tmp_path}",
    ])
    manifest = manifest_from_json((tmp_path / "documents/manifest.json").read_text())
    counts = {part.source: part.counts for part in manifest.parts}
    assert (counts["ltg"].came_in, counts["tables"].came_in) == (2004, 5)
    assert counts["ltg"].dropped["wiki_namespace"] == 2004 - 1050
    assert counts["ltg"].dead_letters == {}
    rows = [r for path in (tmp_path / "clean").glob("*.parquet") for r in pq.read_table(path).to_pylist()]
    sources = [r["source"] for r in rows]
    assert sources.count("tables") == 5
    assert sources.count("ltg") > 300
    assert all(r["url"].startswith("https://ltg.wikipedia.org/wiki/") for r in rows if r["source"] == "ltg")
    assert {r["media_type"] for r in rows} == {"text/x-wiki"}
    assert not any("[[" in r["text"] for r in rows)
    assert json.loads((tmp_path / "manifest.json").read_text())["stages"]["encode"]["went_out"] == len(rows)
