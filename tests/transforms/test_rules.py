from __future__ import annotations

import math
from dataclasses import replace

import pyarrow as pa
import pytest

from pipelines.recipes import WEB_EN
from schemas.documents import DOCUMENTS
from schemas.errors import RunError
from schemas.recipes import Recipe, Rule
from transforms.robots import KNOWN as DIRECTIVES
from transforms.rules import DECISION_COLUMNS, RULE_COLUMNS, check_rules, drop_reasons
from transforms.urls import UrlLists

SCHEMA = pa.schema([DOCUMENTS.field(name) for name in DECISION_COLUMNS])
KEPT: dict[str, object] = {
    **dict.fromkeys(DECISION_COLUMNS, 0),
    "language": "en",
    "language_confidence": 9000,
    "char_count": 1000,
    "word_count": 200,
    "mean_word_length": 5.0,
    "hash_word_ratio": 0.0,
    "ellipsis_word_ratio": 0.0,
    "bullet_line_ratio": 0.0,
    "ellipsis_line_ratio": 0.0,
    "alpha_word_ratio": 1.0,
    "stop_word_count": 8,
    "duplicate_line_ratio": 0.0,
    "duplicate_line_char_ratio": 0.0,
    "duplicate_paragraph_ratio": 0.0,
    "duplicate_paragraph_char_ratio": 0.0,
}
BOUNDS = [  # (column, bound, which way is out), from the papers and not from the recipe
    ("language_confidence", 6500, -1),
    ("word_count", 50, -1),
    ("word_count", 100_000, 1),
    ("mean_word_length", 3.0, -1),
    ("mean_word_length", 10.0, 1),
    ("hash_word_ratio", 0.1, 1),
    ("ellipsis_word_ratio", 0.1, 1),
    ("bullet_line_ratio", 0.9, 1),
    ("ellipsis_line_ratio", 0.3, 1),
    ("alpha_word_ratio", 0.8, -1),
    ("stop_word_count", 2, -1),
    ("duplicate_line_ratio", 0.3, 1),
    ("duplicate_line_char_ratio", 0.2, 1),
    ("duplicate_paragraph_ratio", 0.3, 1),
    ("duplicate_paragraph_char_ratio", 0.2, 1),
]


def reasons(*rows: dict[str, object], recipe: Recipe = WEB_EN) -> list[str | None]:
    batch = pa.RecordBatch.from_pylist([{**KEPT, **row} for row in rows], schema=SCHEMA)
    found = drop_reasons(batch, recipe=recipe)
    assert found.type == pa.string() and len(found) == len(rows)
    return found.to_pylist()


def rule(column: str, *, low: float | None = None, high: float | None = None) -> Rule:
    return Rule(column=column, low=low, high=high, source="here")


@pytest.mark.parametrize(("column", "bound", "out"), BOUNDS)
def test_a_value_at_its_bound_is_kept_and_the_next_one_is_dropped(column: str, bound: float, out: int) -> None:
    beyond = bound + out if isinstance(bound, int) else math.nextafter(bound, out * math.inf)
    assert reasons({column: bound}, {column: beyond}, {}) == [None, column, None]


def test_these_are_all_the_bounds_of_web_en() -> None:
    ours = {(r.column, b, out) for r in WEB_EN.rules for b, out in ((r.low, -1), (r.high, 1)) if b is not None}
    assert ours == set(BOUNDS) and len(BOUNDS) == sum((r.low is not None) + (r.high is not None) for r in WEB_EN.rules)


def test_a_blocked_address_comes_before_all_and_needs_lists() -> None:
    pages = [("http://a.org/x", "de"), ("http://b.org/x", "de"), (None, "en"), ("//w.a.org", "en")]
    rows = [{**KEPT, "url": url, "language": language} for url, language in pages]
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA.append(DOCUMENTS.field("url")))
    lists = UrlLists(domains=frozenset({"a.org"}))
    assert drop_reasons(batch, recipe=WEB_EN, lists=lists).to_pylist() == ["url", "language", None, "url"]
    assert drop_reasons(batch, recipe=WEB_EN).to_pylist() == ["language", "language", None, None]


def test_the_first_broken_rule_is_the_reason_and_language_comes_before_all() -> None:
    broken = {"stop_word_count": 0, "hash_word_ratio": 1.0, "word_count": 1}
    assert reasons(broken, {**broken, "language": "de"}, {**broken, "word_count": 60}) == [
        "word_count",
        "language",
        "hash_word_ratio",
    ]
    backwards = replace(WEB_EN, rules=WEB_EN.rules[::-1])
    assert reasons(broken, recipe=backwards) == ["stop_word_count"]


def test_every_broken_rule_names_its_own_column() -> None:
    names = [r.column for r in WEB_EN.rules]
    for first in range(len(names)):
        row = {c: b + o * 10 for c, b, o in BOUNDS if names.index(c) >= first}
        assert reasons(row) == [names[first]]


def test_languages_that_are_asked_for_and_none() -> None:
    rows = [{"language": code} for code in ("en", "de", "EN", "")]
    assert reasons(*rows) == [None, "language", "language", "language"]
    assert reasons(*rows, recipe=replace(WEB_EN, languages=("de", "en"))) == [None, None, "language", "language"]
    assert reasons(*rows, recipe=replace(WEB_EN, languages=())) == [None] * 4


def test_a_recipe_without_rules_keeps_all() -> None:
    assert reasons({"word_count": 0}, recipe=Recipe(name="all")) == [None]


@pytest.mark.parametrize("recipe", [WEB_EN, Recipe(name="all"), replace(WEB_EN, languages=())])
def test_no_documents_no_reasons(recipe: Recipe) -> None:
    assert reasons(recipe=recipe) == []


def test_whole_and_broken_bounds_on_either_kind_of_column() -> None:
    recipe = Recipe(
        name="odd", rules=(rule("word_count", low=49.5, high=50), rule("mean_word_length", low=3, high=3.5))
    )
    rows = [(49, 3.0), (50, 3.0), (51, 3.0), (50, 3.5), (50, math.nextafter(3.5, 4)), (50, math.nextafter(3, 2))]
    assert reasons(*({"word_count": w, "mean_word_length": m} for w, m in rows), recipe=recipe) == [
        "word_count",
        None,
        "word_count",
        None,
        "mean_word_length",
        "mean_word_length",
    ]


KNOWN = (
    "char_count, word_count, mean_word_length, hash_word_ratio, ellipsis_word_ratio, bullet_line_ratio, "
    "ellipsis_line_ratio, alpha_word_ratio, stop_word_count, duplicate_line_ratio, duplicate_line_char_ratio, "
    "duplicate_paragraph_ratio, duplicate_paragraph_char_ratio, top_2gram_char_ratio, top_3gram_char_ratio, "
    "top_4gram_char_ratio, duplicate_5gram_char_ratio, duplicate_6gram_char_ratio, duplicate_7gram_char_ratio, "
    "duplicate_8gram_char_ratio, duplicate_9gram_char_ratio, duplicate_10gram_char_ratio, "
    "terminal_punctuation_line_ratio, short_line_ratio, duplicate_full_line_char_ratio, newline_word_ratio, "
    "curly_bracket_count, lorem_ipsum_line_count, javascript_line_count, policy_line_count, c4_line_count, "
    "c4_sentence_count, fineweb_sentence_count, language_confidence"
)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (rule("wordcount", low=1), f"recipe 'mine', rule on 'wordcount': no such signal. Known: {KNOWN}."),
        (rule("text", low=1), f"recipe 'mine', rule on 'text': no such signal. Known: {KNOWN}."),
        (
            rule("word_count", low=5, high=4),
            "recipe 'mine', rule on 'word_count': low 5 is above high 4, so nothing passes. Swap them.",
        ),
        (
            rule("word_count"),
            "recipe 'mine', rule on 'word_count': neither low nor high is set, so it does nothing. Set one, or remove "
            "the rule.",
        ),
        (
            rule("word_count", low=math.nan, high=4),
            "recipe 'mine', rule on 'word_count': nan is no bound. Leave a bound out to have it open.",
        ),
        (
            rule("word_count", high=math.inf),
            "recipe 'mine', rule on 'word_count': inf is no bound. Leave a bound out to have it open.",
        ),
    ],
)
def test_a_rule_that_cannot_work_is_refused(wrong: Rule, says: str) -> None:
    with pytest.raises(RunError) as raised:
        check_rules(Recipe(name="mine", rules=(rule("word_count", low=1), wrong)))
    assert str(raised.value) == says


def test_rules_that_work_are_not_refused() -> None:
    check_rules(WEB_EN)
    check_rules(Recipe(name="one", rules=(rule("word_count", low=4, high=4), rule("word_count", low=0))))


def test_a_rule_may_name_every_measured_column() -> None:
    for column in RULE_COLUMNS:
        assert reasons({column: 7}, {column: 6}, recipe=Recipe(name="r", rules=(rule(column, low=7),))) == [
            None,
            column,
        ]


def test_a_language_that_the_model_does_not_know():
    with pytest.raises(RunError, match=r"recipe 'web-en', languages: no such label eng\. Known: af, als, am,"):
        check_rules(replace(WEB_EN, languages=("en", "eng")))


def test_a_recipe_may_respect_what_a_page_asks_of_robots() -> None:
    asked = [None, "noai", "noai,noindex", "noimageai", "ccbot:noai", "nofollow,noindex", "tdm-reservation"]
    schema = pa.schema([*SCHEMA, DOCUMENTS.field("robots")])
    rows = [{**KEPT, "robots": a, "language": "de" if k == 1 else "en"} for k, a in enumerate(asked)]
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    both = replace(WEB_EN, respect=("noindex", "noai"))
    assert drop_reasons(batch, recipe=both).to_pylist() == [None, "noai", "noindex", None, None, "noindex", None]
    assert drop_reasons(batch, recipe=WEB_EN).to_pylist() == [None, "language", *[None] * 5], "kept by default"
    every = replace(WEB_EN, respect=DIRECTIVES)
    found = drop_reasons(batch, recipe=every).to_pylist()
    assert found[3:] == ["noimageai", "ccbot:noai", "nofollow", "tdm-reservation"]
    check_rules(every)
    with pytest.raises(RunError, match=r"respect: no such directive noia\. Known: noai, noarchive"):
        check_rules(replace(WEB_EN, respect=("noia", "noai")))
