from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.recipes import WEB_EN
from pipelines.settings import Settings, check_output, read_settings, settings_of, write_settings
from schemas.errors import RunError
from schemas.recipes import Dedupe, Rule
from schemas.records import SCHEMA_VERSION

OTHER = replace(WEB_EN, name="other", languages=("de", "fr"), rules=(Rule(column="word_count", high=2.5, source="é"),))
SETTINGS = Settings(recipe=replace(WEB_EN, dedupe=Dedupe(seed=7)), sources={"web": WEB_EN, "news": OTHER})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def told(out: Path, *, checked: bool = False) -> str:
    with pytest.raises(RunError) as raised:
        check_output(str(out)) if checked else read_settings(str(out))
    return str(raised.value).replace(str(out), "OUT")


def test_settings_come_back_and_the_same_ones_give_the_same_bytes(out: Path) -> None:
    write_settings(str(out), SETTINGS)
    assert read_settings(str(out)) == SETTINGS
    first = (out / "run.json").read_bytes()
    assert [p.name for p in out.iterdir()] == ["run.json"]
    write_settings(str(out), replace(SETTINGS, sources=dict(reversed(SETTINGS.sources.items()))))
    assert (out / "run.json").read_bytes() == first
    check_output(str(out))


def test_rules_are_what_decides_who_passes_and_nothing_else() -> None:
    rules = SETTINGS.rules()
    assert list(rules) == ["news", "web"]
    assert rules["news"] == [["de", "fr"], [{"column": "word_count", "low": None, "high": 2.5, "source": "é"}]]
    elsewhere = replace(OTHER, name="renamed", dedupe=Dedupe(bands=3))
    assert replace(SETTINGS, sources={"web": WEB_EN, "news": elsewhere}).rules() == rules


def test_a_recipe_given_later_is_that_of_the_run_and_of_all_its_sources(out: Path) -> None:
    write_settings(str(out), SETTINGS)
    assert settings_of(str(out), None) == SETTINGS
    expected = Settings(recipe=WEB_EN, sources={"web": WEB_EN, "news": WEB_EN})
    assert settings_of(str(out), "web-en") == expected == read_settings(str(out))
    with pytest.raises(RunError, match="no such recipe"):
        settings_of(str(out), "nonesuch")
    assert read_settings(str(out)) == expected


def test_a_folder_that_is_no_output_is_refused(out: Path) -> None:
    check_output(str(out))
    assert told(out) == (
        "OUT: no run.json, so this is not the output of a run. Run pipelines.clean or pipelines.ingest first."
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"[]", "list indices must be integers or slices, not str"),
        (b"{}", "'schema_version'"),
        (b'{"schema_version": 1}', "'recipe'"),
        (b'{"schema_version": 1, "recipe": {}, "sources": 3}', "'int' object is not iterable"),
    ],
)
def test_a_damaged_file_is_told_and_may_be_written_again(out: Path, text: bytes, says: str) -> None:
    out.mkdir()
    (out / "run.json").write_bytes(text)
    assert told(out) == f"OUT/run.json: is damaged: {says}. Run pipelines.clean with its --input again."
    check_output(str(out))


def test_a_field_of_the_wrong_kind_is_named(out: Path) -> None:
    write_settings(str(out), SETTINGS)
    data = json.loads((out / "run.json").read_text())
    data["sources"]["news"]["dedupe"]["bands"] = "many"
    (out / "run.json").write_text(json.dumps(data))
    assert told(out) == "OUT/run.json, news, dedupe, bands: must be a whole number, not 'many'."


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 0, None, "1"])
def test_another_schema_is_refused_whatever_else_is_in_it(out: Path, version: object) -> None:
    out.mkdir()
    (out / "run.json").write_text(json.dumps({"schema_version": version, "unknown": 1}))
    says = (
        f"written with schema version {version}, this winnow writes {SCHEMA_VERSION}. Give another --output, or use "
        "the winnow that wrote it."
    )
    assert told(out) == f"OUT/run.json: {says}" and told(out, checked=True) == f"OUT: {says}"
