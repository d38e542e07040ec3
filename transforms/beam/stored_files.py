"""Objects as files: read by ranges; written as uploads that end in an object or in nothing."""

from __future__ import annotations

import contextlib
import io
import re
import time
from collections.abc import Iterator
from typing import BinaryIO, cast

import obstore
from obstore.exceptions import BaseError, PreconditionError

from schemas.errors import MissingRunError, RunError
from transforms.beam.ranged import Ranges
from transforms.beam.store_errors import told
from transforms.beam.stores import PIECE, SENDING, TRIES, Stored, look, split, store_of, stored
from transforms.digests import DigestingSink

_BEHIND = re.compile(r"416|InvalidRange|Requested range not satisfiable|Wanted range starting at", re.IGNORECASE)
"""What stores, and our client of them, say of a range that begins behind the end."""


def open_read(path: str, identity: str | None = None) -> BinaryIO:
    """The object as a file with seek. Raises RunError if it is not there, or is not `identity` (see files.Found); a
    read raises RunError if it has changed since it was opened."""
    found = look(path)
    if found is None:
        raise MissingRunError(f"{path}: is not there any more. Run the same command again.")
    if identity is not None and identity != identity_of(found):
        raise _changed(path)
    ranges = Ranges(found.size, lambda start, end: _bytes(found, start, end))
    return cast(BinaryIO, io.BufferedReader(ranges, 1 << 16))


def open_unseen(path: str, *, end: int) -> BinaryIO:
    """The object up to byte `end`, without asking for anything yet: the first bytes that are read tell which version it
    is, and all others are of that one. A read raises MissingRunError if it is not there."""
    seen: list[Stored] = []

    def fetch(start: int, until: int) -> bytes:
        if not seen:
            return _first_bytes(path, start, until, seen)
        until = min(until, seen[0].size)
        return _bytes(seen[0], start, until) if start < until else b""

    return cast(BinaryIO, io.BufferedReader(Ranges(end, fetch), 1 << 16))


def _first_bytes(path: str, start: int, end: int, seen: list[Stored]) -> bytes:
    """Bytes [start, end) of whatever lies there, or those of them that it has; tells `seen` what that is."""
    for tried in range(TRIES):
        try:
            got = obstore.get(store_of(path), split(path)[1], options={"range": (start, end)})
            data = bytes(got.bytes())
        except FileNotFoundError as error:
            raise MissingRunError(
                f"{path}: is not there. Check --cc-base; --tolerate-missing goes on without it."
            ) from error
        except BaseError as error:
            if _BEHIND.search(str(error)):
                return b""
            if tried + 1 == TRIES or "status code: 4" in str(error):
                raise MissingRunError(str(told(error, path, "cannot be read"))) from error
            time.sleep(0.1 * 2**tried)
            continue
        found = stored(path, got.meta)
        if len(data) == min(end, found.size) - start:
            seen.append(found)
            return data
    raise MissingRunError(f"{path}: the store gave {len(data)} bytes of {end - start}. Run the same command again.")


def identity_of(found: Stored) -> str:
    return f"{found.size}@{found.version}"


def _bytes(found: Stored, start: int, end: int) -> bytes:
    """Bytes [start, end) of exactly this version."""
    options = {"range": (start, end)}
    if found.etag:
        options["if_match"] = found.etag  # type: ignore[assignment]
    for tried in range(TRIES):
        try:
            got = obstore.get(store_of(found.path), split(found.path)[1], options=options)  # type: ignore[arg-type]
            data = bytes(got.bytes())
        except (PreconditionError, FileNotFoundError) as error:
            raise _changed(found.path) from error
        except BaseError as error:
            if tried + 1 == TRIES or "status code: 4" in str(error):
                raise MissingRunError(str(told(error, found.path, "cannot be read"))) from error
            time.sleep(0.1 * 2**tried)
            continue
        if got.meta["size"] != found.size or (found.generation and got.meta["version"] != found.generation):
            raise _changed(found.path)
        if len(data) == end - start:
            return data
    raise MissingRunError(
        f"{found.path}: the store gave {len(data)} bytes of {end - start}. Run the same command again."
    )


def _changed(path: str) -> RunError:
    return RunError(f"{path}: changed during the run. Leave it as it is, and run the same command again.")


@contextlib.contextmanager
def create(path: str) -> Iterator[DigestingSink]:
    """A sink whose bytes become the object when the block ends well; when it does not the upload is given up."""
    writer = obstore.open_writer(store_of(path), split(path)[1], buffer_size=PIECE, max_concurrency=SENDING)
    try:
        yield DigestingSink(cast(BinaryIO, _Told(writer, path)))
    except BaseException as error:
        with contextlib.suppress(Exception):  # the first error is the one to tell
            writer.__exit__(type(error), error, error.__traceback__)
        raise
    try:
        writer.close()
    except (BaseError, OSError, FileNotFoundError) as error:
        raise told(error, path, "cannot be written") from error


class _Told:
    """An upload whose errors say where; errors of whoever reads meanwhile stay their own."""

    def __init__(self, writer: obstore.WritableFile, path: str) -> None:
        self._writer, self._path = writer, path

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        try:
            for start in range(0, view.nbytes, PIECE):
                self._writer.write(view[start : start + PIECE])
        except (BaseError, OSError) as error:
            raise told(error, self._path, "cannot be written") from error

    def flush(self) -> None:
        """What is sent when is the upload's own matter."""
