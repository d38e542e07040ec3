"""The named recipes, and recipes from files."""

from __future__ import annotations

import dataclasses
import os
import tomllib
import types
from typing import Any, get_args, get_origin, get_type_hints

from schemas.errors import RunError
from schemas.recipes import Recipe, Rule
from transforms.rules import check_rules

_GOPHER = "Gopher, arXiv 2112.11446, appendix A1.1"
_GOPHER_REPEATS = "Gopher, arXiv 2112.11446, table A1"

GOPHER_RULES: tuple[Rule, ...] = (
    Rule(column="word_count", low=50, high=100_000, source=_GOPHER),
    Rule(column="mean_word_length", low=3, high=10, source=_GOPHER),
    Rule(column="hash_word_ratio", high=0.1, source=_GOPHER),
    Rule(column="ellipsis_word_ratio", high=0.1, source=_GOPHER),
    Rule(column="bullet_line_ratio", high=0.9, source=_GOPHER),
    Rule(column="ellipsis_line_ratio", high=0.3, source=_GOPHER),
    Rule(column="alpha_word_ratio", low=0.8, source=_GOPHER),
    Rule(column="stop_word_count", low=2, source=_GOPHER),
    Rule(column="duplicate_line_ratio", high=0.30, source=_GOPHER_REPEATS),
    Rule(column="duplicate_line_char_ratio", high=0.20, source=_GOPHER_REPEATS),
    Rule(column="duplicate_paragraph_ratio", high=0.30, source=_GOPHER_REPEATS),
    Rule(column="duplicate_paragraph_char_ratio", high=0.20, source=_GOPHER_REPEATS),
)

WEB_EN = Recipe(
    name="web-en",
    languages=("en",),
    rules=(
        Rule(column="language_confidence", low=6500, source="0.65: RefinedWeb arXiv 2306.01116, FineWeb arXiv 2406.17557"),
        *GOPHER_RULES,
    ),
)

RECIPES: dict[str, Recipe] = {r.name: r for r in (WEB_EN,)}


def recipe_named(name: str) -> Recipe:
    """A recipe by name, or from a `.toml` file of the same fields. Raises RunError, listing what there is."""
    if name in RECIPES:
        return RECIPES[name]
    if not name.endswith(".toml"):
        raise RunError(f"recipe {name!r}: no such recipe. Known: {', '.join(RECIPES)}, or the path of a .toml file.")
    try:
        with open(name, "rb") as file:
            fields = tomllib.load(file)
    except OSError as error:
        raise RunError(f"recipe {name}: cannot be read: {error.strerror}. Give the path of a readable .toml file.") from error
    except tomllib.TOMLDecodeError as error:
        raise RunError(f"recipe {name}: not TOML: {error}. Mend that line.") from error
    fields.setdefault("name", os.path.basename(name).removesuffix(".toml"))
    return recipe_from(fields, where=f"recipe {name}")


def recipe_from(fields: dict[str, Any], *, where: str) -> Recipe:
    """A recipe from plain fields, as TOML or JSON holds them. Raises RunError at a wrong name, type or rule."""
    recipe: Recipe = _build(Recipe, fields, where)
    check_rules(recipe)
    return recipe


def _build(kind: Any, value: Any, where: str) -> Any:
    """`value` as the annotated type `kind`: dataclasses from tables, tuples from lists, and plain values."""
    if dataclasses.is_dataclass(kind):
        return _build_fields(kind, value, where)
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise RunError(f"{where}: must be a list, not {value!r}.")
        return tuple(_build(get_args(kind)[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    allowed = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if type(value) in allowed or (type(value) is int and float in allowed):
        return value
    names = " or ".join(getattr(t, "__name__", str(t)) for t in allowed)
    raise RunError(f"{where}: must be {names}, not {value!r}.")


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
