"""Files of the web: found, and opened to be read as one version."""

from __future__ import annotations

import contextlib
import http.client
import io
import re
from typing import BinaryIO, cast

from schemas.errors import RunError
from transforms.beam.files import Found
from transforms.beam.ranged import Ranges
from transforms.beam.web_addresses import check_address, shown
from transforms.beam.web_cache import kept
from transforms.beam.web_download import PIECE, RANGE, Download, Unseen, changed, refused, version_of
from transforms.beam.web_requests import AgainError, Link, Network

_NOTHING = re.compile(r"bytes \*/0")


def look(url: str, *, network: Network) -> Found:
    """The file as it is now, by a request for its first byte: that tells its size, and that ranges can be had. Raises
    RunError at an address that is none, MissingRunError where the file is not there or cannot be had."""
    link = Link(network)
    try:
        return _look(url, link)
    finally:
        link.close()


def open_read(url: str, *, identity: str | None = None, network: Network) -> BinaryIO:
    """The file with seek, by way of the network's cache if it has one. Raises as `look`, and RunError if it is not
    `identity`; a read raises RunError if it has changed since it was opened."""
    link = Link(network)
    try:
        found = _look(url, link)
        if identity is not None and identity != found.identity:
            raise changed(url)
    except BaseException:
        link.close()
        raise
    if network.cache:
        with contextlib.closing(link):
            return kept(found, folder=network.cache, open_read=lambda: _open(found, link, network))
    return _open(found, link, network)


def _open(found: Found, link: Link, network: Network) -> BinaryIO:
    ranges = _Closing(found.size, Download(found=found, link=link, network=network).bytes)
    ranges.link = link
    return cast(BinaryIO, io.BufferedReader(ranges, PIECE))


def open_unseen(url: str, *, end: int, network: Network) -> BinaryIO:
    """The file up to byte `end`, without asking for anything yet: the first bytes that are read tell which version it
    is, and all others are of that one. Reading raises as `look` and as what `open_read` gives."""
    link = Link(network)
    ranges = _Closing(end, Unseen(url=url, link=link, network=network).bytes)
    ranges.link = link
    return cast(BinaryIO, io.BufferedReader(ranges, PIECE))


class _Closing(Ranges):
    link: Link

    def close(self) -> None:
        if not self.closed:
            self.link.close()
        super().close()


def _look(url: str, link: Link) -> Found:
    def ask() -> Found:
        answer = link.get(url, {"Range": "bytes=0-0"})
        kind, text = answer.status, answer.getheader("Content-Range") or ""
        match = RANGE.fullmatch(text)
        if kind == 206 and match and match[1] == match[2] == "0":
            size = int(match[3])
        elif (kind == 416 and _NOTHING.fullmatch(text)) or (kind == 200 and answer.getheader("Content-Length") == "0"):
            size = 0
        elif kind == 206:
            raise AgainError(f"the server was asked for bytes 0-0 and gave {text or 'others'!r}")
        else:
            raise refused(url, answer)
        with contextlib.suppress(OSError, http.client.HTTPException):  # the byte itself is of no use
            answer.read1(1)
        link.end(answer)
        return Found(path=url, size=size, identity=f"{size}@{version_of(answer)}")

    return link.patiently(url, ask)


def check(url: str, *, network: Network) -> None:
    """Raises RunError where this is no address of a file."""
    check_address(url, allow_http=network.allow_http)
    if re.search(r"[*\[]", url.partition("://")[2].partition("/")[2]):
        raise RunError(
            f"{shown(url)}: nothing can be listed over https, so a pattern finds nothing. Give the addresses in a "
            "file, one a line: --input @FILE"
        )
    if shown(url).endswith("/") or url.count("/") < 3:
        raise RunError(
            f"{shown(url)}: names no file, and nothing can be listed over https. Give the addresses in a file, one a "
            "line: --input @FILE"
        )
