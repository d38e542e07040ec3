"""What a part cost: OUT/metrics/<stage>/<part>.json, beside the run. Nothing decides by these files and no digest
covers them, so they may hold a clock; what the run promises may not."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from transforms.beam import files

FOLDER = "metrics"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class PartMetrics:
    """One unit of work, measured by the process that did it. `cpu_s` is what that process and its children used
    meanwhile, user and system, all threads: two units at once in one process are each charged both. `peak_rss_bytes` is
    the process's peak from its start to the unit's end. `bytes_in` and `rows` are those of the commit record."""

    stage: str
    part: str
    plan_key: str
    started: str
    """UTC, ISO 8601."""
    wall_s: float
    cpu_s: float
    peak_rss_bytes: int
    bytes_in: int = 0
    rows: int = 0


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A moment: when, and what this process and its children had used."""

    utc: str
    wall_s: float
    cpu_s: float


def mark() -> Mark:
    return Mark(utc=now(), wall_s=time.monotonic(), cpu_s=time.process_time() + _children_cpu_s())


def _children_cpu_s() -> float:
    """CPU seconds of this process's children, ended and alive (these on Linux only): native parsers run in one."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = 0
    for stat in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = Path(stat).read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and fields[0] != "Z":
                ticks += int(fields[11]) + int(fields[12])
    return ended.ru_utime + ended.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def now() -> str:
    """UTC, ISO 8601, to the microsecond: as text such times compare as they follow each other."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def peak_rss() -> int:
    """Bytes: this process's largest resident set so far."""
    # On Linux ru_maxrss would begin with what the parent had when it forked: a worker looks as large as its launcher.
    peak = memory("self", "VmHWM")
    return peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def memory(process: str, what: str) -> int:
    """Bytes, by a field of /proc/PROCESS/status, such as VmRSS, or VmHWM for its peak; 0 if there is none."""
    try:
        with open(f"/proc/{process}/status") as status:
            found = re.search(rf"^{what}:\s+(\d+) kB$", status.read(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def path(out: str, stage: str, part: str) -> str:
    return files.join(out, FOLDER, stage, f"{part}.json")


def write(
    out: str, *, stage: str, part: str, plan_key: str, since: Mark, bytes_in: int = 0, rows: int = 0
) -> PartMetrics:
    """Writes down what was used from `since` until now. To be called before the part commits itself: a part that is
    done again then overwrites what is said here, and one that is kept keeps it."""
    used = mark()
    found = PartMetrics(
        stage=stage, part=part, plan_key=plan_key, started=since.utc, wall_s=round(used.wall_s - since.wall_s, 6),
        cpu_s=round(used.cpu_s - since.cpu_s, 6), peak_rss_bytes=peak_rss(), bytes_in=bytes_in, rows=rows,
    )
    save(path(out, stage, part), dataclasses.asdict(found))
    return found


def save(where: str, content: dict[str, object]) -> None:
    files.write_bytes(where, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())


def read(where: str, make: Callable[..., T]) -> T | None:
    """A file of metrics as the dataclass `make`; None if it is not there or is no such file: nobody depends on it."""
    try:
        text = files.read_text(where)
        return make(**json.loads(text)) if text else None
    except (OSError, ValueError, TypeError):
        return None
