"""How long runs behave: rate once started, Beam's share, and ten times the input. One worker on one core.

    python tests/benchmarks/corpus.py FOLDER && python tests/benchmarks/grown.py FOLDER 20
    python tests/benchmarks/scale.py FOLDER [--stages 5 --copies 10]

Each stage is a command of its own, whose CPU seconds and peak memory the kernel counts. Start-up is the same command on
three small documents, kernels compiled before; it is told apart and subtracted. The small input is a tenth of the
copies, the large one all of them. Beam's share is what a stage takes, once started, outside of its parts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.stages import DEDUPE, STAGES, Stage

ROOT = Path(__file__).parents[2]
MEASURE = """
import resource, subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]], check=True, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
"""
TINY = "".join(json.dumps({"text": f"{k} small documents to start with"}) + "\n" for k in range(3))
KINDS = {"warc.gz": "WARC of HTML pages", "jsonl.gz": "JSON lines of documents"}


@dataclass(frozen=True, kw_only=True)
class Used:
    """What one command took."""

    cpu: float
    peak: int


def measured(*arguments: str) -> Used:
    """A Python command on one core, its start included."""
    core = str(min(os.sched_getaffinity(0)))
    done = subprocess.run(
        ["taskset", "-c", core, sys.executable, "-c", MEASURE, *arguments], cwd=ROOT, capture_output=True, text=True,
        check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    cpu, peak = done.stdout.split()
    return Used(cpu=float(cpu), peak=int(peak))


def run_stages(inputs: Sequence[Path], out: Path, recipe: Path, stages: Sequence[Stage]) -> list[Used]:
    """Each stage on the inputs, one after another."""
    first = [f"--input=web={path}" for path in inputs] + [f"--recipe={recipe}"]
    return [
        measured("-m", f"pipelines.{stage.name}", *(first if stage is STAGES[0] else []), f"--output={out}")
        for stage in stages
    ]


def counts(out: Path, stage: Stage) -> tuple[int, int]:
    """(documents in, documents out)."""
    found = json.loads((out / stage.folder / stage.manifest).read_text())["counts"]
    return found["came_in"], found["went_out"]


def table(kind: str, inputs: Sequence[Path], stages: Sequence[Stage], scratch: Path) -> None:
    """Prints the stages' figures on a tenth of the inputs and on all of them."""
    recipe, tiny = scratch / "bench.toml", scratch / "tiny.jsonl"
    recipe.write_text('base = "web-en"\n' if kind == "warc.gz" else "languages = []\nrules = []\n")
    tiny.write_text(TINY)
    anything = scratch / "anything.toml"
    anything.write_text("languages = []\nrules = []\n")
    run_stages([tiny], scratch / "warm", anything, stages)  # compiles the kernels
    start = run_stages([tiny], scratch / "start", anything, stages)
    few = run_stages(inputs[: len(inputs) // 10], scratch / "few", recipe, stages)
    many = run_stages(inputs, scratch / "many", recipe, stages)
    print(f"\n### {KINDS[kind]}: {len(inputs) // 10} and {len(inputs)} copies\n")
    print("| stage | documents | start-up CPU s | CPU s beyond it | documents / CPU s | peak MB "
          "| CPU, ten times | peak, ten times |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for stage, begun, before, after in zip(stages, start, few, many, strict=True):
        row(stage.name, counts(scratch / "many", stage)[0], begun, before, after)
    row("together", counts(scratch / "many", STAGES[0])[0], *map(together, (start, few, many)))
    print()
    for stage in stages:
        if stage is DEDUPE:  # most of it is no part's
            continue
        share(scratch / "many", stage)


def together(used: Sequence[Used]) -> Used:
    return Used(cpu=sum(u.cpu for u in used), peak=max(u.peak for u in used))


def row(name: str, documents: int, begun: Used, before: Used, after: Used) -> None:
    steady = after.cpu - begun.cpu
    figures = [
        f"{documents:,}", f"{begun.cpu:.1f}", f"{steady:.1f}", f"{documents / steady:,.0f}", f"{after.peak / 1e6:,.0f}",
        f"{steady / (before.cpu - begun.cpu):.2f}", f"{after.peak / before.peak:.2f}",
    ]
    print(f"| {name} | {' | '.join(figures)} |", flush=True)


def share(out: Path, stage: Stage) -> None:
    """Prints what the stage took outside of its parts, as its run wrote it down: Beam, and planning."""
    whole = json.loads((out / "metrics" / f"{stage.name}.json").read_text())["cpu_s"]
    parts = sum(json.loads(path.read_text())["cpu_s"] for path in (out / "metrics" / stage.name).glob("*.json"))
    outside = whole - parts
    print(f"{stage.name}: {parts:.1f} CPU s in its parts, {outside:.1f} outside of them: {outside / whole:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the corpus, with its copies in FOLDER/grown")
    parser.add_argument("--kind", choices=sorted(KINDS), action="append", help="only this input; may be repeated")
    parser.add_argument("--copies", type=int, default=20, help="how many to read (default: %(default)s)")
    parser.add_argument("--stages", type=int, default=3, help="how many to run: 3 is to clean/ (default: %(default)s)")
    args = parser.parse_args()
    for kind in args.kind or KINDS:
        inputs = sorted((args.folder / "grown").glob(f"docs-*.{kind}"))[: args.copies]
        if len(inputs) < 10:
            parser.error(f"{args.folder}/grown has {len(inputs)} copies of docs.{kind}: make ten or more with grown.py")
        with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
            table(kind, inputs, STAGES[: args.stages], Path(scratch))


if __name__ == "__main__":
    main()
