"""CPU, rate and memory of each stage as a command, on the benchmark corpus, one worker.

    python tests/benchmarks/corpus.py /var/tmp/corpus && WINNOW_BENCH=/var/tmp/corpus make bench
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.stages import STAGES

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
PROGRAM = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", *sys.argv[1:]], check=True, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
"""


@pytest.fixture(scope="module")
def corpus() -> Path:
    folder = Path(os.environ.get("WINNOW_BENCH", ""))
    if not (folder / "docs.warc.gz").is_file():
        pytest.skip("no corpus: python tests/benchmarks/corpus.py FOLDER, then WINNOW_BENCH=FOLDER make bench")
    return folder


def measured(*arguments: str) -> tuple[float, int]:
    """(CPU seconds, peak bytes) of a command, its start included."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    cpu, peak = done.stdout.split()
    return float(cpu), int(peak)


@pytest.mark.parametrize("file", ["docs.warc.gz", "docs.jsonl.gz"])
def test_each_stage(corpus, tmp_path, file):
    print(f"\n{file:14} {'CPU s':>8} {'documents/CPU s':>16} {'peak MB':>8}   in -> out", end="")
    for stage in STAGES:
        source = [f"--input={corpus / file}"] if stage is STAGES[0] else []
        cpu, peak = measured(f"pipelines.{stage.name}", *source, f"--output={tmp_path}")
        counts = json.loads((tmp_path / stage.folder / stage.manifest).read_text())["counts"]
        rate = counts["came_in"] / cpu
        flow = f"{counts['came_in']:,} -> {counts['went_out']:,}"
        print(f"\n{stage.name:14} {cpu:8.1f} {rate:16,.0f} {peak / 1e6:8,.0f}   {flow}", end="")
    cpu, _ = measured("pipelines.filter", "--help")
    print(f"\n{'start-up alone':14} {cpu:8.1f}")
