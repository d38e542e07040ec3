"""Jobs that read over the network, from a mirror that fails: the bytes of the files, or an end that says why."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines import ingest
from schemas.errors import RunError
from schemas.records import Manifest, manifest_from_json
from tests.mirror import Asked, Fault, Mirror, serving
from tests.pipelines.conftest import PROMISED, ROOT, digests

SNAPSHOT = "crawl-data/CC-MAIN-2026-43"
DUMP = "ltgwiki/20261101/ltgwiki-20261101-pages-articles-multistream.xml.bz2"
PAUSES = ("--requests-per-second=1000",)


@pytest.fixture(autouse=True)
def own_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other test's pace is ours, and who is given up is given up soon."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("transforms.beam.web_requests._LONGEST_WAIT", 0.01)


@pytest.fixture
def mirror(job, tmp_path: Path):
    with serving(tmp_path / "served") as served:
        found = {kind: sorted((job.sample / of).glob("*.gz")) for kind, of in (("warc", "web"), ("wet", "wet"))}
        fill(served.folder, **found)
        yield served


def fill(folder: Path, **archives: list[Path]) -> None:
    """A mirror of Common Crawl with these files."""
    for kind, paths in archives.items():
        assert paths, kind
        names = [f"{SNAPSHOT}/segments/{k % 2}/{kind}/{p.name}" for k, p in enumerate(paths)]
        for name, path in zip(names, paths, strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
        (folder / SNAPSHOT / f"{kind}.paths.gz").write_bytes(gzip.compress("".join(f"{n}\n" for n in names).encode()))


def run(out: Path, *options: str) -> dict[str, str]:
    ingest.run([f"--output={out}", *PAUSES, *options])
    return digests(out, ("documents", "dead_letters")) | {"counts": json.dumps(counted(out), sort_keys=True)}


def counted(out: Path) -> dict[str, dict[str, int]]:
    counts = manifest(out).counts
    whole = {"in": counts.came_in, "out": counts.went_out}
    return {"all": whole, "dropped": counts.dropped, "dead": counts.dead_letters}


def manifest(out: Path) -> Manifest:
    return manifest_from_json((out / "documents/manifest.json").read_text())


def tables(found: dict[str, str]) -> dict[str, str]:
    """Without plans and records, which say where files lie and when they were changed."""
    return {name: digest for name, digest in found.items() if not name.endswith((".json", ".jsonl"))}


def from_snapshot(mirror: Mirror) -> list[str]:
    return ["--input=web=cc:CC-MAIN-2026-43", "--input=wet=cc:CC-MAIN-2026-43/wet", f"--cc-base={mirror.url}"]


def failing(asked: Asked) -> Fault | None:
    """Each file fails in each way, in turn."""
    faults = {
        1: Fault(status=503, headers={"Retry-After": "0"}), 3: Fault(hang_up=True), 5: Fault(status=429),
        6: Fault(cut=100), 7: Fault(headers={"Content-Length": "7"}), 8: Fault(cut=3000, pause=0.001),
        9: Fault(headers={"Content-Range": "bytes 5-6/7"} if not asked.probe else {}),
    }
    return faults.get(asked.seen)


@pytest.mark.parametrize("part_bytes", [1 << 30, 20_000], ids=["whole", "ranges"])
def test_a_failing_mirror_gives_the_documents_of_the_files(mirror: Mirror, tmp_path: Path, part_bytes: int) -> None:
    options = [f"--part-bytes={part_bytes}"]
    local = [f"--input={s}={mirror.folder}/{SNAPSHOT}/segments/*/{k}/*" for s, k in (("web", "warc"), ("wet", "wet"))]
    there = run(tmp_path / "local", *local, *options)
    mirror.rule = failing
    assert tables(run(tmp_path / "web", *from_snapshot(mirror), *options)) == tables(there)
    archives = [f"/{path.relative_to(mirror.folder)}" for path in mirror.folder.glob(f"{SNAPSHOT}/segments/*/*/*")]
    least = 10 if part_bytes == 1 << 30 else 6  # of requests: so many of the faults each file has seen
    assert all(sum(a.path == path for a in mirror.asked) >= least for path in archives)
    assert (len(manifest(tmp_path / "web").parts) > len(archives)) == (part_bytes == 20_000)
    before = len(mirror.asked)
    mirror.rule = lambda _: None
    run(tmp_path / "web", *from_snapshot(mirror), *options)
    looked = [a for a in mirror.asked[before:] if not a.path.endswith("paths.gz")]
    whole = [a for a in looked if a.probe]
    assert len(looked) == len(whole) if part_bytes == 1 << 30 else looked, "what is complete is only looked at"


def test_requests_are_no_more_than_needed(mirror: Mirror, tmp_path: Path) -> None:
    run(tmp_path / "out", *from_snapshot(mirror))
    archives = list(mirror.folder.rglob("*.warc*.gz"))
    assert all(path.stat().st_size < 1 << 19 for path in archives), "each fits in the first window"
    # a list: a look and its bytes; a file: a look to plan it, a look and its bytes to read it
    assert len(mirror.asked) == 2 * 2 + 3 * len(archives)
    sizes = sum(path.stat().st_size for path in mirror.folder.rglob("*.gz"))
    assert mirror.sent == sizes + 2 + 2 * len(archives)


def test_addresses_and_a_list_of_them_are_the_same_files(mirror: Mirror, tmp_path: Path) -> None:
    there = run(tmp_path / "local", f"--input={mirror.folder}/{SNAPSHOT}/segments/*/warc/*")
    urls = [f"{mirror.url}/{p.relative_to(mirror.folder)}" for p in mirror.folder.glob(f"{SNAPSHOT}/segments/*/warc/*")]
    (tmp_path / "list").write_text("\n".join(urls))
    assert tables(run(tmp_path / "list-out", f"--input=@{tmp_path}/list")) == tables(there)


def gone(mirror: Mirror, *, planned: bool) -> str:
    """One file cannot be had, from the start or only after it was planned. Its name."""
    path = sorted(mirror.folder.glob(f"{SNAPSHOT}/segments/*/warc/*"))[0]
    name = str(path.relative_to(mirror.folder))
    mirror.rule = lambda a: Fault(status=500) if a.path == f"/{name}" and not (planned and a.seen == 1) else None
    return name


@pytest.mark.parametrize("planned", [False, True])
def test_what_cannot_be_had_ends_the_run_or_is_a_dead_letter(mirror: Mirror, tmp_path: Path, planned: bool) -> None:
    whole = run(tmp_path / "whole", *from_snapshot(mirror))
    out, name = tmp_path / "out", gone(mirror, planned=planned)
    with pytest.raises(RunError) as raised:
        run(out, *from_snapshot(mirror))
    says = (
        f"{mirror.url}/{name}: cannot be had: the server answered 500 Internal Server Error, at the last of 8 tries. "
        "Run the same command again: finished parts are kept. --tolerate-missing goes on without it."
    )
    assert str(raised.value).endswith(says)
    mirror.asked.clear()
    run(out, *from_snapshot(mirror), "--tolerate-missing")
    assert counted(out)["dead"]["missing"] == 1
    [row] = [r for p in (out / "dead_letters").glob("*.parquet") for r in pq.read_table(p).to_pylist()
             if r["reason"] == "missing"]  # fmt: skip
    size = (mirror.folder / name).stat().st_size
    assert (row["file"], row["offset"], row["length"], row["record"]) == (name, 0, size if planned else 0, b"")
    assert says.startswith(row["detail"]) or row["detail"] == says
    [part] = [p for p in manifest(out).parts if p.counts.dead_letters.get("missing")]
    assert part.counts.came_in == 1 and part.counts.went_out == 0 and part.outputs["documents"].rows == 0
    mirror.rule = lambda _: None
    assert tables(run(out, *from_snapshot(mirror))) == tables(whole), "without the option it is tried again"


def test_a_part_that_breaks_in_its_midst_leaves_none_of_its_documents(mirror: Mirror, tmp_path: Path) -> None:
    """Which documents came before the break would depend on the weather."""
    name = gone(mirror, planned=True)
    whole = {p.name: p.stat().st_size for p in mirror.folder.glob("**/*.gz")}[Path(name).name]
    mirror.rule = lambda a: None if a.path != f"/{name}" or a.probe else Fault(cut=whole // 2 if a.seen == 3 else 0)
    run(tmp_path / "out", *from_snapshot(mirror), "--tolerate-missing")
    [part] = [p for p in manifest(tmp_path / "out").parts if p.name == name]
    assert (part.counts.went_out, part.counts.dead_letters) == (0, {"missing": 1})


def test_a_part_that_was_missing_is_replayed_whole(mirror: Mirror, tmp_path: Path) -> None:
    name = gone(mirror, planned=True)
    mirror.rule = lambda a: None if a.path != f"/{name}" or a.probe else Fault(cut=0)
    run(tmp_path / "out", *from_snapshot(mirror), "--tolerate-missing")
    mirror.rule = lambda _: None
    ingest.run([f"--replay={tmp_path / 'out/dead_letters'}", f"--output={tmp_path / 'again'}", *PAUSES])
    run(tmp_path / "whole", *from_snapshot(mirror))
    [part] = [p for p in manifest(tmp_path / "again").parts if p.name == name]
    assert part.counts.went_out > 0 and part in manifest(tmp_path / "whole").parts


def test_a_file_that_changes_after_it_was_planned_ends_the_run(mirror: Mirror, tmp_path: Path) -> None:
    name = gone(mirror, planned=True)
    mirror.rule = lambda a: Fault(body=b"other") if a.path == f"/{name}" and a.seen > 1 else None
    with pytest.raises(RunError, match=re.escape(f"{name}: changed during the run. Leave it as it is, and run")):
        run(tmp_path / "out", *from_snapshot(mirror), "--tolerate-missing")


@pytest.fixture
def dumped(shared_data: Path, tmp_path: Path):
    data = (shared_data / "wikipedia/ltgwiki-pages-articles.xml.bz2").read_bytes()
    with serving(tmp_path / "served") as served:
        path = served.folder / DUMP
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        file = {"size": len(data), "sha1": hashlib.sha1(data).hexdigest()}
        jobs = {"articlesmultistreamdump": {"status": "done", "files": {path.name: file}}}
        path.with_name("dumpstatus.json").write_text(json.dumps({"jobs": jobs}))
        yield served


@pytest.mark.slow
@pytest.mark.parametrize("part_bytes", [1 << 30, 300_000], ids=["whole", "ranges"])
def test_a_dump_is_checked_while_it_is_read(dumped: Mirror, tmp_path: Path, part_bytes: int) -> None:
    asked = ["--recipe=wikipedia", f"--wiki-base={dumped.url}", f"--part-bytes={part_bytes}"]
    there = run(tmp_path / "local", f"--input=wiki={dumped.folder}/{DUMP}", *asked)
    dumped.rule = failing
    assert tables(run(tmp_path / "web", "--input=wiki=wiki:ltgwiki/20261101", *asked)) == tables(there)
    dumped.rule = lambda _: None
    data = bytearray((dumped.folder / DUMP).read_bytes())
    data[-1] ^= 1  # of the last stream's checksum, which no page needs
    (dumped.folder / DUMP).write_bytes(data)
    sums = r": its sha1 is [0-9a-f]{40}, its source says [0-9a-f]{40}: it is damaged or another file\."
    with pytest.raises(RunError, match=re.escape(DUMP) + sums):
        run(tmp_path / "web", "--input=wiki=wiki:ltgwiki/20261101", *asked, "--tolerate-missing")


@pytest.mark.slow
def test_the_real_archives_from_a_failing_mirror(shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "served"
    fill(folder, **{kind: sorted((shared_data / kind).glob(f"*.{kind}.gz")) for kind in ("warc", "wet")})
    local = [f"--input={s}={folder}/{SNAPSHOT}/segments/*/{k}/*" for s, k in (("web", "warc"), ("wet", "wet"))]
    with serving(folder) as mirror:
        mirror.rule = failing
        for out, inputs in (("local", local), ("web", from_snapshot(mirror))):
            done = subprocess.run(
                [sys.executable, "-m", "pipelines.clean", *inputs, f"--output={tmp_path / out}", *PAUSES,
                 "--workers=2"], cwd=ROOT, text=True, capture_output=True, check=False,
            )
            assert done.returncode == 0, done.stderr
    found = digests(tmp_path / "web", PROMISED)
    assert found == digests(tmp_path / "local", PROMISED) and len(found) > 10
