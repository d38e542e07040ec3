"""What a compression must do to be read through `transforms.inflate`, and gzip and bzip2, which do it."""

from __future__ import annotations

import bz2
from typing import Protocol

from isal import igzip_lib, isal_zlib

GZIP_MAGIC = b"\x1f\x8b"
BZIP2_MAGIC = b"BZh"
MAGIC_BYTES = 4
"""Bytes that `Codec.starts` needs."""


class CodecError(Exception):
    """Bytes that the codec cannot take."""


class Codec(Protocol):
    """Decodes the members of one file (gzip members, zstd frames) one after the other, in bounded steps.

    A member is begun by `start`, given and taken from by `decode` until `eof`."""

    name: str
    member: str
    """What a member is called: `gzip member`."""
    magic: bytes
    """What every member that holds data starts with, to search for one."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended and all of it was handed out."""

    @property
    def unused(self) -> bytes:
        """At `eof`, the bytes given that lie after the member."""

    def starts(self, head: bytes) -> bool:
        """Whether a member of this codec starts with the MAGIC_BYTES bytes of `head`."""

    def start(self) -> None:
        """Begins a member."""

    def decode(self, data: bytes, size: int) -> bytes:
        """At most `size` inflated bytes, of `data` and of what was given before. No bytes: the member has ended, or
        more must be given. Raises CodecError."""


class Gzip:
    """RFC 1952, by Intel's ISA-L at twice the speed of zlib. What it inflated in the call that met damage it keeps."""

    name = "gzip"
    member = "gzip member"
    magic = GZIP_MAGIC + b"\x08"  # deflate, the only method there is: RFC 1952, 2.3.1

    def __init__(self) -> None:
        self.start()

    def starts(self, head: bytes) -> bool:
        return head.startswith(GZIP_MAGIC)

    def start(self) -> None:
        self._inflater = isal_zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def unused(self) -> bytes:
        return self._inflater.unused_data

    def decode(self, data: bytes, size: int) -> bytes:
        try:
            return self._inflater.decompress(self._inflater.unconsumed_tail + data, size)
        except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub says a type no exception has
            raise CodecError(str(error)) from error


class Bzip2:
    """Streams of bzip2, one or many in a file, as multistream dumps have them."""

    name = "bzip2"
    member = "bzip2 stream"
    magic = BZIP2_MAGIC

    def __init__(self) -> None:
        self.start()

    def starts(self, head: bytes) -> bool:
        return head.startswith(BZIP2_MAGIC)

    def start(self) -> None:
        self._inflater = bz2.BZ2Decompressor()

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def unused(self) -> bytes:
        return self._inflater.unused_data

    def decode(self, data: bytes, size: int) -> bytes:
        try:
            return self._inflater.decompress(data, size)
        except OSError as error:  # of the data: no file is read in here
            raise CodecError(str(error)) from error
