"""Each stage as a command of its own, and a recipe for each source."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time

import pyarrow.parquet as pq

from pipelines import clean, dedupe, encode, ingest, report, tokenizer
from pipelines import filter as sieve


def test_the_stages_one_by_one_are_the_main_job(job, finished, promised, tmp_path):
    ingest.run(job.arguments(tmp_path))
    for stage in (dedupe, sieve, tokenizer, encode):
        stage.run([f"--output={tmp_path}"])
    assert promised(tmp_path) == promised(finished)


def test_a_stage_alone_with_another_recipe(job, tmp_path, finished):
    recipe = tmp_path / "long.toml"
    recipe.write_text('base = "web-en"\n[[rules]]\ncolumn = "word_count"\nlow = 200\nsource = "a test"\n')
    out = job.run(tmp_path / "run")
    dedupe.run([f"--output={out}", f"--recipe={recipe}"])
    sieve.run([f"--output={out}"])
    kept = [n for path in (out / "clean").glob("*.parquet") for n in pq.read_table(path)["word_count"].to_pylist()]
    assert kept and min(kept) >= 200
    assert not (out / "report.html").exists(), "a report of what is no longer so"
    # the shards are of the run before, and their stage says so by having no manifest any more
    assert not (out / "shards" / "stage.json").exists()
    assert (finished / "shards" / "stage.json").exists()


def test_a_recipe_for_one_source(job, tmp_path):
    recipe = tmp_path / "any.toml"
    recipe.write_text('rules = []\nlanguages = ["es"]\n')
    out = tmp_path / "run"
    arguments = [f"--input=web={job.sample}/web", f"--input=json={job.sample}/json@{recipe}", f"--output={out}"]
    clean.run(arguments)
    languages: dict[str, set[str]] = {}
    for path in (out / "clean").glob("*.parquet"):
        for row in pq.read_table(path, columns=["source", "language"]).to_pylist():
            languages.setdefault(row["source"], set()).add(row["language"])
    assert languages == {"web": {"en"}, "json": {"es"}}
    assert sorted(path.name for path in (out / "shards/train").iterdir()) == ["json", "web"]


def test_workers_do_not_outlive_a_killed_driver(job, tmp_path):
    process = job.start(tmp_path / "run", "--workers=2")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "run/documents").glob("part-*.json")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 60
    while alive(process.pid):
        assert time.monotonic() < deadline, "workers of a killed run still run"
        time.sleep(0.1)


def alive(session: int) -> list[str]:
    """Processes of a session, zombies left out."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    fields = stat.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(name)
    return found


def test_the_report_alone(job, finished, tmp_path):
    out = job.run(tmp_path / "run")
    page = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    report.run([f"--output={out}"])
    assert (out / "report.html").read_bytes() == page
    # another run of the same is described in the same words but for what it cost
    shutil.rmtree(out / "metrics")
    shutil.copytree(finished / "metrics", out / "metrics")
    report.run([f"--output={out}"])
    assert (out / "report.html").read_bytes() == (finished / "report.html").read_bytes() != page
    assert json.loads((out / "manifest.json").read_text())["dataset_id"].encode() in page
