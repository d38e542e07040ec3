"""Questions and answers as bytes, for a pipe: JSON for what is short, the page and its text as they are.

A frame is, item by item, the lengths of its head and of its body, then these. Numbers are little-endian.
What pages hold is never unpickled or evaluated.
"""

from __future__ import annotations

import json
import struct
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

from schemas.errors import RunError
from schemas.recipes import Extract
from transforms.extraction import Answer, Failed, Question, Text
from transforms.outcomes import Skipped

LENGTH = struct.Struct("<Q")
"""Stands before a frame: its bytes."""
_ITEM = struct.Struct("<II")


def pack_questions(questions: Iterable[Question]) -> bytes:
    """A frame with its length before it."""
    return _frame((_question_head(q), q.body) for q in questions)


def unpack_questions(frame: bytes) -> list[Question]:
    """The inverse, of a frame without its length."""
    return [
        Question(**{**head, "extract": Extract(**head["extract"]), "body": bytes(body)}) for head, body in _items(frame)
    ]


def pack_answers(answers: Iterable[Answer | Exception]) -> bytes:
    """A frame with its length before it."""
    return _frame(map(_answer, answers))


def unpack_answers(frame: bytes) -> list[Answer]:
    """The inverse, of a frame without its length. Raises what stands there in an answer's place: a
    RunError as such, anything else as RuntimeError."""
    answers: list[Answer] = []
    for head, body in _items(frame):
        match head.pop("is"):
            case "text":
                answers.append(Text(text=str(body, "utf-8", "surrogatepass"), **head))
            case "skipped":
                answers.append(Skipped(head["reason"]))
            case "failed":
                answers.append(Failed(**head))
            case "run_error":
                raise RunError(head["words"])
            case _:
                raise RuntimeError(f"the extractor's process: {head['words']}")
    return answers


def _question_head(question: Question) -> dict[str, Any]:
    head = {name: value for name, value in vars(question).items() if name != "body"}
    return {**head, "extract": vars(question.extract)}


def _answer(answer: Answer | Exception) -> tuple[dict[str, Any], bytes]:
    if isinstance(answer, RunError):
        return {"is": "run_error", "words": str(answer)}, b""
    if isinstance(answer, Exception):
        return {"is": "error", "words": "".join(traceback.format_exception(answer))}, b""
    if isinstance(answer, Text):
        head = {name: value for name, value in vars(answer).items() if name != "text"}
        return {"is": "text", **head}, answer.text.encode("utf-8", "surrogatepass")
    return {"is": "skipped" if isinstance(answer, Skipped) else "failed", **vars(answer)}, b""


def _frame(items: Iterable[tuple[dict[str, Any], bytes]]) -> bytes:
    parts = [b""]
    for head, body in items:
        told = json.dumps(head).encode()
        parts += (_ITEM.pack(len(told), len(body)), told, body)
    parts[0] = LENGTH.pack(sum(map(len, parts)))
    return b"".join(parts)


def _items(frame: bytes) -> Iterator[tuple[dict[str, Any], memoryview]]:
    view, at = memoryview(frame), 0
    while at < len(view):
        head, body = _ITEM.unpack_from(view, at)
        at += _ITEM.size
        yield json.loads(bytes(view[at : at + head])), view[at + head : at + head + body]
        at += head + body
