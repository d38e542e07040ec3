"""What was given for Spark, a job server that runs already, and the environment of workers: checked by its form."""

from __future__ import annotations

import re

from apache_beam.options.pipeline_options import PortableOptions, WorkerOptions

from schemas.errors import RunError

_LOCAL = re.compile(r"local(\[.+\])?")
_STANDALONE = re.compile(r"spark://(\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})")
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})")


def spark_address(master: str) -> tuple[str, int] | None:
    """(host, port) of a standalone master; None of Spark in the job server. Raises RunError at anything else."""
    if _LOCAL.fullmatch(master):
        return None
    found = _STANDALONE.fullmatch(master)
    if not found:
        raise RunError(
            f"--spark_master_url {master}: is no address that winnow knows. Give spark://HOST:PORT, the master of a "
            "standalone cluster, or local[N]."
        )
    return found[1].strip("[]"), int(found[2])


def endpoint_address(endpoint: str) -> tuple[str, int] | None:
    """(host, port) of a job server that runs already; None if Beam is to start one in this process. Raises RunError
    if it is no address."""
    if endpoint == "embed":
        return None
    found = _ADDRESS.fullmatch(endpoint)
    if not found:
        raise RunError(f"--job_endpoint {endpoint}: is no address. Give HOST:PORT of the job server, or leave it out.")
    return found[1].strip("[]"), int(found[2])


def check_environment(portable: PortableOptions, worker: WorkerOptions, *, cluster: str) -> None:
    """Raises RunError if nothing says where a cluster has its Python workers: Beam would have each machine start a
    container of its own image, in which there is no winnow."""
    if not (portable.environment_type or portable.environment_config or worker.sdk_container_image):
        raise RunError(
            f"--environment_config: is missing, so the workers of {cluster} would not have winnow. Start a worker pool "
            "on each of its machines, and give HOST:PORT of the pool as --environment_config (or an image that "
            "deploy/README.md says how to build, as --sdk_container_image)."
        )


def check_driver(main_class: str | None, jar: str, *, wanted: str, option: str) -> None:
    """Raises RunError if a jar's manifest names another program than the engine's job server. One that names none says
    nothing."""
    if main_class and main_class != wanted:
        raise RunError(f"{option} {jar}: starts {main_class}, not {wanted}. Give that engine's job server, or none.")
