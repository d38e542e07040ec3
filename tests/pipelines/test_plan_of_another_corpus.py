"""Calibrated on one corpus, the plan of another is within a quarter of its run: CPU, bytes written, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import plan
from pipelines.planning.finished import Finished, finished
from pipelines.planning.measured import rates_of
from pipelines.planning.rates import to_json
from pipelines.report_page.costs import cost_of
from pipelines.run import needed
from schemas.stages import STAGES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
NEAR = 0.25


@pytest.mark.parametrize("workers", [1, 2])
def test_a_corpus_is_planned_from_another(workers, shared_data, tmp_path, capsys):
    """Greek, Japanese and Latgalian wikis; Marathi, Ukrainian, Vietnamese and English ones; and, where WINNOW_BENCH has
    it, the benchmark's pages in a WARC."""
    corpora = inputs(shared_data)
    start = started(tmp_path, workers)
    runs = {name: run_alone(tmp_path / name, of, f"--workers={workers}") for name, of in corpora.items()}
    for ours, theirs in [(a, b) for a in corpora for b in corpora if a != b]:
        (tmp_path / "rates.json").write_bytes(
            to_json(rates_of([start, finished(str(runs[ours]))], base=None, command=""))
        )
        capsys.readouterr()
        plan.run([*corpora[theirs], f"--rates={tmp_path / 'rates.json'}", f"--workers={workers}", "--json"])
        found = json.loads(capsys.readouterr().out)
        said = {
            "CPU": found["total"]["cpu_s"]["mid"], "bytes": found["total"]["out_bytes"]["mid"],
            "memory": max(s["worker_bytes"]["mid"] for s in found["stages"]),
        }
        was = took(runs[theirs], alone=workers == 1)
        off = {what: round(said[what] / was[what] - 1, 3) for what in said}
        with capsys.disabled():
            print(f"\n{theirs} from {ours}, {workers} workers: planned {said}, took {was}, off {off}", end="")
        assert all(abs(share) < NEAR for share in off.values()), (ours, theirs, off)


def inputs(shared_data: Path) -> dict[str, list[str]]:
    wikis = sorted((shared_data / "wikipedia").glob("*wiki-*.xml.bz2"))
    first = [w for w in wikis if w.name[:2] in ("el", "ja", "lt")]
    second = [w for w in wikis if w not in first and "table" not in w.name]
    found = {
        name: [f"--input=wiki={wiki}@wikipedia" for wiki in of] for name, of in (("three", first), ("four", second))
    }
    pages = Path(os.environ.get("WINNOW_BENCH", "/nowhere")) / "docs.warc.gz"
    return found | ({"pages": [f"--input={pages}"]} if pages.exists() else {})


def started(tmp_path: Path, workers: int) -> Finished:
    """A run with next to nothing to do: what starting takes. The first one compiles kernels."""
    tiny, anything = tmp_path / "tiny.jsonl", tmp_path / "anything.toml"
    tiny.write_text("".join(json.dumps({"text": f"{k} small documents to start with"}) + "\n" for k in range(3)))
    anything.write_text("languages = []\nrules = []\n")
    for name in ("warm", "start"):
        out = run_alone(tmp_path / name, [f"--input={tiny}"], f"--recipe={anything}", f"--workers={workers}")
    return finished(str(out))


def took(out: Path, *, alone: bool) -> dict[str, float]:
    costs = [cost_of(str(out), needed(str(out), stage)) for stage in STAGES]
    launches = [c.launch for c in costs if c.launch]
    return {
        "CPU": sum(c.cpu_s for c in costs), "bytes": sum(c.bytes_out for c in costs),
        "memory": max(n.launcher_peak_rss_bytes if alone else n.worker_peak_rss_bytes for n in launches),
    }


def run_alone(out: Path, read: list[str], *options: str) -> Path:
    """In a process of its own, whose memory is of this run alone."""
    command = [sys.executable, "-m", "pipelines.clean", *read, f"--output={out}", *options]
    subprocess.run(command, cwd=ROOT, check=True)
    return out
