"""Before a stage's job goes to Prism, Flink or Spark: fills in what the cache knows, and refuses what cannot run, each
with one line. Later the same faults show as stack traces of another language, or as a job that waits for ever."""

from __future__ import annotations

import json
import logging
import re
import socket
import subprocess
import urllib.request
import zipfile
from pathlib import Path

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
    PrismRunnerOptions,
    SparkRunnerOptions,
    StandardOptions,
    WorkerOptions,
)

from pipelines.engines.artifacts import BEAM, FLINK, PAIRED, PRISM_STAMP, SPARK, Engine, bring, prism_binary
from pipelines.engines.given import check_driver, check_environment, endpoint_address, spark_address
from schemas.errors import RunError

JAVA = 11
"""The least version that both Flink 1.19 and Spark 3.5 state for themselves and Beam's libraries run on."""
TIMEOUT_S = 10
_FLINK_HERE = ("[auto]", "[local]")


def make_ready(options: PipelineOptions) -> None:
    """Sets, in `options`, what is not given: job-server jar or Prism's path, environment, workers, parallelism.

    Raises RunError if the engine cannot run them. Leaves other runners alone."""
    runner = (options.view_as(StandardOptions).runner or "").lower().removesuffix("runner")
    if runner not in ("prism", "flink", "spark"):
        return
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint:
        if address := endpoint_address(endpoint):
            _connect(*address, f"--job_endpoint {endpoint}", "Start the job server, or leave the option out")
        return
    # a worker in this process reports each end of a job as a torn stream; real errors come back with the job
    logging.getLogger("apache_beam.runners.worker.data_plane").setLevel(logging.CRITICAL)
    if runner == "prism":
        _prism(options.view_as(PrismRunnerOptions))
    elif runner == "flink":
        _flink(options)
    else:
        _spark(options)
    _pool(options.view_as(PortableOptions))


def _prism(prism: PrismRunnerOptions) -> None:
    given = prism.prism_location
    path = Path(given or prism_binary())
    if given and "://" in given:
        return
    if not path.exists():
        raise RunError(f"Prism is not at {path}. Run `{bring('prism')}`, or give its path as --prism_location.")
    if path.suffix != ".zip" and PRISM_STAMP not in path.read_bytes():
        raise RunError(f"{path}: not Prism of Beam {BEAM}, which runs here. Run `{bring('prism')}`.")
    prism.prism_location = str(path)


def _flink(options: PipelineOptions) -> None:
    flink, portable = options.view_as(FlinkRunnerOptions), options.view_as(PortableOptions)
    flink.flink_job_server_jar = _jar(flink.flink_job_server_jar, FLINK, "--flink_job_server_jar", options)
    if flink.flink_master in _FLINK_HERE:
        return
    version = minor_of(flink.flink_job_server_jar)
    cluster = _overview(flink.flink_master)
    if version and not cluster["flink-version"].startswith(f"{version}."):
        raise RunError(
            f"--flink_master {flink.flink_master} is Flink {cluster['flink-version']}, the job server is for {version}."
            " Give a job server of the cluster's minor version as --flink_job_server_jar."
        )
    if not cluster["slots-total"]:
        raise RunError(f"--flink_master {flink.flink_master} has no task slots: start its TaskManagers first.")
    check_environment(portable, options.view_as(WorkerOptions), cluster=flink.flink_master)
    if flink.parallelism == -1:
        flink.parallelism = cluster["slots-total"]
    if portable.sdk_worker_parallelism in (None, 1):
        portable.sdk_worker_parallelism = -(-cluster["slots-total"] // cluster["taskmanagers"])


def _spark(options: PipelineOptions) -> None:
    spark = options.view_as(SparkRunnerOptions)
    spark.spark_job_server_jar = _jar(spark.spark_job_server_jar, SPARK, "--spark_job_server_jar", options)
    if address := spark_address(spark.spark_master_url):
        _connect(*address, f"--spark_master_url {spark.spark_master_url}", "Start Spark's master")
        portable, worker = options.view_as(PortableOptions), options.view_as(WorkerOptions)
        check_environment(portable, worker, cluster=spark.spark_master_url)


def _jar(given: str | None, engine: Engine, option: str, options: PipelineOptions) -> str:
    """The job server's path, if Java is there to run it and it fits this Beam."""
    _java(options.view_as(JobServerOptions).job_server_java_launcher)
    path = Path(given or engine.job_server)
    if given and "://" in given:
        return given
    if not path.exists():
        raise RunError(f"the job server is not at {path}. Run `{bring(engine.name)}`, or give a jar as {option}.")
    beam = beam_of(str(path))
    if beam not in PAIRED[BEAM]:
        raise RunError(
            f"{path} is of Beam {beam or 'unknown'}, and this is Beam {BEAM}: they are not known to understand each "
            f"other. Give a jar of {' or '.join(sorted(PAIRED[BEAM]))} as {option}, or run `{bring(engine.name)}`."
        )
    main_class = re.search(r"^Main-Class: (\S+)", _member(str(path), "META-INF/MANIFEST.MF"), re.MULTILINE)
    check_driver(main_class[1] if main_class else None, str(path), wanted=engine.main, option=option)
    return str(path)


def beam_of(jar: str) -> str | None:
    """The version of Beam a job server is made of: from our manifest, or from the properties in a jar of Beam's."""
    text = _member(jar, "org/apache/beam/sdk/sdk.properties") or _member(jar, "META-INF/MANIFEST.MF")
    found = re.search(r"^(?:Beam-V|v)ersion[:=] ?(\S+)", text, re.MULTILINE)
    return found[1] if found else None


def minor_of(jar: str) -> str | None:
    """The engine's minor version a job server is for: from our manifest, or from the name of a jar of Beam's own."""
    named = re.search(r"flink-(\d+\.\d+)-job-server", Path(jar).name)
    found = named or re.search(r"^Engine-Version: (\S+)", _member(jar, "META-INF/MANIFEST.MF"), re.MULTILINE)
    return found[1] if found else None


def _member(jar: str, name: str) -> str:
    try:
        with zipfile.ZipFile(jar) as archive:
            return archive.read(name).decode("utf-8", "replace") if name in archive.namelist() else ""
    except (OSError, zipfile.BadZipFile) as error:
        raise RunError(f"{jar}: not a jar ({error}). Remove it and fetch it again.") from error


def _java(launcher: str) -> None:
    try:
        done = subprocess.run([launcher, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        raise RunError(
            f"{launcher}: cannot be started ({error.strerror}). Flink's and Spark's job servers need Java {JAVA} or "
            "later: install it, or give its path as --job_server_java_launcher."
        ) from error
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    if not found or int(found[1]) < JAVA:
        raise RunError(
            f"{launcher}: Java {found[1] if found else 'of no known version'}, and Flink's and Spark's job servers "
            f"need {JAVA} or later. Give the path of one as --job_server_java_launcher."
        )


def _overview(master: str) -> dict:  # type: ignore[type-arg]
    address = master if "://" in master else f"http://{master}"
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/overview", timeout=TIMEOUT_S) as answer:
            found: dict = json.load(answer)  # type: ignore[type-arg]
        found["flink-version"], found["slots-total"], found["taskmanagers"]
        return found
    except (OSError, ValueError, KeyError) as error:
        raise RunError(
            f"--flink_master {master}: no Flink answers there ({getattr(error, 'reason', error)}). Start the cluster, "
            "or give the address of its REST port."
        ) from error


def _pool(portable: PortableOptions) -> None:
    """A pool that goes by this machine's name for itself is each worker machine's own, and one by a name that is not
    known here is known there: neither can be seen from the launcher."""
    config = portable.environment_config or ""
    if not portable.environment_type and re.fullmatch(r"[\w.-]+:\d+", config):
        portable.environment_type = "EXTERNAL"
    if portable.environment_type != "EXTERNAL" or not re.fullmatch(r"[\w.-]+:\d+", config):
        return
    host, port = config.rsplit(":", 1)
    try:
        socket.getaddrinfo(host, int(port))
    except OSError:
        return
    _connect(
        host, int(port), f"--environment_config {config}",
        f"Start a worker pool: python -m transforms.beam.worker_pool --port {port}",
    )


def _connect(host: str | None, port: int | None, what: str, remedy: str) -> None:
    try:
        socket.create_connection((host or "", port or 0), timeout=TIMEOUT_S).close()
    except OSError as error:
        raise RunError(f"{what}: nothing answers there ({error.strerror or error}). {remedy}.") from error
