"""A takedown that dies at any file that it puts in place, and is run again, ends as one that was not disturbed."""

from __future__ import annotations

import json
import os
import re
import shutil

import pytest

from pipelines import clean, takedown
from tests.pipelines.rights import RECIPE, every_byte, rows_with, shards_of, table, write_corpus
from trainer.takedown import read_takedown

LISTED = "a shard that held what is listed"
DEATHS = (
    r"takedown/pin\.json", r"takedown/before\.json", r"takedown/list\.txt", r"documents/plan\.jsonl",
    r"dead_letters/part-\w+\.parquet", r"documents/part-\w+\.parquet", r"documents/part-\w+\.json",
    r"documents/manifest\.json", r"duplicates/part-\w+\.json", r"clean/part-\w+\.parquet", r"clean/manifest\.json",
    r"tokenizer/part-\w+\.json", r"takedown/index/.*", r"takedown/rows/.*", LISTED, r"shards/.*\.tfrecord",
    r"shards/web-\d+\.json",
)
"""After the first file of that name is in its place: as if the process were gone there."""
LAST = (
    r"shards/.*\.arrow", r"shards/manifest\.json", r"shards/stage\.json", r"takedown/rows-\w+\.txt",
    r"takedown/history\.json", r"/out/manifest\.json", r"report\.html",
)


class DeathError(Exception):
    """The process is gone."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rights")
    found = write_corpus(folder / "in")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "first.txt").write_text("".join(f"{u}\n" for u in found.listed[::2]))
    (folder / "second.txt").write_text("".join(f"{u}\n" for u in found.listed[1::2]) + "host12.example\n")
    return found


def dies_after(monkeypatch, pattern: str, run) -> None:
    replace, found = os.replace, re.compile(rf".*/{pattern}".replace("//", "/"))
    dead = []

    def replace_and_die(source, target):
        if dead:
            raise DeathError(pattern)
        replace(source, target)
        if found.fullmatch(str(target)):
            dead.append(target)
            raise DeathError(pattern)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace_and_die)
        with pytest.raises(Exception, match=r"."):
            run()
    assert dead, f"{pattern}: no such file was written"


def test_it_dies_at_each_kind_of_file_and_a_second_list_comes_between(corpus, tmp_path, monkeypatch, capsys):
    """The second list comes when some shards are made anew for the first, and others are not."""
    folder = corpus.folder.parent
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    clean.run([f"--input={corpus.folder}", f"--output={out}", f"--recipe={folder / 'recipe.toml'}"])
    whole = shutil.copytree(out, tmp_path / "whole")
    shutil.copytree(out, undisturbed)
    takedown.run([f"--output={undisturbed}", f"--list={folder / 'first.txt'}", f"--list={folder / 'second.txt'}"])
    [change] = json.loads((undisturbed / "manifest.json").read_text())["takedown"]["changes"]
    shard = min(read_takedown(str(undisturbed / change["list"])).rows)[0]
    shutil.move(corpus.folder, folder / "away")  # nothing is read from archives
    for pattern in DEATHS:
        pattern = re.escape(f"shards/{shard}") if pattern == LISTED else pattern
        dies_after(monkeypatch, pattern, lambda: takedown.run([f"--output={out}", f"--list={folder / 'first.txt'}"]))
    for pattern in LAST:
        dies_after(monkeypatch, pattern, lambda: takedown.run([f"--output={out}", f"--list={folder / 'second.txt'}"]))
    takedown.run([f"--output={out}"])
    capsys.readouterr()
    for kind in ("documents", "dead_letters", "duplicates", "clean", "dropped", "tokenizer"):
        ours, theirs = ({p.name: p.read_bytes() for p in (run / kind).iterdir() if p.name != "plan.jsonl"}
                        for run in (out, undisturbed))
        assert ours == theirs, kind
    assert shards_of(out) == shards_of(undisturbed)
    gone = {d["id"] for d in table(whole, "documents")} - {d["id"] for d in table(out, "documents")}
    assert len(gone) == 50 + 12
    [change] = json.loads((out / "manifest.json").read_text())["takedown"]["changes"]
    assert set(read_takedown(str(out / change["list"])).rows) == rows_with(whole, gone)
    left = sorted(p.name for p in (out / "takedown").rglob("*") if p.is_file())
    assert left == sorted(["history.json", "list.txt", "pin.json", change["list"].split("/")[1]])
    held = {(p.name, mark) for p, data in every_byte(out) for mark in corpus.marks if mark.encode() in data}
    assert not held
