"""A large file is several parts: other files, the same documents."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipelines import ingest
from pipelines.ingest_parts import work
from pipelines.inputs import InputFile, list_files, parse_input
from pipelines.recipes import WEB_EN
from pipelines.settings import Settings, read_settings, settings_of
from pipelines.spans import spans_of
from schemas.errors import RunError
from schemas.records import Manifest, manifest_from_json
from transforms.beam.parts import PlannedPart
from transforms.identity import part_name

TEXTS = [f"This is document number {k}, with some words of its own. " * (1 + k % 7) for k in range(60)]
LINES = [json.dumps({"text": text, "id": k}).encode() + b"\n" for k, text in enumerate(TEXTS)]


def record(text: str) -> bytes:
    block = text.encode()
    head = f"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nContent-Length: {len(block)}\r\n\r\n"
    return head.encode() + block + b"\r\n\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of each format, some broken."""
    folder = tmp_path_factory.mktemp("large")
    table = io.BytesIO()
    pq.write_table(pa.table({"text": [*TEXTS, None]}), table, row_group_size=7)
    records = list(map(record, TEXTS))
    members = b"".join(map(gzip.compress, records))
    contents = {
        "lines.jsonl": b"".join(LINES) + b"{broken\n", "cut.jsonl.gz": gzip.compress(b"".join(LINES))[:-50],
        "lines.jsonl.zst": zstandard.compress(b"".join(LINES)), "rows.parquet": table.getvalue(),
        "members.warc.gz": members, "cut.warc.gz": members[:-30], "plain.warc": b"".join(records),
        "one.warc.gz": gzip.compress(b"".join(records)), "frames.warc.zst": b"".join(map(zstandard.compress, records)),
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder


SPLIT = {"lines.jsonl", "rows.parquet", "members.warc.gz", "plain.warc"}
"""Not cut.warc.gz: its damage is too near for any of its members to be taken for a boundary."""
SIZE = 1500


def run(folder: Path, out: Path, *options: str) -> Manifest:
    ingest.run([f"--input={folder}", f"--output={out}", *options])
    return manifest_from_json((out / "documents/manifest.json").read_text())


def rows(out: Path, manifest: Manifest, table: str) -> list[dict[str, object]]:
    found = [row for p in manifest.parts for row in pq.read_table(out / p.outputs[table].path).to_pylist()]
    return sorted(found, key=lambda row: (row["file"], row["offset"], row["inner_offset"]))


@pytest.fixture(scope="module")
def unsplit(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    out = tmp_path_factory.mktemp("unsplit")
    return out, run(folder, out)


def test_every_format_gives_its_documents(folder: Path, unsplit: tuple[Path, Manifest]) -> None:
    counts = {p.name: p.counts for p in unsplit[1].parts}
    assert counts.keys() == {path.name for path in folder.iterdir()}
    assert [p.part for p in unsplit[1].parts] == sorted(part_name(source="web", file=name) for name in counts)
    for name, count in counts.items():
        dead = {"lines.jsonl": {"bad_json": 1}, "rows.parquet": {"no_text": 1}}.get(name, {})
        if not name.startswith("cut"):
            assert (count.went_out, count.dead_letters) == (60, dead), name
        else:
            assert count.dead_letters == {"truncated": 1}


def test_parts_of_other_sizes_hold_the_same_documents(folder, unsplit, tmp_path) -> None:
    one_out, one = unsplit
    manifest = run(folder, tmp_path / "a", f"--part-bytes={SIZE}")
    assert len(manifest.parts) > 20
    assert manifest.counts == one.counts and manifest.tallies == one.tallies
    for table in ("documents", "dead_letters"):
        assert rows(tmp_path / "a", manifest, table) == rows(one_out, one, table)
    for path in folder.iterdir():
        parts = [p for p in manifest.parts if p.name == path.name]
        assert (len(parts) > 1) == (path.name in SPLIT)
        assert sum(p.input_bytes for p in parts) == path.stat().st_size
    again = run(folder, tmp_path / "b", f"--part-bytes={SIZE}", "--batch-rows=3")
    assert again.digest == manifest.digest


def test_the_size_is_kept_with_the_run(folder, tmp_path) -> None:
    manifest = run(folder / "plain.warc", tmp_path, "--part-bytes=5000")
    assert read_settings(str(tmp_path)).part_bytes == 5000
    assert settings_of(str(tmp_path), "web-en").part_bytes == 5000
    settings = json.loads((tmp_path / "run.json").read_text())
    del settings["part_bytes"]
    (tmp_path / "run.json").write_text(json.dumps(settings))
    assert read_settings(str(tmp_path)).part_bytes == 1 << 30
    other = run(folder / "plain.warc", tmp_path)
    assert other.plan_key != manifest.plan_key and len(other.parts) == 1


def planned(folder: Path, part_bytes: int) -> list[PlannedPart]:
    found = list_files([parse_input(str(folder))])
    return list(work(Settings(recipe=WEB_EN, sources={"web": WEB_EN}, part_bytes=part_bytes), found).parts)


def test_spans_cover_a_file_and_what_is_not_split_keeps_its_part(folder: Path) -> None:
    before, after = planned(folder, 1 << 30), planned(folder, SIZE)
    keys = {p.part: p.plan_key for p in before}
    assert {p.name for p in after if keys.get(p.part) == p.plan_key} == {p.name for p in before} - SPLIT
    assert [p.number for p in after] == list(range(len(after)))
    assert len({p.part for p in after}) == len({p.plan_key for p in after}) == len(after)
    for name in SPLIT:
        spans = sorted((p.work["start"], p.work["end"], p.size) for p in after if p.name == name)
        size = (folder / name).stat().st_size
        assert [start for start, _, _ in spans] == [0, *(end for _, end, _ in spans[:-1])]
        assert spans[-1][1] == size and len(spans) == -(-size // SIZE)
        assert all(0 < end - start == length <= SIZE for start, end, length in spans)


def one_file(path: Path) -> InputFile:
    return list_files([parse_input(str(path))])[0]


def test_a_file_is_split_when_it_is_larger_than_a_part(folder: Path) -> None:
    file = one_file(folder / "plain.warc")
    size = file.found.size
    assert spans_of([file, file], part_bytes=size) == [[None], [None]]
    assert spans_of([file], part_bytes=size - 1) == [[(0, size // 2), (size // 2, size)]]
    gone = replace(file, found=replace(file.found, path=str(folder / "gone")))
    assert spans_of([gone], part_bytes=size) == [[None]], "small files are not looked into"
    with pytest.raises(RunError, match=r"gone: cannot be read: .*Make it readable, or leave it out"):
        spans_of([gone], part_bytes=size - 1)
