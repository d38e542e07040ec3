"""The published recipes say what the publications say. The tables here were written from those, not from the code."""

from __future__ import annotations

import pytest

from pipelines.models import language_model_path
from pipelines.recipes import RECIPES
from schemas.recipes import Dedupe, Recipe
from transforms.beam.models import language_model
from transforms.measure import documents
from transforms.outcomes import Page
from transforms.rules import drop_reasons

NONE = None
QUALITY = [
    ("word_count", 50, 100_000), ("mean_word_length", 3, 10), ("hash_word_ratio", NONE, 0.1),
    ("ellipsis_word_ratio", NONE, 0.1), ("bullet_line_ratio", NONE, 0.9), ("ellipsis_line_ratio", NONE, 0.3),
    ("alpha_word_ratio", 0.8, NONE), ("stop_word_count", 2, NONE),
]  # fmt: skip
TABLE_A1 = [
    ("duplicate_line_ratio", NONE, 0.30), ("duplicate_line_char_ratio", NONE, 0.20),
    ("duplicate_paragraph_ratio", NONE, 0.30), ("duplicate_paragraph_char_ratio", NONE, 0.20),
    ("top_2gram_char_ratio", NONE, 0.20), ("top_3gram_char_ratio", NONE, 0.18), ("top_4gram_char_ratio", NONE, 0.16),
    ("duplicate_5gram_char_ratio", NONE, 0.15), ("duplicate_6gram_char_ratio", NONE, 0.14),
    ("duplicate_7gram_char_ratio", NONE, 0.13), ("duplicate_8gram_char_ratio", NONE, 0.12),
    ("duplicate_9gram_char_ratio", NONE, 0.11), ("duplicate_10gram_char_ratio", NONE, 0.10),
]  # fmt: skip
ENGLISH = [("language_confidence", 6500, NONE)]
PAGES = [("lorem_ipsum_line_count", NONE, 0), ("curly_bracket_count", NONE, 0)]
FINEWEB = [
    ("terminal_punctuation_line_ratio", 0.12, NONE), ("short_line_ratio", NONE, 0.67),
    ("duplicate_full_line_char_ratio", NONE, 0.01), ("newline_word_ratio", NONE, 0.3),
]  # fmt: skip
EXPECTED = {
    "web-en": [*ENGLISH, *QUALITY, *TABLE_A1[:4]],
    "gopher": [*QUALITY, *TABLE_A1],
    "fineweb": [*ENGLISH, *TABLE_A1, *QUALITY, *PAGES, ("fineweb_sentence_count", 5, NONE), *FINEWEB],
    "c4": [*ENGLISH, ("char_count", NONE, 190_000), *PAGES, ("c4_sentence_count", 3, NONE)],
}
SENTENCES = [
    "The harbour of the old town has been closed to ships since the bridge was built across its mouth.",
    "Fishermen still walk down every morning with nets that their fathers made, and talk of the weather.",
    "In summer a small boat carries visitors to an island where sheep graze among the ruins of a chapel!",
    "Who would have thought that so quiet a place once sent timber and wool to half of the continent?",
    "A museum keeps letters, maps and one enormous anchor, and is open when its keeper is at home.",
    "We stayed until dusk, ate bread with smoked mackerel, and drove back along the coast in the rain.",
]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recipe_has_the_published_numbers_in_the_published_order(name):
    recipe = RECIPES[name]
    assert [(r.column, r.low, r.high) for r in recipe.rules] == EXPECTED[name]
    assert recipe.languages == ("en",)
    assert all("arXiv" in r.source or ".py" in r.source for r in recipe.rules)
    assert recipe == Recipe(name=name, languages=("en",), rules=recipe.rules)


def test_no_recipe_is_left_out():
    ours = {"wikipedia"}  # no publication's
    assert EXPECTED.keys() == RECIPES.keys() - ours


@pytest.fixture(scope="module")
def fate():
    model = language_model(language_model_path(), engine="kernel")

    def of(text: str, recipe: str) -> str | None:
        page = Page(offset=0, inner_offset=0, text=text)
        batch = documents([page], source="web", file="f", model=model, dedupe=Dedupe())
        return drop_reasons(batch, recipe=RECIPES[recipe]).to_pylist()[0]

    return of


@pytest.mark.parametrize(
    ("text", "fates"),
    [
        ("\n".join(SENTENCES), {}),
        ("\n".join([*SENTENCES, "Then {it} was over."]),
         {"c4": "curly_bracket_count", "fineweb": "curly_bracket_count"}),
        ("\n".join([*SENTENCES, "Lorem Ipsum dolor."]),
         {"c4": "lorem_ipsum_line_count", "fineweb": "lorem_ipsum_line_count"}),
        ("\n".join([*SENTENCES, "We said of it. " * 12]),
         {"gopher": "top_4gram_char_ratio", "fineweb": "top_4gram_char_ratio"}),
        ("\n".join([*SENTENCES[:4], SENTENCES[0], SENTENCES[1] + " x"]),
         {"gopher": "duplicate_5gram_char_ratio", "fineweb": "duplicate_5gram_char_ratio"}),
        ("\n".join([s[:-1] for s in SENTENCES]),
         {"c4": "c4_sentence_count", "fineweb": "terminal_punctuation_line_ratio"}),
        (" ".join([s[:-1] + "," for s in SENTENCES]), {"c4": "c4_sentence_count", "fineweb": "fineweb_sentence_count"}),
        ("\n".join([*SENTENCES, *(f"Item {k}" for k in range(13))]), {"fineweb": "short_line_ratio"}),
        ("\n".join([*SENTENCES, "See the chapel.", "See the chapel."]), {"fineweb": "duplicate_full_line_char_ratio"}),
        ("\n\n\n\n\n\n\n".join(SENTENCES), {"fineweb": "newline_word_ratio"}),
    ],
)  # fmt: skip
def test_what_becomes_of_a_page(fate, text, fates):
    assert {name: why for name in RECIPES if name != "web-en" and (why := fate(text, name))} == fates
