"""What `--runner=DataflowRunner` was given, checked before anything is staged: each fault is one line with its remedy.

Forms are those of Google Cloud's own references for projects, regions, service accounts and machine types.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable

import apache_beam
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    SetupOptions,
    StandardOptions,
    WorkerOptions,
)

from pipelines.options import Options
from schemas.errors import RunError

LEAST_DISK_GB = 30
"""Dataflow's reference of pipeline options: room for a worker's boot image and its local logs."""
_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]{1,2}")
_BUCKET_PATH = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(/.*)?", re.DOTALL)
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9-]*@([a-z0-9-]+\.)+gserviceaccount\.com")
_MACHINE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+){1,5}")
_BEAM_IMAGE = re.compile(r"beam_python(?P<python>3\.[0-9]+)_sdk$")
_OUR_TAG = re.compile(r".*beam(?P<beam>[0-9]+(?:\.[0-9]+)+)-py(?P<python>3\.[0-9]+)(?:-.*)?")
BEAM = apache_beam.__version__
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def is_dataflow(options: Options) -> bool:
    name = options.beam.view_as(StandardOptions).runner or ""
    return name.rpartition(".")[2].lower().removesuffix("runner") == "dataflow"


def check_dataflow(options: Options, *, where_is: Callable[[str], frozenset[str]]) -> None:
    """Raises RunError, naming the option and the remedy, at the first thing that is missing or wrong.

    `where_is` asks the store for the regions that a bucket lies in; it is asked last, when all else is right."""
    _check_place(options)
    _check_image(options)
    _check_workers(options)
    cloud = options.beam.view_as(GoogleCloudOptions)
    paths = {"--output": options.output, "--temp_location": cloud.temp_location,
             "--staging_location": cloud.staging_location}
    for option, path in paths.items():
        if path and path.startswith("gs://"):
            _check_region(option, path, region=cloud.region, where_is=where_is)


def _check_place(options: Options) -> None:
    """Project, region, locations, account."""
    cloud = options.beam.view_as(GoogleCloudOptions)
    _has("--project", cloud.project, _PROJECT, "the id of the project, not its number: --project=my-project")
    zone = re.fullmatch(rf"({_REGION.pattern})-[a-z]", cloud.region or "")
    if zone:
        raise RunError(f"--region {cloud.region}: is a zone. Give its region: --region={zone[1]}")
    _has("--region", cloud.region, _REGION, "where the workers run: --region=us-central1")
    _has("--temp_location", cloud.temp_location, _BUCKET_PATH, "a folder of a bucket: --temp_location=gs://BUCKET/temp")
    if cloud.staging_location:
        _has("--staging_location", cloud.staging_location, _BUCKET_PATH, "a folder of a bucket, or leave it out")
    if cloud.service_account_email:
        _has("--service_account_email", cloud.service_account_email, _ACCOUNT,
             "NAME@PROJECT.iam.gserviceaccount.com, or leave it out for the project's default")
    if "://" not in options.output:
        raise RunError(
            f"--output {options.output}: workers on Dataflow do not see this machine's disk. Give a folder of a "
            "bucket: --output=gs://BUCKET/run"
        )
    for given in options.inputs:
        if "://" not in given:
            raise RunError(
                f"--input {given}: workers on Dataflow do not see this machine's disk. Copy it to a bucket and give "
                "its address: --input=gs://BUCKET/…"
            )
    if cloud.job_name and not cloud.template_location:
        raise RunError(
            "--job_name: winnow names its jobs itself, so that the same command finds them again. Leave it out; "
            "use --labels to mark a job."
        )


def _check_image(options: Options) -> None:
    """The workers' image, or what is installed on them: of this Beam and this Python."""
    setup = options.beam.view_as(SetupOptions)
    image = options.beam.view_as(WorkerOptions).sdk_container_image
    if not image:
        if not (setup.setup_file or setup.extra_packages):
            raise RunError(
                "--sdk_container_image: is missing, so workers would not have winnow. Give the image that "
                "deploy/README.md says how to build, with --sdk_location=container (or --setup_file, to try things)."
            )
        return
    if setup.sdk_location != "container":
        raise RunError(
            f"--sdk_location {setup.sdk_location}: with --sdk_container_image workers must use the Beam that is in the "
            "image. Give --sdk_location=container"
        )
    beam, python = image_versions(image)
    if beam is None:
        raise RunError(
            f"--sdk_container_image {image}: its tag does not tell its versions. Give the tag that deploy/README.md "
            f"says: …:VERSION-beam{BEAM}-py{PYTHON}"
        )
    if (beam, python) != (BEAM, PYTHON):
        raise RunError(
            f"--sdk_container_image {image}: has Beam {beam} and Python {python}, this launcher Beam {BEAM} and Python "
            f"{PYTHON}, and they must be equal. Build the image anew (deploy/README.md), or launch from it."
        )


def image_versions(image: str) -> tuple[str | None, str | None]:
    """(Beam, Python) that an image's name tells: our tags end in beam2.77.0-py3.11, Beam's own images are called
    beam_python3.11_sdk:2.77.0. (None, None) if it tells neither."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    beams = _BEAM_IMAGE.search(name)
    if beams and tag:
        return tag, beams["python"]
    ours = _OUR_TAG.fullmatch(tag)
    return (ours["beam"], ours["python"]) if ours else (None, None)


def _check_workers(options: Options) -> None:
    workers = options.beam.view_as(WorkerOptions)
    cloud = options.beam.view_as(GoogleCloudOptions)
    if not workers.max_num_workers or workers.max_num_workers < 1:
        raise RunError(
            "--max_num_workers: is missing, and without it a job may grow to all of the project's quota. Give the most "
            "workers that you want to pay for: --max_num_workers=50"
        )
    if workers.num_workers and workers.num_workers > workers.max_num_workers:
        raise RunError(
            f"--num_workers {workers.num_workers}: is more than --max_num_workers {workers.max_num_workers}. Lower it, "
            "or leave it out."
        )
    if workers.machine_type:
        _has("--worker_machine_type", workers.machine_type, _MACHINE, "a type of Compute Engine: n2-standard-4")
    if workers.disk_size_gb is not None and workers.disk_size_gb < LEAST_DISK_GB:
        raise RunError(
            f"--disk_size_gb {workers.disk_size_gb}: the image and its logs need {LEAST_DISK_GB}. Give at least that, "
            "or leave it out."
        )
    if cloud.flexrs_goal == "COST_OPTIMIZED":
        _check_flexrs(workers, cloud.dataflow_service_options or ())


def _check_flexrs(workers: WorkerOptions, service: Iterable[str]) -> None:
    """FlexRS mixes Spot and regular machines as it sees fit: it is for jobs that scale, without accelerators."""
    if workers.autoscaling_algorithm == "NONE":
        raise RunError(
            "--flexrs_goal COST_OPTIMIZED: needs autoscaling, and --autoscaling_algorithm is NONE. Leave one of them "
            "out."
        )
    for option in service:
        if option == "enable_prime" or option.startswith("worker_accelerator"):
            raise RunError(
                f"--flexrs_goal COST_OPTIMIZED: does not go with --dataflow_service_options={option}. Leave one of "
                "them out."
            )


def _check_region(option: str, path: str, *, region: str, where_is: Callable[[str], frozenset[str]]) -> None:
    """Reading from another region costs a fee a byte, and takes longer."""
    _has(option, path, _BUCKET_PATH, "gs://BUCKET/FOLDER, with a bucket's name in lower case")
    found = _BUCKET_PATH.fullmatch(path)
    bucket = found[1] if found else ""
    regions = where_is(bucket)
    if region not in regions:
        raise RunError(
            f"{option} {path}: the bucket {bucket} is in {' and '.join(sorted(regions))}, the workers in --region "
            f"{region}. Give a bucket of {region}, or the bucket's own region as --region."
        )


def _has(option: str, value: str | None, form: re.Pattern[str], remedy: str) -> None:
    if not value:
        raise RunError(f"{option}: is missing. Give {remedy}")
    if not form.fullmatch(value):
        raise RunError(f"{option} {value}: has not the form of one. Give {remedy}")
