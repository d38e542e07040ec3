"""How often a host is asked: one pace for all processes of a machine that read from it, kept in a small file a host.

Clocks decide when a request is sent, and never what is read.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable

MOST_WAIT = 600.0
"""Seconds that a host may put us off: longer is an outage, which a person should hear of."""


def pace(host: str, *, rate: float) -> None:
    """Sleeps until it is our turn: at most `rate` requests a second go to `host` from this machine, and none while
    `hold_back` holds."""
    now = time.time()
    slot = _update(host, lambda free: max(now, free), step=1 / rate)
    time.sleep(max(0.0, (now + 1 / rate if slot is None else slot) - now))


def hold_back(host: str, *, seconds: float) -> None:
    """Nobody on this machine asks `host` for that long: it has said so."""
    until = time.time() + min(seconds, MOST_WAIT)
    _update(host, lambda free: max(until, free), step=0.0)


def _update(host: str, turn: Callable[[float], float], *, step: float) -> float | None:
    """The turn, given when the host is free; from `step` seconds later on it is free again. None where there is no
    such file to be had: then each process has its own pace."""
    with contextlib.suppress(OSError):
        file = os.open(_path(host), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file is closed, also when this process is killed
            slot = turn(_read(file))
            os.pwrite(file, f"{slot + step:020.6f}".encode(), 0)
            return slot
        finally:
            os.close(file)
    return None


def _read(file: int) -> float:
    """When the host is free. A clock that was set back since must not stop us for longer than any host may."""
    try:
        free = float(os.pread(file, 20, 0))
    except ValueError:
        return 0.0
    return free if free <= time.time() + MOST_WAIT + 60 else 0.0


def _path(host: str) -> str:
    """In the machine's own temporary folder: a home directory may be shared by a cluster."""
    folder = os.path.join(tempfile.gettempdir(), f"winnow-{os.getuid()}", "hosts")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return os.path.join(folder, hashlib.blake2b(host.encode(), digest_size=16).hexdigest())
