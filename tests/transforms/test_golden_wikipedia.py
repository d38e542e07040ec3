"""Ten hard articles whose text was read beside their wikitext, line by line, and is pinned by hashes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.transforms.golden_wikipedia import GOLDEN, hashed, measured, page_of
from transforms.wikitext import readable

PAGES: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page['dump'].partition('-')[0]}-{page['id']}")
def test_a_reviewed_page_reads_as_it_did(page: dict[str, Any], data_folder: Path) -> None:
    title, source, namespaces = page_of(data_folder, page["dump"], page["id"])
    assert title == page["title"]
    text = readable(source, namespaces=namespaces)
    lines, reviewed = text.split("\n"), page["line_hashes"]
    new = [f"line {k + 1}: {line}" for k, line in enumerate(lines) if hashed(line) not in reviewed]
    missing = [f"line {k + 1}" for k, h in enumerate(reviewed) if h not in set(map(hashed, lines))]
    assert (new, missing) == ([], []), "lines not reviewed yet, and reviewed lines that are gone"
    assert {key: page[key] for key in measured(text)} == measured(text)


def test_ten_pages_each_with_its_reason_and_review() -> None:
    assert len(PAGES) == 10 and len({page["dump"] for page in PAGES}) >= 7
    assert all(page["why"] and page["reviewed"] and len(page["line_hashes"]) == page["lines"] for page in PAGES)
