"""The process that native parsers run in: `python -m transforms.beam.extractor_child` with three numbers, the limits of
CPU seconds a page and of bytes of memory, and the descriptor of a pipe that its worker holds.

It reads frames of questions from standard input until that ends. For each question that it has answered it writes a
dot, and when all are, the frame of the answers: so who waits knows which page it was when the process dies. It imports
what extraction needs and nothing else. A limit is counted by the kernel, in bytes and in CPU seconds of a page.

For tests alone: if the environment has WINNOW_EXTRACTOR_TEST_HOOK, the path of a Python file, its function `before` is
called with each question, and may then do what a hostile page would have a parser do.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import resource
import runpy
import select
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import BinaryIO

from transforms.extraction import Answer, Question, Text, attempted
from transforms.extraction_frames import LENGTH, pack_answers, unpack_questions
from transforms.outcomes import Skipped

READY = b"R"
DONE = b"."
OUT_OF_MEMORY = 77
"""Exit status: an allocation was refused."""
TEST_HOOK = "WINNOW_EXTRACTOR_TEST_HOOK"
_STACK = 8 << 20
"""Bytes, Linux's default: how deeply a parser can nest must not depend on who started the worker."""


def main(arguments: list[str]) -> None:
    cpu_seconds, memory, lifeline = map(int, arguments)
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    _end_with(lifeline)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_STACK, _STACK)
    answer = _answerer()
    _limit(resource.RLIMIT_AS, memory)
    answers.write(READY)
    try:
        while head := questions.read(LENGTH.size):
            _serve(unpack_questions(questions.read(*LENGTH.unpack(head))), answer, answers, cpu_seconds)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except (BrokenPipeError, struct.error):
        os._exit(0)  # the worker is gone


def _serve(
    questions: list[Question], answer: Callable[[Question], Answer], answers: BinaryIO, cpu_seconds: int
) -> None:
    given: list[Answer | Exception] = []
    for question in questions:
        _limit(resource.RLIMIT_CPU, math.ceil(time.process_time()) + cpu_seconds)
        try:
            given.append(answer(question))
        except MemoryError:
            raise
        except Exception as error:  # ours to mend, as in the worker itself: it is raised there
            given.append(error)
        answers.write(DONE)
    frame = memoryview(pack_answers(given))
    while frame:
        frame = frame[answers.write(frame) :]


def _answerer() -> Callable[[Question], Answer]:
    from transforms import dump_pages, warc

    hooked = os.environ.get(TEST_HOOK)
    before = runpy.run_path(hooked)["before"] if hooked else None

    def answer(question: Question) -> Answer:
        if before:
            before(question)
        text_of: Callable[[Question], Text | Skipped]
        text_of = dump_pages.text_of if question.kind == "wikitext" else warc.text_of
        return attempted(text_of, question)

    return answer


def _limit(what: int, soft: int) -> None:
    """Lowers or raises a limit of this process, as far as its hard limit allows; the hard one stays."""
    hard = resource.getrlimit(what)[1]
    with contextlib.suppress(ValueError, OSError):  # macOS knows RLIMIT_AS and takes none
        resource.setrlimit(what, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _end_with(lifeline: int) -> None:
    """Has the kernel end this process, whatever it computes, when the other end of a pipe is closed: its worker is the
    only one that holds it. Where the kernel cannot, the end of standard input does, after the page."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker to judge
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    signal.signal(signal.SIGIO, signal.SIG_DFL)  # which is to end
    if hasattr(os, "O_ASYNC") or hasattr(fcntl, "FASYNC"):
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        flag = getattr(os, "O_ASYNC", None) or fcntl.FASYNC
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | flag)
    if select.select([lifeline], [], [], 0)[0]:  # it was closed before the kernel was asked
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
