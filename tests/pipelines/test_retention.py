"""--keep and --gc: what goes, what stays, and what a later run then has to do."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pytest

from pipelines import clean, report, retention, sweep
from pipelines.run import main, read_manifest
from pipelines.whole import locked
from schemas.errors import HeldError, RunError
from schemas.stages import INGEST


@pytest.fixture
def copy(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "run"))


def tables(out: Path, *folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (out / folder).glob("*.parquet"))


def files(out: Path) -> set[str]:
    return {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file() and p.name != ".lock"}


def marks(out: Path) -> dict[str, bool]:
    return {n: s.get("removed", False) for n, s in json.loads((out / "manifest.json").read_text())["stages"].items()}


def test_keep_removes_data_and_says_so_and_the_next_run_has_nothing_to_do(job, copy, finished, promised, capsys):
    page = (copy / "report.html").read_bytes()
    job.run(copy, "--keep=clean,shards")
    assert not tables(copy, "documents", "dead_letters", "duplicates", "tokenizer") and tables(copy, "clean", "dropped")
    assert "every archive again" in capsys.readouterr().err
    assert files(finished) - files(copy) == {
        str(p.relative_to(finished)) for p in tables(finished, "documents", "dead_letters", "duplicates", "tokenizer")
    }
    assert marks(copy) == {"ingest": True, "dedupe": True, "filter": False, "tokenizer": True, "encode": False}
    told = json.loads((copy / "removed.json").read_text())["removed"]
    sizes = [p.stat().st_size for p in tables(finished, "documents", "dead_letters")]
    assert (told["ingest"]["files"], told["ingest"]["bytes"]) == (len(sizes), sum(sizes))
    for options in ((), ("--keep=clean,shards",)):
        before = files(copy)
        job.run(copy, *options)
        assert "nothing to do" in capsys.readouterr().err and files(copy) == before
    assert (copy / "report.html").read_bytes() == page
    counts = {f"tokenizer/{path.name}" for path in tables(finished, "tokenizer")}
    assert promised(copy) == {name: digest for name, digest in promised(finished).items() if name not in counts}
    with pytest.raises(RunError, match="shows samples of documents/, which --keep removed"):
        report.run([f"--output={copy}"])


def test_a_new_file_after_keep_reads_every_archive_again_and_says_so(job, copy, promised, tmp_path, capsys):
    job.run(copy, "--keep=shards")
    capsys.readouterr()
    more = Path(shutil.copytree(job.sample, tmp_path / "more"))
    shutil.copy(more / "web" / "sample-00000.warc.gz", more / "web" / "sample-00009.warc.gz")
    job.run(copy, sample=more)
    said = capsys.readouterr().err
    assert "ingest    all parts are done again, not new ones alone: --keep removed documents/" in said
    assert not (copy / "removed.json").exists() and not any(marks(copy).values())
    assert promised(copy) == promised(job.run(tmp_path / "anew", sample=more))


def test_a_rule_that_changes_after_keep_makes_again_what_it_reads(job, copy, promised, tmp_path, capsys):
    """Without documents/, dedupe cannot run; without clean/ alone, filter can."""
    recipe = tmp_path / "stricter.toml"
    recipe.write_text('base = "web-en"\n\n[[rules]]\ncolumn = "word_count"\nlow = 150\nsource = "a test"\n')
    job.run(copy, "--keep=clean,shards")
    capsys.readouterr()
    job.run(copy, f"--recipe={recipe}")
    said = capsys.readouterr().err
    assert "dedupe: must run and reads documents/, which --keep removed." in said
    assert promised(copy) == promised(job.run(tmp_path / "anew", f"--recipe={recipe}"))
    small = tmp_path / "small.toml"
    small.write_text(recipe.read_text() + "[tokenizer]\nvocab_size = 500\n")
    job.run(copy, f"--recipe={recipe}", "--keep=documents,duplicates,shards")
    assert not tables(copy, "clean") and marks(copy)["filter"]
    before = {p: p.stat().st_mtime_ns for p in tables(copy, "documents", "duplicates")}
    capsys.readouterr()
    job.run(copy, f"--recipe={small}")
    said = capsys.readouterr().err
    assert "clean/, which --keep removed" in said and "ingest    already complete" in said
    assert {p: p.stat().st_mtime_ns for p in tables(copy, "documents", "duplicates")} == before
    assert promised(copy) == promised(job.run(tmp_path / "small", f"--recipe={small}"))


def test_a_run_killed_while_it_removes_goes_on_removing(job, copy, monkeypatch):
    count = len(tables(copy, "documents"))
    monkeypatch.setattr("pipelines.clean.sweep_removed", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        job.run(copy, "--keep=shards")
    monkeypatch.undo()
    assert len(tables(copy, "documents")) == count and marks(copy)["ingest"], "said before the first file goes"
    tables(copy, "documents")[0].unlink()
    job.run(copy, "--keep=shards")
    assert not tables(copy, "documents", "clean", "duplicates", "tokenizer", "dropped")


def test_a_table_that_was_lost_is_not_one_that_was_removed(job, copy, finished, promised):
    job.run(copy, "--keep=documents,clean,shards")
    tables(copy, "documents")[0].unlink()
    job.run(copy)
    assert promised(copy) == promised(finished) and len(tables(copy, "documents")) == len(tables(finished, "documents"))


def test_what_was_removed_of_another_plan_is_not_what_lacks_now(job, copy, finished, promised):
    stale = {"plan_key": "of another plan", "files": 1, "bytes": 1, "swept": True}
    (copy / "removed.json").write_text(json.dumps({"schema_version": 1, "removed": {"ingest": stale}}))
    tables(copy, "documents")[0].unlink()
    job.run(copy)
    assert len(tables(copy, "documents")) == len(tables(finished, "documents"))
    assert promised(copy) == promised(finished) and not any(marks(copy).values())


@pytest.mark.parametrize("path", ["../victim.parquet", "documents/../../victim.parquet", "clean/mine.parquet", "/v"])
def test_what_a_run_would_not_have_written_is_not_removed(copy, path):
    manifest = read_manifest(str(copy), INGEST)
    one = manifest.parts[0]
    output = dataclasses.replace(one.outputs["documents"], path=path)
    changed = dataclasses.replace(manifest, parts=(dataclasses.replace(one, outputs={"documents": output}),))
    assert retention.data_of(manifest) and retention.data_of(changed) == []


def test_gc_removes_what_nothing_names(job, copy, finished, promised, tmp_path, capsys):
    """Of a file that left, and of names that a run gives; not what it would never have written."""
    orphans = {
        "documents/part-00000000000000aa.json", "documents/part-00000000000000aa.parquet",
        "dead_letters/part-00000000000000aa.parquet",
        "clean/part-00000000000000aa.parquet", "dropped/part-00000000000000aa.parquet", "shards/web-00077.json",
        "shards/train/web/shard-00077.arrow", "shards/validation/gone/shard-00000.tfrecord",
        "metrics/ingest/part-00000000000000aa.json", "metrics/encode/web-00077.json",
        "scratch/0123456789abcdef0123456789abcdef.blocks",
    }  # fmt: skip
    others = {
        "notes.txt", "documents/notes.parquet", "shards/train/web/mine.arrow", "part-00000000000000aa.parquet",
        "clean/deep/part-00000000000000aa.parquet", "other/part-00000000000000aa.parquet", "model/shard-00000.arrow",
    }
    for name in orphans | others:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("x")
    before = files(copy)
    main(clean.run, ["--gc=list", f"--output={copy}"])
    told = capsys.readouterr()
    assert {line.split("\t")[0] for line in told.out.splitlines()} == orphans and files(copy) == before
    assert "11 files" in told.err and "nothing was removed" in told.err
    with locked(str(copy)), pytest.raises(HeldError):
        clean.run(["--gc", f"--output={copy}"])
    assert files(copy) == before
    clean.run(["--gc", f"--output={copy}"])
    assert before - files(copy) == orphans
    job.run(copy)
    assert "nothing to do" in capsys.readouterr().err


def test_gc_removes_the_places_of_a_run_by_an_index_and_notes_of_a_takedown(copy, finished):
    """Of a run that no longer reads by an index, and of a takedown that died between its last two steps."""
    part, key = "part-0123456789abcdef", "0123456789abcdef"
    gone = {
        f"select/{part}.json", f"select/{part}.parquet", f"select/files-{part}.parquet",
        f"metrics/select/{part}.json", f"takedown/index/web-00000-{key}.parquet",
        f"takedown/rows/web-00000-{key}-{key}.json",
    }
    stay = {"select/notes.txt", "takedown/list.txt", "takedown/history.json", f"takedown/rows-{key}.txt",
            f"takedown/index/{part}.parquet", "takedown/index/web-00000-0123.parquet"}
    for path in gone | stay:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_text("x")
    clean.run([f"--output={copy}", "--gc"])
    assert files(copy) == files(finished) | stay


def test_gc_after_a_file_left(job, copy, promised, tmp_path):
    less = Path(shutil.copytree(job.sample, tmp_path / "less"))
    (less / "web" / "sample-00000.warc.gz").unlink()
    job.run(copy, "--gc", sample=less)
    assert files(copy) == files(job.run(tmp_path / "anew", sample=less))


def test_gc_of_an_unfinished_run_keeps_its_finished_parts(job, copy, finished, promised):
    for name in ("clean/manifest.json", "tokenizer/manifest.json", "shards/stage.json", "manifest.json", "report.html"):
        (copy / name).unlink()
    stale = tables(copy, "clean")[0].with_suffix(".json")
    stale.write_text(stale.read_text().replace('"plan_key": "', '"plan_key": "0'))
    before = files(copy)
    clean.run(["--gc", f"--output={copy}"])
    part = stale.stem
    gone = {f"clean/{part}.json", f"clean/{part}.parquet", f"dropped/{part}.parquet", f"metrics/filter/{part}.json"}
    assert before - files(copy) == gone
    job.run(copy)
    assert promised(copy) == promised(finished)


def test_gc_waits_for_a_takedown(copy):
    """Its parts start from what earlier plans wrote, and the shards before it are still to be looked at."""
    (copy / "clean/manifest.json").unlink()
    plan = copy / "clean/plan.jsonl"
    lines = [json.loads(line) for line in plan.read_text().splitlines()]
    for line in lines:
        line["work"]["earlier"] = ["another", line["plan_key"]]
        line["plan_key"] = "of the list"
    plan.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = files(copy)
    clean.run(["--gc", f"--output={copy}"])
    assert files(copy) == before
    (copy / "takedown").mkdir()
    (copy / "takedown/before.json").write_text("{}")
    with pytest.raises(RunError, match="a takedown is not finished here"):
        clean.run(["--gc", f"--output={copy}"])


def test_the_report_alone_keeps_what_the_manifest_says_of_takedowns(copy, monkeypatch):
    monkeypatch.setattr("pipelines.report.account", lambda out: {"of": out})
    report.run([f"--output={copy}"])
    assert json.loads((copy / "manifest.json").read_text())["takedown"] == {"of": str(copy)}


def test_gc_does_not_follow_links(copy, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "shard-00000.arrow").write_text("x")
    os.symlink(elsewhere, copy / "shards/train/mine")
    clean.run(["--gc", f"--output={copy}"])
    assert (elsewhere / "shard-00000.arrow").exists()


def test_gc_of_no_run(tmp_path):
    with pytest.raises(RunError, match="this is not the output of a run"):
        clean.run(["--gc", f"--output={tmp_path}/typo"])
    assert not (tmp_path / "typo").exists()
    (tmp_path / "typo").mkdir()


def test_a_damaged_removed_json_removed_nothing(tmp_path):
    for text in ("", "{", "[]", '{"removed": {"ingest": {"a": 1}}}', '{"removed": []}', '{"removed": 3}'):
        (tmp_path / "removed.json").write_text(text)
        assert retention.removed(str(tmp_path)) == {}


def test_every_file_of_a_run_is_named_or_outside_of_the_sweep(finished):
    assert list(sweep.orphans(str(finished))) == []
