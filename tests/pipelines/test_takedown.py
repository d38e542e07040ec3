"""A takedown replayed on a finished corpus: what is listed is nowhere, what stood behind it is there, and what had
nothing to do with it is as it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipelines import clean, takedown
from schemas.errors import RunError
from tests.pipelines.rights import (
    RECIPE,
    documents_by_split,
    every_byte,
    rows_with,
    shards_of,
    table,
    times,
    write_corpus,
)
from trainer.dataset import open_data
from trainer.takedown import masked_rows, read_takedown


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rights")
    found = write_corpus(folder / "in")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "list.txt").write_text("# asked for on a Monday\n" + "".join(f"{u}\n" for u in found.listed))
    return found


def job(corpus, out: Path, *options: str) -> Path:
    recipe = corpus.folder.parent / "recipe.toml"
    clean.run([f"--input={corpus.folder}", f"--output={out}", f"--recipe={recipe}", *options])
    return out


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """A finished run. Tests must not change it."""
    return job(corpus, tmp_path_factory.mktemp("whole") / "out")


@pytest.fixture(scope="module")
def taken(corpus, whole, tmp_path_factory):
    """The same, with the list replayed on it, its archives out of reach."""
    out = shutil.copytree(whole, tmp_path_factory.mktemp("taken") / "out")
    away = corpus.folder.rename(corpus.folder.with_name("away"))
    try:
        takedown.run([f"--output={out}", f"--list={corpus.folder.parent / 'list.txt'}"])
    finally:
        away.rename(corpus.folder)
    return out


@pytest.fixture(scope="module")
def scratch(corpus, tmp_path_factory):
    """A run from scratch with the list."""
    out = tmp_path_factory.mktemp("scratch") / "out"
    return job(corpus, out, f"--takedown={corpus.folder.parent / 'list.txt'}")


def same(one: Path, other: Path, *folders: str) -> None:
    for folder in folders:
        files = {p.name: p.read_bytes() for p in (one / folder).iterdir() if p.suffix == ".parquet"}
        assert files == {p.name: p.read_bytes() for p in (other / folder).iterdir() if p.suffix == ".parquet"}, folder
        records = {p.name: p.read_text() for p in (one / folder).glob("part-*.json")}
        assert records == {p.name: p.read_text() for p in (other / folder).glob("part-*.json")}, folder


def moved_between_splits(one: Path, other: Path) -> set[bytes]:
    """Documents that both runs have, in different splits."""
    old, new = documents_by_split(one), documents_by_split(other)
    return {i for split in old for i in old[split] if any(i in new[other] for other in new if other != split)}


def test_fifty_addresses(corpus, whole):
    assert len(corpus.listed) == len(set(corpus.listed)) == len(set(corpus.marks)) == 50
    held = {mark for _, data in every_byte(whole) for mark in corpus.marks if mark.encode() in data}
    assert held == set(corpus.marks), "the search finds each mark where nothing was taken down"
    kept = {d["url"] for d in table(whole, "clean")}
    assert not kept & {*corpus.freed, *corpus.shadowed} and len(kept & set(corpus.listed)) == 47
    letters = [d["record"] for d in table(whole, "dead_letters")]
    assert sum(corpus.marks[0].encode() in record for record in letters) == 1 and len(letters) == 2


def test_nothing_of_them_is_left_in_any_file(corpus, taken, scratch):
    for out in (taken, scratch):
        found = ((p.relative_to(out), m) for p, data in every_byte(out) for m in corpus.marks if m.encode() in data)
        assert not list(found)
        assert not {d["url"] for folder in ("documents", "clean") for d in table(out, folder)} & set(corpus.listed)


def test_the_account_names_them(taken, scratch):
    for out in (taken, scratch):
        counts = json.loads((out / "documents/manifest.json").read_text())["counts"]
        assert counts["dropped"] == {"takedown": 50}
        assert counts["came_in"] == counts["went_out"] + 50 + 2 and counts["dead_letters"] == {"bad_json": 2}
        letters = table(out, "dead_letters")
        held_back = sorted((d["detail"] == "taken down", d["record"] == b"") for d in letters)
        assert held_back == [(False, False), (True, True)]


def test_what_stood_back_is_freed(corpus, taken):
    assert {d["url"] for d in table(taken, "clean")} >= set(corpus.freed)


def test_it_is_what_a_run_from_scratch_gives(taken, scratch):
    same(taken, scratch, "documents", "dead_letters", "duplicates", "clean", "dropped")


def test_only_shards_that_held_them_or_get_a_survivor_are_made_anew(corpus, whole, taken):
    gone = {d["id"] for d in table(whole, "documents") if d["url"] in corpus.listed}
    freed = {d["id"] for d in table(taken, "documents") if d["url"] in corpus.freed}
    old, new = shards_of(whole), shards_of(taken)
    moved = moved_between_splits(whole, taken)
    clustered = {d["url"].split("/")[2] for d in table(taken, "documents") if d["id"] in moved}
    assert clustered == {"longer.example"}, "the splits of a cluster follow from its name, its smallest id"
    touched = {path for out, ids in ((whole, gone | moved), (taken, freed | moved)) for path, _ in rows_with(out, ids)}
    changed = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    assert changed == touched and 3 < len(changed) < len(old) - 3
    before, after = times(whole, "shards"), times(taken, "shards")
    numbers = {path.split("shard-")[1][:5] for path in touched}
    anew = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert {n.split("shard-")[1][:5] for n in anew if "shard-" in n} == numbers
    assert {n for n in anew if "shard-" not in n} == {
        "shards/manifest.json", "shards/stage.json", "shards/plan.jsonl", "shards/token_bytes.npy",
        *(f"shards/web-{number}.json" for number in numbers),
    }
    assert {n for n in after if n.endswith(".arrow")} == {f"shards/{path}" for path in new}, "none is left behind"


def test_the_tokenizer_is_kept(whole, taken, scratch):
    learnt = (whole / "tokenizer/tokenizer.json").read_bytes()
    assert (taken / "tokenizer/tokenizer.json").read_bytes() == learnt
    assert (scratch / "tokenizer/tokenizer.json").read_bytes() != learnt


def test_trainers_are_told_the_rows(corpus, whole, taken):
    gone = {d["id"] for d in table(whole, "documents") if d["url"] in corpus.listed}
    said = json.loads((taken / "manifest.json").read_text())["takedown"]
    [change] = said["changes"]
    listed = read_takedown(str(taken / change["list"]))
    assert set(listed.rows) == rows_with(whole, gone) and len(listed.rows) == change["rows"]
    old, new = shards_of(whole), shards_of(taken)
    assert {(s["path"], s["xxh3_before"], s["xxh3_after"]) for s in change["shards"]} == {
        (path, old.get(path), new.get(path)) for path in old.keys() | new.keys() if old.get(path) != new.get(path)
    }
    assert change["documents"] == len(gone) - len(corpus.shadowed)
    data = open_data(str(whole / "shards/manifest.json"))
    assert sum(len(r) for split in ("train", "validation", "test") for r in masked_rows(data, split, listed).values()) \
        == len(listed.rows)


def test_the_same_command_again_does_nothing(corpus, taken):
    before = times(taken, "documents", "clean", "shards", "takedown", "tokenizer")
    takedown.run([f"--output={taken}", f"--list={corpus.folder.parent / 'list.txt'}"])
    job(corpus, taken)  # the list holds without being given
    assert times(taken, "documents", "clean", "shards", "takedown", "tokenizer") == before
    assert sorted(p.name for p in (taken / "takedown").rglob("*") if p.is_file()) == sorted(
        ["history.json", "list.txt", "pin.json", *(p.name for p in (taken / "takedown").glob("rows-*.txt"))]
    )


def test_a_list_that_cannot_be_read_stops_it_before_anything_is_done(corpus, whole, tmp_path):
    (tmp_path / "bad.txt").write_text("example.org\nnot a thing/\n")
    with pytest.raises(RunError, match="line 2: 'not a thing/' is neither"):
        takedown.run([f"--output={whole}", f"--list={tmp_path / 'bad.txt'}"])
    assert not (whole / "takedown").exists() and (whole / "report.html").exists()
