"""What is asked of an object store: look, list, read, put on condition, delete. What goes wrong is a RunError whose
text holds no header, no query and no key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from schemas.errors import RunError
from transforms.beam.store_clients import is_stored, split, store_of
from transforms.beam.store_errors import REFUSED, told, was_cut

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode, UpdateVersion

__all__ = [
    "PIECE", "SENDING", "TRIES", "LostRaceError", "Stored", "below", "delete", "is_stored", "look", "put", "read",
    "split", "store_of", "stored",
]

PIECE = 8 << 20
"""Bytes of an upload that are held until they are sent: at S3's 10,000 parts an object may have 80 GiB."""
SENDING = 2
"""Pieces on their way at a time: an upload holds PIECE * (SENDING + 1) bytes at most."""
TRIES = 6
"""Of what stops half-way. Requests that fail outright are repeated below us."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An object as it is now. `version` is its etag; not its generation, which listings of GCS do not tell."""

    path: str
    size: int
    etag: str | None
    generation: str | None
    modified: datetime

    @property
    def version(self) -> str:
        return (self.etag or self.generation or self.modified.isoformat()).strip("\"")

    @property
    def condition(self) -> UpdateVersion:
        """What a put asks for that must replace exactly this."""
        found: UpdateVersion = {}
        if self.etag:
            found["e_tag"] = self.etag
        if self.generation:
            found["version"] = self.generation
        return found


class LostRaceError(RunError):
    """Another writer was first."""


def look(path: str, *, hasty: bool = False) -> Stored | None:
    """The object, None if there is none (or no bucket: asking for the object does not tell)."""
    key = split(path)[1].rstrip("/")
    if not key:
        return None
    try:
        return stored(path, obstore.head(store_of(path, hasty=hasty), key))
    except FileNotFoundError:
        return None
    except (BaseError, ValueError) as error:
        raise told(_spelt_out(error, path), path, "cannot be looked at") from error


def _spelt_out(error: Exception, path: str) -> Exception:
    """Why looking was refused. The answer to HEAD has no body and so no code: the same as GET has both."""
    if REFUSED.search(str(error)):
        try:
            obstore.get(store_of(path, hasty=True), split(path)[1].rstrip("/"))
        except FileNotFoundError:
            return error
        except BaseError as more:
            return more
    return error


def below(prefix: str, *, deep: bool = True) -> Iterator[Stored]:
    """The objects below a prefix that ends with a slash (or is a whole bucket); without `deep`, those with no further
    slash. Markers of folders are left out. Raises RunError where there is no such bucket or it may not be listed."""
    store, (bucket, key) = store_of(prefix), split(prefix)
    root = f"{prefix[:5]}{bucket}/"

    def whole() -> list[ObjectMeta]:
        if not deep:
            return list(obstore.list_with_delimiter(store, key or None)["objects"])
        return [meta for page in obstore.list(store, key or None, chunk_size=1000) for meta in page]

    try:
        _repeated(lambda: next(iter(obstore.list(store_of(prefix, hasty=True), key or None)), None))
        for meta in _repeated(whole):
            found = stored(root + meta["path"], meta)
            # a marker is named with a slash at its end, which the listing takes away: asked for, it is not there
            if meta["size"] or look(found.path):
                yield found
    except (BaseError, ValueError, FileNotFoundError) as error:
        raise told(error, prefix, "cannot be listed") from error


def read(path: str) -> tuple[bytes, Stored] | None:
    """A small object, whole; None if it is not there."""
    def ask() -> tuple[bytes, Stored]:
        found = obstore.get(store_of(path), split(path)[1])
        return bytes(found.bytes()), stored(path, found.meta)

    try:
        return _repeated(ask)
    except FileNotFoundError:
        return None
    except (BaseError, ValueError) as error:
        raise told(error, path, "cannot be read") from error


def put(path: str, data: bytes, *, over: Stored | None = None, hasty: bool = False, writer: str = "") -> None:
    """Writes a small object where there is none, or exactly over `over`. Raises LostRaceError if that is no longer so.

    A put whose answer was lost is repeated, and then meets itself: so what is there is looked at before it is called
    another's."""
    mode: PutMode = over.condition if over else "create"
    attributes = {"winnow-writer": writer} if writer else None
    try:
        store = store_of(path, hasty=hasty)
        _repeated(lambda: obstore.put(store, split(path)[1], data, mode=mode, attributes=attributes))
    except (AlreadyExistsError, PreconditionError) as error:
        there = read(path)
        if there is None or there[0] != data:
            raise LostRaceError(f"{path}: another process wrote it meanwhile{_writer_of(path)}.") from error
    except (BaseError, ValueError, FileNotFoundError) as error:
        raise told(error, path, "cannot be written") from error


def _writer_of(path: str) -> str:
    try:
        writer = obstore.get(store_of(path), split(path)[1], options={"head": True}).attributes.get("winnow-writer")
    except (BaseError, FileNotFoundError):
        return ""
    return f" ({writer})" if writer else ""


def delete(path: str, *, hasty: bool = False) -> None:
    """Removes the object if it is there."""
    try:
        _repeated(lambda: obstore.delete(store_of(path, hasty=hasty), split(path)[1]))
    except FileNotFoundError:
        return
    except (BaseError, ValueError) as error:
        raise told(error, path, "cannot be removed") from error


def _repeated(ask: Callable[[], T]) -> T:
    """`ask`, again where the answer came but stopped half-way, which the library repeats in some cases alone. An answer
    that says no may stop half-way too, so this is around every request."""
    for tried in range(TRIES - 1):
        try:
            return ask()
        except BaseError as error:
            if not was_cut(error):
                raise
            time.sleep(0.1 * 2**tried)
    return ask()


def stored(path: str, meta: ObjectMeta) -> Stored:
    return Stored(
        path=path, size=meta["size"], etag=meta["e_tag"], generation=meta["version"] if path[:3] == "gs:" else None,
        modified=meta["last_modified"],
    )
