"""Reasons in words. Signals carry their own (schemas.signals); these are the reasons that are no signal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.recipes import Rule
from schemas.signals import SIGNALS
from transforms.filtering import EXACT, NEAR
from transforms.robots import KNOWN
from transforms.takedown import REASON as TAKEDOWN

_SIGNALS = {column.name: column.meaning for column in SIGNALS}
_OTHERS = {
    "url": "a list of the recipe blocks its address",
    "language": "its language is none of those that the recipe keeps",
    "language_confidence": "how sure the language model is, in ten-thousandths: 6,500 is 0.65",
    EXACT: "its text is byte for byte that of a document that is kept",
    NEAR: "it shares most of its word sequences with a document that is kept",
    TAKEDOWN: "it is on the run's takedown list: its text is written nowhere",
    "http_status": "the server did not answer 200 OK",
    "media_type": "neither HTML nor plain text",
    "empty_text": "no text was left once the layout was taken away",
    "too_long": "the record is longer than the recipe's max_record_bytes",
    "text_too_long": "the text is longer than the recipe's max_text_bytes",
    "truncated": "the file ends, or breaks for good, before the record does",
    "damaged": "bytes that are no record, up to the next that is one",
    "bad_http": "the response has no status line, or its chunks are broken",
    "bad_encoding": "the response's compression cannot be undone",
    "bad_json": "the line is no JSON object",
    "bad_parquet": "the Parquet file, or the rest of one of its row groups, cannot be read",
    "no_text": "there is no string field 'text', or it is null",
    "not_unicode": "the line or text is no Unicode",
    "wiki_namespace": "a talk page, template, category or file of the wiki, not an article",
    "wiki_redirect": "it only leads to another page of the wiki",
    "wiki_model": "the wiki's page holds code or data, not wikitext",
    "bad_xml": "the XML is broken there, or beyond a bound",
    "gone": "a record was tried again, and its file has nothing at that place now",
    "nothing_lost": "the file broke behind its last record, and does not any more",
    "no_record": "the index says that a record starts there, and none does",
    "missing": "the file, or this part of it, could not be had, and --tolerate-missing was given",
    "unknown_format": "the file is none of WARC, ARC, JSON lines, Parquet and MediaWiki XML",
}
_RECORD_TYPE = "record_type_"
_SKIPPED = {"http_status": "not answered 200 OK", "media_type": "not HTML or text", "empty_text": "no text in it"}


@dataclass(frozen=True, kw_only=True)
class Share:
    """A piece of a whole, for a bar: `kind` gives its colour."""

    label: str
    kind: str
    count: int


def meaning(reason: str) -> str:
    """What a reason means; nothing for one that is not known here."""
    if reason.startswith(_RECORD_TYPE):
        return f"WARC records of type {reason.removeprefix(_RECORD_TYPE)} hold no page"
    if reason in KNOWN:
        return "its page or server asks this of robots, and the recipe respects it; see the column robots"
    return _OTHERS.get(reason) or _SIGNALS.get(reason, "")


def in_words(reason: str) -> str:
    """`duplicate_line_ratio` as `duplicate line ratio`."""
    return reason.replace("_", " ")


def bounds(rule: Rule) -> str:
    """What a rule asks for, as `at least 50`."""
    if rule.low is not None and rule.high is not None:
        return f"from {_bound(rule.low)} to {_bound(rule.high)}"
    return f"at least {_bound(rule.low)}" if rule.low is not None else f"at most {_bound(rule.high)}"


def kind(reason: str) -> str:
    """The colour of a reason: that of its share in `record_shares` or `document_shares`."""
    if reason.startswith(_RECORD_TYPE):
        return "apart"
    if reason in _SKIPPED:
        return reason
    return "other" if reason in _OTHERS and _family(reason) == "quality" else _family(reason)


def record_shares(documents: int, dropped: Mapping[str, int], dead: Mapping[str, int]) -> list[Share]:
    """The records of a run by what became of them; nothing that is zero."""
    apart = sum(n for reason, n in dropped.items() if reason.startswith(_RECORD_TYPE))
    shares = [
        Share(label="documents", kind="kept", count=documents),
        Share(label="records that hold no page", kind="apart", count=apart),
    ]
    shares += [Share(label=label, kind=reason, count=dropped.get(reason, 0)) for reason, label in _SKIPPED.items()]
    rest = sum(n for reason, n in dropped.items() if reason not in _SKIPPED) - apart
    shares += [Share(label="too long, or another reason", kind="other", count=rest),
               Share(label="broken: dead letters", kind="dead", count=sum(dead.values()))]
    return [s for s in shares if s.count]


def document_shares(kept: int, dropped: Mapping[str, int]) -> list[Share]:
    """The documents of a run by what became of them; nothing that is zero."""
    families = dict.fromkeys(("other", "language", "quality", "repetition", "duplicate"), 0)
    for reason, n in dropped.items():
        families[_family(reason)] += n
    labels = {"other": "address blocked, or robots asked to stay away", "language": "language not wanted, or unsure",
              "quality": "does not read like prose", "repetition": "repeats itself",
              "duplicate": "duplicate of one that is kept"}
    shares = [Share(label="kept", kind="kept", count=kept)]
    shares += [Share(label=labels[family], kind=family, count=n) for family, n in families.items()]
    return [s for s in shares if s.count]


def _family(reason: str) -> str:
    if reason in ("language", "language_confidence"):
        return "language"
    if reason in (EXACT, NEAR):
        return "duplicate"
    if reason == "url" or reason in KNOWN:
        return "other"
    return "repetition" if reason.startswith(("duplicate_", "top_")) else "quality"


def _bound(bound: float | None) -> str:
    return f"{bound:,.10g}" if bound is not None else ""
