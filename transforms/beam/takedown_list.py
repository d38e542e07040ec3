"""A run's takedown list as its workers see it. OUT/takedown/list.txt only ever grows, so whatever part was made with an
earlier list lacks nothing that it should have."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from schemas.errors import RunError
from transforms.beam import files
from transforms.beam.parts import PlannedPart
from transforms.takedown import Takedown, digest_of, entries, takedown_of

LIST = "takedown/list.txt"
_HEAD = "# What was taken down from this run. Give more with --takedown; nothing is ever taken off it.\n"
_EARLIER = re.compile(r"# earlier: ([0-9a-f]{32})")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A run's list, its digest, and the digests of what it was before it grew."""

    takedown: Takedown
    digest: str
    earlier: tuple[str, ...] = ()


def list_text(found: Listed) -> str:
    """What stands in OUT/takedown/list.txt."""
    lines = [*(f"# earlier: {digest}" for digest in found.earlier), *entries(found.takedown)]
    return _HEAD + "".join(f"{line}\n" for line in lines)


def read_listed(out: str) -> Listed | None:
    """The run's list; None if nothing was ever taken down. Raises RunError if somebody has spoilt it."""
    path = files.join(out, LIST)
    try:
        text = files.read_text(path)
        if text is None:
            return None
        takedown = takedown_of(text)
    except ValueError as error:
        raise RunError(f"{path}: is damaged: {error}. Mend it: nothing goes on without it.") from error
    return Listed(takedown=takedown, digest=digest_of(takedown), earlier=tuple(_EARLIER.findall(text)))


def takedown_for(out: str, part: PlannedPart) -> Takedown:
    """What the part was planned to leave out. Raises RunError if the list is no longer that one."""
    return _of_digest(out, part.work["takedown"]) if "takedown" in part.work else Takedown()


@functools.lru_cache(maxsize=2)
def _of_digest(out: str, digest: str) -> Takedown:
    found = read_listed(out)
    if found is None or found.digest != digest:
        raise RunError(f"{files.join(out, LIST)}: changed during the run. Run the same command again.")
    return found.takedown
