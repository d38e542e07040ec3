"""What the manifests of a finished run say, as plain values. Pure: nothing here reads a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.recipes import Rule
from schemas.records import Counts, PartRecord
from schemas.shards import ShardManifest
from transforms.filtering import EXACT, NEAR
from transforms.pretokens import byte_alphabet

Holds = Callable[[PartRecord], Mapping[str, int]]


@dataclass(frozen=True, kw_only=True)
class Sums:
    """The parts of one source in one stage, added up."""

    parts: int = 0
    came_in: int = 0
    went_out: int = 0
    input_bytes: int = 0
    text_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Step:
    """One reason to lose something, in the order it is asked: `left` is what remains after it."""

    reason: str
    lost: int
    left: int
    dead: bool = False


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """What decides for some sources: `languages` empty keeps every one. `lists` is the digest of the lists of
    addresses, empty if there are none; `respect` the directives of robots that drop a page."""

    sources: tuple[str, ...]
    languages: tuple[str, ...]
    rules: tuple[Rule, ...]
    lists: str = ""
    respect: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """A tokenizer: its size and the first and last of its merges: two sides and what they make, in readable form."""

    vocabulary: int
    special: tuple[str, ...]
    merges: int
    first: tuple[tuple[str, str, str], ...]
    last: tuple[tuple[str, str, str], ...]


def sums_by_source(parts: Iterable[PartRecord]) -> dict[str, Sums]:
    """Sums of the parts of each source, sources sorted."""
    sums: dict[str, Sums] = {}
    for part in parts:
        s = sums.get(part.source, Sums())
        sums[part.source] = Sums(
            parts=s.parts + 1, came_in=s.came_in + part.counts.came_in, went_out=s.went_out + part.counts.went_out,
            input_bytes=s.input_bytes + part.input_bytes, text_bytes=s.text_bytes + part.text_bytes,
        )
    return dict(sorted(sums.items()))


def first_parts(parts: Iterable[PartRecord], holds: Holds, *, enough: int) -> dict[str, list[str]]:
    """For each key of `holds`, the first parts that together hold `enough` of it, or all there are: never more than
    `enough` parts a key, however many parts the run has."""
    found: dict[str, list[str]] = {}
    have: dict[str, int] = {}
    for part in parts:
        for key, n in holds(part).items():
            if n and have.get(key, 0) < enough:
                found.setdefault(key, []).append(part.part)
                have[key] = have.get(key, 0) + n
    return found


def ingest_steps(counts: Counts) -> list[Step]:
    """Skipped records, the most frequent reason first, then dead letters likewise."""
    steps: list[Step] = []
    left = counts.came_in
    for lost_by, dead in ((counts.dropped, False), (counts.dead_letters, True)):
        for reason, lost in sorted(lost_by.items(), key=lambda item: (-item[1], item[0])):
            left -= lost
            steps.append(Step(reason=reason, lost=lost, left=left, dead=dead))
    return steps


def filter_steps(counts: Counts, sets: Sequence[RuleSet]) -> list[Step]:
    """Every rule in the order it is asked, even one that nothing broke, then duplicates."""
    order = ["url"] if any(s.lists for s in sets) else []
    order += [directive for s in sets for directive in s.respect]
    order += ["language"] if any(s.languages for s in sets) else []
    order += [rule.column for s in sets for rule in s.rules]
    order += [reason for reason in counts.dropped if reason not in (EXACT, NEAR)]
    steps: list[Step] = []
    left = counts.came_in
    for reason in dict.fromkeys([*order, EXACT, NEAR]):
        lost = counts.dropped.get(reason, 0)
        left -= lost
        steps.append(Step(reason=reason, lost=lost, left=left))
    return steps


def rule_sets(by_source: Mapping[str, Sequence[Any]]) -> list[RuleSet]:
    """The recipes that the filter stage wrote down, those that are equal once. Raises TypeError on other fields."""
    grouped: dict[tuple[tuple[str, ...], tuple[Rule, ...], str, tuple[str, ...]], list[str]] = {}
    for source, (wanted, rules, *more) in sorted(by_source.items()):
        lists, respect = (*more, *("", ())[len(more) :])
        key = (tuple(wanted), tuple(Rule(**fields) for fields in rules), lists, tuple(respect))
        grouped.setdefault(key, []).append(source)
    return [
        RuleSet(sources=tuple(sources), languages=wanted, rules=rules, lists=lists, respect=respect)
        for (wanted, rules, lists, respect), sources in grouped.items()
    ]


def tokens_by_source(shards: ShardManifest) -> dict[str, int]:
    """Tokens over all splits, end markers included, padding not."""
    tokens: dict[str, int] = dict.fromkeys(shards.sources, 0)
    for totals in shards.totals.values():
        for source, t in totals.items():
            tokens[source] += t.tokens
    return tokens


def learnt(tokenizer_json: bytes, *, show: int = 12) -> Learnt:
    """What a tokenizer.json holds. Raises ValueError, KeyError or TypeError if it is none."""
    content = json.loads(tokenizer_json)
    merges = content["model"]["merges"]
    shown = [*merges[:show], *merges[show:][-show:]]
    pairs = [(readable(left), readable(right), readable(left + right)) for left, right in shown]
    return Learnt(
        vocabulary=len(content["model"]["vocab"]), special=tuple(t["content"] for t in content["added_tokens"]),
        merges=len(merges), first=tuple(pairs[:show]), last=tuple(pairs[show:]),
    )


def readable(token: str) -> str:
    """A token with its spaces and line breaks shown, and bytes that are no whole character as `\\xe2`."""
    bytes_of = {character: b for b, character in enumerate(byte_alphabet())}
    text = bytes(bytes_of[c] for c in token).decode("utf-8", "backslashreplace")
    return text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")
