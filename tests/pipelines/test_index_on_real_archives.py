"""A mirror of the real archives, read by its index: the documents of a full scan and no other bytes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.crawl_index import SNAPSHOT, Row, members
from tests.mirror import serving
from tests.pipelines.indexed_crawl import Crawl, check, crawl_of, manifest, read, run, same

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
RECORDS = 2_000
AGAIN = "ia-2008-heritrix-example.warc.gz"
"""The real archives have 1,698 records together: the largest is there twice, under two names."""


@pytest.fixture(autouse=True)
def own_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def crawl(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Crawl:
    archives = [*sorted((shared_data / "warc").glob("*.warc.gz")), shared_data / "warc" / AGAIN]
    assert sum(len(members(path)) for path in archives) >= RECORDS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("pace")))
        return crawl_of(tmp_path_factory.mktemp("crawl"), archives, tmp_path_factory.mktemp("scan"))


def common(crawl: Crawl) -> list[tuple[str, str]]:
    """(language, domain) of most rows, three of them."""
    count = Counter((r.content_languages[:3], r.url_host_registered_domain) for r in crawl.index if r.content_languages)
    return [(language, domain) for (language, domain), _ in count.most_common(3) if domain]


def test_selections_of_a_mirror_equal_a_full_scan_and_fetch_nothing_else(crawl: Crawl, tmp_path: Path) -> None:
    asked = common(crawl)
    assert len(asked) == 3
    with serving(crawl.root) as mirror:
        for k, (language, domain) in enumerate(asked):
            def keep(row: Row, language: str = language, domain: str = domain) -> bool:
                return (row.content_languages or "").startswith(language) and row.url_host_registered_domain == domain

            check(crawl, mirror, tmp_path / f"{k}", f"languages={language}&domain={domain}", keep)
        check(crawl, mirror, tmp_path / "all", "status=200&languages=eng,nld,spa",
              lambda r: r.fetch_status == 200 and (r.content_languages or "")[:3] in ("eng", "nld", "spa"))


def test_neither_workers_nor_parts_change_what_is_chosen(crawl: Crawl, tmp_path: Path) -> None:
    given = (f"--input=cc-index:{SNAPSHOT}?languages=eng", f"--cc-base={crawl.root}")
    one = run(tmp_path / "one", *given)
    assert same(run(tmp_path / "two", *given, "--workers=2")) == same(one)
    many = run(tmp_path / "many", *given, "--part-bytes=256")
    assert read(many) == read(one)
    assert len(manifest(many).parts) > len(manifest(one).parts)
    lines = run(tmp_path / "lines", f"--input=cc-index:{SNAPSHOT}/cdxj?languages=eng", f"--cc-base={crawl.root}")
    assert same(lines) == same(one)
