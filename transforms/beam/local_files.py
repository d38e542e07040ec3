"""Local files that appear whole or not at all: written under another name and renamed.

The name carries the writer's process id, so that a killed worker's part can be named."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import uuid
from collections.abc import Container, Iterator
from typing import BinaryIO, cast

from schemas.errors import RunError
from transforms.digests import DigestingSink

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{32}\.(?P<process>[0-9]+)\.tmp")


@contextlib.contextmanager
def create(path: str) -> Iterator[DigestingSink]:
    """A sink whose bytes become the file at `path` when the block ends well, and nothing when it does not."""
    temporary = temporary_name(path, os.getpid())
    try:
        with _readable_errors(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            file = open(temporary, "wb", buffering=0)
        with file:
            yield DigestingSink(cast(BinaryIO, _Guarded(file, path)))
            with _readable_errors(path):
                os.fsync(file.fileno())
        with _readable_errors(path):
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)


class _Guarded:
    """A file whose write errors say what to do; errors of whoever reads meanwhile stay their own."""

    def __init__(self, file: io.FileIO, path: str) -> None:
        self._file, self._path = file, path

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        with _readable_errors(self._path):
            while view.nbytes:
                view = view[self._file.write(view) :]

    def flush(self) -> None:
        """Nothing is buffered."""


@contextlib.contextmanager
def _readable_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}. {_remedy(error)}") from error


def temporary_name(path: str, process: int) -> str:
    """A new name at each call: on a cluster two threads of a process, or equal process ids of two machines, may write
    the same part at once."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{uuid.uuid4().hex}.{process}.tmp")


def half_written(folder: str, alive: Container[int]) -> list[str]:
    """The files below `folder` whose writer is not `alive` any more, as they would have been called."""
    return sorted(
        os.path.join(parent, m["name"])
        for parent, _, names in os.walk(folder)
        for m in map(_TEMPORARY.fullmatch, names)
        if m and int(m["process"]) not in alive
    )


def clear_temporaries(folder: str) -> None:
    """Removes what a killed run left half-written."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if _TEMPORARY.fullmatch(name):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(os.path.join(parent, name))


def _remedy(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "Free some space and run the same command again: finished parts are kept."
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return "Choose an --output that you may write to, and run the same command again."
        case _:
            return "Mend that and run the same command again: finished parts are kept."
