"""Where a job's inputs and output may lie: a folder, or a bucket of either kind, each with the same few methods."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pipelines.conftest import ROOT, digests


@dataclass(frozen=True)
class Folder:
    """A local folder, as the buckets are."""

    path: Path

    @property
    def url(self) -> str:
        return str(self.path)

    def fill(self, folder: Path, prefix: str) -> str:
        shutil.copytree(folder, self.path / prefix)
        return f"{self.url}/{prefix}"

    def promised(self, out: str) -> dict[str, str]:
        return digests(self.path / out)


@dataclass(frozen=True)
class Crawl:
    """What is read: a folder, and for each pattern below it the source's name and recipe around it."""

    folder: Path
    patterns: tuple[str, ...]
    options: tuple[str, ...] = ()

    def run(self, root: str, out: str, *options: str) -> None:
        """The main job on a copy at `root`, as a command."""
        inputs = [f"--input={pattern.format(root=root)}" for pattern in self.patterns]
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.clean", *inputs, f"--output={out}", *self.options, *options], cwd=ROOT,
            text=True, capture_output=True, check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(params=["local", "s3", pytest.param("gs", marks=pytest.mark.gcs)])
def place(request, tmp_path):
    """An empty one of each, and an environment that leads to it."""
    if request.param == "local":
        return Folder(tmp_path / "place")
    return request.getfixturevalue({"s3": "s3", "gs": "gcs"}[request.param])


@pytest.fixture(scope="session")
def demo(job) -> Crawl:
    """What `make demo` reads, by its recipe."""
    patterns = tuple(f"{name}={{root}}/{name}" for name in ("web", "wet", "json"))
    return Crawl(job.sample, patterns, ("--recipe=pipelines/sample/demo.toml",))


@pytest.fixture(scope="session")
def archives(shared_data, tmp_path_factory) -> Crawl:
    """The real WARC and WET files, and the smallest whole dump of a Wikipedia."""
    folder = tmp_path_factory.mktemp("archives")
    for pattern in ("warc/*.warc.gz", "wet/*.wet.gz", "wikipedia/ltgwiki-*.bz2"):
        found = sorted(shared_data.glob(pattern))
        assert found, pattern
        for path in found:
            (folder / path.parent.name).mkdir(exist_ok=True)
            shutil.copyfile(path, folder / path.parent.name / path.name)
    return Crawl(folder, ("{root}/warc/*.warc.gz", "{root}/wet/*.wet.gz", "wiki={root}/wikipedia/*.bz2@wikipedia"))


@pytest.fixture(scope="module", params=["demo", "archives"])
def crawl(request) -> Crawl:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def expected(crawl, tmp_path_factory) -> dict[str, str]:
    """sha256 of every promised file of a run on the originals, in process, by one worker."""
    out = tmp_path_factory.mktemp("expected")
    crawl.run(str(crawl.folder), str(out))
    found = digests(out)
    assert {name.partition("/")[0] for name in found} == {"clean", "tokenizer", "shards"}
    return found
