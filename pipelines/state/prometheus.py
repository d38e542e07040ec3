"""The state of a run as Prometheus's text exposition format 0.0.4, for the textfile collector of node_exporter:
https://prometheus.io/docs/instrumenting/exposition_formats/. One file a run; each series has the label `output`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipelines.state.look import State

RUNS = ("done", "running", "failed", "stopped")
Sample = tuple[Sequence[tuple[str, str]], float]
"""Labels, and a value."""


def exposition(state: State, *, now: float) -> str:
    """The file's text. `now` is when the run was looked at, seconds of the epoch: it tells of a watcher that died."""
    return "".join(_lines(state, now))


def _lines(state: State, now: float) -> Iterator[str]:
    out = ("output", state.out)
    by_stage = [([out, ("stage", s.stage)], s) for s in state.stages]
    yield from _gauge("winnow_run_state", "1 for what the run is, 0 for the rest.",
                      [([out, ("state", name)], float(state.run == name)) for name in RUNS])
    yield from _gauge("winnow_stage_done", "Whether the stage is complete.",
                      [(k, float(s.step == "done")) for k, s in by_stage])
    yield from _gauge("winnow_parts", "Parts that are planned.", [(k, s.parts) for k, s in by_stage])
    yield from _gauge("winnow_parts_done", "Parts that are through.", [(k, s.done) for k, s in by_stage])
    yield from _gauge("winnow_input_bytes", "Bytes of the parts that are planned.", [(k, s.bytes) for k, s in by_stage])
    yield from _gauge("winnow_input_bytes_done", "Bytes of those that are through.",
                      [(k, s.bytes_done) for k, s in by_stage])
    yield from _gauge("winnow_documents_in", "Documents or records that came in.",
                      [(k, s.counts.came_in) for k, s in by_stage])
    yield from _gauge("winnow_documents_out", "Documents that went out.", [(k, s.counts.went_out) for k, s in by_stage])
    reasons = ("dropped", "Documents that were dropped, by reason."), ("dead_letters", "Dead letters, by reason.")
    for name, what in reasons:
        yield from _gauge(f"winnow_{name}", what, [
            ([*k, ("reason", reason)], n) for k, s in by_stage for reason, n in sorted(getattr(s.counts, name).items())
        ])
    yield from _gauge("winnow_left_seconds", "What the stage's rest takes at its rate.",
                      [(k, s.left_s) for k, s in by_stage if s.left_s is not None])
    yield from _gauge("winnow_alarms", "Languages and sources that arrive and yield nothing.",
                      [([out], len(state.alarms))])
    if state.holder.age_s is not None:
        yield from _gauge("winnow_lock_age_seconds", "Since the lock was written: on an object store, every 10 s.",
                          [([out], state.holder.age_s)])
    yield from _gauge("winnow_looked_timestamp_seconds", "When the run was looked at.", [([out], now)])


def _gauge(name: str, what: str, samples: Sequence[Sample]) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP {name} {what}\n# TYPE {name} gauge\n"
    for labels, value in samples:
        said = ",".join(f'{label}="{_escape(text)}"' for label, text in labels)
        yield f"{name}{{{said}}} {float(value)!r}\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
