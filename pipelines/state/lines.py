"""The state of a run as people read it: a table, and one line for a log."""

from __future__ import annotations

from pipelines.planning.show import columns, duration, size
from pipelines.state.look import StageState, State

SHOWN = 5
"""Alarms that are spelt out: the report has the rest."""
HEAD = ("stage", "state", "parts", "documents", "read", "rate", "left", "dropped", "dead letters")


def table(state: State) -> str:
    """Lines for a terminal."""
    lines = [f"{state.out}: {state.run}{_who(state)}", "", *columns([list(HEAD), *(_row(s) for s in state.stages)])]
    lines += [f"ALARM: {line}" for line in state.alarms[:SHOWN]]
    if len(state.alarms) > SHOWN:
        lines.append(f"ALARM: and {len(state.alarms) - SHOWN:,} more; see the report")
    return "\n".join(lines) + "\n"


def line(state: State) -> str:
    """`running  filter 3/8 parts  1,204 documents  5.1 MB/s  42 s left  7 dead letters`."""
    now = next((s for s in state.stages if s.step == "running"), None)
    now = now or next((s for s in reversed(state.stages) if s.step == "done"), None)
    said = [state.run]
    if now:
        said += [f"{now.stage} {now.done:,}/{now.parts:,} parts", f"{now.counts.went_out:,} documents"]
        said += [f"{size(now.rate)}/s"] if now.rate else []
        said += [f"{duration(now.left_s)} left"] if now.left_s is not None and now.step == "running" else []
    if state.dead_letters:
        said.append(f"{state.dead_letters:,} dead letters")
    if state.alarms:
        said.append(f"{len(state.alarms):,} alarms")
    return "  ".join(said)


def _who(state: State) -> str:
    owner, age = state.holder.owner, state.holder.age_s
    if owner is None:
        return ""
    who = f"process {owner.process} on {owner.host}, begun {owner.started[:19].replace('T', ' ')} UTC"
    if state.run == "running":
        beat = f", heartbeat {duration(age)} ago" if owner.beat and age is not None else ""
        return f", {who}{beat}" + (f" ({state.holder.note})" if state.holder.note else "")
    ended = f" {duration(age)} ago" if age is not None else ""
    if owner.failed:
        return f", {who}; ended{ended}: {owner.failed}"
    return f", {who}; ended{ended}" if owner.released else f", {who}; killed, or lost with its machine"


def _row(s: StageState) -> list[str]:
    if s.step == "waiting" and not s.parts:
        return [s.stage, "waiting", *[""] * (len(HEAD) - 2)]
    dropped, dead = sum(s.counts.dropped.values()), sum(s.counts.dead_letters.values())
    rate, left = f"{size(s.rate)}/s" if s.rate else "", duration(s.left_s) if s.left_s is not None else ""
    return [
        s.stage, s.step, f"{s.done:,}/{s.parts:,}", f"{s.counts.went_out:,}",
        f"{size(s.bytes_done)} of {size(s.bytes)}", rate, left, f"{dropped:,}", f"{dead:,}",
    ]
