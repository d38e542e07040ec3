"""A crawl with an index, scanned whole; and what a run by the index must give and may ask for."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from pipelines import ingest
from pipelines.sample.archive import date, gzip_member, warc_record
from schemas.records import Manifest, manifest_from_json
from tests.crawl_index import SNAPSHOT, Row, neighbours, rows, write_cdxj, write_parquet
from tests.mirror import Asked, Mirror
from tests.pipelines.conftest import digests

GAP = 4 << 10
ISO = {"en": "eng", "de": "deu", "fr": "fra", "es": "spa", "pt": "por", "nl": "nld", "ca": "cat"}


@dataclass(frozen=True)
class Crawl:
    """A mirror's folder, all of its documents by (file, offset), and its index."""

    root: Path
    documents: dict[tuple[str, int], dict[str, object]]
    index: list[Row]

    def scanned(self, keep: Callable[[Row], bool]) -> dict[tuple[str, int], dict[str, object]]:
        """What a full scan gives of the rows that a filter keeps."""
        wanted = {row.place for row in self.index if keep(row)}
        return {place: row for place, row in self.documents.items() if place in wanted}

    def kept(self, keep: Callable[[Row], bool]) -> list[Row]:
        return [row for row in self.index if keep(row)]


def crawl_of(root: Path, archives: Iterable[Path], out: Path) -> Crawl:
    """The archives as a snapshot's, each under a name of its own, scanned whole; and indexes with what language the
    scan found."""
    for k, path in enumerate(archives):
        name = f"crawl-data/{SNAPSHOT}/segments/{k % 2}.{k % 2}/warc/{k:03}-{path.name}"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, root / name)
    names = sorted(str(p.relative_to(root)) for p in root.rglob("warc/*.warc.gz"))
    run(out, f"--input={root}/crawl-data/*/segments/*/warc/*.warc.gz")
    documents = read(out)

    def languages(name: str, offset: int) -> str | None:
        found = documents.get((name, offset))
        return f"{ISO.get(str(found['language']), 'und')},lat" if found else None

    index = [row for name in names for row in rows(root, name, languages=languages)]
    write_parquet(root, index, files=3)
    write_cdxj(root, index, files=2)
    return Crawl(root, documents, index)


def run(out: Path, *options: str) -> Path:
    ingest.run([f"--output={out}", "--requests-per-second=10000", *options])
    return out


def read(out: Path) -> dict[tuple[str, int], dict[str, object]]:
    columns = ["file", "offset", "id", "digest", "language", "url", "record_id"]
    found = [r for p in (out / "documents").glob("*.parquet") for r in pq.read_table(p, columns=columns).to_pylist()]
    by_place = {(r["file"], r["offset"]): r for r in found}
    assert len(by_place) == len(found)
    return by_place


def manifest(out: Path, stage: str = "documents") -> Manifest:
    return manifest_from_json((out / stage / "manifest.json").read_text())


SENTENCES = (
    ("The harbour was quiet in the evening, and the boats came home one after another with their lamps lit.", "a.org"),
    ("Der Hafen war am Abend still, und die Boote kamen eines nach dem anderen mit brennenden Lampen heim.", "b.de"),
    ("Le port était calme le soir, et les bateaux rentraient l'un après l'autre avec leurs lampes allumées.", "c.fr"),
    ("In the morning the fishermen mended their nets on the long wall and talked about the weather.", "d.co.uk"),
)


def archive(path: Path, number: int) -> Path:
    """Records as a crawl has them, request, response and metadata of each page; every seventh page is large, so that
    what lies around it is no neighbour."""
    records = [warc_record("warcinfo", name=f"{number}", when=date(0), content_type="text/plain", block=b"x: y")]
    for k in range(42):
        sentence, domain = SENTENCES[(k // 2 + number) % len(SENTENCES)]
        url = f"https://www.{domain}/news/{number}/{k}"
        filler = hashlib.shake_128(url.encode()).hexdigest(40_000) if k % 7 == 6 else ""
        page = f"<html><body><!-- {filler} --><p>{(sentence + ' ') * 4}{number} {k}</p></body></html>"
        status = "404 Not Found" if k % 11 == 10 else "200 OK"
        response = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{page}"
        for kind, block, mime in (
            ("request", b"GET / HTTP/1.1\r\n\r\n", "application/http"),
            ("response", response.encode(), "application/http"),
            ("metadata", b"fetchTimeMs: 7", "application/warc-fields"),
        ):
            more = (("WARC-Target-URI", url),)
            name = f"{number}-{k}-{kind}"
            records.append(warc_record(kind, name=name, when=date(k * 60), content_type=mime, block=block, more=more))
    path.write_bytes(b"".join(map(gzip_member, records)))
    return path


def asked_of_archives(mirror: Mirror) -> list[Asked]:
    return [a for a in mirror.asked if a.path.startswith(f"/crawl-data/{SNAPSHOT}/segments/")]


def fetched(mirror: Mirror) -> int:
    """Bytes of archives that the server sent."""
    return sum(mirror.served[path] for path in {a.path for a in asked_of_archives(mirror)})


def check(crawl: Crawl, mirror: Mirror, out: Path, query: str, keep: Callable[[Row], bool]) -> None:
    """A run by an index gives what a full scan with the filter gives, and fetches runs of neighbours alone."""
    mirror.asked.clear()
    mirror.served.clear()
    run(out, f"--input=cc-index:{SNAPSHOT}?{query}", f"--cc-base={mirror.url}")
    chosen = crawl.kept(keep)
    assert read(out) == crawl.scanned(keep)
    assert 0 < len(chosen) < len(crawl.index)
    counts, picked = manifest(out).counts, manifest(out, "select").counts
    assert counts.came_in == len(chosen) == picked.went_out
    assert picked.came_in == len(crawl.index) == picked.went_out + sum(picked.dropped.values())
    runs = neighbours(chosen, gap=GAP)
    assert len(runs) <= len(asked_of_archives(mirror)) <= 1.2 * len(runs)
    assert fetched(mirror) == sum(end - start for _, start, end in runs)


def same(out: Path) -> dict[str, str]:
    """sha256 of the tables of ingest."""
    found = digests(out, ("documents", "dead_letters"))
    return {name: digest for name, digest in found.items() if name.endswith(".parquet")}
