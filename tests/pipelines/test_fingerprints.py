"""On copies of the two packages, since what is asked is what a change of their files does."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import clean, dedupe, encode, filter, ingest_parts, tokenizer
from pipelines.fingerprints import library_versions, stage_fingerprint

ROOT = Path(__file__).parents[2]
STAGES = {m.CODE for m in (ingest_parts, dedupe, filter, tokenizer, encode)}
ASK = """
import json
from pipelines.fingerprints import stage_fingerprint, library_versions, _closure
stages = {stages}
print(json.dumps({{s: [stage_fingerprint(s), sorted(_closure(s)[0])] for s in stages}}))
"""
Told = dict[str, tuple[str, list[str]]]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("schemas", "transforms"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pipelines").mkdir()
    shutil.copy(ROOT / "pipelines" / "fingerprints.py", tmp_path / "pipelines")
    return tmp_path


@pytest.fixture
def asked(copy: Path) -> Callable[[], Told]:
    def ask() -> Told:
        code = ASK.format(stages=sorted(STAGES))
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=copy, env={}, capture_output=True, text=True, check=True
        )
        return {stage: (key, modules) for stage, (key, modules) in json.loads(done.stdout).items()}

    return ask


def touched(copy: Path, before: Told, ask: Callable[[], Told], path: str) -> set[str]:
    """The stages whose fingerprint changes with the file."""
    file = copy / path
    old = file.read_bytes() if file.exists() else None
    file.write_bytes((old or b"") + b"\n")
    after = ask()
    if old is None:
        file.unlink()
    else:
        file.write_bytes(old)
    return {stage.rsplit(".", 1)[1] for stage in STAGES if after[stage][0] != before[stage][0]}


EVERY = {"ingest", "dedupe", "filter", "tokenizer", "encode"}


def test_a_stage_changes_with_whatever_it_imports_and_with_nothing_else(copy: Path, asked: Callable[[], Told]) -> None:
    before = asked()
    assert {stage: key for stage, (key, _) in before.items()} == {s: stage_fingerprint(s) for s in STAGES}, (
        "wherever it is"
    )
    for path, stages in {
        "transforms/warc.py": {"ingest"},  # imported inside a function
        "transforms/words.py": {"ingest", "dedupe"},  # three steps away
        "transforms/characters.npz": {"ingest", "dedupe"},  # data of characters.py
        "transforms/duplicates.py": {"dedupe"},
        "transforms/packing.py": {"encode"},
        "transforms/beam/tokenizer.py": {"tokenizer"},
        "transforms/digests.py": EVERY,
        "transforms/beam/files.py": EVERY,
        "schemas/errors.py": EVERY,
        "schemas/shards.py": {"encode"},
        "transforms/build_characters.py": set(),
        "transforms/new.py": set(),
        "pipelines/fingerprints.py": set(),
    }.items():
        assert touched(copy, before, asked, path) == stages, path
    assert asked() == before


def test_what_each_stage_stands_on(asked: Callable[[], Told]) -> None:
    found = asked()
    for stage, modules in {
        "ingest": [
            "schemas.documents",
            "transforms.page",
            "transforms.inflate",
            "transforms.jsonl",
            "transforms.language",
            "transforms.language_kernel",
            "transforms.language_tree",
            "transforms.language_words",
            "transforms.signals",
            "transforms.signatures",
            "transforms.beam.models",
            "transforms.rowgroups",
        ],
        "dedupe": ["transforms.duplicates", "transforms.rules", "transforms.signatures", "transforms.characters"],
        "filter": ["transforms.filtering", "transforms.rules", "schemas.signals", "transforms.beam.tables"],
        "tokenizer": ["transforms.pretokens", "transforms.merges", "transforms.identity", "transforms.tokenizer_file"],
        "encode": ["transforms.encoding", "transforms.packing", "transforms.shard_files", "transforms.splits"],
    }.items():
        closure = found[f"transforms.beam.{stage}"][1]
        assert not set(modules) - set(closure), stage
        assert {f"transforms.beam.{stage}", "transforms.beam.parts", "schemas.records"} <= set(closure)
        assert all(name.split(".")[0] in ("schemas", "transforms") for name in closure)
    assert "transforms.page" not in found["transforms.beam.filter"][1]


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_libraries_are_named_with_their_versions(stage: str) -> None:
    versions = library_versions(stage)
    assert versions["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert {"apache-beam", "pyarrow", "numpy", "xxhash"} <= versions.keys()
    assert all(importlib.metadata.version(name) == v for name, v in versions.items() if name != "python")
    assert ("fasttext-community" in versions) == stage.endswith("ingest")


def test_a_library_of_another_version_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines import fingerprints

    before, version = stage_fingerprint(filter.CODE), importlib.metadata.version
    cached = (fingerprints.stage_fingerprint, fingerprints._closure)
    [c.cache_clear() for c in cached]
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0" if name == "pyarrow" else version(name))
    after = stage_fingerprint(filter.CODE)
    monkeypatch.undo()
    [c.cache_clear() for c in cached]
    assert after != before == stage_fingerprint(filter.CODE)


def test_imports_are_such_as_are_found() -> None:
    """Relative ones, and those by string, would be missed."""
    for file in [*(ROOT / "schemas").rglob("*.py"), *(ROOT / "transforms").rglob("*.py")]:
        text = file.read_text(encoding="utf-8")
        assert "\nfrom ." not in text and "import_module" not in text and "__import__" not in text, file


def test_every_stage_of_clean_is_here() -> None:
    assert {name.rsplit(".", 1)[1] for name in STAGES} == EVERY
    assert clean.__doc__ and all(stage in clean.__doc__ for stage in EVERY)
