"""What a run says on stderr: lines of text, or each line as a JSON object for a machine that collects logs."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO


class JsonLines(io.TextIOBase):
    """Text in, a JSON object out for each line that is not blank: `time` (UTC, ISO 8601) and `message`."""

    def __init__(self, under: TextIO) -> None:
        self._under, self._begun = under, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(str.strip, lines):
            self.event(line, {})
        return len(text)

    def event(self, message: str, fields: Mapping[str, object]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._under.write(json.dumps({"time": now, "message": message, **fields}, ensure_ascii=False) + "\n")
        self._under.flush()

    def flush(self) -> None:
        self._under.flush()


def formatted(log_format: str) -> None:
    """From here on this process says what it says in that format, to its last words."""
    if log_format == "json" and not isinstance(sys.stderr, JsonLines):
        sys.stderr = JsonLines(sys.stderr)


def log(message: str, fields: Mapping[str, object]) -> None:
    """A line on stderr; as JSON, with `fields`."""
    if isinstance(sys.stderr, JsonLines):
        sys.stderr.event(message, fields)
    else:
        print(message, file=sys.stderr, flush=True)
