"""What native parsers are asked, and what they answer: the one seam between reading an archive and making text of it.

A parser written in C may crash on a hostile page, or never end. So a reader does not call it: it gives a record that
`Waiting` describes, and goes on. Whoever drives the reader has the question answered, in this process with `here` or in
another one, and `finished` makes of record and answer the outcome that both ways give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from schemas.recipes import Extract
from transforms.outcomes import DeadLetter, Outcome, Page, RecordError, Skipped

Kind = Literal["response", "conversion", "wikitext"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """`body` is the page's bytes, of wikitext its UTF-8. `media_type` and `charset` are what was declared of it,
    `robots` what its server asks of robots; `namespaces` the wiki's names and numbers."""

    kind: Kind
    body: bytes
    extract: Extract
    media_type: str | None = None
    charset: str | None = None
    robots: str | None = None
    namespaces: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Text:
    """The text of a page, what it was found to be, and what it and its server ask of robots. `extractor` is None where
    no markup was read."""

    text: str
    charset: str
    media_type: str | None
    extractor: str | None = None
    robots: str | None = None


@dataclass(frozen=True, kw_only=True)
class Failed:
    """No text can be made of the record; as of a dead letter."""

    reason: str
    detail: str


Answer = Text | Skipped | Failed


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A record that was read, but whose text a native parser must make. `page` is all that is known of it already.
    `length` and `record`, the first bytes of it, are for its dead letter; `answer` is who can tell."""

    question: Question
    answer: Callable[[Question], Text | Skipped]
    page: Page
    length: int
    record: bytes


Read = Outcome | Waiting
Settle = Callable[[Iterable[Read]], Iterator[Outcome]]
"""Has the questions among a reader's records answered. Order is kept."""


def here(records: Iterable[Read]) -> Iterator[Outcome]:
    """Answers each question in this process, when its turn comes."""
    for record in records:
        yield finished(record, attempted(record.answer, record.question)) if isinstance(record, Waiting) else record


def attempted(answer: Callable[[Question], Text | Skipped], question: Question) -> Answer:
    """What `answer` gives; Failed if it raises RecordError, or if a parser written in Rust panics, which leaves the
    next call sound."""
    try:
        return answer(question)
    except RecordError as error:
        return Failed(reason=error.reason, detail=error.detail)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # its class cannot be imported
            raise
        return Failed(reason="parser_panic", detail=RecordError("parser_panic", str(error)).detail)


def finished(waiting: Waiting, answer: Answer) -> Outcome:
    """The outcome of a record whose question was answered."""
    if isinstance(answer, Skipped):
        return answer
    page = waiting.page
    if isinstance(answer, Failed):
        return DeadLetter(
            offset=page.offset, inner_offset=page.inner_offset, length=waiting.length, reason=answer.reason,
            detail=answer.detail, record=waiting.record,
        )
    if not answer.text:
        return Skipped("empty_text")
    if len(answer.text.encode()) > waiting.question.extract.max_text_bytes:
        return Skipped("text_too_long")
    return replace(
        page, text=answer.text, charset=answer.charset, media_type=answer.media_type, extractor=answer.extractor,
        robots=answer.robots,
    )
