"""Records chosen by an index: those that a full scan with the same filter gives, and no other bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines import clean, ingest
from pipelines.options import parse
from pipelines.selection import select
from pipelines.sweep import orphans
from schemas.errors import RunError
from schemas.recipes import Extract
from tests.crawl_index import SNAPSHOT, Row, line, neighbours
from tests.mirror import Fault, Mirror, serving
from tests.pipelines.indexed_crawl import (
    GAP,
    Crawl,
    archive,
    asked_of_archives,
    check,
    crawl_of,
    manifest,
    read,
    run,
    same,
)
from transforms.beam.parts import PlannedPart
from transforms.beam.verdicts import Verdicts
from transforms.extraction import Failed, Question, Waiting
from transforms.outcomes import Page
from transforms.warc import text_of


@pytest.fixture(autouse=True)
def own_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("transforms.beam.web_requests._LONGEST_WAIT", 0.01)


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Crawl:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("pace")))
        folder = tmp_path_factory.mktemp("archives")
        archives = [archive(folder / f"{k}.warc.gz", k) for k in range(3)]
        return crawl_of(tmp_path_factory.mktemp("crawl"), archives, tmp_path_factory.mktemp("scan"))


@pytest.fixture
def mirror(crawl: Crawl):
    with serving(crawl.root) as served:
        yield served


def test_a_selection_equals_a_full_scan_and_fetches_nothing_else(crawl: Crawl, mirror: Mirror, tmp_path: Path) -> None:
    assert len(crawl.documents) > 100
    assert {r.content_languages for r in crawl.index} >= {"eng,lat", "deu,lat", "fra,lat"}
    check(crawl, mirror, tmp_path / "out", "languages=eng&domain=a.org",
          lambda r: (r.content_languages or "").startswith("eng") and r.url_host_registered_domain == "a.org")
    runs = neighbours(crawl.kept(lambda r: r.url_host_registered_domain == "a.org"), gap=GAP)
    assert 3 < len(runs) < len(crawl.kept(lambda r: r.url_host_registered_domain == "a.org")), "both are seen"


FILTERS: dict[str, tuple[str, Callable[[Row], bool]]] = {
    "two languages": ("languages=deu,fra", lambda r: (r.content_languages or "")[:3] in ("deu", "fra")),
    "tld": ("tld=uk", lambda r: r.url_host_tld == "uk"),
    "domain": ("domain=B.de&domain=c.fr", lambda r: r.url_host_registered_domain in ("b.de", "c.fr")),
    "status and mime": ("status=404&mime=text/html", lambda r: r.fetch_status == 404),
    "url": ("url=https://www.*/news/1/?&url=*/2/4*",
            lambda r: ("/news/1/" in r.url and len(r.url.rpartition("/")[2]) == 1) or "/2/4" in r.url),
    "days": ("from=20261001&to=20261001&tld=de", lambda r: r.fetch_time.day == 1 and r.url_host_tld == "de"),
}


@pytest.mark.parametrize("kind", ["", "/cdxj"])
@pytest.mark.parametrize("name", list(FILTERS))
def test_each_filter_chooses_what_it_says(
    crawl: Crawl, mirror: Mirror, name: str, kind: str, tmp_path: Path
) -> None:
    """The stage alone: what ingest makes of it is asked by the other tests."""
    query, keep = FILTERS[name]
    options = parse(
        [f"--input=x=cc-index:{SNAPSHOT}{kind}?{query}", f"--output={tmp_path}", f"--cc-base={mirror.url}",
         "--requests-per-second=10000"], command="clean", about="", needs_input=True,
    )  # fmt: skip
    chosen = select(options)
    found = {(r["file"], r["offset"], r["length"]) for p in (tmp_path / "select").glob("part-*.parquet")
             for r in pq.read_table(p).to_pylist()}
    expected = crawl.kept(keep)
    assert found == {(*r.place, r.warc_record_length) for r in expected}
    assert 0 < len(expected) < len(crawl.index)
    assert sum(c.records for c in chosen) == len(expected)
    assert not asked_of_archives(mirror)


def test_lines_and_a_failing_mirror_give_the_same_documents(crawl: Crawl, mirror: Mirror, tmp_path: Path) -> None:
    query = "languages=eng,fra&from=20261001&to=20261001"
    base = f"--cc-base={mirror.url}"
    table = run(tmp_path / "table", f"--input=cc-index:{SNAPSHOT}?{query}", base)
    whole = same(table)
    assert list(orphans(str(table))) == [], "select/ is named by its manifest"
    assert 10 < len(read(table)) < len(crawl.documents)
    local = f"--cc-base={crawl.root}"
    folder = f"{crawl.root}/cc-index/collections/{SNAPSHOT}/indexes"
    for k, options in enumerate((
        [f"--input=cc-index:{SNAPSHOT}/cdxj?{query}", base],
        [f"--input=cdxj:{folder}/cdx-*.gz?{query}", local],
        [f"--input=cc-index:{SNAPSHOT}?{query}", local],
    )):  # fmt: skip
        assert same(run(tmp_path / f"{k}", *options)) == whole
    faults = {
        1: Fault(status=503, headers={"Retry-After": "0"}), 2: Fault(cut=100), 3: Fault(hang_up=True),
        4: Fault(headers={"Content-Range": "bytes 5-6/7"}), 5: Fault(headers={"Content-Length": "7"}),
    }
    mirror.rule = lambda a: faults.get(a.seen)
    mirror.asked.clear()
    assert same(run(tmp_path / "failing", f"--input=cc-index:{SNAPSHOT}?{query}", base)) == whole
    assert all(max(a.seen for a in mirror.asked if a.path == path) > 5 for path in {a.path for a in mirror.asked})


def test_parts_hold_whole_files_up_to_a_bound(
    crawl: Crawl, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (f"--input=cc-index:{SNAPSHOT}?tld=org,de", f"--cc-base={mirror.url}")
    one = read(run(tmp_path / "one", *options))
    assert len(manifest(tmp_path / "one").parts) == 1
    rows_of = crawl.kept(lambda r: r.url_host_tld in ("org", "de"))
    by_file = sorted(len([r for r in rows_of if r.warc_filename == f]) for f in {r.warc_filename for r in rows_of})
    monkeypatch.setattr("pipelines.selection.PART_RECORDS", sum(by_file) - 1)
    assert read(run(tmp_path / "two", *options)) == one
    assert len(manifest(tmp_path / "two").parts) == 2
    assert read(run(tmp_path / "three", *options, "--part-bytes=256")) == one
    assert len(manifest(tmp_path / "three").parts) == 3


def test_a_finished_selection_is_not_read_again_and_a_changed_one_is(mirror: Mirror, tmp_path: Path) -> None:
    base = f"--cc-base={mirror.url}"
    run(tmp_path, f"--input=cc-index:{SNAPSHOT}?tld=org", base)
    before = manifest(tmp_path)
    mirror.asked.clear()
    run(tmp_path, f"--input=cc-index:{SNAPSHOT}?tld=org", base)
    assert not asked_of_archives(mirror)
    assert all(a.probe for a in mirror.asked if a.path.endswith(".parquet"))
    assert manifest(tmp_path) == before
    run(tmp_path, f"--input=cc-index:{SNAPSHOT}?tld=org,de", base)
    assert manifest(tmp_path).counts.came_in > before.counts.came_in


def test_row_groups_that_statistics_rule_out_are_not_read(crawl: Crawl, mirror: Mirror, tmp_path: Path) -> None:
    run(tmp_path, f"--input=cc-index:{SNAPSHOT}?domain=a.org", f"--cc-base={mirror.url}")
    picked = manifest(tmp_path, "select")
    assert picked.counts.dropped["row_group"] >= len(crawl.index) // 3
    unread = [p.name for p in picked.parts if p.counts.dropped.get("row_group") == p.counts.came_in]
    assert unread
    for name in unread:
        asked = [a for a in mirror.asked if a.path == f"/{name}"]
        assert len(asked) == 3, "two looks, and the footer"


def places_of(crawl: Crawl, tmp_path: Path, *changed: Row) -> str:
    """An input of CDXJ lines."""
    (tmp_path / "own.cdxj").write_text("".join(map(line, changed)))
    return f"--input=cdxj:{tmp_path}/own.cdxj?url=*"


def test_a_place_where_no_record_starts_is_a_dead_letter(crawl: Crawl, mirror: Mirror, tmp_path: Path) -> None:
    rows_of = [r for r in crawl.index if r.place in crawl.documents]
    good, inside, short, behind, over, straddling = rows_of[0], *rows_of[5:10]
    size = (crawl.root / behind.warc_filename).stat().st_size
    end = max((r for r in rows_of if r.warc_filename == over.warc_filename), key=lambda r: r.place)
    changed = [
        good, replace(inside, warc_record_offset=inside.warc_record_offset + 3),
        replace(short, warc_record_length=short.warc_record_length - 20),
        replace(behind, warc_record_offset=size + 5),
        replace(straddling, warc_record_length=straddling.warc_record_length + 300),
        replace(end, warc_record_length=end.warc_record_length + 100_000),
    ]
    expected = {place: crawl.documents[place] for place in (good.place, straddling.place, end.place)}
    for k, base in enumerate((mirror.url, crawl.root)):
        out = run(tmp_path / f"{k}", places_of(crawl, tmp_path, *changed), f"--cc-base={base}")
        assert read(out) == expected
        dead = [r for p in (out / "dead_letters").glob("*.parquet") for r in pq.read_table(p).to_pylist()]
        assert {(r["file"], r["offset"], r["reason"]) for r in dead} == {
            (inside.warc_filename, inside.warc_record_offset + 3, "no_record"),
            (*short.place, "damaged"), (behind.warc_filename, size + 5, "no_record"),
        }  # fmt: skip
        assert manifest(out).counts.came_in == len(changed)
    with pytest.raises(RunError, match="was read by an index"):
        ingest.run([f"--replay={tmp_path}/0/dead_letters", f"--output={tmp_path}/again"])


def test_an_archive_that_cannot_be_had_ends_the_run_or_is_a_dead_letter(
    crawl: Crawl, mirror: Mirror, tmp_path: Path
) -> None:
    row = next(r for r in crawl.index if r.place in crawl.documents)
    given = places_of(crawl, tmp_path, replace(row, warc_filename="crawl-data/none.warc.gz"))
    for base, says in ((mirror.url, "the server answered 404"), (f"{crawl.root}", "is not there. Check --cc-base")):
        with pytest.raises(RunError, match=says):
            run(tmp_path / "out", given, f"--cc-base={base}")
    run(tmp_path / "out", given, f"--cc-base={mirror.url}", "--tolerate-missing")
    assert manifest(tmp_path / "out").counts.dead_letters == {"missing": 1}
    with pytest.raises(RunError, match="the server answered 404"):
        run(tmp_path / "out", given, f"--cc-base={mirror.url}")


def test_an_archive_that_changes_between_two_requests_ends_the_run(
    crawl: Crawl, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.rule = lambda a: Fault(body=b"other" * 50_000) if "segments" in a.path and a.seen == 2 else None
    with pytest.raises(RunError, match="changed during the run"):
        run(tmp_path, f"--input=cc-index:{SNAPSHOT}?tld=org", f"--cc-base={mirror.url}")


def test_a_source_cannot_have_a_file_both_whole_and_by_its_index(crawl: Crawl, tmp_path: Path) -> None:
    row = crawl.index[0]
    whole = f"--input={crawl.root}/{row.warc_filename}"
    chosen = f"cc-index:{SNAPSHOT}?domain={row.url_host_registered_domain}"
    with pytest.raises(RunError, match="would be read whole, and by its index"):
        run(tmp_path / "a", whole, f"--input={chosen}", f"--cc-base={crawl.root}")
    out = run(tmp_path / "b", whole, f"--input=other={chosen}", f"--cc-base={crawl.root}")
    assert {p.source for p in manifest(out).parts} == {"web", "other"}


def test_verdicts_of_one_archive_are_not_those_of_another(tmp_path: Path) -> None:
    """A part has records of several archives at the same offset."""
    part = PlannedPart(stage="ingest", part="part-x", plan_key="k", source="web", name="a to b", number=0, size=1)
    page = Page(offset=7, inner_offset=0, text="")
    waiting = Waiting(question=Question(kind="response", body=b"", extract=Extract()), answer=text_of, page=page,
                      length=1, record=b"")
    first = Verdicts(out=str(tmp_path), part=part).load().of_file("a")
    first.add(waiting, Failed(reason="r", detail="d"), extractor="x")
    kept = Verdicts(out=str(tmp_path), part=part).load()
    assert kept.of_file("a").of(waiting) == Failed(reason="r", detail="d")
    assert kept.of_file("b").of(waiting) is None


def test_a_takedown_of_what_an_index_chose(crawl: Crawl, tmp_path: Path) -> None:
    """In place, from tables that hold the documents of several archives, as from the start."""
    given = [f"--input=cc-index:{SNAPSHOT}?languages=eng,deu", f"--cc-base={crawl.root}"]
    before = read(run(tmp_path / "a", *given))
    listed = sorted(str(row["url"]) for row in before.values())[::7]
    (tmp_path / "list.txt").write_text("".join(f"{url}\n" for url in listed))
    here, there = (run(tmp_path / name, *given, f"--takedown={tmp_path}/list.txt") for name in "ab")
    assert same(here) == same(there)
    assert len({file for file, _ in before}) > 1
    assert read(here) == {place: row for place, row in before.items() if row["url"] not in listed}


def test_what_an_index_chose_is_planned_by_rates(crawl: Crawl, tmp_path: Path) -> None:
    """--max-cost asks for a sample, and of these records there is none: only this output knows where they lie."""
    (tmp_path / "prices.toml").write_text(
        'currency = "EUR"\nsource = "a contract"\ndate = "2026-11-22"\n[regions.a]\ncore_hour = 1\n'
    )
    out = tmp_path / "out"
    arguments = [f"--input=x=cc-index:{SNAPSHOT}?languages=eng,fra", f"--cc-base={crawl.root}", f"--output={out}",
                 f"--prices={tmp_path / 'prices.toml'}", "--sample=0.001"]
    with pytest.raises(RunError, match="--max-cost 0: the run may cost"):
        clean.run([*arguments, "--max-cost=0"])
    assert not (out / "documents").exists()
    clean.run([*arguments, "--max-cost=1000"])
    assert manifest(out).counts.came_in == manifest(out, "select").counts.went_out
    for command in (clean.run, ingest.run):
        with pytest.raises(RunError, match="what an index chooses is known when the run has asked it"):
            command([*arguments, "--dry-run"])
