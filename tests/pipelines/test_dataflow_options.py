"""Each missing or wrong option of a launch on Dataflow: one line, which names the option and the remedy."""

from __future__ import annotations

import re

import pytest

from pipelines import clean, ingest
from pipelines.dataflow import check_launch, job_name, stage_options
from pipelines.dataflow_options import BEAM, PYTHON, check_dataflow, image_versions
from pipelines.options import Options, parse
from schemas.errors import RunError
from schemas.stages import DEDUPE, INGEST

IMAGE = f"us-central1-docker.pkg.dev/p/winnow/winnow:0.1.0-beam{BEAM}-py{PYTHON}"
GOOD = {
    "--runner": "DataflowRunner", "--project": "my-project", "--region": "us-central1",
    "--temp_location": "gs://work/temp", "--sdk_container_image": IMAGE, "--sdk_location": "container",
    "--max_num_workers": "8", "--output": "gs://work/run", "--input": "gs://crawl/*.warc.gz",
}
PLACES = {"work": {"us-central1"}, "both": {"us-central1", "us-east1"}, "europe": {"europe-west4"}}


def options(*more: str, **changed: str | None) -> Options:
    given = {**GOOD, **{f"--{name}": value for name, value in changed.items()}}
    argv = [f"{name}={value}" for name, value in given.items() if value is not None]
    return parse([*argv, *more], command="clean", about="", needs_input=True)


def check(found: Options) -> list[str]:
    """The buckets that were asked for."""
    asked: list[str] = []

    def where_is(bucket: str) -> frozenset[str]:
        asked.append(bucket)
        return frozenset(PLACES[bucket])

    check_dataflow(found, where_is=where_is)
    return asked


def test_good_options_pass_and_the_buckets_are_asked_for_last() -> None:
    assert check(options()) == ["work", "work"]
    assert check(options("--staging_location=gs://both/staging", output="gs://both/run")) == ["both", "work", "both"]
    assert check(options(output="s3://elsewhere/run")) == ["work"]


@pytest.mark.parametrize(
    "more",
    [
        ["--service_account_email=loader@my-project.iam.gserviceaccount.com"],
        ["--service_account_email=123456-compute@developer.gserviceaccount.com"],
        ["--worker_machine_type=n2-custom-4-16384-ext"], ["--worker_machine_type=e2-standard-4"],
        ["--disk_size_gb=30"], ["--num_workers=8"], ["--flexrs_goal=COST_OPTIMIZED"],
        ["--flexrs_goal=SPEED_OPTIMIZED", "--autoscaling_algorithm=NONE"], ["--labels=team=data"],
        ["--template_location=gs://work/t", "--job_name=mine"],
    ],
)  # fmt: skip
def test_what_else_is_right(more: list[str]) -> None:
    check(options(*more))


@pytest.mark.parametrize(
    ("changed", "more", "starts", "remedy"),
    [
        ({"project": None}, [], "--project: is missing.", "--project=my-project"),
        ({"project": "123456789"}, [], "--project 123456789: ", "not its number"),
        ({"project": "My-Project"}, [], "--project My-Project: ", "--project=my-project"),
        ({"region": None}, [], "--region: is missing.", "--region=us-central1"),
        ({"region": "us-central1-a"}, [], "--region us-central1-a: is a zone.", "--region=us-central1"),
        ({"region": "america"}, [], "--region america: ", "--region=us-central1"),
        ({"temp_location": None}, [], "--temp_location: is missing.", "--temp_location=gs://BUCKET/temp"),
        ({"temp_location": "/tmp/x"}, [], "--temp_location /tmp/x: ", "--temp_location=gs://BUCKET/temp"),
        ({}, ["--staging_location=s3://b/x"], "--staging_location s3://b/x: ", "leave it out"),
        ({}, ["--service_account_email=me@gmail.com"], "--service_account_email me@gmail.com: ",
         "NAME@PROJECT.iam.gserviceaccount.com"),
        ({"output": "out"}, [], "--output out: ", "--output=gs://BUCKET/run"),
        ({"input": "crawl/*.gz"}, [], "--input crawl/*.gz: ", "--input=gs://BUCKET/"),
        ({}, ["--job_name=mine"], "--job_name: ", "Leave it out"),
        ({"sdk_container_image": None}, [], "--sdk_container_image: is missing", "deploy/README.md"),
        ({"sdk_location": None}, [], "--sdk_location default: ", "--sdk_location=container"),
        ({"sdk_container_image": "r/winnow:latest"}, [], "--sdk_container_image r/winnow:latest: ",
         f"-beam{BEAM}-py{PYTHON}"),
        ({"sdk_container_image": "r/w@sha256:00"}, [], "--sdk_container_image r/w@sha256:00: ",
         f"-beam{BEAM}-py{PYTHON}"),
        ({"sdk_container_image": f"r/w:1-beam2.70.0-py{PYTHON}"}, [], "--sdk_container_image r/w:1-beam2.70.0",
         "Build the image anew"),
        ({"sdk_container_image": f"r/winnow:1-beam{BEAM}-py3.9"}, [], "--sdk_container_image r/winnow:1",
         "Build the image anew"),
        ({"max_num_workers": None}, [], "--max_num_workers: is missing", "--max_num_workers=50"),
        ({"max_num_workers": "-1"}, [], "--max_num_workers: is missing", "--max_num_workers=50"),
        ({}, ["--num_workers=9"], "--num_workers 9: is more than --max_num_workers 8.", "Lower it"),
        ({}, ["--worker_machine_type=big"], "--worker_machine_type big: ", "n2-standard-4"),
        ({}, ["--disk_size_gb=29"], "--disk_size_gb 29: ", "30"),
        ({}, ["--flexrs_goal=COST_OPTIMIZED", "--autoscaling_algorithm=NONE"], "--flexrs_goal COST_OPTIMIZED: ",
         "Leave one of them out"),
        ({}, ["--flexrs_goal=COST_OPTIMIZED", "--dataflow_service_options=enable_prime"],
         "--flexrs_goal COST_OPTIMIZED: ", "enable_prime"),
        ({"output": "gs://europe/run"}, [], "--output gs://europe/run: the bucket europe is in europe-west4",
         "Give a bucket of us-central1"),
        ({"temp_location": "gs://europe/temp"}, [], "--temp_location gs://europe/temp: ", "--region"),
        ({}, ["--staging_location=gs://europe/s"], "--staging_location gs://europe/s: ", "--region"),
        ({"output": "gs://Work/run"}, [], "--output gs://Work/run: ", "lower case"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong(
    changed: dict[str, str | None], more: list[str], starts: str, remedy: str
) -> None:
    with pytest.raises(RunError) as raised:
        check(options(*more, **changed))
    told = str(raised.value)
    assert told.startswith(starts) and remedy in told and "\n" not in told


def test_a_setup_file_stands_in_for_an_image() -> None:
    check(options("--setup_file=./setup.py", sdk_container_image=None, sdk_location=None))


@pytest.mark.parametrize(
    ("image", "versions"),
    [
        ("apache/beam_python3.11_sdk:2.77.0", ("2.77.0", "3.11")),
        ("localhost:5000/winnow:1.2-beam2.77.0-py3.11", ("2.77.0", "3.11")),
        ("gcr.io/p/winnow:0.1.0-beam2.77.0-py3.12-abc@sha256:12", ("2.77.0", "3.12")),
        ("localhost:5000/winnow", (None, None)), ("winnow:latest", (None, None)),
    ],
)  # fmt: skip
def test_what_an_image_tells(image: str, versions: tuple[str | None, str | None]) -> None:
    assert image_versions(image) == versions


@pytest.mark.parametrize("command", [clean, ingest])
def test_options_are_checked_before_the_store_is_asked(command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is written to the store: without credentials its message would hide every other."""
    monkeypatch.setattr("pipelines.dataflow._client_library", lambda: None)
    monkeypatch.setattr(command, "locked", lambda out: pytest.fail("the store was asked first"))
    given = [f"{name}={value}" for name, value in GOOD.items() if name != "--project"]
    with pytest.raises(RunError, match=r"^--project: is missing"):
        command.run(given)


def test_all_stages_are_no_template() -> None:
    with pytest.raises(RunError, match="--template_location: a template is of one stage"):
        check_launch(options("--template_location=gs://work/t"), stages=5)


def test_other_runners_are_not_asked_about_dataflow() -> None:
    check_launch(parse(["--input=a", "--output=o"], command="clean", about="", needs_input=True), stages=5)


def test_names_of_jobs() -> None:
    name = job_name("gs://work/run", INGEST, "a plan")
    assert name == job_name("gs://work/run", INGEST, "a plan")
    others = {job_name("gs://work/run2", INGEST, "a plan"), job_name("gs://work/run", DEDUPE, "a plan"),
              job_name("gs://work/run", INGEST, "another")}
    assert len(others | {name}) == 4
    for found in others | {name}:
        # Dataflow's own rule for names of jobs
        assert len(found) <= 63 and re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", found)


def test_a_stage_has_options_of_its_own() -> None:
    given = options("--experiments=a")
    own = stage_options(given, INGEST, "k")
    own.get_all_options()["experiments"].append("b")
    assert own.get_all_options()["job_name"] == job_name("gs://work/run", INGEST, "k")
    assert given.beam.get_all_options()["job_name"] is None
