"""What was planned beside what it took, where a plan lies in the output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipelines.planning.show import duration, size
from pipelines.planning.spread import Spread, total
from pipelines.planning.timing import StageEstimate
from pipelines.report_page.costs import StageCost
from pipelines.report_page.markup import Html, Node, join, table, tag


def section(plan: Mapping[str, StageEstimate], costs: Sequence[StageCost]) -> Html:
    """A table of plan and run by stage; nothing where there was no plan. A time is compared only where
    the stage's launch, and all of its parts, were measured here."""
    both = [(plan[c.stage], c) for c in costs if c.stage in plan]
    if not both:
        return join()
    rows: list[list[Node]] = []
    for planned, c in both:
        here = c.launch if c.launch and c.launch.here else None
        peak = max(here.worker_peak_rss_bytes, c.peak_rss_bytes) if here else c.peak_rss_bytes
        rows.append([
            c.stage, planned.cpu_s.shown(duration),
            *_actual(planned.cpu_s, c.cpu_s if c.whole and here else None, duration),
            planned.out_bytes.shown(size), *_actual(planned.out_bytes, float(c.bytes_out), size),
            planned.worker_bytes.shown(size), *_actual(planned.worker_bytes, float(peak) if peak else None, size),
            planned.wall_s.shown(duration), duration(c.launch.wall_s) if c.launch and not c.kept else "–",
        ])
    cpu = sum(c.cpu_s for _, c in both) if all(c.whole for _, c in both) else None
    sums = total(p.cpu_s for p, _ in both), total(p.out_bytes for p, _ in both), total(p.wall_s for p, _ in both)
    rows.append([
        "together", sums[0].shown(duration), *_actual(sums[0], cpu, duration), sums[1].shown(size),
        *_actual(sums[1], float(sum(c.bytes_out for _, c in both)), size), "", "", "", sums[2].shown(duration), "",
    ])
    head = ["stage", "CPU planned", "CPU", "of the plan", "written, planned", "written", "of the plan",
            "a worker's memory, planned", "peak", "of the plan", "wall planned", "wall"]
    text = "Likely values, with low and high in brackets. The plan was made before the first stage, in plan.json."
    return join(tag("h3", {}, "Plan and run"), tag("p", {}, text),
                table(caption="Plan and run by stage", head=head, rows=rows, numbers=range(1, 12)))


def _actual(planned: Spread, found: float | None, how: Callable[[float], str]) -> tuple[Node, Node]:
    """What it was, and its share of what was likely: in bold outside of low and high."""
    if found is None:
        return "–", "–"
    shown = how(found)
    share = f"{100 * found / planned.mid:.0f} %" if planned.mid else "–"
    inside = planned.low <= found <= planned.high
    return shown, share if inside else tag("b", {}, share)

