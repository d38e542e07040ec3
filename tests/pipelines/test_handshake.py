"""A worker refuses parts that another version planned, before it reads or writes anything."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import clean, dedupe, encode, filter, ingest_parts, tokenizer
from pipelines.fingerprints import library_versions
from pipelines.models import language_model_path
from schemas.errors import RunError
from schemas.stages import INGEST
from transforms.beam import handshake, models, parts
from transforms.beam.parts import PlannedPart, largest_first, plan_path, write_plan

ROOT = Path(__file__).parents[2]
PART = PlannedPart(stage="ingest", part="part-a", plan_key="k", source="web", name="a", number=0, size=1)


def test_every_library_that_a_stage_imports_is_compared() -> None:
    used: dict[str, str] = {}
    for stage in (ingest_parts, dedupe, filter, tokenizer, encode):
        used |= library_versions(stage.CODE)
    assert {name.lower() for name in used} - {"python"} <= set(handshake.LIBRARIES)


@pytest.mark.parametrize("path", ["schemas/records.py", "transforms/warc.py", "transforms/beam/parts.py"])
def test_a_changed_source_is_another_version(tmp_path: Path, path: str) -> None:
    for name in handshake.PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-c", "from transforms.beam.handshake import code_version; print(code_version())"]

    def ask() -> str:
        return subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=True).stdout.strip()

    assert ask() == handshake.code_version(), "a copy elsewhere is the same version"
    (tmp_path / path).write_bytes((tmp_path / path).read_bytes() + b"#")
    assert ask() != handshake.code_version()


def test_another_library_is_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = handshake.code_version()
    monkeypatch.setattr(handshake.importlib.metadata, "version", lambda name: "0")
    handshake.code_version.cache_clear()
    theirs = handshake.code_version()
    monkeypatch.undo()
    handshake.code_version.cache_clear()
    assert theirs.split(".")[0] == ours.split(".")[0] and theirs != ours
    with pytest.raises(RunError, match=r"^here: was planned by other versions of libraries \("):
        handshake.check_code(theirs, where="here")
    with pytest.raises(RunError, match=r"^here: was planned by other code \(0\.0\) .*build their image"):
        handshake.check_code("0.0", where="here")
    handshake.check_code(ours, where="here")


def test_a_worker_does_nothing_for_another_version(tmp_path: Path) -> None:
    def never(part: PlannedPart) -> None:
        raise AssertionError("was processed")

    never.setup = lambda: None  # type: ignore[attr-defined]
    do = parts._ProcessPart(str(tmp_path), never)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="ingest/part-a: was planned by other code"):
        next(do.process(dataclasses.replace(PART, code="0.0")))
    assert not list(tmp_path.iterdir())


def test_a_plan_of_another_version_is_not_read(tmp_path: Path) -> None:
    write_plan(str(tmp_path), INGEST, [dataclasses.replace(PART, code="0.0")])
    with pytest.raises(RunError, match=r"plan\.jsonl: was planned by other code"):
        largest_first(plan_path(str(tmp_path), INGEST))
    fields = {**dataclasses.asdict(PART), "code": "0.0", "colour": "a field of a later version"}
    Path(plan_path(str(tmp_path), INGEST)).write_text(json.dumps(fields) + "\n")
    with pytest.raises(RunError, match=r"plan\.jsonl: was planned by other code"):
        largest_first(plan_path(str(tmp_path), INGEST))


def test_the_message_comes_back_through_the_runner(job, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.run.code_version", lambda: "0.0")
    with pytest.raises(RunError, match=r"was planned by other code \(0\.0\) than this worker has") as raised:
        clean.run(job.arguments(tmp_path / "run"))
    assert "\n" not in str(raised.value)
    assert not list((tmp_path / "run" / "documents").glob("part-*"))


def test_a_worker_without_the_launchers_model_takes_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = language_model_path()
    monkeypatch.setenv(models.OWN_COPY, found)
    assert models._own_copy("/not/here") == found
    models._own_copy.cache_clear()
    monkeypatch.setenv(models.OWN_COPY, "")
    with pytest.raises(RunError, match=r"/not/here is not on this worker, and \$WINNOW_LANGUAGE_MODEL names no file"):
        models.language_model("/not/here", engine="kernel")
    other = tmp_path / "lid.176.ftz"
    other.write_bytes(b"another model")
    monkeypatch.setenv(models.OWN_COPY, str(other))
    with pytest.raises(RunError, match=r"names .*lid\.176\.ftz \(sha256 [0-9a-f]{64}, not"):
        models.language_model("/not/here", engine="kernel")
