"""The files of the sample: their bytes, what expected.json says of them, and the prose they are made from."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator

from pipelines.sample.kinds import FILES, Page
from pipelines.sample.pages import RECORDS
from pipelines.sample.prose import read_prose
from pipelines.sample.write import write_sample

DIGEST = "402420c6fdedeea13b30c49735bd5d533c0fbdee882df26b948101ad2b3897a0"
"""SHA-256 over the SHA-256 of every file, as `_digests` gives them: the same on every machine and at every time."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample")
    write_sample(str(path))
    return path


def test_the_bytes_depend_on_nothing(folder: Path, tmp_path: Path) -> None:
    environments = {"a": {"PYTHONHASHSEED": "1", "TZ": "UTC"}, "b": {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"}}
    for name, environment in environments.items():
        command = [sys.executable, "-m", "pipelines.sample", str(tmp_path / name)]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], env={**os.environ, **environment}, check=True,
                              capture_output=True, text=True)
        assert f"{len(RECORDS)} records in 7 files" in done.stdout
    first, *others = [_digests(path) for path in (folder, tmp_path / "a", tmp_path / "b")]
    assert set(first) == {*FILES, "expected.json"} and all(other == first for other in others)
    digest = hashlib.sha256(json.dumps(first, sort_keys=True).encode()).hexdigest()
    assert digest == DIGEST, "if you changed the sample on purpose, put the new digest here; if not, find out why"


def _digests(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_expected_json_agrees_with_the_archives(folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    for file in FILES:
        rows = [row for row in expected["records"] if row["file"] == file]
        assert [row["position"] for row in rows] == list(range(expected["files"][file])), file
        if not file.startswith("json/"):
            with (folder / file).open("rb") as stream:
                records = ArchiveIterator(stream, parse_http=False)
                found = [(record.record_id, record.headers.get("WARC-Target-URI")) for record in records]
            assert [(row["record_id"], row["url"]) for row in rows] == found, file
    assert expected["totals"] == dict(Counter(record.fate for record in RECORDS))


def test_names_are_unique_and_every_text_is_used() -> None:
    assert max(Counter(record.name for record in RECORDS).values()) == 1
    used = {record.prose or record.name for record in RECORDS if isinstance(record, Page)}
    assert used == set(read_prose())


def test_prose_is_long_enough_to_learn_from() -> None:
    texts = read_prose()
    clean = {record.prose or record.name for record in RECORDS if isinstance(record, Page) and record.fate == "clean"}
    lengths = {name: len(texts[name].text().split()) for name in clean}
    assert len(lengths) >= 40
    assert {name: n for name, n in lengths.items() if not 120 <= n <= 360} == {}


def test_a_swap_that_changes_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="tides: 'no such words' is not in the text"):
        read_prose()["tides"].swapped((("no such words", ""),))
