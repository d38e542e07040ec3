"""Files of the web: read by ranges of one version; what breaks off is resumed where it broke."""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import time
from dataclasses import dataclass
from typing import BinaryIO, cast

from schemas.errors import MissingRunError, RunError
from transforms.beam.files import Found
from transforms.beam.ranged import LEAST, Ranges
from transforms.beam.web_addresses import check_address, shown
from transforms.beam.web_cache import kept
from transforms.beam.web_requests import AgainError, Link, Network

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_BEHIND = re.compile(r"bytes \*/(\d+)")
_NOTHING = re.compile(r"bytes \*/0")
_PIECE = 1 << 16


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
            raise _changed(url)
    except BaseException:
        link.close()
        raise
    if network.cache:
        with contextlib.closing(link):
            return kept(found, folder=network.cache, open_read=lambda: _open(found, link, network))
    return _open(found, link, network)


def _open(found: Found, link: Link, network: Network) -> BinaryIO:
    ranges = _Closing(found.size, _Download(found=found, link=link, network=network).bytes)
    ranges.link = link
    return cast(BinaryIO, io.BufferedReader(ranges, _PIECE))


def open_unseen(url: str, *, end: int, network: Network) -> BinaryIO:
    """The file up to byte `end`, without asking for anything yet: the first bytes that are read tell which version it
    is, and all others are of that one. Reading raises as `look` and as what `open_read` gives."""
    link = Link(network)
    ranges = _Closing(end, _Unseen(url=url, link=link, network=network).bytes)
    ranges.link = link
    return cast(BinaryIO, io.BufferedReader(ranges, _PIECE))


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
        match = _RANGE.fullmatch(text)
        if kind == 206 and match and match[1] == match[2] == "0":
            size = int(match[3])
        elif (kind == 416 and _NOTHING.fullmatch(text)) or (kind == 200 and answer.getheader("Content-Length") == "0"):
            size = 0
        elif kind == 206:
            raise AgainError(f"the server was asked for bytes 0-0 and gave {text or 'others'!r}")
        else:
            raise _refused(url, answer)
        with contextlib.suppress(OSError, http.client.HTTPException):  # the byte itself is of no use
            answer.read1(1)
        link.end(answer)
        return Found(path=url, size=size, identity=f"{size}@{_version(answer)}")

    return link.patiently(url, ask)


def _version(answer: http.client.HTTPResponse) -> str:
    """The etag, else when it was last modified, as the server says."""
    return (answer.getheader("ETag") or answer.getheader("Last-Modified") or "").replace('"', "")


@dataclass(frozen=True, kw_only=True)
class _Download:
    """Of exactly the version `found`."""

    found: Found
    link: Link
    network: Network

    def bytes(self, start: int, end: int) -> bytes:
        got = bytearray()
        self.link.patiently(self.found.path, lambda: self._rest(got, start + len(got), end))
        return bytes(got)

    def _rest(self, got: bytearray, start: int, end: int) -> None:
        """Appends bytes [start, end), or as many as come before it raises AgainError."""
        answer = self.link.get(self.found.path, {"Range": f"bytes={start}-{end - 1}", **self._condition()})
        self._check(answer, start, end)
        self.take(answer, got, end - start)

    def take(self, answer: http.client.HTTPResponse, got: bytearray, wanted: int) -> None:
        """Appends the answer's `wanted` bytes, or as many as come before it raises AgainError."""
        before = len(got)
        try:
            self._receive(answer, got, wanted)
        except (OSError, http.client.HTTPException) as error:
            gained = len(got) - before
            reason = f"the answer broke off after {gained} bytes of {wanted}"
            raise AgainError(reason, gained=gained >= LEAST) from error
        self.link.end(answer)

    def _condition(self) -> dict[str, str]:
        """If-Range takes no weak etag (RFC 9110, 13.1.5); whatever is sent, what the answer says is compared."""
        version = self.found.identity.partition("@")[2]
        weak = not version or version.startswith("W/") or " " in version  # a date has blanks
        return {} if weak else {"If-Range": f'"{version}"'}

    def _check(self, answer: http.client.HTTPResponse, start: int, end: int) -> None:
        if answer.status in (200, 412, 416):
            length = answer.getheader("Content-Length") if answer.status == 200 else ""
            same = f"{length}@{_version(answer)}" == self.found.identity
            raise _refused(self.found.path, answer) if same else _changed(self.found.path)
        if answer.status != 206:
            raise _refused(self.found.path, answer)
        text = answer.getheader("Content-Range") or ""
        match = _RANGE.fullmatch(text)
        version, size = self.found.identity.partition("@")[2], match and int(match[3])
        if match and (_version(answer) != version or (not version and size != self.found.size)):
            raise _changed(self.found.path)
        if not match or (int(match[1]), int(match[2]), size) != (start, end - 1, self.found.size):
            raise AgainError(f"the server was asked for bytes {start}-{end - 1} and gave {text or 'others'!r}")
        length = answer.getheader("Content-Length")
        if length is not None and length != str(end - start):
            raise AgainError(f"the server announced {length} bytes of {end - start}")

    def _receive(self, answer: http.client.HTTPResponse, got: bytearray, wanted: int) -> None:
        """Raises OSError when the connection ends before, or is far slower than any that is of use: each LEAST bytes
        have as long as a silent server has."""
        until = time.monotonic() + self.network.timeout * (1 + wanted // LEAST)
        while wanted:
            data = answer.read1(min(wanted, _PIECE))
            got += data
            wanted -= len(data)
            if not data or (wanted and time.monotonic() > until):
                raise OSError


@dataclass(kw_only=True)
class _Unseen:
    """Of the version that the first answer is of."""

    url: str
    link: Link
    network: Network
    seen: _Download | None = None

    def bytes(self, start: int, end: int) -> bytes:
        """Bytes [start, end), or those of them that the file has."""
        got = bytearray()
        if self.seen is None:
            self.link.patiently(self.url, lambda: self._first(got, start, end))
        if self.seen:
            end = min(end, self.seen.found.size)
            got += self.seen.bytes(start + len(got), end) if start + len(got) < end else b""
        return bytes(got)

    def _first(self, got: bytearray, start: int, end: int) -> None:
        """Raises AgainError only as long as nothing is seen: what breaks off then goes on as of a file that is."""
        answer = self.link.get(self.url, {"Range": f"bytes={start}-{end - 1}"})
        text = answer.getheader("Content-Range") or ""
        behind, match = _BEHIND.fullmatch(text), _RANGE.fullmatch(text)
        if answer.status == 416 and behind and int(behind[1]) <= start:
            self.link.close()
            return
        if answer.status != 206:
            raise _refused(self.url, answer)
        if not match or (int(match[1]), int(match[2])) != (start, min(end, int(match[3])) - 1):
            raise AgainError(f"the server was asked for bytes {start}-{end - 1} and gave {text or 'others'!r}")
        wanted, length = int(match[2]) + 1 - start, answer.getheader("Content-Length")
        if length is not None and length != str(wanted):
            raise AgainError(f"the server announced {length} bytes of {wanted}")
        found = Found(path=self.url, size=int(match[3]), identity=f"{match[3]}@{_version(answer)}")
        self.seen = _Download(found=found, link=self.link, network=self.network)
        try:
            self.seen.take(answer, got, wanted)
        except AgainError:
            self.link.close()


def _changed(url: str) -> RunError:
    return RunError(f"{shown(url)}: changed during the run. Leave it as it is, and run the same command again.")


def _refused(url: str, answer: http.client.HTTPResponse) -> RunError:
    if answer.status == 200:
        return RunError(f"{shown(url)}: its server gives no ranges of bytes. Fetch the file first, and give the file.")
    what = "Check the address" if answer.status in (404, 410) else "Ask whoever runs the server"
    reason = f"{answer.status} {answer.reason}".strip()
    return MissingRunError(
        f"{shown(url)}: the server answered {reason}. {what}; --tolerate-missing goes on without it."
    )


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
