"""The arithmetic and the table of `peers.py`: pure, so that tests hold it to numbers worked out by hand."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WINNOW = "winnow"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is compared: `tools`, winnow first, each of them given the same `documents`. `note` says what differs."""

    name: str
    title: str
    tools: tuple[str, ...]
    note: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One process: CPU seconds of the measured loop, and of everything before and after it."""

    task: str
    tool: str
    round: int
    cpu_s: float
    startup_s: float
    documents: int
    result: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A tool that could not be installed or run, and why. `task` None: none of its tasks could."""

    tool: str
    task: str | None
    reason: str


def schedule(tasks: Sequence[Task], *, rounds: int, absent: frozenset[str]) -> Iterator[tuple[Task, int, str]]:
    """(task, round, tool) in the order of the runs: A B A B within a task, so that neighbours share the weather."""
    for task in tasks:
        for number in range(rounds):
            for tool in task.tools:
                if tool not in absent:
                    yield task, number, tool


def ratios(runs: Sequence[Run], *, task: str, tool: str) -> list[float]:
    """How many times faster winnow was than `tool`, for each round in which both ran: documents a CPU second of the
    one over those of the other."""
    rates = {(r.tool, r.round): r.documents / r.cpu_s for r in runs if r.task == task}
    found = sorted(number for name, number in rates if name == tool)
    return [rates[WINNOW, n] / rates[tool, n] for n in found if (WINNOW, n) in rates]


def table(tasks: Sequence[Task], runs: Sequence[Run], failures: Sequence[Failure], versions: dict[str, str]) -> str:
    """Markdown: a row for each task and tool, measured or not."""
    lines = [
        "| task | tool | documents | CPU s | docs/CPU s | winnow : tool (least to most) | start-up CPU s | result |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for task in tasks:
        lines += [_row(task, tool, runs, failures, versions) for tool in task.tools]
    return "\n".join(lines + [""] + [f"- {task.title}: {task.note}" for task in tasks])


def _row(
    task: Task, tool: str, runs: Sequence[Run], failures: Sequence[Failure], versions: dict[str, str]
) -> str:
    found = [r for r in runs if r.task == task.name and r.tool == tool]
    reasons = [f.reason for f in failures if f.tool == tool and f.task in (None, task.name)]
    name = f"{tool} {versions.get(tool, '')}".strip()
    if not found:
        return _cells(task.title, name, "", "", "", "", "", f"**not measured**: {'; '.join(reasons) or 'no run'}")
    cpu = statistics.median(r.cpu_s for r in found)
    rate = statistics.median(r.documents / r.cpu_s for r in found)
    return _cells(
        task.title, name, f"{found[0].documents:,}", f"{cpu:.3g}", f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}",
        "" if tool == WINNOW else _ratio(ratios(runs, task=task.name, tool=tool)),
        f"{statistics.median(r.startup_s for r in found):.1f}",
        "; ".join([" or ".join(sorted({r.result for r in found})), *(f"**a run failed**: {r}" for r in reasons)]),
    )


def _ratio(found: Sequence[float]) -> str:
    if not found:
        return "winnow was not measured"
    return f"**{statistics.median(found):.3g}** ({min(found):.3g} to {max(found):.3g})"


def _cells(*cells: str) -> str:
    """A row; what would end a cell or the row is taken out of the texts."""
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
