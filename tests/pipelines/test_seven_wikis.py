"""The main job over dumps of seven Wikipedias, held to a count of the XML that shares no code with it."""

from __future__ import annotations

import bz2
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines import clean
from schemas.records import manifest_from_json

ENDING = "pages-articles"
DUMPS = {
    "elwiki": f"elwiki-20230501-{ENDING}-truncated100k", "enwiki": f"enwiki-{ENDING}1-p10p30302-shortened",
    "jawiki": f"jawiki-20230501-{ENDING}-truncated100k", "ltgwiki": f"ltgwiki-{ENDING}",
    "mrwiki": f"mrwiki-20230501-{ENDING}-truncated100k", "ukwiki": f"ukwiki-20230501-{ENDING}-truncated100k",
    "viwiki": f"viwiki-20230501-{ENDING}-truncated100k",
}
LANGUAGES = {"elwiki": "el", "enwiki": "en", "jawiki": "ja", "mrwiki": "mr", "ukwiki": "uk", "viwiki": "vi"}
"""The language that most documents must have. The model does not know Latgalian."""


def outside_brackets(source: str) -> str:
    """What is left of wikitext without its templates, tables, links and tags: next to nothing in a page of no prose."""
    for _ in range(6):
        source = re.sub(r"\{\{[^{}]*\}\}|\[\[[^\[\]]*\]\]", "", source)
    return re.sub(r"(?s)\{\|.*\|\}|<[^<>]*>", "", source)


def counted(path: Path) -> Counter[str]:
    """Pages of a dump by what they are, as an XML parser sees them; the one that the file is cut off in is `cut`. Of
    the articles some are `bare`."""
    counts: Counter[str] = Counter()
    open_page = False
    try:
        for event, element in ET.iterparse(bz2.open(path), events=("start", "end")):
            name = element.tag.rpartition("}")[2]
            if name != "page":
                continue
            open_page = event == "start"
            if open_page:
                continue
            inside = {child.tag.rpartition("}")[2]: child for child in element.iter()}
            text = inside["text"].text or ""
            if inside["ns"].text != "0":
                counts["wiki_namespace"] += 1
            elif "redirect" in inside or re.match(r"\s*#redirect\b", text, re.IGNORECASE):
                counts["wiki_redirect"] += 1
            else:
                counts["article"] += 1
                counts["bare"] += len(re.findall(r"\w", outside_brackets(text))) < 100
            element.clear()
    except ET.ParseError:
        counts["cut"] += open_page
    return counts


def run_and_check(wikis: list[str], folder: Path, out: Path) -> None:
    inputs = [f"--input={wiki}={folder}/{DUMPS[wiki]}.xml.bz2@wikipedia" for wiki in wikis]
    clean.run([*inputs, "--recipe=wikipedia", f"--output={out}"])
    manifest = manifest_from_json((out / "documents/manifest.json").read_text())
    assert sorted(part.source for part in manifest.parts) == sorted(wikis)
    for part in manifest.parts:
        expected, counts = counted(folder / f"{DUMPS[part.source]}.xml.bz2"), part.counts
        assert counts.came_in == expected.total() - expected["bare"], part.source
        for reason in ("wiki_namespace", "wiki_redirect"):
            assert counts.dropped.get(reason, 0) == expected[reason], (part.source, reason)
        assert counts.dead_letters == ({"truncated": 1} if expected["cut"] else {}), part.source
        no_text = counts.dropped.get("empty_text", 0)
        assert counts.went_out + no_text == expected["article"], part.source
        assert no_text <= expected["bare"] + 3, part.source
        assert counts.came_in == counts.went_out + sum(counts.dropped.values()) + sum(counts.dead_letters.values())
    columns = ["source", "language", "text", "url"]
    rows = [r for path in (out / "clean").glob("*.parquet") for r in pq.read_table(path, columns=columns).to_pylist()]
    shards = json.loads((out / "shards/manifest.json").read_text())
    for wiki in wikis:
        of_wiki = [r for r in rows if r["source"] == wiki]
        assert of_wiki and all(r["text"].strip() for r in of_wiki), wiki
        assert all(r["url"].startswith(f"https://{wiki[:-4]}.wikipedia.org/wiki/") or wiki == "enwiki" for r in of_wiki)
        assert list((out / "shards").glob(f"*/{wiki}/*.arrow")), wiki
        assert wiki in json.dumps(shards)
        if wiki in LANGUAGES:
            assert Counter(r["language"] for r in of_wiki)[LANGUAGES[wiki]] > 0.8 * len(of_wiki), wiki
    stages = json.loads((out / "manifest.json").read_text())["stages"]
    for name in ("dedupe", "filter", "tokenizer", "encode"):
        stage = stages[name]
        assert stage["came_in"] == stage["went_out"] + sum(stage.get("dropped", {}).values()), name
    assert stages["encode"]["went_out"] == len(rows)


def test_two_small_wikis(shared_data: Path, tmp_path: Path) -> None:
    run_and_check(["ltgwiki", "enwiki"], shared_data / "wikipedia", tmp_path)


@pytest.mark.slow
def test_all_seven(shared_data: Path, tmp_path: Path) -> None:
    run_and_check(list(DUMPS), shared_data / "wikipedia", tmp_path)
