"""The sample's job as the other tests know it, and the engines that it is given to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.engines.artifacts import FLINK, SPARK, bring, prism_binary
from tests.engines.clusters import FlinkCluster
from tests.engines.spark_clusters import SparkCluster
from tests.pipelines.conftest import finished, job, promised, shared_data
from tests.pipelines.storage.conftest import (
    archives,
    crawl,
    demo,
    emulator,
    expected,
    gcs,
    moto,
    place,
    s3,
    server_ports,
)

__all__ = [
    "archives", "crawl", "demo", "emulator", "expected", "finished", "gcs", "job", "moto", "place", "promised", "s3",
    "server_ports", "shared_data",
]


def needs(path: Path, engine: str) -> None:
    if not path.exists():
        pytest.skip(f"{engine} is not in the cache: run `{bring(engine)}` (looked for {path})")


@pytest.fixture(scope="session")
def prism() -> list[str]:
    """Arguments of a run on Prism."""
    needs(prism_binary(), "prism")
    return ["--runner=PrismRunner"]


@pytest.fixture(scope="session")
def spark() -> list[str]:
    """Arguments of a run on two of Spark's local cores."""
    needs(SPARK.job_server, "spark")
    needs(Path(shutil.which("java") or "/nowhere/java"), "spark")
    return ["--runner=SparkRunner", "--spark_master_url=local[2]"]


@pytest.fixture
def spark_cluster(spark, tmp_path, monkeypatch):
    """A running cluster of one worker, whose executor has two cores."""
    monkeypatch.setenv("SPARK_LOCAL_HOSTNAME", "localhost")  # the driver, in the job server, listens there too
    cluster = SparkCluster(folder=tmp_path / "spark")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def flink(tmp_path):
    """A running cluster of two TaskManagers."""
    needs(FLINK.job_server, "flink")
    needs(Path(shutil.which("java") or "/nowhere/java"), "flink")
    cluster = FlinkCluster(folder=tmp_path / "flink")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
