from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from pipelines.recipes import RECIPES, WEB_EN, recipe_from, recipe_named
from schemas.errors import RunError
from schemas.recipes import Dedupe, Encode, Extract, Recipe, Rule, Tokenizer, Urls

FULL = """
name = "mine"
languages = ["de", "en"]
respect = ["noai", "tdm-reservation"]

[[rules]]
column = "word_count"
low = 20
high = 1e6
source = "tried"

[[rules]]
column = "alpha_word_ratio"
low = 0.75
source = "tried"

[urls]
domains = ["a.txt"]
words = ["b.txt", "c.txt"]
addresses = ["d.txt"]

[extract]
main_content = false
max_record_bytes = 1000
max_text_bytes = 2000
language_engine = "fasttext"

[dedupe]
ngram = 7
bands = 20
rows = 5
seed = 4
before_rules = true

[tokenizer]
vocab_size = 1000
min_count = 3
sample_per_million = 500_000
seed = -1

[encode]
seq_len = 128
shard_text_bytes = 4096
validation_per_million = 1
test_per_million = 2
seed = 9
"""


def told(path: Path, text: str | bytes) -> str:
    """What is said of a recipe file, its path shown as FILE."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RunError) as raised:
        recipe_named(str(path))
    return str(raised.value).replace(str(path), "FILE")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "news.toml"


def test_every_field_of_a_file_arrives(file: Path) -> None:
    file.write_text(FULL)
    found = recipe_named(str(file))
    assert found == Recipe(
        name="mine",
        languages=("de", "en"),
        respect=("noai", "tdm-reservation"),
        rules=(
            Rule(column="word_count", low=20, high=1e6, source="tried"),
            Rule(column="alpha_word_ratio", low=0.75, source="tried"),
        ),
        urls=Urls(domains=("a.txt",), words=("b.txt", "c.txt"), addresses=("d.txt",)),
        extract=Extract(main_content=False, max_record_bytes=1000, max_text_bytes=2000, language_engine="fasttext"),
        dedupe=Dedupe(ngram=7, bands=20, rows=5, seed=4, before_rules=True),
        tokenizer=Tokenizer(vocab_size=1000, min_count=3, sample_per_million=500_000, seed=-1),
        encode=Encode(seq_len=128, shard_text_bytes=4096, validation_per_million=1, test_per_million=2, seed=9),
    )
    for name in ("urls", "extract", "dedupe", "tokenizer", "encode"):
        ours, default = getattr(found, name), getattr(Recipe(name="x"), name)
        for one in dataclasses.fields(ours):
            if one.name == "extractor":  # its other value excludes main_content = false
                continue
            assert getattr(ours, one.name) != getattr(default, one.name), "a field that the file above forgot"


def test_a_file_chooses_the_extractor(file: Path) -> None:
    file.write_text('base = "web-en"\n[extract]\nextractor = "precision"\n')
    assert recipe_named(str(file)).extract == Extract(extractor="precision")
    file.write_text('base = "web-en"\n')
    assert recipe_named(str(file)).extract.extractor == "resiliparse"


def test_a_file_can_say_what_web_en_says(file: Path) -> None:
    rules = "".join(
        "[[rules]]\n"
        + "".join(f"{k} = {json.dumps(v)}\n" for k, v in dataclasses.asdict(rule).items() if v is not None)
        for rule in WEB_EN.rules
    )
    file.write_text(f'name = "web-en"\nlanguages = ["en"]\n{rules}')
    assert recipe_named(str(file)) == recipe_named("web-en") == WEB_EN


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_survives_json_and_keeps_its_own_checks(recipe: Recipe) -> None:
    assert recipe_from(json.loads(json.dumps(dataclasses.asdict(recipe))), where="here") == recipe
    assert recipe_from(dataclasses.asdict(recipe), where="here") == recipe
    assert RECIPES[recipe.name] is recipe


def test_a_file_without_a_name_has_its_own(file: Path) -> None:
    file.write_text("")
    assert recipe_named(str(file)) == Recipe(name="news")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("langauges = []",
         "recipe FILE: no such field langauges. Known: name, languages, respect, rules, urls, extract, "
         "dedupe, tokenizer, encode."),
        ("[dedupe]\nband = 1\nrow = 2",
         "recipe FILE, dedupe: no such field band, row. Known: ngram, bands, rows, "
         "seed, before_rules."),
        ('[[rules]]\ncolumn = "word_count"\nlow = 1', "recipe FILE, rules[0]: lacks source."),
        ("[[rules]]\nlow = 1", "recipe FILE, rules[0]: lacks column, source."),
        ("name = 3", "recipe FILE, name: must be text, not 3."),
        ('languages = "en"', "recipe FILE, languages: must be a list, not 'en'."),
        ('languages = ["en", 5]', "recipe FILE, languages[1]: must be text, not 5."),
        ("[encode]\nseq_len = 5.0", "recipe FILE, encode, seq_len: must be a whole number, not 5.0."),
        ("[encode]\nseq_len = true", "recipe FILE, encode, seq_len: must be a whole number, not True."),
        ('[extract]\nlanguage_engine = "fastText"',
         "recipe FILE, extract, language_engine: must be 'kernel' or 'fasttext', not 'fastText'."),
        ("[extract]\nlanguage_engine = []",
         "recipe FILE, extract, language_engine: must be 'kernel' or 'fasttext', not []."),
        ('[extract]\nextractor = "trafilatura"',
         "recipe FILE, extract, extractor: must be 'resiliparse' or 'precision', not 'trafilatura'."),
        ('[extract]\nextractor = "precision"\nmain_content = false',
         "recipe FILE, extract: the extractor 'precision' gives main content only. Leave main_content = false out, or "
         "take the extractor 'resiliparse'."),
        ("[extract]\nmain_content = 1", "recipe FILE, extract, main_content: must be true or false, not 1."),
        ('[[rules]]\ncolumn = "word_count"\nlow = "1"\nsource = ""',
         "recipe FILE, rules[0], low: must be a number, not '1'."),
        ('[[rules]]\ncolumn = "word_count"\nhigh = true\nsource = ""',
         "recipe FILE, rules[0], high: must be a number, "
         "not True."),
        ("dedupe = 4", "recipe FILE, dedupe: must be a table, not 4."),
        ("rules = [4]", "recipe FILE, rules[0]: must be a table, not 4."),
        ("[rules]\nlow = 1", "recipe FILE, rules: must be a list, not {'low': 1}."),
        ('[[rules]]\ncolumn = "word_count"\nlow = nan\nsource = ""',
         "recipe 'news', rule on 'word_count': nan is no bound. Leave a bound out to have it open."),
        ("a = = 1", "recipe FILE: not TOML: Invalid value (at line 1, column 5). Mend that."),
        (b'name = "\xff"',
         "recipe FILE: not TOML: 'utf-8' codec can't decode byte 0xff in position 8: invalid start "
         "byte. Mend that."),
        ("[dedupe]\nbands = 0", "recipe FILE, dedupe, bands: must be from 1 to 1000, not 0."),
        ("[dedupe]\nseed = 4294967296", "recipe FILE, dedupe, seed: must be from 0 to 4294967295, not 4294967296."),
        ("[tokenizer]\nvocab_size = 258",
         "recipe FILE, tokenizer, vocab_size: must be from 259 to 2147483647, not 258."),
        ("[encode]\nvalidation_per_million = 400_000\ntest_per_million = 600_000",
         "recipe FILE, encode: validation_per_million and test_per_million leave nothing to train on."),
    ],
)  # fmt: skip
def test_a_wrong_file_says_where_and_what(file: Path, text: str | bytes, says: str) -> None:
    assert told(file, text) == says


def test_an_unknown_rule_lists_the_known(file: Path) -> None:
    message = told(file, '[[rules]]\ncolumn = "wordcount"\nlow = 1\nsource = "x"')
    assert message.startswith("recipe 'news', rule on 'wordcount': no such signal. Known: char_count, word_count, ")


def test_unknown_names_and_unreadable_files(tmp_path: Path) -> None:
    def told_of(name: str) -> str:
        with pytest.raises(RunError) as raised:
            recipe_named(name)
        return str(raised.value)

    known = ", ".join(RECIPES)
    assert told_of("web-eng") == f"recipe 'web-eng': no such recipe. Known: {known}, or the path of a .toml file."
    remedy = "Give the path of a readable .toml file."
    assert told_of("no/such.toml") == f"recipe no/such.toml: cannot be read: No such file or directory. {remedy}"
    (tmp_path / "d.toml").mkdir()
    assert told_of(f"{tmp_path}/d.toml") == f"recipe {tmp_path}/d.toml: cannot be read: Is a directory. {remedy}"


def test_every_number_of_a_recipe_has_limits_and_its_default_lies_within(file: Path) -> None:
    for table in ("extract", "dedupe", "tokenizer", "encode"):
        for name, value in dataclasses.asdict(getattr(WEB_EN, table)).items():
            if isinstance(value, bool | str):
                continue
            assert "must be from" in told(file, f"[{table}]\n{name} = {10**30}"), (table, name)
            assert "must be from" in told(file, f"[{table}]\n{name} = {-(10**30)}"), (table, name)


def test_a_file_says_only_what_differs_from_its_base(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "web-en"\nlanguages = ["de"]\n[tokenizer]\nvocab_size = 500\n')
    recipe = recipe_named(str(path))
    assert recipe.name == "mine"
    assert recipe.languages == ("de",)
    assert recipe.rules == WEB_EN.rules
    assert recipe.tokenizer == dataclasses.replace(WEB_EN.tokenizer, vocab_size=500)
    assert recipe.encode == WEB_EN.encode


def test_a_base_that_is_no_recipe(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "web"\n')
    with pytest.raises(RunError, match=r"base: no recipe is named 'web'\. Known: web-en"):
        recipe_named(str(path))
