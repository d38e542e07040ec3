"""A crawl read by its index, the same wherever it lies: a folder, S3, GCS."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import RunError
from tests.crawl_index import SNAPSHOT, line
from tests.pipelines.indexed_crawl import Crawl, archive, crawl_of, manifest, read, run, same

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Crawl:
    folder = tmp_path_factory.mktemp("archives")
    archives = [archive(folder / f"{k}.warc.gz", k) for k in range(3)]
    return crawl_of(tmp_path_factory.mktemp("crawl"), archives, tmp_path_factory.mktemp("scan"))


@pytest.mark.parametrize("kind", ["", "/cdxj"])
def test_the_same_documents_wherever_it_lies(crawl: Crawl, place, kind: str, tmp_path: Path) -> None:
    given = f"--input=cc-index:{SNAPSHOT}{kind}?languages=eng,deu&domain=a.org,b.de"
    here = run(tmp_path / "here", given, f"--cc-base={crawl.root}")
    assert 10 < len(read(here)) < len(crawl.documents)
    there = run(tmp_path / "there", given, f"--cc-base={place.fill(crawl.root, 'mirror')}")
    assert same(there) == same(here)


def test_places_behind_the_end_and_files_that_are_not_there(crawl: Crawl, place, tmp_path: Path) -> None:
    base = f"--cc-base={place.fill(crawl.root, 'mirror')}"
    row = next(r for r in crawl.index if r.place in crawl.documents)
    last = max((r for r in crawl.index if r.warc_filename == row.warc_filename), key=lambda r: r.place)
    size = (crawl.root / row.warc_filename).stat().st_size

    def given(name: str, *places: tuple[str, int, int]) -> str:
        changed = [line(row).replace(row.warc_filename, file).replace(
            f'"{row.warc_record_offset}"', f'"{offset}"').replace(f'"{row.warc_record_length}"', f'"{length}"')
            for file, offset, length in places]  # fmt: skip
        (tmp_path / name).write_text("".join(changed))
        return f"--input=cdxj:{tmp_path}/{name}?url=*"

    end = (row.warc_filename, last.warc_record_offset, last.warc_record_length + 100_000)
    for k, places in enumerate(([(row.warc_filename, size + 5, 9)], [end, (row.warc_filename, size + 500_000, 9)])):
        out = run(tmp_path / f"{k}", given(f"{k}.cdxj", *places), base)
        assert manifest(out).counts.dead_letters == {"no_record": 1}
        assert manifest(out).counts.came_in == len(places)
    none = given("none.cdxj", ("crawl-data/none.warc.gz", 0, 9))
    with pytest.raises(RunError, match=r"crawl-data/none\.warc\.gz: is not there\. Check --cc-base"):
        run(tmp_path / "none", none, base)
    assert manifest(run(tmp_path / "none", none, base, "--tolerate-missing")).counts.dead_letters == {"missing": 1}
