"""What every driver does: read the inputs, measure one task, print one line of JSON. Standard library only.

    python drive_TOOL.py TASK INPUTS SCRATCH

INPUTS holds what peers.py cut from the corpus; SCRATCH is an empty folder of this run alone.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import resource
import sys
from array import array
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
LEAST_CPU_S = 1.0
"""A shorter pass is repeated until the passes take this together: the mean pass is reported."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """CPU seconds of all passes together, and how many they were."""

    spent_s: float
    passes: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Each pass went over `documents`, which hold `size` bytes; `result` says what came out, to be compared."""

    cost: Cost
    documents: int
    size: int
    result: str


def cpu_s() -> float:
    """User and system seconds of this process and of the children that have ended."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def measured(work: Callable[[], T]) -> tuple[Cost, T]:
    """What the passes cost, and what the last one returned."""
    started, passes = cpu_s(), 0
    while True:
        found = work()
        passes += 1
        if (spent := cpu_s() - started) >= LEAST_CPU_S:
            return Cost(spent_s=spent, passes=passes), found


def texts(inputs: Path) -> list[str]:
    return rows(inputs / "documents.jsonl.gz", "text")


def rows(path: Path, field: str) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)[field] for line in lines]


def size_of(texts: Iterable[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def shingles(text: str) -> set[str]:
    """Word 5-grams as users of the libraries make them: lower case, split at white space. A short text is one."""
    words = text.lower().split()
    return {" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def tokens_told(ids: Iterable[int]) -> str:
    """How many tokens, and a digest of them: two tools that print the same gave the same ids."""
    packed = array("I", ids)
    return f"{len(packed):,} tokens, {digest(packed.tobytes())}"


def merges_told(merges: Iterable[str]) -> str:
    """How many merges, and a digest of them in order, each as its two tokens with a space between."""
    told = list(merges)
    return f"{len(told):,} merges, {digest(chr(10).join(told).encode())}"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:8]


def main(tasks: dict[str, Callable[[Path, Path], Figures]]) -> None:
    """Runs the task that the command line names, and prints its figures as the last line."""
    task, inputs, scratch = sys.argv[1:]
    figures = tasks[task](Path(inputs), Path(scratch))
    print(json.dumps(asdict(figures)))
