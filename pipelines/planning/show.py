"""A plan as people read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipelines.planning.left import Left
from pipelines.planning.made import Plan
from pipelines.planning.prices import Money
from pipelines.planning.spread import Spread, total

HEAD = ("stage", "parts", "documents", "CPU", "written", "shuffled", "a worker's memory", "wall")


def show(plan: Plan) -> str:
    """Lines for a terminal: likely values, with low and high in brackets."""
    stage = f"{plan.stages[0].stage} of " if len(plan.stages) == 1 else ""
    files = _n(sum(g.files for g in plan.groups), "file")
    lines = [
        f"plan of {stage}{_n(plan.parts, 'part')} in {files}, {size(plan.bytes)}; recipe {plan.recipe}, "
        f"{_n(plan.workers, 'worker')}",
        *(f"  {g.source}: {_n(g.files, 'file')} of {g.kind}, {_n(len(g.sizes), 'part')}, {size(g.bytes)}, largest part "
          f"{size(max(g.sizes, default=0))}" for g in plan.groups),
        f"rates: {_said(plan.rates)}",
        *(f"guessed: {guess}" for guess in plan.guesses),
        "likely (low to high):", "", *_table(plan), "",
        f"CPU {plan.sum('cpu_s').times(1 / 3600).shown(_hours)} core-hours; output {plan.sum('out_bytes').shown(size)}",
        f"wall {plan.sum('wall_s').shown(duration)} with {_n(plan.workers, 'worker')}, if each has a core, and nobody "
        "waits for inputs",
        _machine(plan),
        *([_left(plan.left, plan)] if plan.left else []),
    ]
    return "\n".join([*lines, *(_costs(plan.money, plan.prices) if plan.money else [])]) + "\n"


def _said(rates: dict[str, str]) -> str:
    return f"commit {rates['commit']}, {rates['date']}, {rates['machine']}; {rates['command']}"


def _left(left: Left, plan: Plan) -> str:
    if not left.stages:
        return "left to do: nothing, it is complete"
    after = [s.stage for s in left.stages[1:]]
    then = f", then {', '.join(after)}" if after else ""
    cpu, wall = (total(getattr(s, what) for s in left.stages) for what in ("cpu_s", "wall_s"))
    return (f"left to do: {left.parts:,} of {_n(left.whole, 'part')} of {left.stage}{then}: "
            f"CPU {cpu.times(1 / 3600).shown(_hours)} core-hours, wall {wall.shown(duration)}")


def _machine(plan: Plan) -> str:
    here = f"a machine of {_n(plan.cores, 'core')} and {size(plan.memory)}"
    if not plan.fit:
        return f"{here} is too small for one worker"
    more = -(-plan.workers // plan.fit)
    take = f": {plan.workers} take {_n(more, 'machine')}" if more > 1 else ""
    return f"{here} holds {_n(plan.fit, 'worker')}{take}"


def _table(plan: Plan) -> list[str]:
    def row(name: str, parts: str, documents: Spread | None, of: Callable[[str], Spread], memory: Spread) -> list[str]:
        return [name, parts, documents.shown(count) if documents else "", of("cpu_s").shown(duration),
                of("out_bytes").shown(size), of("shuffle_bytes").shown(size), memory.shown(size),
                of("wall_s").shown(duration)]

    rows = [
        row(s.stage, f"{s.parts:,}", s.documents, lambda what, s=s: getattr(s, what), s.worker_bytes)  # type: ignore[misc]
        for s in plan.stages
    ]
    if len(plan.stages) > 1:
        rows.append(row("together", "", None, plan.sum, max((s.worker_bytes for s in plan.stages), key=_high)))
    return columns([list(HEAD), *rows])


def _high(spread: Spread) -> float:
    return spread.high


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, columns flush left."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _costs(money: Money, prices: str) -> list[str]:
    def shown(spread: Spread) -> str:
        return spread.shown(money_of)

    parts = [("compute", money.compute), ("memory", money.memory), ("shuffle", money.shuffle),
             ("storage", money.storage), ("egress", money.egress)]
    told = ", ".join(f"{name} {shown(spread)}" for name, spread in parts if spread.high > 0)
    return [f"cost {shown(money.total)} {money.currency} ({prices})" + (f": {told}" if told else "")]


def size(n: float) -> str:
    """Bytes in decimal units, as prices count them, to three digits."""
    unit = "bytes"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if n < 999.5:
            break
        n, unit = n / 1000, larger
    return f"{n:.0f} {unit}" if n >= 100 or unit == "bytes" else f"{n:.3g} {unit}"


def duration(s: float) -> str:
    """Seconds, minutes or hours, to two or three digits."""
    if s < 99.5:
        return f"{s:.2g} s" if s < 9.95 else f"{s:.0f} s"
    return f"{s / 60:.0f} min" if s < 5970 else f"{s / 3600:,.1f} h" if s < 360_000 else f"{s / 3600:,.0f} h"


def count(n: float) -> str:
    """To three digits: nobody knows more."""
    return f"{float(f'{n:.3g}'):,.0f}"


def money_of(x: float) -> str:
    """To a hundredth, or to two digits of what is less than one."""
    return f"{x:,.2f}" if x >= 1 or not x else f"{x:.2g}"


def _hours(h: float) -> str:
    return f"{h:.2g}" if h < 10 else count(h)


def _n(n: int, one: str) -> str:
    return f"{n:,} {one}" + ("" if n == 1 else "s")
