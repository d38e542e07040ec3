"""Writes golden_wikipedia.json: `python tests/transforms/golden_wikipedia.py DATA_FOLDER`, after a review by eye of
every page whose hashes change. It holds no text of the pages, only what tells whether and where one changed."""

from __future__ import annotations

import bz2
import hashlib
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from transforms.wikitext import readable

GOLDEN = Path(__file__).with_name("golden_wikipedia.json")


def page_of(folder: Path, dump: str, page_id: str) -> tuple[str, str, dict[str, int]]:
    """(title, wikitext, names of namespaces) of a page, read by an XML parser alone."""
    namespaces: dict[str, int] = {}
    for _, element in ET.iterparse(bz2.open(folder / "wikipedia" / f"{dump}.xml.bz2")):
        name = element.tag.rpartition("}")[2]
        if name == "namespace" and element.text:
            namespaces[element.text.lower()] = int(element.get("key", "0"))
        elif name == "page":
            inside = {child.tag.rpartition("}")[2]: child.text or "" for child in reversed(list(element.iter()))}
            if inside["id"] == page_id:
                return inside["title"], inside["text"], namespaces
            element.clear()
    raise LookupError(f"{dump} has no page {page_id}")


def hashed(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()[:12]


def measured(text: str) -> dict[str, object]:
    lines = text.split("\n")
    return {
        "lines": len(lines), "characters": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "line_hashes": [hashed(line) for line in lines],
    }


def main(folder: Path) -> None:
    pages = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for page in pages:
        page["title"], source, namespaces = page_of(folder, page["dump"], page["id"])
        page.update(measured(readable(source, namespaces=namespaces)))
    rows = ",\n".join(json.dumps(page, ensure_ascii=False) for page in pages)
    GOLDEN.write_text(f"[\n{rows}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
