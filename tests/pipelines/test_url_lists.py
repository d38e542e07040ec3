"""Lists of addresses in a run: what they block, what a change of them redoes, and what is said of wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines import filter as filter_stage
from pipelines import report
from pipelines.recipes import recipe_named
from pipelines.settings import Settings
from schemas.errors import RunError
from schemas.recipes import Urls
from transforms.beam.lists import digest_of, url_lists


def rows(out: Path, folder: str) -> list[dict]:
    return [row for path in sorted((out / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def reasons(out: Path) -> dict[bytes, str]:
    return {row["id"]: row["reason"] for row in rows(out, "dropped")}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe with a list of each kind, empty so far."""
    for name in ("domains.txt", "words.txt"):
        (tmp_path / name).write_text("# nothing\n")
    path = tmp_path / "listed.toml"
    path.write_text(
        f'base = "web-en"\n[tokenizer]\nvocab_size = 400\n[encode]\nseq_len = 64\n'
        f'[urls]\ndomains = ["{tmp_path}/domains.txt"]\nwords = ["{tmp_path}/words.txt"]\n'
    )
    return path


def test_a_blocked_address_is_dropped_and_a_longer_list_redoes_the_rules_alone(job, recipe, tmp_path):
    out = job.run(tmp_path / "out", f"--recipe={recipe}")
    before, documents = reasons(out), rows(out, "documents")
    assert "url" not in before.values()
    ingested = (out / "documents/manifest.json").read_bytes()
    kept = [row for row in rows(out, "clean") if row["url"]]
    host = kept[0]["url"].split("/")[2]
    (tmp_path / "domains.txt").write_text(host + "\n")
    last = kept[-1]["url"].split("/")[-1].split("-")[0].split(".")[0]
    (tmp_path / "words.txt").write_text(last + "\n")
    job.run(out, f"--recipe={recipe}")
    after = reasons(out)
    blocked = {d["id"] for d in documents if d["url"] and (host in d["url"] or last in d["url"].replace("-", "/"))}
    assert len(blocked) > 1 and blocked >= {kept[0]["id"], kept[-1]["id"]}
    assert {i for i, reason in after.items() if reason == "url"} == blocked
    assert not blocked & {row["id"] for row in rows(out, "clean")}
    assert (out / "documents/manifest.json").read_bytes() == ingested
    assert json.loads((out / "clean/manifest.json").read_text())["counts"]["dropped"]["url"] == len(blocked)
    shown = (out / "report.html").read_text()
    assert "a list of the recipe blocks its address" in shown and "not in the lists of digest" in shown
    (tmp_path / "words.txt").write_text("")
    with pytest.raises(RunError, match="filter was run with another recipe"):
        report.run([f"--output={out}"])
    (tmp_path / "words.txt").unlink()
    with pytest.raises(RunError, match=r"words\.txt: no such file"):
        filter_stage.run([f"--output={out}"])


def test_a_wrong_list_is_told_before_a_worker_starts(job, recipe, tmp_path):
    (tmp_path / "domains.txt").write_text("a.org\nhttp://b.org\n")
    with pytest.raises(RunError) as told:
        job.run(tmp_path / "out", f"--recipe={recipe}")
    wrong = "line 2: 'http://b.org' is not a domain, as example.org. Mend that line."
    assert str(told.value) == f"{tmp_path}/domains.txt: {wrong}"
    assert not (tmp_path / "out" / "run.json").exists()


def test_what_decides_has_the_digest_of_the_lists_and_not_their_path(recipe, tmp_path):
    found = recipe_named(str(recipe))
    settings = Settings(recipe=found, sources={"web": found, "other": recipe_named("web-en")})
    rules = settings.rules()
    assert len(rules["other"]) == 2 and rules["web"][2] == digest_of(found.urls)
    (tmp_path / "moved.txt").write_text("# nothing\n")
    moved = Urls(domains=(str(tmp_path / "moved.txt"),), words=found.urls.words)
    assert digest_of(moved) == digest_of(found.urls)
    assert digest_of(Urls(domains=found.urls.words)) != digest_of(Urls(words=found.urls.words))
    (tmp_path / "domains.txt").write_text("a.org\n")
    assert settings.rules()["web"][2] != rules["web"][2]


def test_a_list_that_changes_during_a_run_ends_it(tmp_path):
    path = tmp_path / "domains.txt"
    path.write_text("a.org\n")
    urls = Urls(domains=(str(path),))
    digest = digest_of(urls)
    path.write_text("b.org\n")
    with pytest.raises(RunError, match=r"domains\.txt: changed during the run"):
        url_lists(urls, digest)
    assert url_lists(urls, digest_of(urls)).domains == {"b.org"}


def test_a_list_that_is_no_text_is_told(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes(b"\xff")
    with pytest.raises(RunError, match=r"words\.txt: is not UTF-8"):
        digest_of(Urls(words=(str(path),)))
    with pytest.raises(RunError, match="cannot be read"):
        digest_of(Urls(words=(str(tmp_path),)))
