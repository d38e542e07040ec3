"""A signal is a function, a schema line, a rule line and a test row; this says which of them was forgotten."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from pipelines.recipes import RECIPES
from schemas.signals import SIGNAL_NAMES
from transforms.signals import COUNTS, RATIOS

ROOT = Path(__file__).parents[1]
UNRULED = {
    "javascript_line_count": "C4 drops such lines, not their page: c4_sentence_count has the effect",
    "policy_line_count": "the same",
    "c4_line_count": "the same",
}
"""Signals without a rule in any named recipe, and why."""
PLACES = {
    "function": ("transforms/signals.py", lambda: {*COUNTS, *RATIOS}),
    "schema line": ("schemas/signals.py", lambda: set(SIGNAL_NAMES)),
    "rule line": ("pipelines/published.py", lambda: {r.column for recipe in RECIPES.values() for r in recipe.rules}),
    "test row": (
        "tests/transforms/test_signals.py",
        lambda: set(runpy.run_path(str(ROOT / "tests/transforms/test_signals.py"))["reference"]("a b")),
    ),
}


def found() -> dict[str, set[str]]:
    places = {place: names() for place, (_, names) in PLACES.items()}
    places["rule line"] -= {"language_confidence"}  # a column of documents/, but no signal
    return places


def forgotten(places: dict[str, set[str]], *, unruled: dict[str, str]) -> list[str]:
    every = set().union(*places.values())
    lacks = [
        f"{name}: no {place}, in {PLACES[place][0]}"
        for place, names in places.items()
        for name in sorted(every - names - (unruled.keys() if place == "rule line" else set()))
    ]
    needless = [f"{name}: is UNRULED, yet has a rule" for name in sorted(unruled.keys() & places["rule line"])]
    return lacks + needless + [f"{name}: is UNRULED, and no signal" for name in sorted(unruled.keys() - every)]


def test_every_signal_has_its_four_places():
    assert forgotten(found(), unruled=UNRULED) == []


@pytest.mark.parametrize("place", PLACES)
def test_a_forgotten_place_is_named(place):
    places = found()
    places[place] -= {"short_line_ratio"}
    assert forgotten(places, unruled=UNRULED) == [f"short_line_ratio: no {place}, in {PLACES[place][0]}"]
    assert (ROOT / PLACES[place][0]).is_file()


@pytest.mark.parametrize("place", PLACES)
def test_what_is_in_one_place_alone_is_missed_in_the_others(place):
    places = found()
    places[place] |= {"new"}
    assert forgotten(places, unruled=UNRULED) == [f"new: no {p}, in {PLACES[p][0]}" for p in PLACES if p != place]


def test_an_exception_needs_a_signal_without_a_rule():
    assert forgotten(found(), unruled=UNRULED | {"short_line_ratio": "", "gone": ""}) == [
        "short_line_ratio: is UNRULED, yet has a rule", "gone: is UNRULED, and no signal",
    ]  # fmt: skip
    assert forgotten(found(), unruled={})[0] == "c4_line_count: no rule line, in pipelines/published.py"


@pytest.mark.parametrize("name", SIGNAL_NAMES)
def test_a_signal_was_worked_out_by_hand_too(name):
    text = (ROOT / PLACES["test row"][0]).read_text()
    assert re.search(rf'", "{name}", ', text) or re.search(rf'\), "{name}", ', text)
