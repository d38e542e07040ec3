"""The lock of an output on an object store: OUT/.lock, put on condition, renewed by a thread, and lost when it is not.

Whether it has run out is judged by the store's clock alone: when the lock was last written, and when an object is that
we write to look. A lock of a process of this machine that is no more is free at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.errors import HeldError, RunError
from transforms.beam import files, stores

BEAT_S = 10.0
"""Between two renewals: a put, which costs nothing to speak of, and far above what one takes."""
BEATS = 6
"""A lock that was not renewed for so many is free: a minute, as an outage is first waited out."""
_NAME, _PROBE = ".lock", ".lock-probe"


@dataclass(frozen=True, kw_only=True)
class Owner:
    """What the lock says. `machine` tells whether `process` is a number of ours."""

    run: str
    host: str
    process: int
    machine: str
    started: str
    beat: int = 0
    lasts_s: float = BEAT_S * BEATS
    released: bool = False
    failed: str = ""
    """Why its run ended before it was done. Only where it has."""

    def to_bytes(self) -> bytes:
        said = dataclasses.asdict(self)
        if not self.failed:  # other versions know no such field, and would take a lock that has it for none
            del said["failed"]
        return (json.dumps(said, sort_keys=True) + "\n").encode()


@contextlib.contextmanager
def leased(out: str, *, lost: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock of `out` while the block runs, and calls `lost` with a message, from a thread, if it is lost.

    Raises HeldError, naming the owner, while another run holds it."""
    lease = _Lease(out)
    lease.take()
    over = threading.Event()
    thread = threading.Thread(target=_renew, args=(lease, over, lost), daemon=True)
    thread.start()
    failed = ""
    try:
        yield
    except BaseException as error:
        failed = why(error)
        raise
    finally:
        over.set()
        thread.join()
        with contextlib.suppress(RunError):  # it runs out by itself
            lease.put(dataclasses.replace(lease.owner, released=True, failed=failed))


def this_process() -> Owner:
    """The owner of a lock that this process takes."""
    return Owner(
        run=uuid.uuid4().hex, host=socket.gethostname(), process=os.getpid(), machine=_machine(),
        started=datetime.now(UTC).isoformat(timespec="seconds"), lasts_s=BEAT_S * BEATS,
    )


def why(error: BaseException) -> str:
    """What ended a run, on one line."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return (str(error).partition("\n")[0] or type(error).__name__)[:1000]


def _renew(lease: _Lease, over: threading.Event, lost: Callable[[str], None]) -> None:
    while not over.wait(BEAT_S):
        try:
            lease.put(dataclasses.replace(lease.owner, beat=lease.owner.beat + 1))
        except stores.LostRaceError:
            lost(f"{lease.path}: the lock is now another run's{lease.holder()}. Finished parts are kept.")
            return
        except RunError as error:
            if time.monotonic() - lease.renewed > BEAT_S * (BEATS - 1):
                lost(f"{error} The lock could not be renewed, so this run ends.")
                return


class _Lease:
    """One run's hold of the lock."""

    def __init__(self, out: str) -> None:
        self.out, self.path = out, files.join(out, _NAME)
        self.owner = this_process()
        self.renewed = time.monotonic()
        self._there: stores.Stored | None = None

    def take(self) -> None:
        found = stores.read(self.path)
        if found:
            self._there = found[1]
            other = owner_of(found[0])
            if other and not other.released and not gone(other):
                left = other.lasts_s - (self._now() - found[1].modified).total_seconds()
                if left > 0:
                    raise _held(self.out, other, left)
        try:
            self.put(self.owner)
        except stores.LostRaceError as error:
            raise HeldError(f"--output {self.out}: another run has just begun here{self.holder()}. "
                           "Wait, or give another --output.") from error

    def put(self, owner: Owner) -> None:
        """Writes the lock over what we last saw of it. Raises LostRaceError if that is no longer there."""
        asked = time.monotonic()
        stores.put(self.path, owner.to_bytes(), over=self._there)
        found = stores.look(self.path)
        if found is None:
            raise stores.LostRaceError(f"{self.path}: was removed.")
        self._there, self.owner, self.renewed = found, owner, asked

    def holder(self) -> str:
        try:
            found = stores.read(self.path)
        except RunError:
            return ""
        other = owner_of(found[0]) if found else None
        return f" ({_named(other)})" if other else ""

    def _now(self) -> datetime:
        """The store's own clock: when it says that it took what we give it now."""
        probe = files.join(self.out, f"{_PROBE}-{self.owner.run}")
        stores.put(probe, b"")
        try:
            found = stores.look(probe)
        finally:
            stores.delete(probe)
        if found is None:
            raise RunError(f"{probe}: was written, and is not there. Does another program clear --output? Stop it.")
        return found.modified


def check_writable(out: str) -> None:
    """Puts, reads and removes an object below `out`, before anything is begun. Raises RunError where one of these
    fails."""
    probe = files.join(out, f"{_PROBE}-{uuid.uuid4().hex}")
    try:
        stores.put(probe, b"winnow", hasty=True)
        found = stores.read(probe)
        stores.delete(probe, hasty=True)
    except RunError as error:  # about the folder: nobody knows the probe
        raise RunError(f"--output {str(error).replace(probe, f'{out}/')}") from error
    if found is None or found[0] != b"winnow":
        raise RunError(f"{out}: an object written there cannot be read back. Choose another --output.")


def _held(out: str, other: Owner, left: float) -> HeldError:
    return HeldError(
        f"--output {out}: another run is writing here: {_named(other)}. Wait, or give another --output; if that run is "
        f"dead, its lock ends in {max(1, round(left))} s."
    )


def _named(owner: Owner) -> str:
    return f"process {owner.process} on {owner.host}, since {owner.started}"


def owner_of(data: bytes) -> Owner | None:
    """None if it is no lock of ours: it is then replaced."""
    try:
        return Owner(**json.loads(data))
    except (ValueError, TypeError):
        return None


def here(other: Owner) -> bool:
    """Whether its process is, or was, one of this machine."""
    return bool(other.machine) and other.machine == _machine()


def gone(other: Owner) -> bool:
    """Whether its process was one of this machine, and is no more."""
    if not here(other) or other.process == os.getpid():
        return False
    return not os.path.exists(f"/proc/{other.process}")


def _machine() -> str:
    """Tells one boot of one machine, and one container's process numbers, from others; empty without /proc."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as boot:
            return f"{boot.read().strip()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""
