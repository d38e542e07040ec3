"""What the extractor's process loads in tests, by WINNOW_EXTRACTOR_TEST_HOOK: at a mark in a page it misbehaves."""

from __future__ import annotations

import math
import mmap
import os
import resource
import signal
import time


def before(question) -> None:
    """Called with each question, in the child."""
    body = question.body
    if b"MARK-told" in body:
        with open(os.environ["WINNOW_TOLD"], "a") as told:
            told.write("tried\n")
    if b"MARK-abort" in body:
        os.abort()
    if b"MARK-segfault" in body:  # for real: the parser calls itself at each =, until the stack is full
        import mwparserfromhell

        mwparserfromhell.parse("=a" * 200_000)
    if b"MARK-exit" in body:
        os._exit(5)
    if b"MARK-loop" in body:
        soft = math.ceil(time.process_time()) + 1  # not the two minutes of the product
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        while True:
            pass
    if b"MARK-memory" in body:
        kept = []
        while True:
            kept.append(mmap.mmap(-1, 1 << 30) if len(kept) < 3 else bytes(1 << 30))
    if b"MARK-killed" in body:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"MARK-sleep" in body and "WINNOW_AWAKE" not in os.environ:
        time.sleep(10_000)
    if b"MARK-fault" in body:
        raise LookupError("a fault of ours")
    if b"MARK-print" in body:
        os.write(1, b"a library's chatter")
    if b"MARK-once" in body and not os.path.exists(path := os.environ["WINNOW_ONCE"]):
        open(path, "w").close()
        os.abort()
