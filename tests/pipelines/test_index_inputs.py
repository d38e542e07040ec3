"""What cc-index: and cdxj: name, and what is said where they cannot."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.inputs import list_files, parse_input
from pipelines.options import Options, parse
from pipelines.selection import parse_selection, select
from schemas.errors import RunError
from schemas.records import manifest_from_json
from tests.crawl_index import SNAPSHOT, listed
from transforms.index_rows import Filters

TABLE = f"cc-index/table/cc-main/warc/crawl={SNAPSHOT}/subset=warc/part-00000.parquet"


def filters(query: str) -> Filters:
    return parse_selection(parse_input(f"cc-index:{SNAPSHOT}?{query}")).filters


def test_filters_as_they_are_written() -> None:
    given = "languages=fra,deu&domain=Example.org&tld=de&mime=application/xhtml%2Bxml&status=200,203&from=20260101"
    assert filters(f"{given}&to=20260201&languages=deu&url=https://x.org/a,b?c=d%26*") == Filters(
        languages=("deu", "fra"), domain=("example.org",), tld=("de",), mime=("application/xhtml+xml",),
        status=(200, 203), since="20260101", until="20260201", url=("https://x.org/a,b?c=d&*",),
    )  # fmt: skip
    assert filters("mime=application/xhtml+xml") == Filters(mime=("application/xhtml+xml",))
    assert filters("from=20260101&to=20260101") == Filters(since="20260101", until="20260101")


def test_source_and_recipe_stand_around_it() -> None:
    given = parse_input(f"news=cc-index:{SNAPSHOT}?tld=de@fineweb")
    assert (given.source, given.recipe) == ("news", "fineweb")
    assert parse_selection(given).filters == Filters(tld=("de",))
    lines = parse_selection(parse_input("cdxj:a/cdx-*.gz?domain=x.org"))
    assert (lines.source, lines.index) == ("web", "cdxj:a/cdx-*.gz")


KNOWN = "Known: languages, domain, tld, mime, status, url, from, to."


@pytest.mark.parametrize(("query", "says"), [
    ("lang=deu", f"'lang' is no filter. {KNOWN}"),
    ("domain=a.org&", None),
    ("", "has no filter. Give some after a ?"),
    ("languages=de", "languages=de is not an ISO 639-3 code, as deu."),
    ("languages=deu,", "languages= is not an ISO 639-3 code"),
    ("domain=https://a.org", "domain=https://a.org is not a registered domain"),
    ("domain=org", "domain=org is not a registered domain"),
    ("tld=.de", "tld=.de is not a top-level domain"),
    ("mime=html", "mime=html is not a media type"),
    ("status=2000", "status=2000 is not a status of HTTP"),
    ("status=OK", "status=OK is not a status"),
    ("url=", "url= is not a pattern"),
    ("from=2026", "from=2026 is not a day, YYYYMMDD."),
    ("from=20260231", "from=20260231 is not a day"),
    ("to=20260101&to=20260102", "from and to are one day each"),
    ("from=20260102&to=20260101", "from and to are one day each, from the earlier."),
])  # fmt: skip
def test_what_is_no_filter_is_told(query: str, says: str | None) -> None:
    if says is None:
        filters(query)
        return
    with pytest.raises(RunError) as raised:
        filters(query)
    assert says in str(raised.value) and str(raised.value).startswith(f"--input cc-index:{SNAPSHOT}?{query}"[:40])


@pytest.mark.parametrize("index", [
    "cc-index:", "cc-index:CC-NEWS/2026/10", f"cc-index:{SNAPSHOT}/wet", "cc-index:../x",
])  # fmt: skip
def test_what_is_no_snapshot_is_told(index: str) -> None:
    with pytest.raises(RunError, match=r"names no index of a snapshot. Write cc-index:CC-MAIN-2026-43\?FILTER=VALUE"):
        parse_selection(parse_input(f"{index}?tld=de"))


def test_a_list_may_not_name_an_index(tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"cc-index:{SNAPSHOT}?tld=de\n")
    with pytest.raises(RunError, match="holds a line that starts with"):
        list_files([parse_input(f"@{tmp_path}/list")])


def options(tmp_path: Path, given: str) -> Options:
    return parse([f"--input={given}", f"--output={tmp_path}/out", f"--cc-base={tmp_path}"],
                 command="clean", about="", needs_input=True)  # fmt: skip


def told(tmp_path: Path, given: str) -> str:
    with pytest.raises(RunError) as raised:
        select(options(tmp_path, given))
    return str(raised.value).replace(str(tmp_path), "BASE")


def table(tmp_path: Path, **columns: pa.Array) -> None:
    path = tmp_path / TABLE
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {"url_host_tld": pa.array(["de"]), "warc_filename": pa.array(["crawl-data/x.gz"]),
            "warc_record_offset": pa.array([5]), "warc_record_length": pa.array([9])} | columns
    pq.write_table(pa.table({k: v for k, v in rows.items() if v is not None}), path)
    listed(tmp_path, "cc-index-table.paths.gz", [TABLE])


def test_without_such_an_input_there_is_no_stage(tmp_path: Path) -> None:
    assert select(options(tmp_path, "x.warc.gz")) == []
    assert not (tmp_path / "out").exists()


def test_lists_that_cannot_be_used(tmp_path: Path) -> None:
    asked = f"cc-index:{SNAPSHOT}?tld=de"
    assert f"BASE/crawl-data/{SNAPSHOT}/cc-index-table.paths.gz: is not there" in told(tmp_path, asked)
    for path in ("../x", "/cc-index/x", "crawl-data/x", "cc-index/../x", "cc-index/a b", "cc-index/a%2fb"):
        listed(tmp_path, "cc-index-table.paths.gz", [TABLE, path])
        assert "cannot be read as a list of files" in told(tmp_path, asked)
    listed(tmp_path, "cc-index-table.paths.gz", [TABLE.replace("subset=warc", "subset=robotstxt")])
    assert "names no index of pages. Check the snapshot" in told(tmp_path, asked)
    listed(tmp_path, "cc-index-table.paths.gz", [TABLE])
    assert f"BASE/{TABLE}: is not there" in told(tmp_path, asked)


def test_an_index_that_cannot_be_had_is_not_tolerated(tmp_path: Path) -> None:
    listed(tmp_path, "cc-index-table.paths.gz", [TABLE])
    with pytest.raises(RunError, match="is not there"):
        select(parse([f"--input=cc-index:{SNAPSHOT}?tld=de", f"--output={tmp_path}/out", f"--cc-base={tmp_path}",
                      "--tolerate-missing"], command="clean", about="", needs_input=True))  # fmt: skip


def test_tables_that_are_no_index(tmp_path: Path) -> None:
    asked, start = f"cc-index:{SNAPSHOT}?tld=de", f"BASE/{TABLE}: cannot be read as an index of records: "
    table(tmp_path, url_host_tld=None)
    assert f"{start}'it has no column url_host_tld'. Check what lies there." in told(tmp_path, asked)
    table(tmp_path, warc_record_length=None)
    assert "it has no column warc_record_length" in told(tmp_path, asked)
    table(tmp_path, warc_filename=pa.array(["../../etc/passwd"]))
    assert "'../../etc/passwd' is no relative path of an archive" in told(tmp_path, asked)
    table(tmp_path, warc_record_offset=pa.array([-5]))
    assert "an offset is below 0" in told(tmp_path, asked)
    table(tmp_path, warc_record_length=pa.array(["long"]))
    assert start in told(tmp_path, asked)
    (tmp_path / TABLE).write_bytes(b"PAR1 is not all that it takes")
    assert start in told(tmp_path, asked)


def test_nothing_chosen_is_told(tmp_path: Path) -> None:
    table(tmp_path)
    assert "?tld=fr: no record of the index passes the filters" in told(tmp_path, f"cc-index:{SNAPSHOT}?tld=fr")
    [found] = select(options(tmp_path, f"cc-index:{SNAPSHOT}?tld=de"))
    assert (found.source, found.names, found.records, found.bytes) == ("web", ("crawl-data/x.gz",), 1, 9)


@pytest.mark.parametrize("kind", [
    pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us", tz="UTC"), pa.timestamp("ns"),
])  # fmt: skip
@pytest.mark.parametrize("old", [False, True], ids=["", "INT96"])
def test_times_of_any_unit(tmp_path: Path, kind: pa.DataType, old: bool) -> None:
    moments = pa.array([1767312000 - 1, 1767312000, 1767398399, 1767398400]).cast(pa.timestamp("s")).cast(kind)
    many = {"warc_filename": pa.array([f"f{k}" for k in range(4)]), "warc_record_offset": pa.array([0] * 4),
            "warc_record_length": pa.array([1] * 4)}
    (tmp_path / TABLE).parent.mkdir(parents=True)
    pq.write_table(pa.table(many | {"fetch_time": moments}), tmp_path / TABLE, use_deprecated_int96_timestamps=old,
                   row_group_size=1)
    listed(tmp_path, "cc-index-table.paths.gz", [TABLE])
    [found] = select(options(tmp_path, f"cc-index:{SNAPSHOT}?from=20260102&to=20260102"))
    assert found.names == ("f1", "f2")


def test_a_type_that_nobody_looked_into_is_the_declared_one(tmp_path: Path) -> None:
    many = {"warc_filename": pa.array([f"f{k}" for k in range(3)]), "warc_record_offset": pa.array([0] * 3),
            "warc_record_length": pa.array([1] * 3), "url_host_tld": pa.array(["de"] * 3)}
    kinds = {"content_mime_detected": pa.array(["text/html", None, "text/plain"]),
             "content_mime_type": pa.array(["text/plain", "text/html", "text/html"])}
    table(tmp_path, **many, **kinds)
    [found] = select(options(tmp_path, f"cc-index:{SNAPSHOT}?mime=text/html"))
    assert found.names == ("f0", "f1")


def test_lines_that_are_no_index(tmp_path: Path) -> None:
    (tmp_path / "x.cdxj").write_bytes(gzip.compress(b"not a line of it\n"))
    assert "BASE/x.cdxj: cannot be read as an index of records: line 1 is no CDXJ" in told(
        tmp_path, f"cdxj:{tmp_path}/x.cdxj?tld=de"
    )
    assert "no file matches" in told(tmp_path, f"cdxj:{tmp_path}/none?tld=de")


def test_lines_of_failed_fetches_and_robots_are_counted_and_left_out(tmp_path: Path) -> None:
    kinds = ("warc", "crawldiagnostics", "robotstxt", "warc")
    (tmp_path / "x.cdxj").write_text("".join(
        f'k 20260101000000 {{"url": "http://a.de/", "filename": "crawl-data/S/segments/1/{kind}/x.gz", '
        f'"offset": "{k}", "length": "9"}}\n' for k, kind in enumerate(kinds)
    ))  # fmt: skip
    [found] = select(options(tmp_path, f"cdxj:{tmp_path}/x.cdxj?tld=de"))
    assert (found.names, found.records) == (("crawl-data/S/segments/1/warc/x.gz",), 2)
    counts = manifest_from_json((tmp_path / "out/select/manifest.json").read_text()).counts
    assert (counts.came_in, counts.went_out, counts.dropped) == (4, 2, {"other_archives": 2})


def test_lines_of_a_real_crawl(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "warc/cc-main-2024-30-cdx-00187.cdxj.gz"
    rows = gzip.decompress(path.read_bytes()).decode().splitlines()
    wanted = [r for r in rows if '"languages": "fra"' in r and " 20240716" in r]
    assert 0 < len(wanted) < len(rows)
    found = select(options(tmp_path, f"cdxj:{path}?languages=fra&from=20240716&to=20240716"))
    everywhere = [r for r in rows if "fra" in r.partition('"languages": "')[2].partition('"')[0].split(",")
                  and " 20240716" in r]
    assert sum(c.records for c in found) == len(everywhere) >= len(wanted)
    names = {r.partition('"filename": "')[2].partition('"')[0] for r in everywhere}
    assert {n for c in found for n in c.names} == names
