"""The main job on the sample: every page meets its fate, and everything adds up."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter

import pyarrow.parquet as pq
import pytest

from pipelines.whole import check_whole
from schemas.records import ConservationError, Counts, manifest_from_json
from schemas.stages import STAGES


def table(out, folder):
    """All rows of a folder's parts, by its manifest's stage."""
    return [row for path in sorted((out / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def manifests(out):
    return [manifest_from_json((out / s.folder / s.manifest).read_text()) for s in STAGES]


def fates(out) -> dict[tuple, str]:
    """(file, record id or url or offset) to what became of the record, read from the run's tables alone."""
    documents = {d["id"]: d for d in table(out, "documents")}
    key = {i: (d["source"], d["file"], d["record_id"] or d["url"]) for i, d in documents.items()}
    found = {key[d["id"]]: "clean" for d in table(out, "clean")}
    found |= {key[d["id"]]: d["reason"] for d in table(out, "dropped")}
    return found


def test_every_page_meets_its_fate(job, finished):
    expected = json.loads((job.sample / "expected.json").read_text())
    found = fates(finished)
    documents = {"clean", *(d["reason"] for d in table(finished, "dropped"))}
    checked = 0
    for record in expected["records"]:
        source, _, file = record["file"].partition("/")
        if record["fate"] in documents:
            name = record["record_id"] or record["url"]
            assert found.pop((source, file, name)) == record["fate"], record
            checked += 1
    assert checked > 80
    assert found == {}, "documents that the sample does not know"


def test_records_that_gave_no_document_are_counted(job, finished):
    totals = Counter(json.loads((job.sample / "expected.json").read_text())["totals"])
    counts = manifests(finished)[0].counts
    assert counts.came_in == totals.total()
    for reason, n in {**counts.dropped, **counts.dead_letters}.items():
        assert totals[reason] == n, reason
    assert Counter(d["reason"] for d in table(finished, "dead_letters")) == counts.dead_letters


def test_each_document_is_in_exactly_one_place(finished):
    documents = [d["id"] for d in table(finished, "documents")]
    kept = [d["id"] for d in table(finished, "clean")]
    lost = [d["id"] for d in table(finished, "dropped")]
    assert len(set(documents)) == len(documents)
    assert sorted(kept + lost) == sorted(documents)


def test_dropped_points_into_documents(finished):
    for path in (finished / "dropped").glob("*.parquet"):
        ids = pq.read_table(finished / "documents" / path.name, columns=["id"])["id"].to_pylist()
        for row in pq.read_table(path).to_pylist():
            assert ids[row["row"]] == row["id"]


def test_the_manifests_agree_with_the_files(finished):
    for manifest in manifests(finished):
        for part in manifest.parts:
            part.counts.check(part.part)
            for output in part.outputs.values():
                path = finished / output.path
                assert path.stat().st_size == output.bytes
                if path.suffix == ".parquet":
                    assert pq.ParquetFile(path).metadata.num_rows == output.rows
        manifest.counts.check(manifest.stage)
    check_whole(manifests(finished))


@pytest.mark.parametrize("stage", range(1, 5))
def test_a_document_lost_between_stages_is_noticed(finished, stage):
    broken = manifests(finished)
    counts = broken[stage].counts
    broken[stage] = dataclasses.replace(broken[stage], counts=dataclasses.replace(counts, came_in=counts.came_in - 1))
    with pytest.raises(ConservationError, match=rf"came into {broken[stage].stage}\. Documents were lost or doubled"):
        check_whole(broken)


@pytest.mark.parametrize("lost", [Counts(came_in=5, went_out=4), Counts(came_in=5, went_out=5, dropped={"x": 1})])
def test_a_document_lost_or_doubled_inside_a_stage_is_noticed(lost):
    with pytest.raises(ConservationError, match="5 came in, but"):
        lost.check("filter")


def test_duplicates_name_one_survivor_a_cluster(finished):
    clusters: dict[bytes, list[dict]] = {}
    for row in table(finished, "duplicates"):
        clusters.setdefault(row["cluster"], []).append(row)
    assert clusters
    reasons = {d["id"]: d["reason"] for d in table(finished, "dropped")}
    for cluster, members in clusters.items():
        assert cluster == min(m["id"] for m in members)
        assert [m["cluster_size"] for m in members] == [len(members)] * len(members)
        [survivor] = [m for m in members if m["survivor"]]
        assert survivor["id"] not in reasons, "a survivor is never dropped"
        for m in members:
            if not m["survivor"]:
                assert reasons[m["id"]] == ("exact_duplicate" if m["exact"] else "near_duplicate")


def test_a_lost_document_fails_the_run(job, tmp_path, monkeypatch, capsys):
    """Breaks the filter so that it loses one document a batch, and sees the stage refuse to finish."""
    from pipelines import clean
    from pipelines.run import main
    from transforms.beam import filter as stage

    whole = stage.sieve
    monkeypatch.setattr(
        stage, "sieve", lambda *a, **k: dataclasses.replace(whole(*a, **k), clean=whole(*a, **k).clean.slice(1))
    )
    with pytest.raises(SystemExit) as ended:
        main(clean.run, job.arguments(tmp_path / "run"))
    assert "Documents were lost or doubled" in str(ended.value)
    assert "filter/part-" in str(ended.value)
    assert not (tmp_path / "run/clean/manifest.json").exists()
