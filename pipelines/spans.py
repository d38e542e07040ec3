"""Which input files become several parts, and where they are cut."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pipelines.inputs import InputFile
from schemas.errors import MissingRunError, RunError
from transforms.beam.sources import open_source
from transforms.beam.web_requests import NETWORK, Network
from transforms.ranges import can_be_split

Span = tuple[int, int]
"""Bytes [start, end) of a file."""
_LOOKING = 16
"""Files looked into at a time: on an object store that is waiting, and most of a crawl's may be large."""


def spans_of(
    found: Sequence[InputFile], *, part_bytes: int, network: Network = NETWORK, tolerate_missing: bool = False,
) -> list[list[Span | None]]:
    """For each file the spans that become parts: [None] if it is one part, else equal ones of at most `part_bytes`
    that cover it. Only files that are larger are looked into. Raises RunError where one cannot be read; with
    `tolerate_missing`, one that cannot be had is one part."""

    def of(file: InputFile) -> list[Span | None]:
        size = file.found.size
        count = -(-size // part_bytes)
        try:
            if count < 2 or not splittable(file.found.path, network):
                return [None]
        except MissingRunError:
            if not tolerate_missing:
                raise
            return [None]
        return [(size * k // count, size * (k + 1) // count) for k in range(count)]

    with ThreadPoolExecutor(_LOOKING) as threads:
        return list(threads.map(of, found))


def splittable(path: str, network: Network) -> bool:
    """Whether ranges of a file can be read alone. Raises RunError where it cannot be read."""
    try:
        with open_source(path, network=network) as file:
            return can_be_split(file)
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error}. Make it readable, or leave it out of --input.") from error
