"""Processes for native parsers, kept for the next that needs one. A child serves one thread at a time."""

from __future__ import annotations

import atexit
import contextlib
import threading
from collections.abc import Iterator

from schemas.errors import RunError
from schemas.recipes import Extract
from transforms.beam.child import REMEDY, Child, ChildEndedError, Limits, limits_of
from transforms.extraction import Question

_LOCK = threading.Lock()
_IDLE: list[Child] = []


def load_extractor(extract: Extract) -> None:
    """Has a child load what a recipe's extractor needs. Raises RunError if that cannot be."""
    page = Question(kind="response", body=b"<p>loads the extractor</p>", media_type="text/html", extract=extract)
    try:
        with borrowed(limits_of(extract)) as [child]:
            child.exchange([page])
            child.exchange()
    except ChildEndedError as end:
        raise RunError(f"{end.detail} when it loaded {extract.extractor!r}. {REMEDY}") from end


@contextlib.contextmanager
def borrowed(limits: Limits) -> Iterator[list[Child]]:
    """A list with one child, of this process and this thread alone while the block runs. What is in the list when the
    block ends well is kept for the next; else it is ended, since nobody knows what it was asked."""
    atexit.unregister(end_idle)
    atexit.register(end_idle)
    with _LOCK:
        found = next((c for c in _IDLE if c.limits == limits), None)
        if found:
            _IDLE.remove(found)
    if found and not found.alive:
        found.end()
        found = None
    hand = [found or Child(limits)]
    try:
        yield hand
    except BaseException:
        for child in hand:
            child.end()
        raise
    with _LOCK:
        _IDLE.extend(hand)


def end_idle() -> None:
    """Ends the children that nobody uses."""
    with _LOCK:
        idle = _IDLE[:]
        _IDLE.clear()
    for child in idle:
        child.end()
