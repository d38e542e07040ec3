"""winnow beside other tools, on the same input, one core, turn about: prints a table in Markdown.

    python tests/benchmarks/corpus.py /var/tmp/corpus && WINNOW_BENCH=/var/tmp/corpus make bench-peers

Each tool gets a virtual environment of its own in $WINNOW_BENCH/peers, from `peers/requirements-TOOL.txt`, and is
driven by `peers/drive_TOOL.py`. Figures are CPU seconds, children included: the loop by itself, and apart from it all
that the process does before and after. What cannot be installed or run stays in the table, with the reason. Linux only.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from comparison import WINNOW, Failure, Run, Task, schedule, table

from pipelines.models import language_model_path

HERE = Path(__file__).parent / "peers"
ROOT = Path(__file__).parents[2]
PAGES, DOCUMENTS, WARM_UP = 500, 3000, 5
"""What is cut from the start of docs.warc.gz, twice, and of docs.jsonl.gz: the whole table then takes some minutes."""
PIP = "pip==26.3"
INSTALL_LIMIT_S = 1200
"""Only so that a registry that hangs does not keep the other tools from the table."""
TASKS = (
    Task(name="extract", title="HTML to main text", tools=(WINNOW, "trafilatura"),
         note="winnow's extractor is resiliparse, and its time includes inflation, WARC, HTTP and charset; trafilatura "
              "is given decoded pages and runs with its defaults. Two extractors, two texts: no word on quality."),
    Task(name="end-to-end", title="WARC to filtered English", tools=(WINNOW, "datatrove"),
         note="datatrove: WARC, trafilatura, language, the two Gopher filters, JSON lines. winnow: the stages ingest, "
              "dedupe and filter with Beam, so it also signs and compares. The texts differ, so what is kept differs."),
    Task(name="signatures", title="MinHash, 112 of word 5-grams", tools=(WINNOW, "datasketch", "rensa", "datatrove"),
         note="of texts in memory. datatrove also reads JSON lines, normalises, splits with spaCy and writes files."),
    Task(name="learn", title="BPE of 32,000", tools=(WINNOW, "tokenizers"),
         note="of texts in memory, split as GPT-2 does; the same digest is the same merges in the same order."),
    Task(name="encode", title="encoding with that BPE", tools=(WINNOW, "tokenizers", "tiktoken"),
         note="winnow's encoder is what its requirements.lock has. tiktoken is given winnow's vocabulary, since its "
              "own would be downloaded. The same digest is the same ids."),
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS")
SETTINGS = {
    **dict.fromkeys(THREADS, "1"), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "0",
}
"""One thread, no downloads, and sets in the same order in each run."""


def records(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """(whole record, page) of each response of an inflated WARC of responses whose headers give the length."""
    head, length = b"", 0
    for line in iter(stream.readline, b""):
        head += line
        if line.lower().startswith(b"content-length:"):
            length = int(line[15:])
        if line == b"\r\n":
            block = stream.read(length)
            yield head + block + stream.read(4), block.partition(b"\r\n\r\n")[2]
            head = b""


def cut(corpus: Path, inputs: Path) -> None:
    """Writes what the drivers read: pages.warc.gz and its pages as JSON lines, warm-up.warc.gz, documents.jsonl.gz."""
    inputs.mkdir(parents=True, exist_ok=True)
    with gzip.open(corpus / "docs.warc.gz") as stream:
        found = list(islice(records(stream), PAGES))
    for name, some in (("pages", found), ("warm-up", found[:WARM_UP])):
        members = [gzip.compress(record, compresslevel=6, mtime=0) for record, _ in some]
        (inputs / f"{name}.warc.gz").write_bytes(b"".join(members))
    with gzip.open(inputs / "pages.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps({"html": page.decode("utf-8", "replace")}) + "\n" for _, page in found)
    with gzip.open(corpus / "docs.jsonl.gz") as lines, gzip.open(inputs / "documents.jsonl.gz", "wb") as out:
        out.writelines(islice(lines, DOCUMENTS))


def installed(tool: str, folder: Path) -> Path:
    """The Python of the tool's environment, which is made unless one of the same requirements is there.

    Raises CalledProcessError or TimeoutExpired.
    """
    wanted = HERE / f"requirements-{tool}.txt"
    python, stamp = folder / tool / "bin/python", folder / tool / ".installed"
    digest = hashlib.sha256(wanted.read_bytes() + PIP.encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return python
    shutil.rmtree(folder / tool, ignore_errors=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
    for command in ([sys.executable, "-m", "venv", str(folder / tool)], [*pip, PIP], [*pip, "-r", str(wanted)]):
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_LIMIT_S)
    stamp.write_text(digest)
    return python


def why(error: subprocess.SubprocessError | OSError) -> str:
    """The last line that a failed command wrote, which is where Python and pip name the error."""
    said = getattr(error, "stderr", None) or ""
    lines = (said if isinstance(said, str) else said.decode(errors="replace")).strip().splitlines()
    return lines[-1][:300] if lines else str(error)[:300]


def run(python: Path, tool: str, task: str, *, number: int, inputs: Path) -> Run:
    """One process of a driver. Raises SubprocessError or OSError; ValueError where it prints no figures."""
    with tempfile.TemporaryDirectory(dir=inputs.parent) as scratch:
        watch = [sys.executable, str(HERE / "watch.py"), str(python), str(HERE / f"drive_{tool}.py")]
        settings = {**os.environ, **SETTINGS, "WINNOW_LANGUAGE_MODEL": language_model_path()}
        settings["HF_ASSETS_CACHE"] = f"{scratch}/assets"
        settings["PYTHONPATH"] = str(ROOT) if tool == WINNOW else ""
        done = subprocess.run(
            [*watch, task, str(inputs), scratch], cwd=scratch, check=True, capture_output=True, text=True,
            env=settings,
        )
    *_, told, whole = done.stdout.strip().splitlines()
    figures = json.loads(told)
    spent, passes = figures["cost"]["spent_s"], figures["cost"]["passes"]
    return Run(
        task=task, tool=tool, round=number, cpu_s=spent / passes, startup_s=float(whole) - spent,
        documents=figures["documents"], result=figures["result"],
    )


def version(tool: str) -> str:
    pins = (HERE / f"requirements-{tool}.txt").read_text().splitlines()
    return next(pin.partition("==")[2] for pin in pins if pin.startswith(f"{tool}=="))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="environments, inputs (default $WINNOW_BENCH/peers)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each tool and task (default 3)")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="the core (default the last)")
    options = parser.parse_args()
    corpus = Path(os.environ.get("WINNOW_BENCH", ""))
    if not (corpus / "docs.warc.gz").is_file():
        sys.exit("no corpus: python tests/benchmarks/corpus.py FOLDER, then WINNOW_BENCH=FOLDER make bench-peers")
    folder = (options.folder or corpus / "peers").absolute()
    cut(corpus, folder / "inputs")
    pythons, failures = install(folder)
    os.sched_setaffinity(0, {options.core})
    runs, failed = compare(pythons, inputs=folder / "inputs", rounds=options.rounds)
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    print(f"Commit {commit.stdout.strip() or 'unknown'}, Python {platform.python_version()}, one core, medians of "
          f"{options.rounds} runs in turn; load {os.getloadavg()[0]:.1f} at the end.\n"
          "Start-up is everything but the loop: imports, models, warm-up, reading the input.\n")
    print(table(TASKS, runs, failures + failed, {tool: version(tool) for tool in pythons.keys() - {WINNOW}}))


def install(folder: Path) -> tuple[dict[str, Path], list[Failure]]:
    """The Python of each tool that could be installed, winnow's own among them, and what could not."""
    pythons, failures = {WINNOW: Path(sys.executable)}, []
    for tool in dict.fromkeys(tool for task in TASKS for tool in task.tools if tool != WINNOW):
        print(f"installing {tool}", file=sys.stderr)
        try:
            pythons[tool] = installed(tool, folder)
        except (subprocess.SubprocessError, OSError) as error:
            failures.append(Failure(tool=tool, task=None, reason=f"cannot be installed: {why(error)}"))
    return pythons, failures


def compare(pythons: dict[str, Path], *, inputs: Path, rounds: int) -> tuple[list[Run], list[Failure]]:
    """All runs, in turn. A failure is kept and the rest goes on."""
    try:
        run(pythons[WINNOW], WINNOW, "prepare", number=0, inputs=inputs)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        sys.exit(f"winnow itself does not run: {why(error)}")
    runs, failures = [], []
    absent = frozenset(tool for task in TASKS for tool in task.tools) - pythons.keys()
    for task, number, tool in schedule(TASKS, rounds=rounds, absent=absent):
        print(f"round {number + 1} of {rounds}, {task.name}, {tool}:", end=" ", file=sys.stderr, flush=True)
        try:
            runs.append(run(pythons[tool], tool, task.name, number=number, inputs=inputs))
            print(f"{runs[-1].cpu_s:.3g} CPU s", file=sys.stderr)
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            failures.append(Failure(tool=tool, task=task.name, reason=why(error)))
            print(failures[-1].reason, file=sys.stderr)
    return runs, failures


if __name__ == "__main__":
    main()
