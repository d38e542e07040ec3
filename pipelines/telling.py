"""Who is told of a run: `--status-file`, written whole when the run begins, after each stage and at its end, and
`--webhook`, posted to at the end. Both get the same JSON; neither ever ends a run.

The file is written by the run that has the lock: a second one that finds it held leaves it alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipelines.exits import DONE, HELD, STATES
from pipelines.webhook import check_webhook, post
from schemas.errors import OptionError, RunError
from schemas.records import Manifest
from transforms.beam import files

VARIABLE = "WINNOW_WEBHOOK"
VERSION = 1
"""Of the JSON's fields."""
RUNNING, NOTHING = "running", "nothing to do"


@dataclass(kw_only=True)
class Told:
    """What is known of this command so far, and where it goes."""

    command: str = ""
    output: str = ""
    status_file: str | None = None
    webhook: str | None = None
    started: str = ""
    stage: str = ""
    plan_id: str = ""
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    nothing: bool = False

    def to_bytes(self, state: str, status: int | None, message: str) -> bytes:
        """`plan_id` is the plan key of `stage`; `text` is a line for chats, which show that field."""
        content = {
            "schema_version": VERSION, "command": self.command, "output": self.output, "state": state,
            "exit_code": status, "message": message, "stage": self.stage, "plan_id": self.plan_id,
            "stages": self.stages, "started": self.started, "updated": _now(), "host": socket.gethostname(),
            "process": os.getpid(), "text": f"winnow {self.command} {self.output}: {message or state}",
        }
        return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


_told = Told()
"""A process runs one command. Threads that end the process, see `pipelines.local`, tell of it too."""


def add_telling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--status-file", metavar="FILE",
        help="JSON of how the run stands, written whole at its start, after each stage and at its end",
    )
    parser.add_argument(
        "--webhook", metavar="URL",
        help=f"address that gets the same JSON at the end, https alone but on this machine; also {VARIABLE}, which "
             "keeps it out of lists of processes; what it answers never fails a run",
    )


def prepare(command: str, argv: Sequence[str] | None) -> None:
    """From now on `ended` tells. Raises OptionError where the address may not be posted to."""
    global _told  # noqa: PLW0603
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    add_telling(parser)
    parser.add_argument("--output", default="")
    try:
        given, _ = parser.parse_known_args(argv)
    except argparse.ArgumentError:  # the command's own parser says so
        given = argparse.Namespace(status_file=None, webhook=None, output="")
    _told = Told(command=command, output=given.output, status_file=given.status_file, started=_now())
    url = given.webhook or os.environ.get(VARIABLE)
    _told.webhook = check_webhook(url) if url else None


def began() -> None:
    """The run has its lock. Raises OptionError if the status file cannot be written: better now than unnoticed."""
    if not _told.status_file:
        return
    try:
        files.write_bytes(_told.status_file, _told.to_bytes(RUNNING, None, ""))
    except (RunError, OSError) as error:
        raise OptionError(f"--status-file {error}") from error


def stage_began(stage: str, plan_key: str) -> None:
    _told.stage, _told.plan_id = stage, plan_key
    _write(_told, _told.to_bytes(RUNNING, None, ""))


def stage_ended(manifest: Manifest, *, kept: bool) -> None:
    """`kept`: it was complete already."""
    _told.stage, _told.plan_id = manifest.stage, manifest.plan_key
    _told.stages[manifest.stage] = {
        "plan_key": manifest.plan_key, "digest": manifest.digest, "parts": len(manifest.parts), "kept": kept,
        "counts": dataclasses.asdict(manifest.counts),
    }
    _write(_told, _told.to_bytes(RUNNING, None, ""))


def nothing_to_do() -> None:
    _told.nothing = True


def ended(status: int, message: str = "") -> None:
    """The last word, said once."""
    global _told
    told, _told = _told, Told()
    content = told.to_bytes(NOTHING if told.nothing and status == DONE else STATES[status], status, message)
    if status != HELD:
        _write(told, content)
    problem = post(told.webhook, content) if told.webhook else ""
    if problem:
        _say(f"winnow: --webhook: was not told: {problem}")


def is_wanted() -> bool:
    """Whether somebody is to be told."""
    return bool(_told.status_file or _told.webhook)


def _write(told: Told, content: bytes) -> None:
    if not told.status_file:
        return
    try:
        files.write_bytes(told.status_file, content)
    except (RunError, OSError) as error:
        _say(f"winnow: --status-file {error}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
