"""Extraction in another process, batch by batch: while it works on one, this process measures the texts of the last.

A batch that ends the process is done again: the page it was at, alone in a fresh process; then those before, then those
after. A page that ends a fresh process alone is a dead letter, and a verdict is kept. So each record's outcome is what
it would be alone, whatever lies beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from schemas.errors import RunError
from transforms.beam.child import Child, ChildEndedError, Limits
from transforms.beam.children import borrowed
from transforms.extraction import Answer, Failed, Read, Waiting, finished
from transforms.outcomes import DeadLetter, Outcome, Page

BATCH_BYTES = 8 << 20
BATCH_RECORDS = 256
"""Waiting at once; two batches of them are in memory."""
_BATCH_OUTCOMES = 4096
_KILLED = 3
"""Times that a process may be killed from outside at one page."""


@dataclass(kw_only=True)
class Isolated:
    """A `Settle` that has questions answered in children with these limits. `known` tells the verdict on a record, if
    there is one; `judged` is told of a new one at once."""

    limits: Limits
    known: Callable[[Waiting], Failed | None] = lambda waiting: None
    judged: Callable[[Waiting, Failed], None] = lambda waiting, verdict: None
    _asked: list[Waiting] = field(default_factory=list)

    def __call__(self, records: Iterable[Read]) -> Iterator[Outcome]:
        with borrowed(self.limits) as hand:
            before: list[Read] = []
            for batch in _batches(map(self._judged_before, records)):
                answers = self._turn(hand, [r for r in batch if isinstance(r, Waiting)])
                yield from _woven(before, answers)
                before = batch
            yield from _woven(before, self._turn(hand, []))

    def _judged_before(self, record: Read) -> Read:
        verdict = self.known(record) if isinstance(record, Waiting) else None
        return finished(record, verdict) if verdict and isinstance(record, Waiting) else record

    def _turn(self, hand: list[Child], waiting: list[Waiting]) -> list[Answer]:
        """Answers to what was asked the time before; asks what is waiting now. `hand` holds the child."""
        asked, self._asked = self._asked, waiting
        questions = [w.question for w in waiting]
        try:
            return hand[0].exchange(questions)
        except ChildEndedError as end:
            hand.pop().end()
            answers = self._recovered(hand, asked, end.done)
            self._child(hand).exchange(questions)
            return answers

    def _recovered(self, hand: list[Child], asked: Sequence[Waiting], done: int) -> list[Answer]:
        """Answers to questions that a child died of, `done` of which it had dealt with. `hand` is empty."""
        if done >= len(asked):
            half = len(asked) // 2
            return self._again(hand, asked[:half]) + self._again(hand, asked[half:])
        [suspect] = self._again(hand, asked[done : done + 1])
        return self._again(hand, asked[:done]) + [suspect] + self._again(hand, asked[done + 1 :])

    def _again(self, hand: list[Child], asked: Sequence[Waiting], killed: int = 0) -> list[Answer]:
        """Answers of the child in `hand`, which has nothing else to do, or of a fresh one. Only a fresh one, asked one
        question alone, gives a verdict."""
        if not asked:
            return []
        fresh = not hand
        try:
            self._child(hand).exchange([w.question for w in asked])
            return hand[0].exchange()
        except ChildEndedError as end:
            hand.pop().end()
            if len(asked) > 1:
                return self._recovered(hand, asked, end.done)
            if fresh and (not end.outside or killed + 1 >= _KILLED):
                return [self._verdict(asked[0], end)]
            return self._again(hand, asked, killed + fresh)

    def _child(self, hand: list[Child]) -> Child:
        if not hand:
            hand.append(Child(self.limits))
        return hand[0]

    def _verdict(self, waiting: Waiting, end: ChildEndedError) -> Failed:
        if end.outside:
            raise RunError(
                f"{end.detail}, {_KILLED} times, at the record at byte {waiting.page.offset}: something outside kills "
                "it. If memory is short, use fewer --workers; then run the same command again."
            )
        verdict = Failed(reason=end.reason, detail=end.detail)
        self.judged(waiting, verdict)
        return verdict


def _woven(records: Iterable[Read], answers: Iterable[Answer]) -> Iterator[Outcome]:
    answer = iter(answers)
    for record in records:
        yield finished(record, next(answer)) if isinstance(record, Waiting) else record


def _batches(records: Iterable[Read]) -> Iterator[list[Read]]:
    """Lists of records with about BATCH_BYTES, and at most BATCH_RECORDS that wait."""
    batch: list[Read] = []
    size = waiting = 0
    for record in records:
        batch.append(record)
        match record:
            case Waiting():
                size += len(record.question.body) + len(record.record)
                waiting += 1
            case Page():
                size += len(record.text)
            case DeadLetter():
                size += len(record.record)
        if size >= BATCH_BYTES or waiting >= BATCH_RECORDS or len(batch) >= _BATCH_OUTCOMES:
            yield batch
            batch, size, waiting = [], 0, 0
    if batch:
        yield batch
