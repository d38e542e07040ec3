"""Stages as jobs of Dataflow. A job is named by output, stage and plan, so the same command finds it again.

The service is spoken to by Beam's own client; what it needs is the extra `gcp`, imported when the runner is asked for.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from functools import cache
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from pipelines.cloud_errors import readable
from pipelines.dataflow_options import check_dataflow, is_dataflow
from pipelines.options import Options
from schemas.errors import RunError
from schemas.stages import Stage
from transforms.identity import fingerprint

RUNS = frozenset(
    {"UNKNOWN", "STOPPED", "PENDING", "QUEUED", "RUNNING", "PAUSING", "PAUSED", "DRAINING", "CANCELLING",
     "RESOURCE_CLEANING_UP"}
)
"""States of a job that is not over: Dataflow's JobState, without JOB_STATE_. A new one may be UNKNOWN or STOPPED."""

ANSWER_S = 20.0
"""For the questions before a launch: a service that is down should be told of while its command is still in mind."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job of the service. `state` is without JOB_STATE_."""

    id: str
    name: str
    state: str

    @property
    def runs(self) -> bool:
        return self.state in RUNS


def job_name(output: str, stage: Stage, plan_key: str) -> str:
    """`winnow-ingest-0123456789abcdef0123`: the same for the same plan of the same output, and for no other."""
    return f"winnow-{stage.name}-{fingerprint([output, stage.name, plan_key])[:20]}"


def check_launch(options: Options, *, stages: int) -> None:
    """Everything that can be known before something is staged; nothing for another runner. Raises RunError."""
    if not is_dataflow(options):
        return
    cloud = options.beam.view_as(GoogleCloudOptions)
    if stages > 1 and cloud.template_location:
        raise RunError(
            "--template_location: a template is of one stage, and this command runs all. Give it to python -m "
            "pipelines.ingest, dedupe, filter, tokenizer or encode."
        )
    _client_library()
    for chatter in ("apache_beam", "google"):  # errors reach us as exceptions, states are told by our display
        logging.getLogger(chatter).setLevel(logging.CRITICAL)
    check_dataflow(options, where_is=lambda bucket: _regions_of(bucket, options.beam))


def stage_options(options: Options, stage: Stage, plan_key: str) -> PipelineOptions:
    """Options of one job: Beam changes what it is given, so each stage has its own."""
    own = copy.deepcopy(options.beam)
    cloud = own.view_as(GoogleCloudOptions)
    if not (cloud.template_location and cloud.job_name):  # whoever launches a template may name the job
        cloud.job_name = job_name(options.output, stage, plan_key)
    return own


def template_location(options: Options) -> str | None:
    """Where the job is to be written in place of being submitted."""
    place: str | None = options.beam.view_as(GoogleCloudOptions).template_location if is_dataflow(options) else None
    return place


class Service:
    """The service's jobs, of one project and region."""

    def __init__(self, options: PipelineOptions) -> None:
        from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient

        self._cloud = options.view_as(GoogleCloudOptions)
        self._client = DataflowApplicationClient(options, self._cloud.staging_location or self._cloud.temp_location)

    def active(self, name: str) -> Job | None:
        """The job of that name that is not over yet. Raises RunError if the service does not answer."""
        from google.cloud import dataflow

        request = dataflow.ListJobsRequest(
            project_id=self._cloud.project, location=self._cloud.region, name=name,
            filter=dataflow.ListJobsRequest.Filter.ACTIVE,
        )
        with readable("--project and --region", f"{self._cloud.project}, {self._cloud.region}"):
            found = [_job(j) for j in self._client._jobs_client.list_jobs(request, timeout=ANSWER_S)]
        return next((job for job in found if job.name == name and job.runs), None)

    def submit(self, pipeline: beam.Pipeline) -> Job | None:
        """Stages the graph and creates the job; None where a template was written instead."""
        with readable("the job", str(self._cloud.job_name)):
            result = pipeline.run()
        return _job(result._job) if result.has_job else None

    def look(self, job: Job) -> Job:
        with readable("the job", f"{job.name} ({job.id})"):
            return _job(self._client.get_job(job.id))

    def cancel(self, job: Job) -> None:
        self._client.modify_job_state(job.id, "JOB_STATE_CANCELLED")

    def errors(self, job: Job) -> list[str]:
        """What went wrong, the newest last."""
        found, token = [], None
        while True:
            messages, token = self._client.list_messages(
                job.id, page_token=token, minimum_importance="JOB_MESSAGE_ERROR"
            )
            found += [(m.time, m.message_text) for m in messages if m.message_importance.name == "JOB_MESSAGE_ERROR"]
            if not token:
                return [text for _, text in sorted(found, key=lambda f: f[0])]

    def counters(self, job: Job) -> dict[str, int]:
        """Our counters, as far as the service has them: attempts count too, so this is for the display alone."""
        found: dict[str, int] = {}
        for metric in self._client.get_job_metrics(job.id).metrics:
            context = dict(metric.name.context)
            if metric.name.origin == "user" and "tentative" in context:
                found[metric.name.name] = found.get(metric.name.name, 0) + int(_number(metric.scalar))
        return found


def _job(found: Any) -> Job:
    return Job(id=found.id, name=found.name, state=found.current_state.name.removeprefix("JOB_STATE_"))


def _number(scalar: Any) -> float:
    return float(getattr(scalar, "number_value", scalar) or 0)


@cache
def _client_library() -> None:
    try:
        import google.cloud.dataflow
        import google.cloud.storage  # noqa: F401
    except ImportError as error:
        raise RunError(
            f"--runner DataflowRunner: {error.name or 'google.cloud'} is not installed. "
            "Run: python -m pip install 'winnow-data[gcp]'"
        ) from error


def _regions_of(bucket: str, options: PipelineOptions) -> frozenset[str]:
    """Asked of Cloud Storage: the bucket's region, or the two of one that lies in two; of a multi-region its name."""
    from apache_beam.io.gcp.gcsio import create_storage_client
    from google.cloud.storage.retry import DEFAULT_RETRY

    with readable("bucket", f"gs://{bucket}"):
        patience = DEFAULT_RETRY.with_timeout(ANSWER_S)
        found = create_storage_client(options).get_bucket(bucket, timeout=ANSWER_S, retry=patience)
    return frozenset(r.lower() for r in (found.data_locations or [found.location]))
