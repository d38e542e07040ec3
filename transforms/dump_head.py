"""What a range of a MediaWiki dump must know of the dump: what its head says."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

from transforms.dump_xml import DumpError, DumpParser, Site
from transforms.inflate import Inflated

_STEP = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Inside:
    """The dump around a range. `codec` is the encoding that its XML declaration names, None for UTF-8. `unended` says
    that the range has not the dump's end tag: others follow it, or the file is a piece of a dump without one."""

    site: Site
    codec: str | None
    unended: bool


def read_inside(raw: BinaryIO, *, last: bool) -> Inside:
    """Reads the head of a file, plain or compressed, up to its first page. `last` says that the range ends the file.
    The dump must be in an encoding that keeps ASCII, as all are whose boundaries `transforms.ranges` finds."""
    raw.seek(0)
    buffered = io.BufferedReader(Inflated(raw), _STEP)
    data = buffered.read(_STEP)
    alone = data.lstrip().startswith(b"<page")
    parser = DumpParser(site=Site(), origin=0, codec=None, inside=alone, max_bytes=0)
    try:
        while data and parser.page is None and not parser.pages:
            parser.feed(data)
            data = buffered.read(_STEP)
    except DumpError:
        pass  # the range that holds it says so
    return Inside(site=parser.site, codec=parser.encoding, unended=alone or not last)
