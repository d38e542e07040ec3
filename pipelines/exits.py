"""What the exit status of a command says. Schedulers decide by it, so a number never changes its meaning."""

from __future__ import annotations

from schemas.errors import HeldError, OptionError

DONE = 0
FAILED = 1
OPTIONS = 2
"""argparse's own."""
WORKER_LOST = 3
LOCK_LOST = 4
HELD = 5
INTERRUPTED = 130
"""128 and the signal's number, as shells say it."""
TERMINATED = 143

MEANINGS: dict[int, str] = {
    DONE: "done, or nothing to do",
    FAILED: "failed: the message says why; finished parts are kept, so run the same command again",
    OPTIONS: "the command line is wrong: nothing was begun",
    WORKER_LOST: "a worker process was lost; run the same command again",
    LOCK_LOST: "another run took the output over; run the same command again when that has ended",
    HELD: "another run has the output: nothing was begun",
    INTERRUPTED: "interrupted",
    TERMINATED: "ended by SIGTERM",
}
STATES: dict[int, str] = {
    DONE: "done", FAILED: "failed", OPTIONS: "refused", WORKER_LOST: "worker lost", LOCK_LOST: "lock lost",
    HELD: "held", INTERRUPTED: "interrupted", TERMINATED: "terminated",
}
"""The same in the status file."""


class Ended(SystemExit):
    """Ends the command with a message, which is printed by whoever raises this, and a status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.code = status


def status_of(error: Exception) -> int:
    match error:
        case OptionError():
            return OPTIONS
        case HeldError():
            return HELD
        case _:
            return FAILED


def table() -> str:
    """For --help."""
    return "Exit status:\n" + "\n".join(f"  {status:3}  {meaning}" for status, meaning in MEANINGS.items())
