"""What goes wrong ends in a clear message, and the same command finishes afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines import clean
from pipelines.local import WORKER_LOST
from pipelines.run import main

ROOT = Path(__file__).parents[2]


def fails(job, out, *options, arguments=None) -> str:
    """The one line that the command prints when it gives up."""
    with pytest.raises(SystemExit) as ended:
        main(clean.run, arguments or job.arguments(out, *options))
    message = str(ended.value)
    assert message.startswith("winnow: ")
    assert "\n" not in message
    assert "Traceback" not in message
    return message


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find the worker processes")
def test_a_killed_worker_ends_the_run_with_the_name_of_its_part(job, finished, promised, tmp_path):
    # one long part, so that a worker is surely inside it when it is killed
    sample = shutil.copytree(job.sample, tmp_path / "sample")
    big = sample / "json" / "big.jsonl"
    big.write_text((sample / "json" / "sample-00000.jsonl").read_text() * 2000)
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.clean", *job.arguments(out, "--workers=2", sample=sample)], cwd=ROOT,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not (writing := list(out.glob("documents/.part-*.parquet.*.tmp"))):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    victim = int(writing[0].name.split(".")[-2])
    assert victim in children(process.pid)
    os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - killed < 10
    assert process.returncode == WORKER_LOST
    assert said.count("winnow: ") == 1
    assert "winnow: ingest: a worker process was killed by SIGKILL while it wrote part-" in said
    assert "Traceback" not in said
    assert writing[0].name.split(".")[1] in said, said
    assert "run the same command again" in said
    big.unlink()
    job.run(out, sample=sample)
    assert promised(out) == promised(finished)


NO_MOUNT = "needs root and the right to mount a tmpfs: run the tests as root in a container with CAP_SYS_ADMIN"


def mounted(folder: Path, options: str) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 108 KiB; needs the right to mount one."""
    folder = tmp_path / "disk"
    if not mounted(folder, "size=108k"):
        pytest.skip(NO_MOUNT)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(job, finished, promised, small_disk):
    message = fails(job, small_disk / "run")
    assert "No space left on device. Free some space and run the same command again" in message
    assert "/run/documents/part-" in message
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert promised(job.run(small_disk / "run")) == promised(finished)


def test_a_read_only_output(job, finished, promised, tmp_path):
    folder = tmp_path / "disk"
    if not mounted(folder, "size=64m"):
        pytest.skip(NO_MOUNT)
    try:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        message = fails(job, folder / "run")
        assert "Read-only file system. Choose a folder that you may write to" in message
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        assert promised(job.run(folder / "run")) == promised(finished)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_an_output_that_is_a_file(job, tmp_path):
    (tmp_path / "run").write_text("not a folder")
    assert "Choose a folder that you may write to" in fails(job, tmp_path / "run")


def test_two_runs_of_one_output(job, tmp_path):
    from pipelines.whole import locked

    with locked(str(tmp_path)):
        assert "another run is writing here" in fails(job, tmp_path)


def test_a_glob_that_matches_nothing(job, tmp_path):
    message = fails(job, tmp_path, arguments=["--input=/nowhere/*.warc.gz", f"--output={tmp_path}"])
    assert message == (
        "winnow: --input /nowhere/*.warc.gz: no file matches. Check the path, and quote the pattern so that the shell "
        "leaves it alone."
    )


def test_an_unknown_recipe(job, tmp_path):
    assert "no such recipe. Known: web-en" in fails(job, tmp_path, "--recipe=webb")


def test_a_rule_on_an_unknown_signal(job, tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('[[rules]]\ncolumn = "wordcount"\nlow = 1\nsource = "a guess"\n')
    message = fails(job, tmp_path / "run", f"--recipe={recipe}")
    assert "'wordcount': no such signal. Known: char_count, word_count," in message


def test_a_misspelt_option(job, tmp_path):
    assert "--recipee: no such option. Did you mean --recipe?" in fails(job, tmp_path, "--recipee=web-en")


def test_an_output_of_another_schema(job, finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "run")
    settings = out / "run.json"
    settings.write_text(settings.read_text().replace('"schema_version": 1', '"schema_version": 99'))
    assert "written with schema version 99, this winnow writes 1. Give another --output" in fails(job, out)


def test_a_table_damaged_inside(job, finished, promised, tmp_path):
    """Same size, one bit flipped in its data: found by the checksum when the next stage reads it."""
    out = shutil.copytree(finished, tmp_path / "run")
    table = sorted((out / "documents").glob("*.parquet"))[0]
    data = bytearray(table.read_bytes())
    data[len(data) // 3] ^= 0x10
    table.write_bytes(data)
    for folder in ("duplicates", "clean", "tokenizer", "shards"):
        shutil.rmtree(out / folder)
    message = fails(job, out)
    assert f"{table}: cannot be read" in message
    assert "run the same command again" in message
    table.unlink()
    assert promised(job.run(out)) == promised(finished)


def test_nothing_left_to_learn_from(job, tmp_path):
    recipe = tmp_path / "none.toml"
    recipe.write_text('[[rules]]\ncolumn = "word_count"\nlow = 1000000\nsource = "nobody"\n')
    message = fails(job, tmp_path / "run", f"--recipe={recipe}")
    assert "of 90 documents none is left (word_count 90)" in message


def test_a_stage_alone_before_its_turn(tmp_path):
    from pipelines import filter as stage

    with pytest.raises(SystemExit, match="this is not the output of a run"):
        main(stage.run, [f"--output={tmp_path}"])


def test_files_of_no_known_format_are_dead_letters(job, tmp_path):
    sample = shutil.copytree(job.sample, tmp_path / "sample")
    (sample / "web" / "picture.png").write_bytes(b"\x89PNG\r\n" + bytes(5000))
    out = job.run(tmp_path / "run", sample=sample)
    assert '"unknown_format": 1' in (out / "documents/manifest.json").read_text()
