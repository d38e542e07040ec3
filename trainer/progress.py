"""Where a run stands, and what must not change between two starts of it.

Everything about the data is a pure function of these few values, so this, kept in each checkpoint's COMPLETE, is the
whole state of the loader. A copy lies in RUN/run.json for `trainer.order --run`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from schemas.errors import RunError
from trainer.mixture import PlannedPhase
from trainer.order import ORDER_VERSION


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a run is: the same at every start. `model` is its ModelConfig's fields that shape its weights."""

    objective: str
    model: dict[str, Any]
    tokenizer_digest: str
    seed: int
    seq_len: int
    block_rows: int
    order_version: int = ORDER_VERSION


@dataclass(frozen=True, kw_only=True)
class Progress:
    """After `step` steps: sample `next` is the first that was not read. `steps` has an entry wherever the global batch
    changed: [first step, its first sample, samples a step]."""

    identity: Identity
    phases: tuple[PlannedPhase, ...]
    step: int = 0
    next: int = 0
    steps: tuple[tuple[int, int, int], ...] = ()

    def after(self, step: int) -> Progress:
        """The same run, `step` steps from its beginning."""
        first, sample, batch = self.steps[-1]
        return dataclasses.replace(self, step=step, next=sample + (step - first + 1) * batch)

    def samples(self, step: int) -> tuple[int, int]:
        """The first sample of a step to come, and the one after its last."""
        first, sample, batch = self.steps[-1]
        low = sample + (step - first) * batch
        return low, low + batch


def to_state(progress: Progress) -> dict[str, Any]:
    identity = dataclasses.asdict(progress.identity)
    rest = {k: v for k, v in dataclasses.asdict(progress).items() if k != "identity"}
    return {**rest, **identity, "global_batch": progress.steps[-1][2]}


def from_state(state: dict[str, Any]) -> Progress:
    """The inverse of `to_state`. Raises RunError at a state that another version wrote."""
    try:
        identity = Identity(**{f.name: state[f.name] for f in dataclasses.fields(Identity)})
        phases = tuple(PlannedPhase(**phase) for phase in state["phases"])
        steps = tuple((int(a), int(b), int(c)) for a, b, c in state["steps"])
        return Progress(identity=identity, phases=phases, step=state["step"], next=state["next"], steps=steps)
    except (KeyError, TypeError) as error:
        raise RunError(f"the checkpoint's state lacks or does not know {error}: another version wrote it.") from error


def begin(identity: Identity, phase: PlannedPhase, *, global_batch: int) -> Progress:
    return Progress(identity=identity, phases=(phase,), steps=((1, 0, global_batch),))


def go_on(found: Progress, identity: Identity, phase: PlannedPhase, *, global_batch: int, new_phase: bool) -> Progress:
    """`found`, ready for its next step with today's options.

    Raises RunError where they are another run's. Another data set or mixture is refused too, unless a new phase is
    asked for: it then holds from the next sample on.
    """
    _refuse_changes(found.identity, identity)
    last, phases = found.phases[-1], found.phases
    if (phase.dataset_id, phase.mix) != (last.dataset_id, last.mix):
        if not new_phase:
            raise RunError(_another_phase(last, phase))
        phases = (*phases, dataclasses.replace(phase, start=found.next))
    steps = found.steps
    if steps[-1][2] != global_batch:
        steps = (*steps, (found.step + 1, found.next, global_batch))
    return dataclasses.replace(found, phases=phases, steps=steps)


def _refuse_changes(was: Identity, now: Identity) -> None:
    if was.tokenizer_digest != now.tokenizer_digest:
        raise RunError(
            f"the checkpoint was trained on tokens of the tokenizer {was.tokenizer_digest}, and --data has those of "
            f"{now.tokenizer_digest}: equal ids mean other text. Encode the data with the first tokenizer, or start "
            "another run with another --out."
        )
    for field in dataclasses.fields(Identity):
        before, after = getattr(was, field.name), getattr(now, field.name)
        if before != after:
            if isinstance(before, dict):
                before, after = _differing(before, after), _differing(after, before)
            raise RunError(
                f"the checkpoint was made with {field.name.replace('_', '-')} {before}, and this start has {after}. "
                "Give the option as it was, or another --out to start another run."
            )


def _another_phase(was: PlannedPhase, now: PlannedPhase) -> str:
    if was.dataset_id != now.dataset_id:
        what = f"on the data set {was.dataset_id} ({was.data}), and --data is {now.dataset_id} ({now.data})"
    else:
        what = f"with the mixture {_mix(was)}, and --mix is {_mix(now)}"
    return (
        f"the checkpoint was trained {what}. Give it as it was; or say --new-phase to go on with this from the next "
        "sample on; or give another --out."
    )


def _mix(phase: PlannedPhase) -> str:
    return ",".join(f"{name}={weight:.4g}" for name, weight in phase.mix.items())


def _differing(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in one.items() if value != other.get(name)}
