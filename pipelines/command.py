"""A command as a whole: what it says at its end, to a person in one line and to a program in its exit status."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from pipelines import telling
from pipelines.exits import DONE, FAILED, INTERRUPTED, OPTIONS, TERMINATED, Ended, status_of
from pipelines.local import end_with_workers
from schemas.errors import RunError
from schemas.records import ConservationError

Run = Callable[[Sequence[str] | None], None]


def main(run: Run, argv: Sequence[str] | None = None) -> None:
    """Runs a command. Raises SystemExit, with a status of `pipelines.exits`, unless it is done."""
    try:
        telling.prepare(_name(run), argv)
        with _ending_by_sigterm():
            run(argv)
    except (RunError, ConservationError) as error:
        _leave(str(error), status_of(error), error)
    except KeyboardInterrupt as error:
        _leave("interrupted. Finished parts are kept: run the same command again to go on.", INTERRUPTED, error)
    except SystemExit as ended:  # argparse's, which has said why, or --help
        if ended.code == OPTIONS:
            telling.ended(OPTIONS, "the command line is wrong: its log says how")
        raise
    except Exception as error:
        telling.ended(FAILED, f"{type(error).__name__}: its log says where")
        raise
    telling.ended(DONE)


@contextlib.contextmanager
def _ending_by_sigterm() -> Iterator[None]:
    """Where somebody is to be told, SIGTERM ends the command and its workers after that; else at once."""
    if not telling.is_wanted() or threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)


def _terminated(*_: object) -> NoReturn:
    message = "ended by SIGTERM. Finished parts are kept: run the same command again to go on."
    end_with_workers(message, status=TERMINATED)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _leave(message: str, status: int, error: BaseException) -> NoReturn:
    say(f"winnow: {message}")
    telling.ended(status, message)
    raise Ended(f"winnow: {message}", status) from error


def _name(run: Run) -> str:
    module = run.__module__.rpartition(".")[2]
    return os.path.splitext(os.path.basename(sys.argv[0]))[0] if module == "__main__" else module
