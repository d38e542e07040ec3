"""Launching, finding again, failing and templates, against the service's real protocol on a loopback port."""

from __future__ import annotations

import json
import time

import pytest

from pipelines import ingest
from pipelines.inputs import InputFile
from pipelines.sample.write import write_sample
from schemas.errors import RunError
from transforms.beam import files

NEEDS = "apache-beam[gcp] is not installed: `make test-dataflow` brings it"
pytest.importorskip("google.cloud.dataflow", reason=NEEDS)
pytestmark = pytest.mark.dataflow
OUT = "--output=gs://work/run"


@pytest.fixture
def inputs(cloud, tmp_path) -> list[str]:
    write_sample(str(tmp_path / "sample"))
    return cloud.load(tmp_path / "sample")


def refused(*argv: str) -> str:
    with pytest.raises(RunError) as raised:
        ingest.run(list(argv))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("--temp_location=gs://missing-one/temp", "bucket gs://missing-one: there is no such thing."),
        ("--temp_location=gs://secret/temp", "bucket gs://secret: you may not look at it. Ask for the roles"),
        ("--temp_location=gs://europe/temp", "--temp_location gs://europe/temp: the bucket europe is in"),
        ("--project=no-such-project", "--project and --region no-such-project, us-central1: you may not look at it."),
        ("--dataflow_endpoint=http://localhost:9", "--project and --region my-project, us-central1: the service"),
    ],
)
def test_what_the_service_refuses_is_one_line_and_nothing_is_staged(cloud, inputs, change, says) -> None:
    before = {name for name in cloud.storage.objects if name[1].startswith("temp")}
    started = time.monotonic()
    assert refused(*inputs, OUT, *cloud.arguments(change)).startswith(says)
    assert time.monotonic() - started < 60
    assert {name for name in cloud.storage.objects if name[1].startswith("temp")} == before
    assert not cloud.service.created


def test_an_interrupted_launcher_finds_its_job_again(cloud, inputs, worker, monkeypatch, capfd) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.follow.time.sleep", interrupt)
        assert "runs on. Run the same command" in refused(*inputs, OUT, *cloud.arguments())
    [job] = cloud.service.jobs.values()
    plan = cloud.storage.objects["work", "run/documents/plan.jsonl"]
    promised = "gs://work/run/clean/manifest.json"  # of a later stage, by nobody: a running job's promises are kept
    cloud.storage.put("work", "run/clean/manifest.json", b"{}")
    cloud.service.start(job, worker)
    ingest.run([*inputs, OUT, *cloud.arguments()])
    assert len(cloud.service.created) == 1
    assert cloud.storage.objects["work", "run/documents/plan.jsonl"] == plan, "the plan of a running job is not touched"
    assert f"runs already as the job {job['name']}" in capfd.readouterr().err
    assert ("work", "run/documents/manifest.json") in cloud.storage.objects
    assert cloud.storage.read(promised) == b"{}"


def test_a_failed_job_is_told_and_submitted_anew(cloud, inputs) -> None:
    cloud.service.execute = lambda path: {"error": "Traceback\nRunError: gs://crawl/x: is cut.\n", "counters": {}}
    for count in (1, 2):
        assert refused(*inputs, OUT, *cloud.arguments()) == "gs://crawl/x: is cut."
        assert len(cloud.service.created) == count
    assert len({body["name"] for body in cloud.service.created}) == 1


def test_a_job_that_ends_without_a_manifest_is_no_success(cloud, inputs) -> None:
    cloud.service.execute = lambda path: {"error": None, "counters": {}}
    assert "the runner finished, but gs://work/run/documents/manifest.json is not there" in refused(
        *inputs, OUT, *cloud.arguments()
    )


def test_the_job_says_what_was_asked_for(cloud, inputs) -> None:
    cloud.service.execute = lambda path: {"error": "stop", "counters": {}}
    refused(*inputs, OUT, *cloud.arguments("--worker_machine_type=n2-standard-4", "--disk_size_gb=40",
                                           "--service_account_email=loader@my-project.iam.gserviceaccount.com"))
    [body] = cloud.service.created
    [pool] = body["environment"]["workerPools"]
    assert (pool["machineType"], pool["diskSizeGb"]) == ("n2-standard-4", 40)
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 2
    assert [i["containerImage"] for i in pool["sdkHarnessContainerImages"]] == [cloud.image]
    assert body["environment"]["serviceAccountEmail"] == "loader@my-project.iam.gserviceaccount.com"


def test_a_template_is_written_and_runs_later(cloud, inputs, worker, capfd) -> None:
    place = "gs://work/templates/ingest.json"
    ingest.run([*inputs, OUT, *cloud.arguments(f"--template_location={place}", "--job_name=mine")])
    assert not cloud.service.created and f"template written: {place}" in capfd.readouterr().err
    template = json.loads(cloud.storage.read(place))
    assert template["name"] == "mine"
    done = worker(template["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"])
    assert done == {"error": None, "counters": {"parts": 7, "documents": 90}}
    manifest = cloud.storage.read("gs://work/run/documents/manifest.json")
    ingest.run([*inputs, OUT, *cloud.arguments(f"--template_location={place}")])
    assert cloud.storage.read("gs://work/run/documents/manifest.json") == manifest, "what is done stays promised"


def test_a_worker_of_another_version_refuses(cloud, inputs, worker, monkeypatch) -> None:
    monkeypatch.setattr("pipelines.run.code_version", lambda: "0.0")
    cloud.service.execute = worker
    told = refused(*inputs, OUT, *cloud.arguments())
    assert told.startswith("gs://work/run/documents/plan.jsonl: was planned by other code (0.0) than this worker has")


@pytest.mark.parametrize("count", [10, 100_000])
def test_the_graph_does_not_grow_with_the_inputs(cloud, inputs, monkeypatch, count) -> None:
    """Dataflow takes graphs of 10 MB; ours is to stay a tenth of that."""
    listed = [
        InputFile(source="web", name=name, found=files.Found(path=f"gs://crawl/{name}", size=9, identity=f"9@{k}"))
        for k in range(count) for name in [f"crawl-data/CC-MAIN-2026-43/segments/{k:06d}/warc/part.warc.gz"]
    ]
    monkeypatch.setattr("pipelines.ingest.list_files", lambda *_, **__: listed)
    ingest.run([*inputs, OUT, *cloud.arguments("--template_location=gs://work/templates/t.json")])
    template = cloud.storage.read("gs://work/templates/t.json")
    graph = json.loads(template)["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
    sizes = len(cloud.storage.read(graph)), len(template)
    print(f"{count:,} inputs: graph {sizes[0]:,} bytes, job {sizes[1]:,} bytes")
    assert max(sizes) < 100_000
    assert cloud.storage.read("gs://work/run/documents/plan.jsonl").count(b"\n") == count
