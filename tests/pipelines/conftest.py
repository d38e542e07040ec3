"""Runs of the main job that several tests look at, each made once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines import clean
from pipelines.sample.write import write_sample

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
PROMISED = ("clean", "tokenizer", "shards")
"""The folders whose bytes depend on inputs and recipe alone."""


@dataclass(frozen=True)
class Job:
    """A way to run `python -m pipelines.clean` on the sample, in this process or in another."""

    sample: Path

    def arguments(self, out: Path, *options: str, sample: Path | None = None) -> list[str]:
        folder = sample or self.sample
        inputs = [f"--input={name}={folder / name}" for name in ("web", "wet", "json")]
        return [*inputs, f"--output={out}", *options]

    def run(self, out: Path, *options: str, sample: Path | None = None) -> Path:
        clean.run(self.arguments(out, *options, sample=sample))
        return out

    def start(self, out: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
        """The same as a command, in a process group of its own so that all of it can be killed."""
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.clean", *self.arguments(out, *options)], cwd=ROOT, text=True,
            stderr=subprocess.PIPE, env={**os.environ, **environment}, start_new_session=True,
        )


def digests(out: Path, folders: tuple[str, ...] = PROMISED) -> dict[str, str]:
    """sha256 of every file below some folders of a run."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in sorted((out / folder).rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="session")
def promised() -> Callable[[Path], dict[str, str]]:
    return digests


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(str(folder))
    return Job(folder)


@pytest.fixture(scope="session")
def finished(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output directory of one undisturbed run. Tests must not change it."""
    return job.run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"the real archives are not at {SHARED}; they are not part of the repository")
    return SHARED
