"""What an engine needs is filled in, and what cannot run is refused before a job goes, each in one line."""

from __future__ import annotations

import json
import socket
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    PrismRunnerOptions,
    SparkRunnerOptions,
)

from pipelines.engines.artifacts import BEAM, FLINK, PAIRED, PRISM_STAMP, SPARK, prism_binary
from pipelines.engines.ready import beam_of, make_ready, minor_of
from pipelines.readable import readable_errors
from schemas.errors import RunError
from schemas.stages import INGEST


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache/engines").mkdir(parents=True)


@pytest.fixture(autouse=True)
def java(tmp_path):
    return launcher(tmp_path / "java", 'openjdk version "17.0.15" 2025-04-15')


def launcher(path, said):
    path.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    path.chmod(0o755)
    return path


def jar(path, *, beam="2.62.0", minor="1.19", main=""):
    with zipfile.ZipFile(path, "w") as archive:
        manifest = f"Manifest-Version: 1.0\r\nBeam-Version: {beam}\r\nEngine-Version: {minor}\r\n"
        manifest += f"Main-Class: {main}\r\n\r\n" if main else "\r\n"
        archive.writestr("META-INF/MANIFEST.MF", manifest)
    return path


@pytest.fixture
def cluster():
    """A port that answers as Flink's REST does; its state is to be changed."""
    state = {"flink-version": "1.19.3", "slots-total": 6, "taskmanagers": 2}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/overview" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(state).encode())

        def log_message(self, *_):
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", state
    server.shutdown()
    thread.join()
    server.server_close()


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ready(*arguments):
    options = PipelineOptions(list(arguments))
    make_ready(options)
    return options


def refused(*arguments):
    with pytest.raises(RunError) as found:
        ready(*arguments)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_flink_on_a_cluster_is_filled_in(java, cluster):
    jar(FLINK.job_server)
    options = ready("--runner=FlinkRunner", f"--flink_master={cluster[0]}", f"--job_server_java_launcher={java}",
                    "--environment_config=elsewhere.invalid:50000")
    flink, portable = options.view_as(FlinkRunnerOptions), options.view_as(PortableOptions)
    assert flink.flink_job_server_jar == str(FLINK.job_server)
    assert (flink.parallelism, portable.sdk_worker_parallelism, portable.environment_type) == (6, 3, "EXTERNAL")


def test_what_is_given_stays(java, cluster, tmp_path):
    mine = jar(tmp_path / "mine.jar", beam=BEAM)
    options = ready("--runner=flink", f"--flink_master={cluster[0]}", f"--job_server_java_launcher={java}",
                    f"--flink_job_server_jar={mine}", "--parallelism=4", "--environment_type=LOOPBACK")
    assert options.view_as(FlinkRunnerOptions).flink_job_server_jar == str(mine)
    assert options.view_as(FlinkRunnerOptions).parallelism == 4
    assert options.view_as(PortableOptions).environment_type == "LOOPBACK"


def test_spark_and_prism_are_filled_in(java):
    jar(SPARK.job_server, minor="3.5")
    spark = ready("--runner=SparkRunner", "--spark_master_url=local[2]", f"--job_server_java_launcher={java}")
    assert spark.view_as(SparkRunnerOptions).spark_job_server_jar == str(SPARK.job_server)
    prism_binary().write_bytes(b"..." + PRISM_STAMP + b"...")
    assert ready("--runner=PrismRunner").view_as(PrismRunnerOptions).prism_location == str(prism_binary())


def test_other_runners_and_job_servers_that_run_already_are_left_alone(tmp_path):
    ready("--runner=FnApiRunner")
    ready("--runner=DataflowRunner")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        endpoint = f"127.0.0.1:{listener.getsockname()[1]}"
        ready("--runner=FlinkRunner", f"--job_endpoint={endpoint}", "--flink_master=localhost:1")
    ready("--runner=SparkRunner", "--job_endpoint=embed", "--spark_master_url=anything")


def test_a_job_server_that_is_not_there():
    port = closed_port()
    said = refused("--runner=FlinkRunner", f"--job_endpoint=127.0.0.1:{port}")
    assert said.startswith(f"--job_endpoint 127.0.0.1:{port}: nothing answers there (Connection refused). Start ")
    assert refused("--runner=PrismRunner", "--job_endpoint=8099").startswith("--job_endpoint 8099: is no address. ")


@pytest.mark.parametrize("master", ["yarn", "foo", "spark://host", "http://host:7077", "localhost:7077", "local[2] "])
def test_a_spark_master_of_no_known_form(java, master):
    jar(SPARK.job_server, minor="3.5")
    said = refused("--runner=spark", f"--spark_master_url={master}", f"--job_server_java_launcher={java}")
    assert said.startswith(f"--spark_master_url {master}: is no address that winnow knows. Give spark://HOST:PORT")


@pytest.mark.parametrize(("engine", "other"), [(FLINK, SPARK), (SPARK, FLINK)])
def test_a_job_server_of_the_other_engine(java, tmp_path, engine, other):
    wrong = jar(tmp_path / "wrong.jar", main=other.main)
    option = f"--{engine.name}_job_server_jar"
    said = refused(f"--runner={engine.name}", f"{option}={wrong}", f"--job_server_java_launcher={java}")
    assert said.startswith(f"{option} {wrong}: starts {other.main}, not {engine.main}. ")
    right = jar(tmp_path / "right.jar", main=engine.main)
    ready(f"--runner={engine.name}", f"{option}={right}", f"--job_server_java_launcher={java}")


def test_workers_that_would_have_no_winnow(java, cluster):
    """Beam's own default on a cluster is a container of its image."""
    jar(FLINK.job_server)
    jar(SPARK.job_server, minor="3.5")
    host = cluster[0]  # it answers, which is all that is asked of Spark's master
    for command in (["--runner=flink", f"--flink_master={host}"],
                    ["--runner=spark", f"--spark_master_url=spark://{host}"]):
        command.append(f"--job_server_java_launcher={java}")
        said = refused(*command)
        assert said.startswith("--environment_config: is missing, so the workers of ") and host in said
        for enough in ("--environment_type=LOOPBACK", "--environment_config=elsewhere.invalid:1",
                       "--sdk_container_image=registry/winnow:1"):
            ready(*command, enough)


def test_no_java_and_an_old_one(tmp_path):
    jar(FLINK.job_server)
    said = refused("--runner=FlinkRunner", f"--job_server_java_launcher={tmp_path}/nowhere")
    assert said.startswith(f"{tmp_path}/nowhere: cannot be started (No such file or directory). ")
    old = launcher(tmp_path / "java8", 'java version "1.8.0_202"')
    assert "java8: Java 8, and" in refused("--runner=FlinkRunner", f"--job_server_java_launcher={old}")
    ten = launcher(tmp_path / "java10", 'openjdk version "10.0.2" 2018-07-17')
    assert "java10: Java 10, and" in refused("--runner=SparkRunner", f"--job_server_java_launcher={ten}")
    eleven = launcher(tmp_path / "java11", 'openjdk version "11" 2018-09-25')
    ready("--runner=FlinkRunner", f"--job_server_java_launcher={eleven}")


@pytest.mark.parametrize("engine", ["flink", "spark"])
def test_no_jar_names_the_command(java, engine):
    said = refused(f"--runner={engine}", f"--job_server_java_launcher={java}")
    assert f"Run `python -m pipelines.engines --{engine}`, or give a jar as --{engine}_job_server_jar." in said


def test_no_prism_names_the_command_and_another_version_is_refused():
    assert "Run `python -m pipelines.engines --prism`" in refused("--runner=PrismRunner")
    prism_binary().write_bytes(b"github.com/apache/beam/sdks/v2\tv2.76.0\t")
    assert f"not Prism of Beam {BEAM}" in refused("--runner=PrismRunner")


@pytest.mark.parametrize("beam", ["2.76.0", "2.62.1", "2.77.1"])
def test_a_jar_of_another_beam(java, tmp_path, beam):
    other = jar(tmp_path / "other.jar", beam=beam)
    said = refused("--runner=flink", f"--flink_job_server_jar={other}", f"--job_server_java_launcher={java}")
    assert f"{other} is of Beam {beam}, and this is Beam {BEAM}" in said


def test_a_jar_of_beams_own_says_its_version_too(tmp_path):
    path = tmp_path / "beam-runners-flink-1.20-job-server-2.77.0.jar"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("org/apache/beam/sdk/sdk.properties", "name=Beam\nversion=2.77.0\nbuild.date=now\n")
    assert (beam_of(str(path)), minor_of(str(path))) == ("2.77.0", "1.20")
    assert set(PAIRED) == {BEAM}


def test_half_a_jar(java, tmp_path):
    (tmp_path / "half.jar").write_bytes(b"PK\x03\x04")
    half = f"--flink_job_server_jar={tmp_path}/half.jar"
    said = refused("--runner=flink", half, f"--job_server_java_launcher={java}")
    assert "half.jar: not a jar" in said


def test_a_master_that_is_not_there(java):
    jar(FLINK.job_server)
    port = closed_port()
    said = refused("--runner=flink", f"--flink_master=127.0.0.1:{port}", f"--job_server_java_launcher={java}")
    assert f"--flink_master 127.0.0.1:{port}: no Flink answers there ([Errno 111] Connection refused). " in said
    jar(SPARK.job_server)
    master = f"--spark_master_url=spark://127.0.0.1:{port}"
    said = refused("--runner=spark", master, f"--job_server_java_launcher={java}")
    assert f"--spark_master_url spark://127.0.0.1:{port}: nothing answers there (Connection refused)" in said


@pytest.mark.parametrize(("found", "fits"), [("1.19.0", True), ("1.20.1", False), ("1.1.9", False), ("1.190.1", False)])
def test_a_cluster_of_another_minor_version(java, cluster, found, fits):
    jar(FLINK.job_server)
    cluster[1]["flink-version"] = found
    command = ["--runner=flink", f"--flink_master={cluster[0]}", f"--job_server_java_launcher={java}",
               "--environment_type=LOOPBACK"]
    if fits:
        ready(*command)
    else:
        assert f"is Flink {found}, the job server is for 1.19." in refused(*command)


def test_a_cluster_without_slots(java, cluster):
    jar(FLINK.job_server)
    cluster[1].update({"slots-total": 0, "taskmanagers": 0})
    assert "has no task slots" in refused(
        "--runner=flink", f"--flink_master={cluster[0]}", f"--job_server_java_launcher={java}"
    )


def test_a_worker_pool_that_is_not_there(java, cluster):
    jar(FLINK.job_server)
    said = refused("--runner=flink", f"--flink_master={cluster[0]}", f"--job_server_java_launcher={java}",
                   f"--environment_config=localhost:{closed_port()}")
    assert "nothing answers there (Connection refused). Start a worker pool: " in said


JAVA_TRACE = """Pipeline BeamApp-1_2 failed in state FAILED: java.io.IOException: %s
\tat org.apache.flink.runtime.Task.run(Task.java:1)
Caused by: java.lang.RuntimeException: Error received from SDK harness for instruction 4: %s
"""


def told(capsys, first, cause):
    with pytest.raises(RunError) as found, readable_errors(INGEST):
        raise RuntimeError(JAVA_TRACE % (first, cause))
    return str(found.value), capsys.readouterr().err


def test_what_a_worker_said_is_found_in_javas_stack_trace(capsys):
    cause = "Traceback (most recent call last):\n  File x\nschemas.errors.RunError: a.parquet: damaged. Mend it."
    said, printed = told(capsys, "bundle failed", f"{cause} [while running 'ParDo(x)-ptransform-7']")
    assert (said, printed) == ("a.parquet: damaged. Mend it.", "")


def test_an_engine_that_gives_up_is_told_in_its_own_first_line(capsys):
    said, printed = told(capsys, "Insufficient number of network buffers", "none")
    assert said.startswith("ingest: the engine gave up: java.io.IOException: Insufficient number of network buffers. ")
    assert said.endswith("run the same command again.")
    assert printed == ""


def test_a_fault_of_ours_keeps_its_stack_trace(capsys):
    said, printed = told(capsys, "bundle failed", "Traceback (most recent call last):\n  File x\nValueError: oh")
    assert "This is a fault of winnow's" in said
    assert "ValueError: oh" in printed
