"""Blocks of a shuffle on disk. Beam's local runner holds all that crosses a shuffle in memory, several times over; so
there the blocks go to files of a scratch folder, and only where they lie crosses the shuffle. A cluster's engine keeps
its shuffles on disk itself, and its workers share no folder: there the blocks go through as they are.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from transforms.beam import files

Block = tuple[int, bytes]
"""The partition, and packed numbers of it."""
_PLACE = struct.Struct("<16sQQ")
"""Name of a file, first byte, number of bytes."""


@dataclass(frozen=True, kw_only=True)
class Spill:
    """`folder` is a local one that every worker sees, or None where blocks are to cross the shuffle themselves."""

    folder: str | None = None

    def keep(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """The blocks in the form that crosses the shuffle. They are on disk when this has ended."""
        if self.folder is None:
            yield from blocks
            return
        name = uuid.uuid4()
        with files.create(self._path(name)) as sink:
            for partition, block in blocks:
                place = _PLACE.pack(name.bytes, sink.bytes, len(block))
                sink.write(block)
                yield partition, place

    def load(self, values: Iterable[bytes]) -> Iterator[bytes]:
        """The blocks that crossed as `values`. Their order carries no meaning: no shuffle promises one."""
        if self.folder is None:
            yield from values
            return
        by_file: dict[bytes, list[tuple[int, int]]] = {}
        for value in values:
            name, start, length = _PLACE.unpack(value)
            by_file.setdefault(name, []).append((start, length))
        for name, places in by_file.items():
            with files.open_read(self._path(uuid.UUID(bytes=name))) as file:
                for start, length in sorted(places):
                    file.seek(start)
                    yield file.read(length)

    def _path(self, name: uuid.UUID) -> str:
        return files.join(self.folder or "", f"{name.hex}.blocks")
