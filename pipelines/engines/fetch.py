"""Brings an engine into the cache, through its registry's own client: mvn, pip, go. Each piece appears there whole and
with the right digests or not at all, and what is there is not fetched again."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from pipelines.engines.artifacts import PRISM, PRISM_STAMP, Engine, engines_folder, prism_binary
from schemas.errors import RunError

TIMEOUT_S = 1800
"""For one client's whole fetch: 0.4 GB on a slow line."""
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>winnow</groupId><artifactId>job-server</artifactId><version>1</version><dependencies><dependency>
<groupId>org.apache.beam</groupId><artifactId>{name}</artifactId><version>{version}</version>
</dependency></dependencies></project>
"""


def fetch_engine(engine: Engine) -> Path:
    """The job-server jar, with everything it names beside it. Raises RunError naming what could not be had."""
    with _scratch() as folder:
        if not engine.distribution_folder.is_dir():
            _distribution(engine, Path(folder))
        if not engine.library_folder.is_dir():
            _libraries(engine, Path(folder))
        if not engine.job_server.exists():
            _job_server(engine, Path(folder))
    return engine.job_server


def fetch_prism() -> Path:
    """Prism's binary, built by Go from Beam's module; Go checks the module against its checksum database."""
    if not prism_binary().exists():
        with _scratch() as folder:
            _run(["go", "install", PRISM], what="Prism", environment={"GOBIN": folder})
            built = Path(folder) / "prism"
            if PRISM_STAMP not in built.read_bytes():
                raise RunError(f"Prism: what `go install {PRISM}` built is not of that version.")
            os.replace(built, prism_binary())
    return prism_binary()


def _distribution(engine: Engine, folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:", "-d", str(folder)]
    _run([*pip, engine.distribution], what=engine.distribution)
    [archive] = folder.glob("*.tar.gz")
    _check(archive, engine.sha256)
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "unpacked", filter="data")
    [root] = (folder / "unpacked").iterdir()
    os.replace(root, engines_folder() / engine.distribution.replace("==", "-"))


def _libraries(engine: Engine, folder: Path) -> None:
    pom, jars = folder / "pom.xml", folder / "libraries"
    pom.write_text(_POM.format(name=engine.libraries, version=engine.beam))
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
    _run(["mvn", "-q", "-B", "-f", str(pom), *goal], what=f"org.apache.beam:{engine.libraries}:{engine.beam}")
    pins = engine.pins
    if {p.name for p in jars.iterdir()} != pins.keys():
        odd = sorted(pins.keys() ^ {p.name for p in jars.iterdir()})
        raise RunError(f"{engine.libraries}-{engine.beam}: Maven brought other jars than are pinned: {', '.join(odd)}.")
    for name, digest in pins.items():
        _check(jars / name, digest)
    os.replace(jars, engine.library_folder)


def _job_server(engine: Engine, folder: Path) -> None:
    """A jar of one manifest. Spark, which the cluster of `local[N]` is made of, comes last, with an older Guava than
    Beam's jars need; but SLF4J is Spark's, whose logging is of its second version."""
    spark = engine.name == "spark"
    jars = [p for p in sorted(engine.library_folder.glob("*.jar")) if not (spark and p.name.startswith("slf4j-api-"))]
    jars += sorted(engine.distribution_folder.glob("*.jar")) if spark else []
    lines = [
        "Manifest-Version: 1.0", f"Main-Class: {engine.main}", f"Beam-Version: {engine.beam}",
        f"Engine-Version: {engine.minor}",
        f"Class-Path: {' '.join(os.path.relpath(p, engines_folder()) for p in jars)}",
    ]
    built = folder / "job-server.jar"
    with zipfile.ZipFile(built, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "".join(map(_folded, lines)) + "\r\n")
    os.replace(built, engine.job_server)


def _folded(line: str) -> str:
    """A manifest's lines have at most 72 bytes with their end; a space begins what goes on (JAR file specification)."""
    pieces = [line[:70], *(" " + line[k : k + 69] for k in range(70, len(line), 69))]
    return "".join(piece + "\r\n" for piece in pieces)


def _check(path: Path, digest: str) -> None:
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        raise RunError(f"{path.name}: sha256 is {found}, not {digest}. Nothing was kept of it.")


def _run(command: Sequence[str], *, what: str, environment: dict[str, str] | None = None) -> None:
    if shutil.which(command[0]) is None:
        raise RunError(f"{what}: {command[0]} is not installed. Install it, and run the same command again.")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
            env={**os.environ, **(environment or {})},
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(f"{what}: {command[0]} took more than {TIMEOUT_S} s. Run the same command again.") from error
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        error_line = next((line for line in said if "ERROR" in line), said[-1] if said else "it said nothing")
        raise RunError(f"{what}: {command[0]} could not bring it: {error_line[:300]}")


def _scratch() -> tempfile.TemporaryDirectory[str]:
    engines_folder().mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=".fetching-", dir=engines_folder())
