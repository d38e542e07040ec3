"""What a run reads, wherever it lies: a folder, an object store, or the web."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import BinaryIO

from schemas.errors import MissingRunError, RunError
from transforms.beam import files, stored_files, stores, web_files
from transforms.beam.files import Found
from transforms.beam.ranged import Span, only
from transforms.beam.web_addresses import is_web, shown
from transforms.beam.web_requests import Network

_PIECE = 1 << 20


def open_source(path: str, *, identity: str | None = None, network: Network) -> BinaryIO:
    """As `files.open_read`, and of the web too. Raises OSError where a local file cannot be opened, else RunError."""
    if is_web(path):
        return web_files.open_read(path, identity=identity, network=network)
    return files.open_read(path, identity=identity)


def open_spans(path: str, spans: Sequence[Span], *, network: Network) -> BinaryIO:
    """A file of which only `spans` will be read, sorted: each is one request where that is how it is read, unless it is
    larger than ranged.MOST, and nothing else is asked. Raises, or reading does, MissingRunError where it is not
    there."""
    end = max(end for _, end in spans)
    if is_web(path):
        file = web_files.open_unseen(path, end=end, network=network)
    elif stores.is_stored(path):
        file = stored_files.open_unseen(path, end=end)
    else:
        try:
            return files.open_read(path)
        except FileNotFoundError as error:
            raise MissingRunError(
                f"{path}: is not there. Check --cc-base; --tolerate-missing goes on without it."
            ) from error
    only(file, spans)
    return file


def look(path: str, *, network: Network) -> Found:
    """One file by its whole path. Raises MissingRunError where it is not there or cannot be had."""
    if is_web(path):
        return web_files.look(path, network=network)
    found = [f for f in files.find(path) if f.path == path]
    if not found:
        raise MissingRunError(f"{path}: is not there. Check the path; --tolerate-missing goes on without it.")
    return found[0]


class Checked(io.RawIOBase):
    """A file that is digested on its way through, wherever reading jumps: `finish` reads what was left out."""

    def __init__(self, raw: BinaryIO, *, digest: str, path: str) -> None:
        """`digest` is ALGORITHM:HEX, the algorithm sha1, md5 or sha256."""
        super().__init__()
        name, self._promised = digest.split(":")
        self._raw, self._path, self._name = raw, path, name
        self._hash, self._until = hashlib.new(name, usedforsecurity=False), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._raw.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._raw.seek(offset, whence)

    def readinto(self, target: bytearray | memoryview) -> int:  # type: ignore[override]
        at = self._raw.tell()
        data = self._raw.read(memoryview(target).nbytes)
        memoryview(target).cast("B")[: len(data)] = data
        if at <= self._until < at + len(data):
            self._hash.update(memoryview(data)[self._until - at :])
            self._until = at + len(data)
        return len(data)

    def close(self) -> None:
        self._raw.close()
        super().close()

    def finish(self) -> None:
        """Raises RunError unless the whole file has the digest it was promised with."""
        self.seek(self._until)
        while self.read(_PIECE):
            pass
        if self._hash.hexdigest() != self._promised:
            raise RunError(
                f"{shown(self._path)}: its {self._name} is {self._hash.hexdigest()}, its source says {self._promised}: "
                "it is damaged or another file. Fetch it from elsewhere, or wait until the source is mended."
            )
