"""A plan beside the run it was made for: the report shows both, and rates of one corpus tell what another takes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipelines import plan
from pipelines.planning import asked, made
from pipelines.planning.basis import Basis
from pipelines.planning.finished import finished as measured_run
from pipelines.planning.kinds import kinds_of
from pipelines.planning.rates import Rates, read_rates
from pipelines.report_page.costs import cost_of
from pipelines.run import needed
from pipelines.settings import read_settings
from schemas.errors import RunError
from schemas.stages import ENCODE, STAGES
from transforms.beam.parts import plan_path, read_plan

ROOT = Path(__file__).parents[2]
INGEST, DEDUPE, SIEVE, TOKENIZER, ENCODED = (stage.name for stage in STAGES)


def test_a_run_keeps_its_plan_and_the_report_shows_both(job, finished, promised, tmp_path):
    kept = json.loads((finished / "plan.json").read_text())
    assert [s["stage"] for s in kept["stages"]] == [s.name for s in STAGES]
    assert sum(g["bytes"] for g in kept["groups"]) == sum(p.input_bytes for p in needed(str(finished), STAGES[0]).parts)
    page = (finished / "report.html").read_text()
    table = page[page.index("Plan and run by stage") :]
    cost = cost_of(str(finished), needed(str(finished), ENCODE))
    share = 100 * cost.bytes_out / made.planned_stages(str(finished))[ENCODED].out_bytes.mid
    assert f"{share:.0f} %" in table[: table.index("</table>")]
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    before = (out / "plan.json").stat().st_mtime_ns
    job.run(out)
    assert (out / "plan.json").stat().st_mtime_ns == before, "it says the same"
    assert (out / "report.html").read_text() == page
    for bad in ("", "{", "[]", '{"stages": [{"stage": "ingest"}]}', '{"stages": 3}'):
        (out / "plan.json").write_text(bad)
        assert made.planned_stages(str(out)) == {}
    assert promised(out) == promised(finished)


def test_what_was_written_is_every_file_once(finished):
    for stage in STAGES:
        found = cost_of(str(finished), needed(str(finished), stage)).bytes_out
        folders = {INGEST: ["documents", "dead_letters"], SIEVE: ["clean", "dropped"]}.get(stage.name, [stage.folder])
        files = [p for folder in folders for p in (finished / folder).rglob("*") if p.is_file()]
        records = {"manifest.json", "stage.json", "plan.jsonl"}
        own = [p for p in files if (p.suffix != ".json" and p.name not in records) or p.name == "tokenizer.json"]
        if stage is ENCODE:
            own.append(finished / "shards/manifest.json")
        assert found == sum(p.stat().st_size for p in own), stage.name


def test_rates_of_a_run_tell_that_run(finished, tmp_path):
    path = tmp_path / "rates.json"
    plan.run(["--measure", str(finished), "--rates", str(path)])
    rates = read_rates(str(path))
    assert rates.said["command"].startswith("python -m pipelines.plan --measure")
    found = told(finished, rates)
    for stage in STAGES:
        manifest, ours = needed(str(finished), stage), found[stage.name]
        documents = manifest.counts.went_out if stage is STAGES[0] else manifest.counts.came_in
        assert ours.documents.mid == pytest.approx(documents, rel=1e-3)
        assert ours.documents.low <= documents <= ours.documents.high
    written = cost_of(str(finished), needed(str(finished), STAGES[0])).bytes_out
    assert found[INGEST].out_bytes.mid == pytest.approx(written, rel=0.01)


def test_rates_need_a_whole_run_made_in_one_go(job, finished, tmp_path):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    cost = next((out / "metrics/ingest").glob("*.json"))
    cost.write_text(cost.read_text().replace('"started": "2', '"started": "1'))
    with pytest.raises(RunError, match="parts of ingest were kept from an earlier launch"):
        measured_run(str(out))
    cost.unlink()
    with pytest.raises(RunError, match="does not hold what ingest cost"):
        measured_run(str(out))
    for arguments in (["--measure", str(finished)], ["--measure", str(finished), "--rates=x", "--input=y"]):
        with pytest.raises(RunError, match="--measure OUT takes --rates FILE"):
            plan.run(arguments)


def test_a_sample_of_everything_is_everything(job, finished, tmp_path, capsys):
    plan.run([*job.arguments(tmp_path / "none")[:-1], "--sample=1", "--json"])
    found = {s["stage"]: s for s in json.loads(capsys.readouterr().out)["stages"]}
    counts = needed(str(finished), STAGES[0]).counts, needed(str(finished), STAGES[2]).counts
    assert found[INGEST]["documents"]["mid"] == pytest.approx(counts[0].went_out)
    assert found[TOKENIZER]["documents"]["mid"] == pytest.approx(counts[1].went_out)
    assert not (tmp_path / "none").exists()


def told(out: Path, rates: Rates, workers: int = 1) -> dict:
    """The stages of a plan for what a run has read."""
    kept = json.loads((out / "plan.json").read_text())
    assert kept["workers"] == workers
    parts = list(read_plan(plan_path(str(out), STAGES[0])))
    basis = Basis(
        settings=read_settings(str(out)), workers=workers, parts=parts, kinds=kinds_of(parts), rates=rates
    )
    return {s.stage: s for s in made.plan_of(basis, asked.Asked(cores=2, memory=8 << 30)).stages}
