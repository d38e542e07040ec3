"""The folder for what crosses the local runner's shuffles."""

from __future__ import annotations

import contextlib
import shutil

import pytest

from pipelines import dedupe as command
from pipelines import filter as sieve
from pipelines.local import scratch_folder
from pipelines.options import parse


def options(*arguments: str):
    return parse(arguments, command="dedupe", about="", needs_input=False)


def test_it_is_made_anew_and_removed(tmp_path):
    with scratch_folder(options(f"--output={tmp_path}")) as folder:
        assert folder == str(tmp_path / "scratch")
        (tmp_path / "scratch").mkdir()
        (tmp_path / "scratch/left.blocks").write_bytes(b"of a run that was killed")
        with scratch_folder(options(f"--output={tmp_path}")):
            assert not (tmp_path / "scratch").exists()
    assert not (tmp_path / "scratch").exists()


def test_a_failure_removes_it_too(tmp_path):
    with pytest.raises(ZeroDivisionError), scratch_folder(options(f"--output={tmp_path}")) as folder:
        (tmp_path / "scratch").mkdir()
        assert folder
        raise ZeroDivisionError
    assert not (tmp_path / "scratch").exists()


def test_a_cluster_has_none(tmp_path):
    with scratch_folder(options(f"--output={tmp_path}", "--runner=FlinkRunner")) as folder:
        assert folder is None


def test_the_bytes_do_not_depend_on_it(job, finished, promised, tmp_path, monkeypatch):

    out = tmp_path / "run"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "duplicates")
    monkeypatch.setattr(command, "scratch_folder", lambda options: contextlib.nullcontext(None))
    command.run([f"--output={out}"])
    sieve.run([f"--output={out}"])
    same = ("clean", "duplicates", "dropped")
    assert promised(out, same) == promised(finished, same)
