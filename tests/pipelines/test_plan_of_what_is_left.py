"""--dry-run of each stage, and of a run that is done in part: what is known is taken as known, what is done is not
counted again, and nothing is written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipelines import clean, dedupe, encode, filter, ingest, tokenizer
from pipelines.run import needed, read_manifest
from schemas.errors import RunError
from schemas.stages import BY_NAME, DEDUPE, ENCODE, FILTER, INGEST, STAGES, TOKENIZER

COMMANDS = {"dedupe": dedupe.run, "filter": filter.run, "tokenizer": tokenizer.run, "encode": encode.run}
GOOD = 'currency = "EUR"\nsource = "a contract"\ndate = "2026-11-22"\n[regions.a]\ncore_hour = 0.5\negress_gb = 9\n'


def tree(out: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in out.rglob("*")}


def planned(capsys: pytest.CaptureFixture[str], run, arguments: list[str]) -> dict:
    capsys.readouterr()
    run([*arguments, "--dry-run", "--json"])
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", COMMANDS)
def test_of_a_single_stage(name, finished, capsys):
    before = tree(finished)
    found = planned(capsys, COMMANDS[name], [f"--output={finished}"])
    assert tree(finished) == before
    assert [s["stage"] for s in found["stages"]] == [name] and found["left"]["stages"] == []
    came = needed(str(finished), BY_NAME[name]).counts.came_in
    assert set(found["stages"][0]["documents"].values()) == {came}, "no estimate: manifests say so"
    COMMANDS[name]([f"--output={finished}", "--dry-run"])
    told = capsys.readouterr().out
    assert told.startswith(f"plan of {name} of 7 parts in 7 files") and "left to do: nothing, it is complete" in told


def test_of_ingest_alone(job, finished, tmp_path, capsys):
    out = tmp_path / "out"
    found = planned(capsys, ingest.run, job.arguments(out, "--sample=0"))
    assert [s["stage"] for s in found["stages"]] == ["ingest"]
    assert (found["left"]["parts"], found["left"]["whole"]) == (7, 7) and not out.exists()
    assert found["left"]["bytes"] == sum(g["bytes"] for g in found["groups"])
    sampled = planned(capsys, ingest.run, job.arguments(out))
    assert sampled["stages"][0]["documents"]["mid"] == pytest.approx(needed(str(finished), INGEST).counts.went_out)
    assert found["stages"][0]["documents"]["mid"] != sampled["stages"][0]["documents"]["mid"]


@pytest.mark.parametrize("stage", [INGEST, FILTER, TOKENIZER, ENCODE], ids=lambda s: s.name)
def test_of_parts_that_are_not_done(stage, job, finished, tmp_path, capsys):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    manifest = read_manifest(str(out), stage)
    lost = sorted(manifest.parts, key=lambda p: p.input_bytes)[0]
    for later in STAGES[STAGES.index(stage) :]:
        (out / later.folder / later.manifest).unlink()
    (out / stage.folder / f"{lost.part}.json").unlink()
    found = planned(capsys, clean.run, job.arguments(out, "--sample=0"))
    left = found["left"]
    assert (left["stage"], left["parts"], left["whole"]) == (stage.name, 1, len(manifest.parts))
    assert [s["stage"] for s in left["stages"]] == [s.name for s in STAGES[STAGES.index(stage) :]]
    assert left["bytes"] == (lost.input_bytes if stage is INGEST else 0)
    whole = {s["stage"]: s for s in found["stages"]}
    for estimate in left["stages"][1:]:
        assert estimate == whole[estimate["stage"]]
    first = left["stages"][0]
    assert first["parts"] == 1 and first["cpu_s"]["mid"] < whole[stage.name]["cpu_s"]["mid"]
    assert first["out_bytes"]["mid"] < whole[stage.name]["out_bytes"]["mid"]


def test_parts_of_dedupe_depend_on_each_other(job, finished, tmp_path, capsys):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    (out / "duplicates/manifest.json").unlink()
    next(p for p in (out / "duplicates").glob("part-*.json")).unlink()
    found = planned(capsys, clean.run, job.arguments(out, "--sample=0"))
    assert (found["left"]["stage"], found["left"]["parts"]) == (DEDUPE.name, 1)
    assert found["left"]["stages"] == [s for s in found["stages"] if s["stage"] != "ingest"]


def test_a_new_file_is_what_is_left(job, finished, tmp_path, capsys):
    """As on a schedule. --max-cost is held against it, not against what is paid for already."""
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    sample = Path(shutil.copytree(job.sample, tmp_path / "sample"))
    line = json.dumps({"text": "A document that came this month, and says little."}) + "\n"
    (sample / "json/zz-new.jsonl").write_text(line)
    (tmp_path / "prices.toml").write_text(GOOD)
    priced = [f"--prices={tmp_path / 'prices.toml'}", "--sample=0"]
    found = planned(capsys, clean.run, job.arguments(out, *priced, sample=sample))
    assert (found["left"]["parts"], found["left"]["whole"], found["left"]["bytes"]) == (1, 8, len(line))
    assert [s["stage"] for s in found["left"]["stages"]] == [s.name for s in STAGES]
    assert found["money"]["egress"]["mid"] == pytest.approx(len(line) * 9e-9)
    anew = planned(capsys, clean.run, job.arguments(tmp_path / "none", *priced, sample=sample))
    paid, whole = found["money"]["total"]["high"], anew["money"]["total"]["high"]
    assert paid < whole
    limit = f"--max-cost={(paid + whole) / 2!r}"
    with pytest.raises(RunError, match="the run may cost"):
        clean.run(job.arguments(tmp_path / "none", *priced, limit, sample=sample))
    clean.run(job.arguments(out, *priced, limit, sample=sample))
    kept = json.loads((out / "plan.json").read_text())
    assert kept["left"] is None and kept["stages"] == found["stages"], "the report compares the whole"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_stage_that_may_cost_more_is_refused(name, finished, tmp_path):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    (tmp_path / "prices.toml").write_text(GOOD)
    options = [f"--output={out}", f"--prices={tmp_path / 'prices.toml'}", "--max-cost=0"]
    COMMANDS[name](options)  # what is complete costs nothing
    stage = BY_NAME[name]
    (out / stage.folder / stage.manifest).unlink()
    for record in (out / stage.folder).glob("*.json"):
        record.unlink()
    before = tree(out)
    with pytest.raises(RunError, match="--max-cost 0: the run may cost"):
        COMMANDS[name](options)
    assert {p: v for p, v in tree(out).items() if p in before} == before


def test_a_stage_whose_inputs_are_not_there_cannot_be_planned(job, tmp_path):
    out = job.run(tmp_path / "run")
    (out / "documents/manifest.json").unlink()
    with pytest.raises(RunError, match=r"the stage ingest is not complete here. Run pipelines.ingest"):
        dedupe.run([f"--output={out}", "--dry-run"])


def test_a_run_of_which_something_was_taken_down_is_complete_too(job, finished, tmp_path, capsys):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    (tmp_path / "list.txt").write_text("https://nobody.example/\n")
    job.run(out, f"--takedown={tmp_path / 'list.txt'}")
    for run in (clean.run, ingest.run):
        assert planned(capsys, run, job.arguments(out, "--sample=0"))["left"]["stages"] == []


@pytest.mark.parametrize("sample", ["0", "0.0001", "4"])
def test_of_a_replay(sample, finished, tmp_path, capsys):
    """A range of a part would not be what was lost of it: such parts are read whole for the sample, or not at all."""
    out, lost = tmp_path / "again", needed(str(finished), INGEST)
    found = planned(capsys, ingest.run, [f"--replay={finished}/dead_letters", f"--output={out}", f"--sample={sample}"])
    assert not out.exists()
    assert found["left"]["parts"] == sum(bool(sum(p.counts.dead_letters.values())) for p in lost.parts) > 1
    assert found["left"]["bytes"] == sum(sum(p.tallies.get("bytes lost", {}).values()) for p in lost.parts)
