"""Prism and Spark's local cluster give the same bytes as the in-process runner."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipelines import clean

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1200)]


@pytest.fixture(params=["prism", "spark"])
def engine(request) -> list[str]:
    """Arguments of a run on it."""
    return request.getfixturevalue(request.param)


def test_the_sample_gives_the_same_bytes(job, finished, promised, engine, tmp_path):
    process = job.start(tmp_path / "run", *engine)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert promised(tmp_path / "run") == promised(finished)


def test_an_error_of_a_worker_comes_back_as_its_one_line(job, finished, engine, tmp_path):
    out = tmp_path / "run"
    job.run(out)
    table = sorted((out / "documents").glob("*.parquet"))[0]
    data = bytearray(table.read_bytes())
    data[len(data) // 3] ^= 0x10
    table.write_bytes(data)
    for manifest in ("duplicates/manifest.json", "clean/manifest.json"):
        (out / manifest).unlink()
    for record in [*(out / "duplicates").glob("part-*.json"), *(out / "clean").glob("part-*.json")]:
        record.unlink()
    process = job.start(out, *engine)
    _, said = process.communicate()
    [line] = [text for text in said.splitlines() if text.startswith("winnow: ")]
    assert process.returncode == 1
    assert line.startswith(f"winnow: {table}: cannot be read: "), line
    assert line.endswith(f"Remove {table} and run the same command again."), line


@pytest.mark.slow
def test_real_archives_give_the_same_bytes(shared_data, promised, engine, tmp_path):
    inputs = [f"--input={shared_data}/warc/*.warc.gz", f"--input={shared_data}/wet/*.wet.gz"]
    clean.run([*inputs, f"--output={tmp_path / 'here'}"])
    command = [sys.executable, "-m", "pipelines.clean", *inputs, f"--output={tmp_path / 'there'}", *engine]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert promised(tmp_path / "there") == promised(tmp_path / "here")
