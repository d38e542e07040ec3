"""Who holds the lock of an output, without touching it: a look must never keep a run from starting."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pipelines.lease import Owner, gone, here, owner_of
from transforms.beam import files, stores

NAME = ".lock"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """What the lock says. `age_s` is how long ago it was written: on an object store its heartbeat, by this machine's
    clock; elsewhere when the run began or ended."""

    state: Literal["held", "free", "ran out"]
    """`ran out`: its run ended without giving it back, so it was killed."""
    owner: Owner | None = None
    age_s: float | None = None
    note: str = ""


def holder(out: str) -> Holder:
    """Raises RunError where the store cannot be asked."""
    path = files.join(out, NAME)
    if stores.is_stored(path):
        return _stored(path)
    try:
        with open(path, "rb") as file:
            owner, age = owner_of(file.read()), max(0.0, time.time() - os.fstat(file.fileno()).st_mtime)
    except OSError:
        return Holder(state="free")
    if owner is None or owner.released:
        return Holder(state="held" if _flocked(path) else "free", owner=owner, age_s=age)
    if not here(owner):
        return Holder(state="held", owner=owner, age_s=age, note="as its lock says: another machine's process")
    return Holder(state="held" if _flocked(path) or not gone(owner) else "ran out", owner=owner, age_s=age)


def _stored(path: str) -> Holder:
    found = stores.read(path)
    if found is None:
        return Holder(state="free")
    owner = owner_of(found[0])
    age = max(0.0, (datetime.now(UTC) - found[1].modified).total_seconds())
    if owner is None or owner.released:
        return Holder(state="free", owner=owner, age_s=age)
    return Holder(state="ran out" if age > owner.lasts_s or gone(owner) else "held", owner=owner, age_s=age)


def _flocked(path: str) -> bool:
    """Whether a process of this machine has the file locked. Asking with flock itself would hold it for a moment, in
    which a run that starts would be refused."""
    try:
        inode = str(os.stat(path).st_ino)
        with open("/proc/locks") as locks:
            return any("FLOCK" in line and line.split()[5].rpartition(":")[2] == inode for line in locks)
    except (OSError, IndexError):
        return False
