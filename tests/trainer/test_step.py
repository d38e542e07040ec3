from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.trainer.shard_sets import make_data
from trainer.dataset import open_data
from trainer.mixture import PlannedPhase, order_of
from trainer.step import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"), sources={"web": 90, "wiki": 13}, seq_len=24, short=13)


def run_folder(tmp_path: Path, manifest: Path, **changes) -> str:
    data = open_data(str(manifest))
    phases = [{"start": 0, "data": str(manifest), "dataset_id": data.manifest.dataset_id, "mix": {"web": 1, "wiki": 1}},
              {"start": 40, "data": str(manifest), "dataset_id": data.manifest.dataset_id, "mix": {}}]
    run = {"seed": 9, "global_batch": 12, "seq_len": 8, "block_rows": 1, "phases": phases,
           "steps": [[1, 0, 8], [6, 40, 12]]}
    (tmp_path / "run.json").write_text(json.dumps(run | changes))
    return str(tmp_path)


def expected(manifest: Path, samples: range, *, seq_len: int, phases: list[tuple[int, dict]], seed: int) -> list[str]:
    """Through the order, then pyarrow: the documents of a sample found token by token."""
    data = open_data(str(manifest))
    pieces = 24 // seq_len
    order = order_of(seed=seed, block_rows=1, dataset_id="d",
                     rows={k: n * pieces for k, n in data.rows("train").items()},
                     phases=[PlannedPhase(start=s, data="", dataset_id="d", mix=m) for s, m in phases])
    draw, found = order.draw(np.array(samples)), []
    for sample, c, epoch, number in zip(samples, draw.component.tolist(), draw.epoch.tolist(), draw.row.tolist(),
                                        strict=True):
        row, source = number // pieces, order.sources[c]
        for shard in data.shards("train", source):
            if row < shard.rows:
                break
            row -= shard.rows
        stored = pa.ipc.open_file(str(manifest.parent / shard.path)).get_batch(0).slice(row, 1).to_pylist()[0]
        ids, starts = stored["doc_ids"], stored["doc_starts"]
        first = number % pieces * seq_len
        owners = [ids[sum(s <= at for s in starts) + len(ids) - len(starts) - 1].hex()
                  for at in range(first, min(first + seq_len + 1, stored["n_real"]))]
        cells = [sample, source, epoch, shard.path, row, " ".join(dict.fromkeys(owners))]
        found.append("\t".join(map(str, cells)))
    return found


def said(capsys, *arguments: str) -> list[str]:
    assert main(arguments) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split("\t") == ["sample", "source", "epoch", "shard", "row", "documents"]
    return lines


@pytest.mark.parametrize(("step", "samples"), [(1, range(8)), (5, range(32, 40)), (6, range(40, 52)),
                                               (1_006, range(12_040, 12_052))])
def test_a_step_of_a_run(manifest, tmp_path, capsys, step, samples):
    folder = run_folder(tmp_path, manifest)
    lines = said(capsys, "--run", folder, "--at", str(step))
    assert lines == expected(manifest, samples, seq_len=8, phases=[(0, {"web": 1, "wiki": 1}), (40, {})], seed=9)
    assert lines == said(capsys, "--data", str(manifest), "--run", folder, "--at", str(step))


def test_a_step_by_its_options(manifest, capsys):
    asked = ("--data", str(manifest), "--at", "3", "--mix", "wiki=2,web=1", "--global-batch", "5")
    lines = said(capsys, *asked, "--seed", "4")
    assert lines == expected(manifest, range(15, 20), seq_len=24, phases=[(0, {"wiki": 2, "web": 1})], seed=4)
    assert lines != said(capsys, *asked, "--seed", "5")


def test_it_is_a_command(manifest):
    done = subprocess.run([sys.executable, "-m", "trainer.order", "--data", str(manifest), "--at", "0",
                           "--global-batch", "3"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 4, done.stderr
    assert subprocess.run([sys.executable, "-m", "trainer.order", "--at", "0"], cwd=ROOT,
                          capture_output=True).returncode == 1


def refused(capsys, *arguments: str) -> str:
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1
    return captured.err


def test_what_cannot_be_answered_is_refused(manifest, tmp_path, capsys):
    folder = run_folder(tmp_path, manifest)
    assert "step 0: the first step of the run is 1" in refused(capsys, "--run", folder, "--at", "0")
    assert "steps are not negative" in refused(capsys, "--run", folder, "--at", "-1")
    assert "give --run RUN_FOLDER, or --data and --global-batch" in refused(capsys, "--at", "0")
    assert "give --run" in refused(capsys, "--data", str(manifest), "--at", "0", "--global-batch", "0")
    asked = ("--data", str(manifest), "--at", "0", "--global-batch", "2")
    assert "no source book" in refused(capsys, *asked, "--mix", "book=1")
    assert "block_rows" in refused(capsys, *asked, "--block-rows", "0")
    assert "none/run.json: not the run.json" in refused(capsys, "--run", str(tmp_path / "none"), "--at", "1")
    for broken in ({"phases": [{}]}, {"steps": [[1]]}, {"seed": None}, {"phases": 3}):
        assert "not the run.json" in refused(capsys, "--run", run_folder(tmp_path, manifest, **broken), "--at", "1")
    assert "no phases or no steps" in refused(capsys, "--run", run_folder(tmp_path, manifest, steps=[]), "--at", "1")


def test_a_step_is_only_looked_up_in_its_own_data_set(manifest, tmp_path, capsys):
    other = make_data(tmp_path / "other", sources={"web": 50}, seq_len=24)
    ids = [open_data(str(path)).manifest.dataset_id for path in (manifest, other)]
    phases = [{"start": 0, "data": str(manifest), "dataset_id": ids[0], "mix": {}},
              {"start": 44, "data": str(other), "dataset_id": ids[1], "mix": {}}]
    folder = run_folder(tmp_path, manifest, phases=phases, steps=[[1, 0, 8]])
    assert len(said(capsys, "--run", folder, "--at", "5")) == len(said(capsys, "--run", folder, "--at", "7")) == 8
    assert f"draws from data set {ids[0]}" in refused(capsys, "--run", folder, "--at", "5", "--data", str(other))
    assert f"draws from data set {ids[1]}" in refused(capsys, "--run", folder, "--at", "7", "--data", str(manifest))
    assert "step 6 begins at sample 40, before data set" in refused(capsys, "--run", folder, "--at", "6")
