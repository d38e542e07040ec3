"""Measured columns to a decision: the first rule of a recipe that a document breaks."""

from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import RunError
from schemas.recipes import Recipe, Rule
from schemas.signals import SIGNAL_NAMES
from transforms.language_labels import LABELS
from transforms.robots import KNOWN
from transforms.urls import UrlLists, blocked

RULE_COLUMNS: tuple[str, ...] = (*SIGNAL_NAMES, "language_confidence")
"""What a rule may name."""
DECISION_COLUMNS: tuple[str, ...] = ("language", *RULE_COLUMNS)
"""What `drop_reasons` reads, `url` where there are lists, and `robots` where a recipe respects it."""


def drop_reasons(batch: pa.RecordBatch, *, recipe: Recipe, lists: UrlLists | None = None) -> pa.StringArray:
    """For each document null, which keeps it, or why it is dropped: `url` if one of `lists`, those of the recipe,
    blocks its address, else the first of the directives that the recipe respects and its page has, else `language`,
    else the column of the first rule it breaks. `batch` has DECISION_COLUMNS, `url` if there are lists, and `robots` if
    there are directives; bounds are inclusive."""
    reasons = pa.nulls(batch.num_rows, pa.string())
    for rule in reversed(recipe.rules):
        reasons = pc.if_else(_breaks(batch.column(rule.column), rule), rule.column, reasons)
    if recipe.languages:
        wanted = pc.is_in(batch.column("language"), pa.array(recipe.languages, pa.string()))
        reasons = pc.if_else(wanted, reasons, "language")
    for directive in reversed(recipe.respect):
        asked = pc.match_substring(pc.binary_join_element_wise("", batch.column("robots"), "", ","), f",{directive},")
        reasons = pc.if_else(pc.fill_null(asked, False), directive, reasons)
    if lists:
        reasons = pc.if_else(blocked(batch.column("url"), lists=lists), "url", reasons)
    return reasons


def check_rules(recipe: Recipe) -> None:
    """Raises RunError when a language is none that the model knows, a directive none that is kept, a rule names a
    column that nobody produces, or no document could pass it."""
    if unknown := sorted(set(recipe.languages) - set(LABELS)):
        raise RunError(
            f"recipe {recipe.name!r}, languages: no such label {', '.join(unknown)}. Known: {', '.join(LABELS)}."
        )
    if unknown := sorted(set(recipe.respect) - set(KNOWN)):
        raise RunError(
            f"recipe {recipe.name!r}, respect: no such directive {', '.join(unknown)}. Known: {', '.join(KNOWN)}."
        )
    for rule in recipe.rules:
        where = f"recipe {recipe.name!r}, rule on {rule.column!r}"
        if rule.column not in RULE_COLUMNS:
            raise RunError(f"{where}: no such signal. Known: {', '.join(RULE_COLUMNS)}.")
        if rule.low is None and rule.high is None:
            raise RunError(f"{where}: neither low nor high is set, so it does nothing. Set one, or remove the rule.")
        if strange := [b for b in (rule.low, rule.high) if b is not None and not math.isfinite(b)]:
            raise RunError(f"{where}: {strange[0]} is no bound. Leave a bound out to have it open.")
        if rule.low is not None and rule.high is not None and rule.low > rule.high:
            raise RunError(f"{where}: low {rule.low} is above high {rule.high}, so nothing passes. Swap them.")


def _breaks(values: pa.Array, rule: Rule) -> pa.BooleanArray:
    broken = pa.array([False] * len(values), pa.bool_())
    if rule.low is not None:
        broken = pc.or_(broken, pc.less(values, rule.low))
    if rule.high is not None:
        broken = pc.or_(broken, pc.greater(values, rule.high))
    return broken
