"""clean/, tokenizer/ and shards/ depend on the inputs and the recipe, and on nothing else."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest

from pipelines import clean


def test_every_promised_folder_holds_something(finished, promised):
    found = promised(finished)
    for ending in (".parquet", "tokenizer.json", ".arrow", ".tfrecord", "token_bytes.npy", "shards/manifest.json"):
        assert any(name.endswith(ending) for name in found), ending


def test_the_digests_would_notice(finished, promised, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    assert promised(copy) == promised(finished)
    shard = next((copy / "shards").rglob("*.arrow"))
    data = bytearray(shard.read_bytes())
    data[-40] ^= 1
    shard.write_bytes(data)
    assert promised(copy) != promised(finished)


def test_run_again_elsewhere(job, finished, promised, tmp_path):
    assert promised(job.run(tmp_path / "again")) == promised(finished)


@pytest.mark.parametrize("rows", [64, 2048, 1])
def test_batch_size(job, finished, promised, tmp_path, rows):
    assert promised(job.run(tmp_path / "run", f"--batch-rows={rows}")) == promised(finished)


def test_where_shards_are_cut_does_not_depend_on_batches(job, promised, tmp_path, monkeypatch):
    monkeypatch.setattr("transforms.beam.encode.SHARD_TOKENS", 500)
    outs = [job.run(tmp_path / rows, f"--batch-rows={rows}") for rows in ("1", "7", "1024")]
    assert len(list((outs[0] / "shards/train/web").glob("*.arrow"))) > 5
    assert promised(outs[0]) == promised(outs[1]) == promised(outs[2])


def test_two_workers(job, finished, promised, tmp_path):
    process = job.start(tmp_path / "run", "--workers=2")
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert promised(tmp_path / "run") == promised(finished)


def test_order_of_inputs(job, finished, promised, tmp_path):
    *inputs, output = job.arguments(tmp_path / "run")
    clean.run([*reversed(inputs), output])
    assert promised(tmp_path / "run") == promised(finished)


def test_inputs_copied_to_another_folder(job, finished, promised, tmp_path):
    copy = tmp_path / "elsewhere" / "deeper"
    shutil.copytree(job.sample, copy)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    assert promised(job.run(tmp_path / "run", sample=copy)) == promised(finished)
    # the documents were planned anew all the same: another copy is another input
    ours, theirs = (json.loads((out / "documents/manifest.json").read_text()) for out in (tmp_path / "run", finished))
    assert ours["plan_key"] != theirs["plan_key"]


def test_a_plainer_cpu(job, finished, promised, tmp_path):
    core = np._core._multiarray_umath
    features = [name for name in core.__cpu_dispatch__ if core.__cpu_features__[name]]
    plain = {
        "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path / "numba"),
        "NPY_DISABLE_CPU_FEATURES": " ".join(features),
    }
    process = job.start(tmp_path / "run", **plain)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert promised(tmp_path / "run") == promised(finished)
    if not features:
        pytest.skip("numba's vectors were off, but this CPU has nothing beyond numpy's baseline to switch off")


def test_every_bundle_run_twice(job, finished, promised, tmp_path):
    """Engines retry and replay bundles: a part that is done again must leave the same bytes."""
    out = job.run(tmp_path / "run", "--direct_runner_bundle_repeat=1")
    assert promised(out) == promised(finished)


def test_a_kept_stage_is_not_written_again(job, promised, tmp_path):
    out = job.run(tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("part-*")}
    job.run(out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("part-*")} == before


def test_no_clock_or_address_in_the_records(job, finished):
    words = [str(finished), str(job.sample), os.uname().nodename, f"{datetime.now(UTC):%Y-%m}"]
    for folder in ("clean", "tokenizer", "shards"):
        for path in (finished / folder).rglob("*.json*"):
            text = path.read_text()
            assert not [word for word in words if word in text], path
