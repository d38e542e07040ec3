"""What each engine needs, pinned, and where it lies in the cache once `python -m pipelines.engines` has brought it.

Beam's ready-made job-server jars are not at hand in every registry; the libraries that they are made of are. So a job
server is a folder of Beam's own jars, each with its digest in a `.sha256` file beside this one, and a small jar whose
manifest names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.models import cache_folder

HERE = Path(__file__).parent
BEAM = "2.77.0"
"""The launcher's Beam, and Prism's."""
PAIRED = {BEAM: frozenset({BEAM, "2.62.0"})}
"""Launcher's Beam to job servers' Beams that tests/engines runs it with. 2.62.0 is the newest of which Maven Central's
index lists both runners and the job service they stand on."""
PRISM = f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{BEAM}"
PRISM_STAMP = f"github.com/apache/beam/sdks/v2\tv{BEAM}\t".encode()
"""What Go's linker writes into a binary built from that module version."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A cluster engine. `libraries` is the Maven artifact whose dependencies, with it, are `pins`; `distribution` is
    the source archive on PyPI that holds the engine's own jars below `jars`."""

    name: str
    version: str
    libraries: str
    beam: str
    main: str
    distribution: str
    sha256: str
    jars: str

    @property
    def pins(self) -> dict[str, str]:
        """File name to sha256."""
        lines = (HERE / f"{self.libraries}-{self.beam}.sha256").read_text().splitlines()
        return {name: digest for digest, name in (line.split() for line in lines)}

    @property
    def job_server(self) -> Path:
        return engines_folder() / f"{self.libraries}-job-server-{self.beam}.jar"

    @property
    def library_folder(self) -> Path:
        return engines_folder() / f"{self.libraries}-{self.beam}"

    @property
    def distribution_folder(self) -> Path:
        return engines_folder() / self.distribution.replace("==", "-") / self.jars

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


FLINK = Engine(
    name="flink", version="1.19.3", libraries="beam-runners-flink-1.19", beam="2.62.0",
    main="org.apache.beam.runners.flink.FlinkJobServerDriver", distribution="apache-flink-libraries==1.19.3",
    sha256="4a58e3a1fb7d83340bc96b6c080624c6d792d69fae5d294b96224775204a9c60", jars="deps/lib",
)
SPARK = Engine(
    name="spark", version="3.5.6", libraries="beam-runners-spark-3", beam="2.62.0",
    main="org.apache.beam.runners.spark.SparkJobServerDriver", distribution="pyspark==3.5.6",
    sha256="f8b1c4360e41ab398c64904fae08740503bcb6bd389457d659fa6d9f2952cc48", jars="deps/jars",
)


def engines_folder() -> Path:
    return cache_folder() / "engines"


def prism_binary() -> Path:
    return engines_folder() / f"prism-{BEAM}"


def bring(engine: str) -> str:
    """The command that brings an engine into the cache."""
    return f"python -m pipelines.engines --{engine}"
