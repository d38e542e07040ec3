"""The named recipes, and recipes from files."""

from __future__ import annotations

import dataclasses
import os
import tomllib
import types
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pipelines.published import C4, ENGLISH, FINEWEB, GOPHER, GOPHER_LINES, GOPHER_QUALITY
from schemas.errors import RunError
from schemas.recipes import Recipe, Rule
from transforms.rules import check_rules
from transforms.tokenizer_file import SPECIAL_TOKENS

WEB_EN = Recipe(name="web-en", languages=("en",), rules=(ENGLISH, *GOPHER_QUALITY, *GOPHER_LINES))

WIKIPEDIA = Recipe(
    name="wikipedia",
    rules=(
        Rule(column="char_count", low=100,
             source="ours: leaves out stubs of a line and bare lists of links; in characters, not Gopher's 50 words, "
                    "since Japanese, Chinese and Thai have hardly any white space"),
        GOPHER_LINES[0],
    ),
)
"""Every language, since a wiki is in one, and the model knows few of the small ones. Editors have done what the other
rules of Gopher are for, and its stop words are English."""

MILLION = 1_000_000
_I32, _I64 = 2**31 - 1, 2**63 - 1
LIMITS: dict[str, dict[str, tuple[int, int]]] = {
    "extract": {"max_record_bytes": (1, _I32), "max_text_bytes": (1, _I32)},
    "dedupe": {"ngram": (1, 1000), "bands": (1, 1000), "rows": (1, 1000), "seed": (0, 2**32 - 1)},
    "tokenizer": {
        "vocab_size": (256 + len(SPECIAL_TOKENS), _I32), "min_count": (0, _I64), "sample_per_million": (1, MILLION),
        "seed": (-_I64 - 1, _I64),
    },
    "encode": {
        "seq_len": (1, 1 << 20), "shard_text_bytes": (1, _I64), "validation_per_million": (0, MILLION),
        "test_per_million": (0, MILLION), "seed": (-_I64 - 1, _I64),
    },
}
"""Least and greatest value of each number of a recipe: what the types of tables, seeds and kernels hold, or far above
any use. A vocabulary has room for the 256 bytes and the special tokens."""
_IN_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}

RECIPES: dict[str, Recipe] = {r.name: r for r in (WEB_EN, GOPHER, FINEWEB, C4, WIKIPEDIA)}


def recipe_named(name: str) -> Recipe:
    """A recipe by name, or from a `.toml` file of the same fields. With `base = "web-en"` the file says only what is
    different: its tables are laid over the base's, its lists replace them. Raises RunError, listing what there is."""
    if name in RECIPES:
        return RECIPES[name]
    if not name.endswith(".toml"):
        raise RunError(f"recipe {name!r}: no such recipe. Known: {', '.join(RECIPES)}, or the path of a .toml file.")
    try:
        with open(name, "rb") as file:
            fields = tomllib.load(file)
    except OSError as error:
        raise RunError(
            f"recipe {name}: cannot be read: {error.strerror}. Give the path of a readable .toml file."
        ) from error
    except ValueError as error:  # a TOMLDecodeError, or bytes that are not UTF-8
        raise RunError(f"recipe {name}: not TOML: {error}. Mend that.") from error
    fields.setdefault("name", os.path.basename(name).removesuffix(".toml"))
    base = fields.pop("base", None)
    if base is not None and base not in RECIPES:
        raise RunError(f"recipe {name}, base: no recipe is named {base!r}. Known: {', '.join(RECIPES)}.")
    return recipe_from(_over(dataclasses.asdict(RECIPES[base]), fields) if base else fields, where=f"recipe {name}")


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`: tables field by field, everything else whole."""
    tables = [name for name in above if isinstance(above[name], dict) and isinstance(below.get(name), dict)]
    return {**below, **above, **{name: _over(below[name], above[name]) for name in tables}}


def recipe_from(fields: dict[str, Any], *, where: str) -> Recipe:
    """A recipe from plain fields, as TOML or JSON holds them. Raises RunError at a wrong name, type or rule."""
    recipe: Recipe = _build(Recipe, fields, where)
    _check_numbers(recipe, where)
    if recipe.extract.extractor == "precision" and not recipe.extract.main_content:
        raise RunError(
            f"{where}, extract: the extractor 'precision' gives main content only. Leave main_content = false out, or "
            "take the extractor 'resiliparse'."
        )
    check_rules(recipe)
    return recipe


def _check_numbers(recipe: Recipe, where: str) -> None:
    """Raises RunError at a number outside LIMITS, and where validation and test leave nothing to train on."""
    for table, limits in LIMITS.items():
        for name, (low, high) in limits.items():
            value = getattr(getattr(recipe, table), name)
            if not low <= value <= high:
                raise RunError(f"{where}, {table}, {name}: must be from {low} to {high}, not {value}.")
    if recipe.encode.validation_per_million + recipe.encode.test_per_million >= MILLION:
        raise RunError(f"{where}, encode: validation_per_million and test_per_million leave nothing to train on.")


def _build(kind: Any, value: Any, where: str) -> Any:
    """`value` as the annotated type `kind`: dataclasses from tables, tuples from lists, and plain values."""
    if dataclasses.is_dataclass(kind):
        return _build_fields(kind, value, where)
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise RunError(f"{where}: must be a list, not {value!r}.")
        return tuple(_build(get_args(kind)[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise RunError(f"{where}: must be {' or '.join(map(repr, get_args(kind)))}, not {value!r}.")
        return value
    allowed = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if type(value) in allowed or (type(value) is int and float in allowed):
        return value
    words = " or ".join(_IN_WORDS[t] for t in allowed if t in _IN_WORDS)
    raise RunError(f"{where}: must be {words}, not {value!r}.")


def _build_fields(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise RunError(f"{where}: must be a table, not {value!r}.")
    hints = get_type_hints(kind)
    if unknown := sorted(value.keys() - hints.keys()):
        raise RunError(f"{where}: no such field {', '.join(unknown)}. Known: {', '.join(hints)}.")
    needed = [f.name for f in dataclasses.fields(kind)
              if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    if missing := [name for name in needed if name not in value]:
        raise RunError(f"{where}: lacks {', '.join(missing)}.")
    return kind(**{name: _build(hints[name], v, f"{where}, {name}") for name, v in value.items()})
