"""What cc:, wiki:, https:// and lists name, and what is said where they cannot."""

from __future__ import annotations

import gzip
import hashlib
import json
from itertools import pairwise
from pathlib import Path

import pytest

from pipelines.inputs import InputFile, list_files, parse_input
from pipelines.options import parse
from pipelines.reach import Reach
from schemas.errors import RunError
from tests.mirror import Fault, Mirror, serving
from transforms.beam.web_requests import Network

QUICK = Network(rate=1e5, tries=2, first_wait=0.001, timeout=5)
SNAPSHOT = "crawl-data/CC-MAIN-2026-43"
PATHS = [f"{SNAPSHOT}/segments/{k % 3}.{k}/warc/CC-MAIN-{k:05}.warc.gz" for k in (7, 3, 9, 1, 4)]


@pytest.fixture(autouse=True)
def own_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def mirror(tmp_path: Path):
    folder = tmp_path / "served"
    for path in (*PATHS, f"{SNAPSHOT}/segments/1.1/wet/a.warc.wet.gz", "a/x.gz", "b/x.gz", "a/q%20r.gz"):
        put(folder / path, path.encode())
    put(folder / "a/q r.gz", b"blank")
    put(folder / f"{SNAPSHOT}/warc.paths.gz", gzip.compress("".join(f"{p}\n" for p in PATHS).encode()))
    put(folder / f"{SNAPSHOT}/wet.paths.gz", gzip.compress(f"{SNAPSHOT}/segments/1.1/wet/a.warc.wet.gz\n".encode()))
    with serving(folder) as served:
        yield served


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def listed(mirror: Mirror, *inputs: str, base: str = "", **reach: object) -> list[InputFile]:
    base = base or mirror.url + "/"
    asked = Reach(network=QUICK, cc_base=base, wiki_base=base, **reach)  # type: ignore[arg-type]
    return list_files([parse_input(text.replace("URL", mirror.url)) for text in inputs], reach=asked)


def names(mirror: Mirror, *inputs: str, **reach: object) -> list[str]:
    return [f.name for f in listed(mirror, *inputs, **reach)]  # type: ignore[arg-type]


def told(mirror: Mirror, *inputs: str, **reach: object) -> str:
    with pytest.raises(RunError) as raised:
        listed(mirror, *inputs, **reach)  # type: ignore[arg-type]
    return str(raised.value).replace(mirror.url, "URL").replace(str(mirror.folder), "FOLDER")


def test_a_snapshot_is_what_its_list_says(mirror: Mirror) -> None:
    found = listed(mirror, "cc:CC-MAIN-2026-43")
    assert [f.name for f in found] == sorted(PATHS)
    assert all(f.found.path == f"{mirror.url}/{f.name}" and f.found.size == len(f.name) for f in found)
    assert names(mirror, "text=cc:CC-MAIN-2026-43/wet@web-en") == [f"{SNAPSHOT}/segments/1.1/wet/a.warc.wet.gz"]
    assert names(mirror, "cc:CC-MAIN-2026-43/warc") == sorted(PATHS)


def test_a_mirror_in_a_folder_has_the_same_names(mirror: Mirror) -> None:
    assert names(mirror, "cc:CC-MAIN-2026-43", base=f"{mirror.folder}/") == sorted(PATHS)
    assert names(mirror, f"{mirror.folder}/{SNAPSHOT}/segments/*/warc/*") == sorted(PATHS)
    assert names(mirror, *(f"URL/{path}" for path in PATHS)) == sorted(PATHS)


def test_limits_and_samples(mirror: Mirror) -> None:
    assert names(mirror, "cc:CC-MAIN-2026-43", limit_files=2) == sorted(PATHS[:2])
    assert names(mirror, "cc:CC-MAIN-2026-43", limit_files=6) == sorted(PATHS)
    samples = [set(names(mirror, "cc:CC-MAIN-2026-43", sample_files=n)) for n in range(1, 6)]
    assert [len(s) for s in samples] == [1, 2, 3, 4, 5] and all(a < b for a, b in pairwise(samples))
    put(mirror.folder / f"{SNAPSHOT}/warc.paths.gz", gzip.compress("\n".join(PATHS[::-1]).encode()))
    assert set(names(mirror, "cc:CC-MAIN-2026-43", sample_files=2)) == samples[1], "the list's order decides nothing"
    mirror.asked.clear()
    names(mirror, "cc:CC-MAIN-2026-43", limit_files=1)
    assert [a.path for a in mirror.asked if a.probe] == [f"/{SNAPSHOT}/warc.paths.gz", f"/{PATHS[-1]}"], "no other file"


@pytest.mark.parametrize(
    "text", ["cc:", "cc:CC-MAIN-2026-43/wat", "cc:main", "cc:CC-MAIN-2026-43/../x", "cc:CC-A/2026/1"]
)
def test_what_is_no_snapshot(mirror: Mirror, text: str) -> None:
    says = "is no snapshot. Write cc:CC-MAIN-2026-43, or cc:CC-MAIN-2026-43/wet for its texts."
    assert told(mirror, text) == f"{text}: {says}" and not mirror.asked


@pytest.mark.parametrize(
    "line",
    [
        "https://evil.example/x", "crawl-data/CC-MAIN-2026-43/../../x", "crawl-data/CC-MAIN-2020-01/x.gz",
        "/etc/passwd",
        f"{SNAPSHOT}/a b", f"{SNAPSHOT}/%2e%2e/x", f"{SNAPSHOT}/x?y", f"{SNAPSHOT}//x", f"{SNAPSHOT}/.x", "",
    ],
)  # fmt: skip
def test_a_list_cannot_lead_elsewhere(mirror: Mirror, line: str) -> None:
    put(mirror.folder / f"{SNAPSHOT}/warc.paths.gz", gzip.compress(line.encode()))
    what = f"{line!r} is no path below {SNAPSHOT}/" if line else "it is empty"
    lists = f"URL/{SNAPSHOT}/warc.paths.gz"
    assert told(mirror, "cc:CC-MAIN-2026-43") == (
        f"{lists}: cannot be read as a list of files: {what}. Check --cc-base."
    )


def test_a_list_that_is_not_there_or_broken(mirror: Mirror) -> None:
    assert told(mirror, "cc:CC-MAIN-2030-01", tolerate_missing=True) == (
        "URL/crawl-data/CC-MAIN-2030-01/warc.paths.gz: the server answered 404 Not Found. Check the address; "
        "--tolerate-missing goes on without it."
    )
    assert told(mirror, "cc:CC-MAIN-2030-01", base=f"{mirror.folder}/").startswith(
        "FOLDER/crawl-data/CC-MAIN-2030-01/warc.paths.gz: is not there. Check the name"
    )
    put(mirror.folder / f"{SNAPSHOT}/warc.paths.gz", gzip.compress(b"x" * 999)[:-9])
    assert told(mirror, "cc:CC-MAIN-2026-43").startswith(f"URL/{SNAPSHOT}/warc.paths.gz: cannot be read as a list of")


def test_a_file_that_is_missing_is_named_or_borne(mirror: Mirror) -> None:
    (mirror.folder / PATHS[0]).unlink()
    assert told(mirror, "cc:CC-MAIN-2026-43") == (
        f"URL/{PATHS[0]}: the server answered 404 Not Found. Check the address; --tolerate-missing goes on without it."
    )
    assert told(mirror, "cc:CC-MAIN-2026-43", base=f"{mirror.folder}/").startswith(f"FOLDER/{PATHS[0]}: is not there.")
    found = {f.name: f.found for f in listed(mirror, "cc:CC-MAIN-2026-43", tolerate_missing=True)}
    assert sorted(found) == sorted(PATHS) and (found[PATHS[0]].size, found[PATHS[0]].identity) == (0, "")


def test_addresses_and_lists_of_them(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert names(mirror, "URL/a/x.gz") == ["x.gz"] and names(mirror, "URL/a/q%20r.gz?key=1") == ["q r.gz"]
    put(tmp_path / "here/z.gz", b"z")
    put(tmp_path / "list.txt", f"# two of a name\n{mirror.url}/a/x.gz\n\n {mirror.url}/b/x.gz \r\nhere/*.gz\n".encode())
    assert names(mirror, "n=@list.txt@web-en") == ["a/x.gz", "b/x.gz", "z.gz"]
    put(mirror.folder / "lists/l.gz", gzip.compress(f"{mirror.url}/{PATHS[0]}\n".encode()))
    assert names(mirror, "@URL/lists/l.gz") == [PATHS[0]]
    put(mirror.folder / "lists/l", b"/etc/passwd\n")
    says = "a list from the web may name addresses alone. Fetch it, and check it."
    assert told(mirror, "@URL/lists/l").endswith(says)
    put(tmp_path / "empty", b"# nothing\n")
    assert told(mirror, "@empty") == "--input @empty: names no file. Write a path or an address on each line."
    put(tmp_path / "deep", b"@list.txt\n")
    assert told(mirror, "@deep").startswith("--input @deep: holds a line that starts with @, cc: or wiki:.")
    put(tmp_path / "glob", b"https://h/*.gz\n")
    assert "nothing can be listed over https" in told(mirror, "@glob")


def test_http_elsewhere_needs_leave(mirror: Mirror) -> None:
    assert told(mirror, "http://data.example/x.gz") == (
        "http://data.example/x.gz: is not encrypted. Write https://, or give --allow-http."
    )


DUMP = "ltgwiki/20261101/ltgwiki-20261101-pages-articles"
STREAMS = f"{DUMP}-multistream.xml.bz2"


def dump(mirror: Mirror, jobs: dict[str, tuple[str, list[str]]]) -> None:
    def files(paths: list[str]) -> dict[str, object]:
        for path in paths:
            put(mirror.folder / path, path.encode())
        return {p.rpartition("/")[2]: {"size": len(p), "url": "https://evil.example/x", "md5": "",
                                       "sha1": hashlib.sha1(p.encode()).hexdigest()} for p in paths}  # fmt: skip

    status = {"jobs": {job: {"status": said, "files": files(paths)} for job, (said, paths) in jobs.items()}}
    put(mirror.folder / "ltgwiki/20261101/dumpstatus.json", json.dumps(status).encode())


PIECES = [f"{DUMP}-multistream{k}.xml-p{k}p{k}9.bz2" for k in (1, 2, 10)]
INDEX = [f"{DUMP}-multistream-index.txt.bz2", f"{DUMP}-multistream-index1.txt-p1p19.bz2"]


@pytest.mark.parametrize(
    ("jobs", "read"),
    [
        ({"articlesmultistreamdump": ("done", [STREAMS, INDEX[0]]), "articlesdump": ("done", [f"{DUMP}.xml.bz2"])},
         [STREAMS]),
        ({"articlesmultistreamdump": ("done", PIECES + INDEX), "articlesmultistreamdumprecombine": ("done", [STREAMS])},
         PIECES),
        ({"articlesmultistreamdump": ("in-progress", []), "articlesdump": ("done", [f"{DUMP}1.xml-p1p9.bz2"])},
         [f"{DUMP}1.xml-p1p9.bz2"]),
        ({"metacurrentdump": ("done", [f"{DUMP[:-9]}-meta-current.xml.bz2"]), "articlesdump": ("waiting", [])}, None),
        ({"articlesmultistreamdump": ("failed", [STREAMS])}, None),
    ],
    ids=["small", "pieces", "plain", "waiting", "failed"],
)  # fmt: skip
def test_a_dump_is_what_its_status_says(mirror: Mirror, jobs, read) -> None:
    dump(mirror, jobs)
    if read is None:
        assert told(mirror, "wiki:ltgwiki/20261101") == (
            "URL/ltgwiki/20261101/dumpstatus.json: its pages-articles are not finished. Give an earlier date, or wait."
        )
        return
    found = listed(mirror, "wiki=wiki:ltgwiki/20261101@wikipedia")
    assert [f.found.path for f in found] == sorted(f"{mirror.url}/{p}" for p in read)
    assert [f.name for f in found] == sorted(p.rpartition("/")[2] for p in read)
    assert {f.digest for f in found} == {f"sha1:{hashlib.sha1(p.encode()).hexdigest()}" for p in read}


def test_a_dump_without_a_status_has_sums(mirror: Mirror) -> None:
    put(mirror.folder / STREAMS, b"x")
    of = [STREAMS, INDEX[0], f"{DUMP}.xml.bz2"]
    lines = [f"{hashlib.sha1(b'x').hexdigest()}  {p.rpartition('/')[2]}\n" for p in of]
    put(mirror.folder / "ltgwiki/20261101/ltgwiki-20261101-sha1sums.txt", "".join(lines).encode())
    [found] = listed(mirror, "wiki:ltgwiki/20261101")
    assert found.found.path == f"{mirror.url}/{STREAMS}" and found.digest == f"sha1:{hashlib.sha1(b'x').hexdigest()}"
    put(mirror.folder / "ltgwiki/20261101/ltgwiki-20261101-sha1sums.txt", b"")
    assert told(mirror, "wiki:ltgwiki/20261101").startswith(
        "URL/ltgwiki/20261101/ltgwiki-20261101-sha1sums.txt: names no pages-articles."
    )


def test_a_dump_that_is_not_as_it_says(mirror: Mirror) -> None:
    assert "ltgwiki-20261101-sha1sums.txt: the server answered 404" in told(mirror, "wiki:ltgwiki/20261101")
    assert told(mirror, "wiki:ltg") == "wiki:ltg: is no dump. Write wiki:DB/DATE, as wiki:simplewiki/20261101."
    dump(mirror, {"articlesmultistreamdump": ("done", [STREAMS])})
    put(mirror.folder / STREAMS, b"short")
    assert told(mirror, "wiki:ltgwiki/20261101").startswith(
        f"URL/{STREAMS}: has 5 bytes, its source says {len(STREAMS)}: it is damaged or another file."
    )
    status = mirror.folder / "ltgwiki/20261101/dumpstatus.json"
    put(status, status.read_bytes().replace(hashlib.sha1(STREAMS.encode()).hexdigest().encode(), b"../../x"))
    assert "'../../x' is no SHA-1 of ltgwiki-20261101-pages-articles-multi" in told(mirror, "wiki:ltgwiki/20261101")
    for data in (b"[]", b"{", b'{"jobs": {"articlesdump": 5}}'):
        put(status, data)
        assert "dumpstatus.json: is no status of a dump: " in told(mirror, "wiki:ltgwiki/20261101")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--limit-files=0"], "--limit-files must be at least 1."),
        (["--sample-files=-1"], "--sample-files must be at"),
        (["--limit-files=1", "--sample-files=1"], "--limit-files and --sample-files exclude each other. Give one."),
        (["--requests-per-second=0"], "--requests-per-second must be above 0."),
        (["--requests-per-second=nan"], "--requests-per-second must be above 0."),
        (["--cc-base="], "--cc-base : is no place to find files below."),
        (["--wiki-base=https://h/?x="], "--wiki-base https://h/?x=: is no place to find files below."),
    ],
)
def test_options_out_of_range(options: list[str], says: str) -> None:
    with pytest.raises(RunError) as raised:
        parse(["--input=cc:CC-MAIN-2026-43", "--output=o", *options], command="clean", about="", needs_input=True)
    assert str(raised.value).startswith(says)


def test_choosing_files_needs_a_snapshot() -> None:
    with pytest.raises(RunError, match=r"^--limit-files chooses among the files of cc:SNAPSHOT, which no --input"):
        parse(["--input=x", "--output=o", "--limit-files=1"], command="clean", about="", needs_input=True)


def test_a_busy_mirror_is_asked_again_while_it_is_listed(mirror: Mirror) -> None:
    mirror.rule = lambda asked: Fault(status=503) if asked.seen == 1 else None
    assert names(mirror, "cc:CC-MAIN-2026-43") == sorted(PATHS)
    assert len([a for a in mirror.asked if a.path.endswith("0007.warc.gz")]) == 2
