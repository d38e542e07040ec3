from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.inputs import Input, InputFile, list_files, parse_input
from schemas.errors import RunError

CRAWL = "crawl-data/CC-MAIN-2020-34/segments/1/warc/a.warc.gz"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with three archives below crawl/."""
    monkeypatch.chdir(tmp_path)
    make("crawl/x.gz", "crawl/a/y.gz", "crawl/a/b/z.gz")
    return tmp_path


def make(*paths: str) -> None:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)


def names(*inputs: str, output: str | None = None) -> list[str]:
    files = list_files([parse_input(text) for text in inputs], output=output)
    return [f"{f.source}:{f.name}" for f in files]


def told(*inputs: str) -> str:
    with pytest.raises(RunError) as raised:
        list_files([parse_input(text) for text in inputs])
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "source", "pattern", "recipe"),
    [
        ("a/*.gz", "web", "a/*.gz", None),
        ("news=a/*.gz", "news", "a/*.gz", None),
        ("news=a/*.gz@web-en", "news", "a/*.gz", "web-en"),
        ("a/*.gz@mine.toml", "web", "a/*.gz", "mine.toml"),
        ("a/*.gz@/home/me/mine.toml", "web", "a/*.gz", "/home/me/mine.toml"),
        ("a@b/*.gz", "web", "a@b/*.gz", None),
        ("a@b/*.gz@web-en", "web", "a@b/*.gz", "web-en"),
        ("a/b=c/*.gz", "web", "a/b=c/*.gz", None),
        ("./year=2024/*.gz", "web", "./year=2024/*.gz", None),
        ("n-1_x=year=2024/*.gz", "n-1_x", "year=2024/*.gz", None),
        ("s3://bucket/year=1/a@b/*.gz", "web", "s3://bucket/year=1/a@b/*.gz", None),
        ("a.gz@", "web", "a.gz@", None),
        ("@web-en", "web", "@web-en", None),
        ("news=", "web", "news=", None),
        ("", "web", "", None),
        ("news=crawl/x=1@2.gz", "news", "crawl/x=1@2.gz", None),
        ("is=there@1.gz", "web", "is=there@1.gz", None),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("here")
def test_name_pattern_and_recipe(text: str, source: str, pattern: str, recipe: str | None) -> None:
    make("crawl/x=1@2.gz", "is=there@1.gz")
    assert parse_input(text) == Input(source=source, pattern=pattern, recipe=recipe)


@pytest.mark.parametrize("name", ["Web", "a.b", "x" * 65])
def test_a_source_must_do_as_a_folder(name: str) -> None:
    with pytest.raises(RunError) as raised:
        parse_input(f"{name}=x/*.gz")
    assert str(raised.value) == (
        f"--input {name}=x/*.gz: a source's name has lower-case letters, digits, - and _, at most 64; it names a "
        "folder of shards. If that = is part of a path, start the path with ./"
    )
    assert parse_input("x" * 64 + "=y").source == "x" * 64


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("crawl", ["a/b/z.gz", "a/y.gz", "x.gz"]), ("crawl/", ["a/b/z.gz", "a/y.gz", "x.gz"]),
        ("./crawl//", ["a/b/z.gz", "a/y.gz", "x.gz"]), ("crawl/**", ["a/b/z.gz", "a/y.gz", "x.gz"]),
        (".", ["crawl/a/b/z.gz", "crawl/a/y.gz", "crawl/x.gz"]), ("crawl/../crawl/*.gz", ["x.gz"]),
        ("crawl/*.gz", ["x.gz"]), ("./crawl//*.gz", ["x.gz"]), ("crawl/*/*.gz", ["a/y.gz"]), ("crawl/a/y.gz", ["y.gz"]),
        ("crawl/**/*.gz", ["a/b/z.gz", "a/y.gz"]), ("crawl/[xyz].gz", ["x.gz"]), ("crawl/?.gz", ["x.gz"]),
    ],
)  # fmt: skip
def test_a_name_is_the_path_below_the_root_of_the_pattern(here: Path, pattern: str, found: list[str]) -> None:
    assert names(pattern) == [f"web:{name}" for name in found]
    assert names(f"{here}/{pattern}") == [f"web:{name}" for name in found], "and so it is with the whole path"
    shutil.copytree("crawl", "other/mirror/crawl")
    if pattern != ".":
        assert names(f"other/mirror/{pattern}") == [f"web:{name}" for name in found], "and so it is with a copy"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("pattern", ["m", "m/*/crawl-data/**", "m/cc/crawl-data/*/*/*/*/*.gz", f"m/cc/{CRAWL}"])
def test_a_common_crawl_file_is_named_from_crawl_data_on(pattern: str) -> None:
    make(f"m/cc/{CRAWL}")
    assert names(pattern) == [f"web:{CRAWL}"]


@pytest.mark.usefixtures("here")
def test_a_folder_that_only_ends_like_crawl_data_is_none_of_common_crawls() -> None:
    make("my-crawl-data/a/x.gz", "m/my-crawl-data/a/x.gz")
    assert names("my-crawl-data") == names("m/my-crawl-data/**") == ["web:a/x.gz"]


@pytest.mark.usefixtures("here")
@given(order=st.permutations(["crawl", "news=crawl/*.gz", "crawl/**", "b=crawl/a", "news=crawl/x.gz"]))
def test_the_order_of_inputs_does_not_matter_and_a_file_given_twice_is_one(order: list[str]) -> None:
    assert names(*order) == ["b:b/z.gz", "b:y.gz", "news:x.gz", "web:a/b/z.gz", "web:a/y.gz", "web:x.gz"]


def test_a_file_carries_where_it_is_and_how_large(here: Path) -> None:
    [file] = list_files([parse_input("news=crawl/a/y.gz")])
    assert isinstance(file, InputFile) and (file.found.path, file.found.size) == ("crawl/a/y.gz", 4)
    os.utime(here / "crawl/a/y.gz", (1, 1))
    [touched] = list_files([parse_input("news=crawl/a/y.gz")])
    assert touched.found.identity != file.found.identity


@pytest.mark.usefixtures("here")
def test_two_files_of_one_name_are_refused_in_the_same_words_whatever_the_order() -> None:
    make("second/x.gz")
    says = told("crawl/*.gz", "second")
    assert (
        says
        == told("second", "crawl/*.gz")
        == (
            "--input: crawl/x.gz and second/x.gz would both be 'x.gz' of source 'web'. Give one of them a source of "
            "its own: --input NAME=PATTERN"
        )
    )
    assert names("crawl/*.gz", "b=second") == ["b:x.gz", "web:x.gz"]


@pytest.mark.usefixtures("here")
def test_one_file_under_two_names_is_refused_too() -> None:
    says = told("crawl", "crawl/a")
    assert says == told("crawl/a", "crawl")
    assert (
        says.startswith("--input: crawl/a/")
        and "is matched twice, as 'a/" in says
        and says.endswith("of source 'web'. Leave one of the patterns out.")
    )


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("pattern", ["crawl/*.zst", "no/such", "@web-en", "", "news="])
def test_a_pattern_that_matches_nothing_is_refused(pattern: str) -> None:
    assert told("crawl", pattern) == (
        f"--input {pattern}: no file matches. Check the path, and quote the pattern so that the shell leaves it alone."
    )


@pytest.mark.usefixtures("here")
def test_a_source_has_one_recipe() -> None:
    assert told("crawl@b", "crawl/*.gz@a", "news=crawl@c").startswith(
        "--input: source 'web' is given the recipes a and b."
    )
    assert len(names("crawl@a", "crawl/**@a", "crawl")) == 3


@pytest.mark.usefixtures("here")
def test_hidden_files_are_left_out_unless_asked_for() -> None:
    make("crawl/.DS_Store", "crawl/.git/q.gz", "crawl/a/.x.gz.99.tmp", ".h/z.gz")
    assert names("crawl") == ["web:a/b/z.gz", "web:a/y.gz", "web:x.gz"] and names("crawl/*") == ["web:x.gz"]
    assert names("crawl/.DS_Store") == ["web:.DS_Store"] and names("crawl/.*") == ["web:.DS_Store"]
    assert names(".h") == ["web:z.gz"] == names(".h/*")


def test_the_run_does_not_read_its_own_output(here: Path) -> None:
    before = names("crawl", output="crawl/out")
    make("crawl/out/run.json", "crawl/out/documents/part-1.json", "crawl/output.gz")
    assert names("crawl", output="crawl/out") == [*before[:2], "web:output.gz", before[2]]
    assert names("crawl", output=f"{here}/crawl/out/") == names("crawl", output="./crawl/out")
    assert "web:out/run.json" in names("crawl")


@pytest.mark.usefixtures("here")
def test_what_cannot_be_read_is_refused() -> None:
    os.mkfifo("crawl/pipe")
    assert told("crawl") == "--input crawl/pipe: is not a file. Leave it out."
    os.remove("crawl/pipe")
    make("crawl/n[1].gz")
    assert (
        told("crawl/n[1].gz")
        == "--input crawl/n[1].gz: *, ? and [ make a pattern, so no path can have them. Rename it."
    )
    with open(b"crawl/\xff.gz", "w"):
        assert told("crawl") == "--input crawl/\\udcff.gz: the name is not UTF-8. Rename it, or leave it out."


@pytest.mark.usefixtures("here")
@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_one_may_not_read_is_refused() -> None:
    os.chmod("crawl/x.gz", 0)
    assert told("crawl") == "--input crawl/x.gz: Permission denied. Make it readable, or leave it out."
