"""Files that are named rather than found: lists of paths, cc:SNAPSHOT and wiki:DB/DATE."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pipelines.reach import Reach
from schemas.errors import MissingRunError, RunError
from transforms.beam import sources
from transforms.beam.files import Found

_LIST_BYTES = 256 << 20
"""Of a list, inflated: Common Crawl's of 100,000 WARC files has 14 MB."""
_LOOKING = 16
"""Files asked after at a time. What a host bears is held by its pace."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """A file at `path`, called `name`; `digest` is what its source promises, ALGORITHM:HEX."""

    name: str
    path: str
    digest: str | None = None
    size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A named file that was looked at. One that may be missing, and is, has size 0 and no identity."""

    name: str
    found: Found
    digest: str | None = None


def look_at(named: Sequence[Named], *, reach: Reach) -> list[Listed]:
    """Raises RunError where one is not there, or not as large as its source says."""

    def look(file: Named) -> Listed:
        try:
            found = sources.look(file.path, network=reach.network)
        except MissingRunError:
            if not reach.tolerate_missing:
                raise
            found = Found(path=file.path, size=0, identity="")
        if file.size is not None and found.identity and file.size != found.size:
            raise RunError(
                f"{file.path}: has {found.size} bytes, its source says {file.size}: it is damaged or another file. "
                "Wait until the source is mended, or read from another."
            )
        return Listed(name=file.name, found=found, digest=file.digest)

    threads = ThreadPoolExecutor(_LOOKING)
    try:
        return list(threads.map(look, named))
    finally:
        threads.shutdown(cancel_futures=True)


def read_lines(path: str, *, reach: Reach) -> list[str]:
    """The lines of a small text file, gzip or plain, without blanks around them and without empty ones."""
    return [line for line in map(str.strip, read_text(path, reach=reach).split("\n")) if line]


def read_text(path: str, *, reach: Reach) -> str:
    """A small text file, gzip or plain. Raises RunError where it cannot be read, or is no such file."""
    try:
        with sources.open_source(path, network=reach.network) as file:
            data = file.read(_LIST_BYTES + 1)
        if data.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as inflated:
                data = inflated.read(_LIST_BYTES + 1)
        if len(data) > _LIST_BYTES:
            raise RunError(f"{path}: is longer than {_LIST_BYTES >> 20} MiB, so it is no list of files.")
        return data.decode()
    except FileNotFoundError as error:
        raise MissingRunError(f"{path}: is not there. Check the name, and where it should lie.") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read as a list of files: {error}. Check what lies there.") from error
