"""What is finished is kept, what is not is redone, whatever ended the run before."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from schemas.stages import ENCODE, STAGES, TOKENIZER


def records(out: Path, folder: str) -> dict[str, int]:
    """When each commit record of a stage was written. A record that is written again gets a new time."""
    found = (out / folder).glob("*.json")
    known = {"manifest.json", "stage.json", "tokenizer.json"}
    return {path.name: path.stat().st_mtime_ns for path in found if path.name not in known}


def all_records(out: Path) -> dict[str, int]:
    return {f"{s.folder}/{name}": when for s in STAGES for name, when in records(out, s.folder).items()}


def rewritten(out: Path, before: dict[str, int]) -> set[str]:
    return {name for name, when in all_records(out).items() if before.get(name) != when}


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


@pytest.mark.parametrize("stage", STAGES, ids=lambda s: s.name)
def test_kill_the_whole_job_in_each_stage(job, finished, promised, tmp_path, stage):
    out = tmp_path / "run"
    process = job.start(out)
    first = out / stage.folder / "part-*.json"
    deadline = time.monotonic() + 120
    while not (list((out / stage.folder).glob("*-*.json")) or (out / stage.folder / stage.manifest).exists()):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, f"{first} never came"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (out / "report.html").exists(), "the run was over before it was killed"
    before = all_records(out)
    assert before
    job.run(out)
    assert promised(out) == promised(finished)
    assert not [name for name in before if name in rewritten(out, before)], "finished parts were done again"
    assert not list(out.rglob("*.tmp")), "half-written files were left behind"


@pytest.mark.parametrize("stage", STAGES, ids=lambda s: s.name)
def test_only_unfinished_parts_are_done(job, copy, finished, promised, stage):
    """As if the run had died with two parts of a stage unwritten (the shards have one a source)."""
    lost = sorted(records(copy, stage.folder))[:2]
    for name in lost:
        (copy / stage.folder / name).unlink()
    (copy / stage.folder / stage.manifest).unlink()
    before = all_records(copy)
    job.run(copy)
    assert rewritten(copy, before) == {f"{stage.folder}/{name}" for name in lost}
    assert promised(copy) == promised(finished)


@pytest.mark.parametrize("damage", ["half a record", "half a table", "no table", "another record"])
def test_a_broken_part_is_done_again(job, copy, finished, promised, damage):
    record = sorted((copy / "clean").glob("part-*.json"))[0]
    table = record.with_suffix(".parquet")
    match damage:
        case "half a record":
            record.write_bytes(record.read_bytes()[:200])
        case "another record":
            record.write_text('{"a": 1}')
        case "half a table":
            table.write_bytes(table.read_bytes()[:-100])
        case "no table":
            table.unlink()
    (copy / "clean" / "manifest.json").unlink()
    before = all_records(copy)
    job.run(copy)
    assert rewritten(copy, before) == {f"clean/{record.name}"}
    assert promised(copy) == promised(finished)


def test_a_table_cut_short_under_a_finished_stage_is_noticed(job, copy, finished, promised):
    table = sorted((copy / "documents").glob("*.parquet"))[0]
    table.write_bytes(table.read_bytes()[:-1])
    job.run(copy)
    assert promised(copy) == promised(finished)


def test_half_a_manifest_is_no_manifest(job, copy, finished, promised):
    manifest = copy / "tokenizer" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:300])
    before = all_records(copy)
    job.run(copy)
    assert rewritten(copy, before) == set()
    assert promised(copy) == promised(finished)


def test_a_changed_rule_redoes_the_rules_and_what_follows(job, copy, tmp_path):
    recipe = tmp_path / "stricter.toml"
    recipe.write_text('base = "web-en"\n\n[[rules]]\ncolumn = "word_count"\nlow = 150\nsource = "a test"\n')
    before = all_records(copy)
    job.run(copy, f"--recipe={recipe}")
    folders = {name.split("/")[0] for name in rewritten(copy, before)}
    assert folders == {"duplicates", "clean", "tokenizer", "shards"}, "the archives need not be read again"


def test_a_larger_vocabulary_redoes_the_tokenizer_alone(job, copy, tmp_path):
    recipe = tmp_path / "small.toml"
    recipe.write_text('base = "web-en"\n[tokenizer]\nvocab_size = 500\n')
    before = all_records(copy)
    job.run(copy, f"--recipe={recipe}")
    assert {name.split("/")[0] for name in rewritten(copy, before)} == {ENCODE.folder}, "counts are kept"
    assert (copy / TOKENIZER.folder / "tokenizer.json").stat().st_size < 40_000


def test_a_new_file_redoes_no_other_archive(job, copy, tmp_path):
    more = shutil.copytree(job.sample, tmp_path / "more")
    before = all_records(copy)
    shutil.copy(more / "web" / "sample-00000.warc.gz", more / "web" / "sample-00009.warc.gz")
    job.run(copy, sample=more)
    new = {name for name in rewritten(copy, before) if name.startswith("documents/")}
    assert len(new) == 1
