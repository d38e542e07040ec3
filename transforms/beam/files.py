"""Files of a run, local or on any store Beam knows. Everything here appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import uuid
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from schemas.errors import RunError
from transforms.digests import DigestingSink

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{32}\.(?P<process>[0-9]+)\.tmp")


@dataclass(frozen=True, kw_only=True)
class Found:
    """A listed file. `identity` changes when its content may have: size, and modification time where known."""

    path: str
    size: int
    identity: str


def is_local(path: str) -> bool:
    return "://" not in path


def join(folder: str, *names: str) -> str:
    return os.path.join(folder, *names) if is_local(folder) else FileSystems.join(folder, *names)


def find(pattern: str) -> list[Found]:
    """The files that a glob matches, sorted by path; a folder means every file below it."""
    if is_local(pattern) and os.path.isdir(pattern):
        pattern = os.path.join(pattern, "**")
    [match] = FileSystems.match([pattern])
    found = [
        Found(path=m.path, size=m.size_in_bytes, identity=f"{m.size_in_bytes}@{m.last_updated_in_seconds or 0}")
        for m in match.metadata_list
        if not (is_local(m.path) and os.path.isdir(m.path))
    ]
    return sorted(found, key=lambda f: f.path)


def size(path: str) -> int | None:
    """Bytes of the file, None if it is not there."""
    try:
        return os.stat(path).st_size if is_local(path) else FileSystems.get_filesystem(path).size(path)
    except (OSError, ValueError):
        return None


def open_read(path: str) -> BinaryIO:
    """The file's bytes as they lie there: never inflated on the way."""
    if is_local(path):
        return open(path, "rb")
    return cast(BinaryIO, FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED))


def read_text(path: str) -> str | None:
    """The file as UTF-8, None if it is not there."""
    if size(path) is None:
        return None
    with open_read(path) as file:
        return file.read().decode("utf-8")


def remove(path: str) -> None:
    """Removes the file if it is there."""
    if is_local(path):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
    elif size(path) is not None:
        FileSystems.delete([path])


@contextlib.contextmanager
def create(path: str) -> Iterator[DigestingSink]:
    """A sink whose bytes become the file at `path` when the block ends well, and nothing when it does not.

    Locally a temporary file is renamed, its name carrying the writer's process id so that a killed worker's part can be
    named; on object stores an object only appears when its upload is complete."""
    if not is_local(path):
        with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            yield DigestingSink(cast(BinaryIO, file))
        return
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


def write_bytes(path: str, data: bytes) -> str:
    """Writes a whole file; returns its XXH3-128."""
    with create(path) as sink:
        sink.write(data)
    return sink.xxh3


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
