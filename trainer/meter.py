"""What a run says while it runs: RUN/metrics.jsonl, TensorBoard, and a line on the console."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

DATASHEET = {
    "H200": 989e12, "H100": 989e12, "H800": 989e12, "GH200": 989e12, "B200": 2250e12, "B300": 2250e12, "A100": 312e12,
    "A800": 312e12, "L40S": 362e12, "L4": 121e12, "A10": 125e12, "4090": 165e12,
}
"""Dense bf16 products and sums per second with fp32 accumulation, from NVIDIA's data sheets (without sparsity; SXM
versions): one multiply and add is two."""


def datasheet_peak(device: torch.device) -> float | None:
    """FLOP/s by the device's name, None where it is not in the table."""
    if device.type != "cuda":
        return None
    words = torch.cuda.get_device_name(device).replace("-", " ").split()
    return next((peak for name, peak in DATASHEET.items() if name in words), None)


def measured_peak(device: torch.device, *, size: int | None = None, repeats: int = 10) -> float:
    """FLOP/s of a product of two square matrices: bf16 of 8,192 on a GPU, float32 of 1,024 on a CPU; best of `repeats`.

    The matrices are random: of ones or zeros a GPU makes more, since it draws less power."""
    cuda = device.type == "cuda"
    side = size or (8192 if cuda else 1024)
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16 if cuda else torch.float32)
    best = math.inf
    for _ in range(repeats):
        start = _now(device)
        a @ a
        best = min(best, _now(device) - start)
    return 2 * side**3 / best


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """FLOP/s of all devices of the run together; None where not known."""

    datasheet: float | None
    measured: float | None

    def shares(self, flops: float) -> dict[str, float | None]:
        """MFU (Chowdhery et al., PaLM, 2022, appendix B) against both."""
        return {
            "mfu_datasheet": flops / self.datasheet if self.datasheet else None,
            "mfu_measured": flops / self.measured if self.measured else None,
        }


CONSOLE_S = 5.0
"""Seconds between two lines on the console: only what is shown depends on the clock."""


class Meter:
    """Rank 0's; the other ranks have none. Steps that a killed run had done are logged again by the next attempt."""

    def __init__(self, run: Path, *, tensorboard: bool) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self._path = run / "metrics.jsonl"
        self.attempt = sum('"event": "start"' in line for line in _lines(self._path))
        self._file = open(self._path, "a", buffering=1)
        self._board = _board(run) if tensorboard else None
        self._said = -math.inf

    def due(self) -> bool:
        """Whether the console has been silent for long enough; if so, it counts as spoken to."""
        now = time.monotonic()
        if now - self._said < CONSOLE_S:
            return False
        self._said = now
        return True

    def event(self, event: str, values: dict[str, Any]) -> None:
        """One line of JSON, and one point in each of TensorBoard's curves for what is a number."""
        line = {"event": event, **values, "attempt": self.attempt, "time": time.time()}
        self._file.write(json.dumps(line) + "\n")
        if self._board and "step" in values:
            for name, value in _numbers(values):
                self._board.add_scalar(f"{event}/{name}", value, values["step"])

    def close(self) -> None:
        self._file.close()
        if self._board:
            self._board.close()


@contextlib.contextmanager
def metered(run: Path, *, first: bool, tensorboard: bool) -> Iterator[Meter | None]:
    """A Meter on the first rank, closed at the end; None on the others."""
    if not first:
        yield None
        return
    meter = Meter(run, tensorboard=tensorboard)
    try:
        yield meter
    finally:
        meter.close()


def console(values: dict[str, Any], *, steps: int, seconds_left: float) -> None:
    share = next(((values[k], k[4:]) for k in ("mfu_datasheet", "mfu_measured") if values[k] is not None), None)
    mfu = f"  MFU {share[0]:.1%} of {share[1]}" if share else ""
    stall = values["data_wait_ms"] / values["step_ms"] if values["step_ms"] else 0.0
    say(
        f"step {values['step']:,}/{steps:,}  loss {values['loss']:.4f}  norm {values['grad_norm']:.2f}  "
        f"lr {values['lr']:.1e}  {values['tokens_per_s']:,.0f} tokens/s{mfu}  data wait {stall:.1%}  "
        f"{_span(seconds_left)} left"
    )


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _numbers(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name != "step":
            yield prefix + name, value


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _board(run: Path) -> Any:
    try:
        import tensorboard  # type: ignore[import-untyped]  # noqa: F401

        # its name for "use the stub": TensorFlow, where it is installed, takes seconds to import and says a lot
        sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        say("no TensorBoard: pip install tensorboard, or say --no-tensorboard")
        return None
    return SummaryWriter(str(run / "tensorboard"))
