"""What the trainer does on one GPU, in one call of under ten minutes; needs the extra `trainer` alone.

    python tests/benchmarks/gpu.py OUT               on a GPU
    python tests/benchmarks/gpu.py OUT --dry-run     the same on small models, anywhere: that it runs, no figures

Trains 124m and 350m for 200 steps (tokens/s, MFU, stall, memory); 124m with and without document masks, each in both
ways of attention; and a run that is killed with SIGKILL, whose losses must be those of an undisturbed one to the last
bit. Writes OUT/gpu.json and prints a table. What does not fit into the time is named as not run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import xxhash

from schemas import shards

ROOT = Path(__file__).parents[2]
LIMIT_S = 560
"""Of the ten minutes."""
WARM = 20
"""Steps at the start that are not counted: compiling, and the first allocations."""
SPECIAL = {"<|endoftext|>": 0, "<|pad|>": 1, "<|mask|>": 2}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large it is: a GPU's, or a dry run's."""

    rows: int
    seq_len: int
    vocab: int
    models: tuple[tuple[str, int], ...]
    """(size, micro batch), the first of which is used for masks."""
    global_batch: int
    steps: int
    mask_steps: int
    killed: tuple[str, ...]


GPU = Scale(
    rows=16_384, seq_len=1024, vocab=50_304, models=(("124m", 64), ("350m", 32)), global_batch=128, steps=200,
    mask_steps=60, killed=("--model", "30m", "--global-batch", "64", "--micro-batch", "32", "--compile"),
)
DRY = Scale(
    rows=64, seq_len=64, vocab=256, models=(("tiny", 4),), global_batch=8, steps=30, mask_steps=25,
    killed=("--model", "tiny", "--global-batch", "8", "--micro-batch", "4"),
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dry-run", action="store_true")
    asked = parser.parse_args(argv)
    if not asked.dry_run and not torch.cuda.is_available():
        sys.exit("no GPU here: say --dry-run")
    scale, began = DRY if asked.dry_run else GPU, time.monotonic()
    asked.out.mkdir(parents=True, exist_ok=True)
    data = make_shards(asked.out / "data", scale)
    found: dict[str, object] = {"device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
                                "torch": torch.__version__, "dry_run": asked.dry_run, "not_run": []}
    for name, job in jobs(scale, data, asked.out):
        if time.monotonic() - began > LIMIT_S - 60:
            found["not_run"].append(name)  # type: ignore[attr-defined]
            continue
        start = time.monotonic()
        try:
            found[name] = job(LIMIT_S - (time.monotonic() - began))
        except (subprocess.SubprocessError, AssertionError) as error:
            found[name] = {"failed": str(error)[-2000:]}
        print(f"{name:28} {time.monotonic() - start:6.1f} s  {json.dumps(found[name])[:400]}", flush=True)
        (asked.out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    return 1 if any(isinstance(v, dict) and "failed" in v for v in found.values()) or found["not_run"] else 0


def jobs(scale: Scale, data: Path, out: Path):  # type: ignore[no-untyped-def]
    """(name, what runs it within some seconds), most wanted first."""
    size, micro = scale.models[0]
    for name, batch in scale.models:
        yield f"{name}", lambda s, name=name, batch=batch: speed(
            scale, data, out / name, s, "--model", name, "--micro-batch", str(batch), "--steps", str(scale.steps))
    yield "killed and resumed", lambda s: killed(scale, data, out, s)
    for masks in ("--no-document-masks", "--document-masks"):
        for attention in ("sdpa", "flex"):
            if attention == "flex" and (scale is DRY or masks.startswith("--no")):
                continue  # flex needs a GPU to be compiled for, and without masks it is sdpa's
            name = f"{size} {attention} {masks[2:]}"
            yield name, lambda s, name=name, masks=masks, attention=attention: speed(
                scale, data, out / name.replace(" ", "-"), s, "--model", size, "--micro-batch", str(micro), masks,
                "--attention", attention, "--steps", str(scale.mask_steps))


def speed(scale: Scale, data: Path, run: Path, seconds: float, *more: str) -> dict[str, object]:
    compiled = () if scale is DRY else ("--compile",)
    train(data, run, seconds, "--global-batch", str(scale.global_batch), *compiled, *more)
    lines = steps(run)[WARM:]
    median = {k: statistics.median(line[k] for line in lines) for k in ("tokens_per_s", "step_ms")}
    shares = {k: lines[0][k] and statistics.median(line[k] for line in lines)
              for k in ("mfu_datasheet", "mfu_measured")}
    stall = sum(line["data_wait_ms"] for line in lines) / sum(line["step_ms"] for line in lines)
    return {**median, **shares, "stall": stall, "first_loss": steps(run)[0]["loss"], "last_loss": lines[-1]["loss"],
            "steps": len(lines) + WARM, "memory_bytes": lines[-1]["memory_bytes"]}


def killed(scale: Scale, data: Path, out: Path, seconds: float) -> dict[str, object]:
    """Kills the run after step 13 of 20; its checkpoint is of step 10."""
    command = (*scale.killed, "--steps", "20", "--checkpoint-every", "10", "--deterministic")
    train(data, out / "whole", seconds, *command)
    with open(out / "killed.log", "w") as log:
        process = start(data, out / "killed", log, *command)
        while len(steps(out / "killed")) < 13:
            assert process.poll() is None, (out / "killed.log").read_text()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    train(data, out / "killed", seconds, *command)
    whole = {line["step"]: line["loss"] for line in steps(out / "whole")}
    again = [(line["step"], line["loss"]) for line in steps(out / "killed")]
    assert {step for step, _ in again} == set(range(1, 21))
    same = sum(whole[step] == loss for step, loss in again)
    assert same == len(again), f"{same} of {len(again)} losses are the same to the last bit: {again}, {whole}"
    return {"steps_logged": len(again), "same_to_the_last_bit": same}


def train(data: Path, run: Path, seconds: float, *more: str) -> None:
    with open(run.with_suffix(".log"), "a") as log:
        process = start(data, run, log, *more)
        try:
            status = process.wait(max(1.0, seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert status == 0, run.with_suffix(".log").read_text()


def start(data: Path, run: Path, log, *more: str) -> subprocess.Popen:  # type: ignore[no-untyped-def]
    command = [sys.executable, "-m", "trainer.train", "--data", str(data), "--out", str(run), "--eval-every", "0",
               "--no-tensorboard", "--verify", "off", "--warmup", "20", *more]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env={**os.environ, "PYTHONPATH": path})


def steps(run: Path) -> list[dict]:
    path = run / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [line for line in map(json.loads, lines) if line["event"] == "step"]


def make_shards(folder: Path, scale: Scale) -> Path:
    """One shard of documents of 50 to 950 tokens, whose ids are drawn as words are: few often, most seldom."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "train/web").mkdir(parents=True)
    rng, width = np.random.default_rng(0), scale.seq_len + 1
    tokens = (rng.zipf(1.2, scale.rows * scale.seq_len + 1) % (scale.vocab - 3) + 3).astype(np.uint16)
    ends = np.cumsum(rng.integers(50, 951, len(tokens) // 500 + 2))
    tokens[ends[ends < len(tokens)]] = 0
    rows = np.lib.stride_tricks.sliding_window_view(tokens, width)[:: scale.seq_len]
    starts = [np.flatnonzero(row[:-1] == 0) + 1 for row in rows]
    batch = pa.record_batch(
        [pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), width), pa.array([s.tolist() for s in starts]),
         pa.array([[b"\0" * 16] * (len(s) + 1) for s in starts]), pa.array([0] * len(rows)),
         pa.array([width] * len(rows)), pa.array([0] * len(rows)), pa.array([0] * len(rows))],
        names=shards.shard_schema(seq_len=scale.seq_len, vocab_size=scale.vocab).names,
    ).cast(shards.shard_schema(seq_len=scale.seq_len, vocab_size=scale.vocab))
    path = folder / "train/web/shard-00000.arrow"
    with pa.ipc.new_file(str(path), batch.schema) as writer:
        writer.write_batch(batch)
    digest = xxhash.xxh3_128_hexdigest(path.read_bytes())
    shard = shards.Shard(
        path="train/web/shard-00000.arrow", source="web", rows=len(rows), tokens=len(tokens), bytes=0, documents=0,
        xxh3=digest, tfrecord_path="none", tfrecord_xxh3=digest, min_id=0, max_id=scale.vocab - 1)
    splits = {"train": (shard,), "validation": ()}
    np.save(folder / "token_bytes.npy", np.ones(scale.vocab, np.int32))
    manifest = shards.ShardManifest(
        tokenizer_digest="0" * 32, vocab_size=scale.vocab, special_ids=SPECIAL, seq_len=scale.seq_len,
        token_dtype="uint16", sources=("web",), languages=("en",), splits=splits, totals=shards.totals_of(splits),
        token_bytes="token_bytes.npy", dataset_id=shards.dataset_id([shard]))
    (folder / "manifest.json").write_text(shards.to_json(manifest))
    return folder / "manifest.json"


if __name__ == "__main__":
    sys.exit(main())
