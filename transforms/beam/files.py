"""Files of a run: local, on `s3://` and `gs://`, or on another store Beam knows. Everything here appears whole or not
at all."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, TypeVar, cast

import xxhash
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from schemas.errors import RunError
from transforms.beam import local_files, stored_files, stores
from transforms.beam.local_files import clear_temporaries, half_written, temporary_name
from transforms.digests import DigestingSink

__all__ = [
    "Found", "asked", "clear_temporaries", "create", "find", "half_written", "is_local", "join", "open_read", "publish",
    "read_text", "remove", "size", "temporary_name", "write_bytes",
]

AT_ONCE = 64
"""Requests of `asked` on their way at a time: stores take thousands a second, and answer one in some 20 ms."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Found:
    """A listed file. `identity` changes when its content may have: size, with the etag or generation of an
    object and the modification time of other files, where known."""

    path: str
    size: int
    identity: str


def is_local(path: str) -> bool:
    return "://" not in path


def join(folder: str, *names: str) -> str:
    if stores.is_stored(folder):
        return "/".join([folder.rstrip("/"), *names])
    return os.path.join(folder, *names) if is_local(folder) else FileSystems.join(folder, *names)


def find(pattern: str) -> list[Found]:
    """The files that a glob matches, sorted by path; a folder means every file below it."""
    if stores.is_stored(pattern):
        return sorted(_find_stored(pattern), key=lambda f: f.path)
    if is_local(pattern) and os.path.isdir(pattern):
        pattern = os.path.join(pattern, "**")
    [match] = FileSystems.match([pattern])
    found = [
        Found(path=m.path, size=m.size_in_bytes, identity=f"{m.size_in_bytes}@{m.last_updated_in_seconds or 0}")
        for m in match.metadata_list
        if not (is_local(m.path) and os.path.isdir(m.path))
    ]
    return sorted(found, key=lambda f: f.path)


def _find_stored(pattern: str) -> Iterator[Found]:
    """What lies below the part of the pattern that is no pattern, as far as the rest matches. Raises RunError where the
    bucket is not there or may not be listed."""
    literal = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    if literal == pattern:
        found = None if pattern.endswith("/") else stores.look(pattern, hasty=True)
        if found:
            yield _found(found)
            return
        literal = pattern = pattern.rstrip("/") + "/"
        pattern += "**"
    root = literal[: literal.rfind("/") + 1]
    # the same rules as for local files; they are Beam's
    matches = re.compile(FileSystems.get_filesystem("/").translate_pattern(pattern)).fullmatch
    yield from (_found(o) for o in stores.below(root, deep="/" in pattern[len(root) :] or "**" in pattern)
                if matches(o.path))


def _found(stored: stores.Stored) -> Found:
    return Found(path=stored.path, size=stored.size, identity=stored_files.identity_of(stored))


def size(path: str) -> int | None:
    """Bytes of the file, None if it is not there."""
    if stores.is_stored(path):
        found = stores.look(path)
        return found.size if found else None
    try:
        return os.stat(path).st_size if is_local(path) else FileSystems.get_filesystem(path).size(path)
    except (OSError, ValueError):
        return None


def asked(ask: Callable[[str], T], paths: Sequence[str]) -> Iterator[T]:
    """`ask` of every path, in their order. Where they are objects, AT_ONCE are asked for at a time: one by one, the
    outputs of a hundred thousand parts take an hour. When nobody wants more answers, no more is asked."""
    if not any(stores.is_stored(path) for path in paths):
        yield from map(ask, paths)
        return
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield from pool.map(ask, paths)
    finally:
        pool.shutdown(cancel_futures=True)


def open_read(path: str, *, identity: str | None = None) -> BinaryIO:
    """The file's bytes as they lie there: never inflated on the way. Of an object all are of one version, and that of
    `identity` if it is given; raises RunError if they cannot be."""
    if stores.is_stored(path):
        return stored_files.open_read(path, identity)
    if is_local(path):
        return open(path, "rb")
    return cast(BinaryIO, FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED))


def read_text(path: str) -> str | None:
    """The file as UTF-8, None if it is not there."""
    if stores.is_stored(path):
        found = stores.read(path)
        return found[0].decode("utf-8") if found else None
    if size(path) is None:
        return None
    with open_read(path) as file:
        return file.read().decode("utf-8")


def remove(path: str) -> None:
    """Removes the file if it is there."""
    if stores.is_stored(path):
        stores.delete(path)
    elif is_local(path):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
    elif size(path) is not None:
        FileSystems.delete([path])


@contextlib.contextmanager
def create(path: str) -> Iterator[DigestingSink]:
    """A sink whose bytes become the file at `path` when the block ends well, and nothing when it does not.

    Locally a temporary file is renamed; on object stores an object only appears when its upload is complete."""
    if stores.is_stored(path):
        with stored_files.create(path) as sink:
            yield sink
        return
    if not is_local(path):
        with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            yield DigestingSink(cast(BinaryIO, file))
        return
    with local_files.create(path) as sink:
        yield sink


def write_bytes(path: str, data: bytes) -> str:
    """Writes a whole file; returns its XXH3-128."""
    with create(path) as sink:
        sink.write(data)
    return sink.xxh3


def publish(path: str, data: bytes, *, anew: bool = False) -> str:
    """Writes a file that readers follow: what it promises must be there before. An object is put on the condition that
    none is there; with `anew`, that it is the one we have just looked at. Returns its XXH3-128.

    Raises RunError if another process was first with another content."""
    if not stores.is_stored(path):
        return write_bytes(path, data)
    there = stores.read(path) if anew else None
    if there is None or there[0] != data:
        writer = f"{socket.gethostname()}, process {os.getpid()}"
        try:
            stores.put(path, data, over=there[1] if there else None, writer=writer)
        except stores.LostRaceError as error:
            raise RunError(f"{error} Two runs write here: end one, and run the other's command again.") from error
    return xxhash.xxh3_128_hexdigest(data)
