"""The main job on real archives: Common Crawl, the Internet Archive, wget, the UK Web Archive."""

from __future__ import annotations

import gzip
import json

import pyarrow.parquet as pq
import pytest
from fastwarc.warc import ArchiveIterator

from pipelines import clean
from pipelines.whole import check_whole
from schemas.records import manifest_from_json
from schemas.stages import STAGES


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("real")
    clean.run([f"--input={shared_data}/warc/*.warc.gz", f"--input={shared_data}/wet/*.wet.gz", f"--output={out}"])
    return out


def column(out, folder, name):
    found = sorted((out / folder).glob("*.parquet"))
    return [value for path in found for value in pq.read_table(path, columns=[name])[name].to_pylist()]


def test_every_record_of_every_archive_is_accounted_for(real, shared_data):
    manifest = manifest_from_json((real / "documents/manifest.json").read_text())
    paths = sorted([*(shared_data / "warc").glob("*.warc.gz"), *(shared_data / "wet").glob("*.wet.gz")])
    assert [p.name for p in sorted(manifest.parts, key=lambda p: p.name)] == sorted(path.name for path in paths)
    counts = {part.name: part.counts for part in manifest.parts}
    for path in paths:
        with gzip.open(path) as file:
            records = sum(1 for _ in ArchiveIterator(file, parse_http=False))
        assert counts[path.name].came_in == records, path.name
        counts[path.name].check(path.name)
    assert manifest.counts.went_out == len(column(real, "documents", "id")) > 200


def test_each_document_is_kept_or_dropped(real):
    documents = column(real, "documents", "id")
    assert len(set(documents)) == len(documents)
    assert sorted(column(real, "clean", "id") + column(real, "dropped", "id")) == sorted(documents)
    check_whole([manifest_from_json((real / s.folder / s.manifest).read_text()) for s in STAGES])


def test_the_languages_of_the_repaired_wet(real):
    """lid.176 on the same texts, as the data's README counts them."""
    manifest = manifest_from_json((real / "documents/manifest.json").read_text())
    [wet] = [p for p in manifest.parts if p.name == "cc-main-2016-50-sample-repaired.warc.wet.gz"]
    found = wet.tallies["language"]
    counted = {"ru": 19, "vi": 8, "en": 7, "es": 3, "tr": 2}
    assert {name: found[name] for name in counted} == counted


def test_pages_served_under_each_encoding_are_one_cluster(real):
    """The UK Web Archive's three copies of a page: brotli, gzip and none. Exact duplicates, so the texts are equal."""
    rows = [r for path in (real / "documents").glob("*.parquet") for r in pq.read_table(path).to_pylist()]
    copies = [r for r in rows if r["file"].startswith("ukwa-transfer-compression-") and r["media_type"] == "text/html"]
    assert len(copies) == 3
    assert len({r["digest"] for r in copies}) == 1


def test_the_report_and_the_shards_are_there(real):
    assert (real / "report.html").stat().st_size > 10_000
    assert json.loads((real / "manifest.json").read_text())["stages"]["encode"]["went_out"] > 50


def test_two_workers_and_other_batches_give_the_same_bytes(real, shared_data, promised, tmp_path):
    import subprocess
    import sys

    arguments = [f"--input={shared_data}/wet/*.wet.gz", f"--input={shared_data}/warc/*.warc.gz", f"--output={tmp_path}"]
    command = [sys.executable, "-m", "pipelines.clean", *arguments, "--workers=2", "--batch-rows=64"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert promised(tmp_path) == promised(real)
