"""ARC, the format of crawls before WARC: a line before each record says all that is known of it.

https://archive.org/web/researcher/ArcFileFormat.php, versions 1 and 2: the line's first four fields are the same, and
the last is the length.
"""

from __future__ import annotations

import re

from transforms.outcomes import RecordError
from transforms.response import Headers
from transforms.warc_frames import Grammar

MAGIC = b"filedesc:"
_MAX_LINE = 1 << 16
_LINE = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*:.*?) [0-9A-Fa-f.:]{1,45} ([0-9]{12,18}|null) (\S*) ")
"""Address, IP, date, media type. Addresses may hold blanks, and writers that knew no date wrote `null`."""


def _length_of(line: bytes) -> int:
    """The record's bytes. Raises RecordError `truncated`, since without them nothing says where to go on."""
    if not _LINE.match(line) or not line.endswith(b"\n"):
        raise RecordError("truncated", f"the bytes after the last record are no record: {line[:40]!r}")
    length = line.rsplit(b" ", 1)[1].strip()
    if not (length.isdigit() and len(length) < 19):
        raise RecordError("truncated", f"the record's length is {length[:40]!r}, not a number of bytes")
    return int(length)


def _kind_of(line: bytes) -> str:
    """As WARC calls it: answers of name servers and the like are `unknown`."""
    scheme = line.partition(b":")[0].lower()
    return "response" if scheme in (b"http", b"https") else "warcinfo" if scheme == b"filedesc" else "unknown"


def _headers_of(line: bytes) -> Headers:
    """Those of a WARC record that says the same. Some writers' dates have a fraction of a second."""
    found = _LINE.match(line)
    if not found:
        return {}
    url, date = found[1].decode("utf-8", "replace"), found[2].decode()
    return {
        "content-type": ["application/http"], "warc-target-uri": [url],
        "warc-date": [f"{date[:4]}-{date[4:6]}-{date[6:8]}T{date[8:10]}:{date[10:12]}:{date[12:14] or '00'}Z"],
    }


ARC = Grammar(
    opening=re.compile(rb"(?:filedesc|dns|https?|ftp):\S* [0-9A-Fa-f.:]{1,45} [0-9]{14} \S* (?:\S+ )*[0-9]{1,18}\r?\n"),
    one_line=True, max_head=_MAX_LINE, length_of=_length_of, kind_of=_kind_of, headers_of=_headers_of,
)
