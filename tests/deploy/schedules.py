"""Three months of a crawl, and runs over them, for tests of what runs the job on a schedule."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines.sample.write import write_sample

ROOT = Path(__file__).parents[2]
MONTHS = {
    "2026-08": ["sample-00000.warc.gz"],
    "2026-09": ["sample-00001.warc.gz", "sample-00002.warc"],
    "2026-10": ["sample-00003.warc.gz"],
}
PROMISED = ("clean", "tokenizer", "shards")
STAGES = {
    "ingest": "documents", "dedupe": "duplicates", "filter": "clean", "tokenizer": "tokenizer", "encode": "shards",
}


class Crawl:
    """A folder that grows by a month."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.sample = folder / "crawl", folder / "sample"
        write_sample(str(self.sample))

    @property
    def pattern(self) -> str:
        return f"{self.folder}/*/*.warc*"

    def arrives(self, month: str) -> None:
        (self.folder / month).mkdir(parents=True)
        for name in MONTHS[month]:
            shutil.copy2(self.sample / "web" / name, self.folder / month)


def promised(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in PROMISED for path in sorted((out / folder).rglob("*")) if path.is_file()
    }


def extracted(out: Path) -> dict[str, int]:
    """When each table of documents/ was written."""
    return {path.name: path.stat().st_mtime_ns for path in (out / "documents").glob("*.parquet")}


def everything(out: Path) -> dict[str, int]:
    return {
        str(p.relative_to(out)): p.stat().st_mtime_ns
        for p in out.rglob("*") if p.is_file() and p.name != ".lock"
    }


def until(what: Callable[[], object], *, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"waited {seconds} s"
        time.sleep(0.01)


def processes(module: str, out: Path) -> list[int]:
    """Those that run `python -m MODULE … --output=OUT`, not the shells around them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if module.encode() in words and f"--output={out}".encode() in words and b"-m" in words:
                found.append(int(entry.name))
    return found


def kill(module: str, out: Path) -> None:
    victims = processes(module, out)
    assert victims, f"{module} was over before it was killed"
    for pid in victims:
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def stopped(module: str, out: Path) -> Iterator[None]:
    """Holds it in the middle of what it does, with whatever lock it has."""
    found = processes(module, out)
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert found and processes(module, out) == found, f"{module} was over before it was stopped"
        yield
    finally:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
