"""One version of a file of the web, by ranges of its bytes: what breaks off is resumed where it broke."""

from __future__ import annotations

import http.client
import re
import time
from dataclasses import dataclass

from schemas.errors import MissingRunError, RunError
from transforms.beam.files import Found
from transforms.beam.ranged import LEAST
from transforms.beam.web_addresses import shown
from transforms.beam.web_requests import AgainError, Link, Network

RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
"""Content-Range: first and last byte, and the file's size."""
_BEHIND = re.compile(r"bytes \*/(\d+)")
PIECE = 1 << 16
"""Bytes read at a time."""


def version_of(answer: http.client.HTTPResponse) -> str:
    """The etag, else when it was last modified, as the server says."""
    return (answer.getheader("ETag") or answer.getheader("Last-Modified") or "").replace('"', "")


@dataclass(frozen=True, kw_only=True)
class Download:
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
            same = f"{length}@{version_of(answer)}" == self.found.identity
            raise refused(self.found.path, answer) if same else changed(self.found.path)
        if answer.status != 206:
            raise refused(self.found.path, answer)
        text = answer.getheader("Content-Range") or ""
        match = RANGE.fullmatch(text)
        version, size = self.found.identity.partition("@")[2], match and int(match[3])
        if match and (version_of(answer) != version or (not version and size != self.found.size)):
            raise changed(self.found.path)
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
            data = answer.read1(min(wanted, PIECE))
            got += data
            wanted -= len(data)
            if not data or (wanted and time.monotonic() > until):
                raise OSError


@dataclass(kw_only=True)
class Unseen:
    """Of the version that the first answer is of."""

    url: str
    link: Link
    network: Network
    seen: Download | None = None

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
        behind, match = _BEHIND.fullmatch(text), RANGE.fullmatch(text)
        if answer.status == 416 and behind and int(behind[1]) <= start:
            self.link.close()
            return
        if answer.status != 206:
            raise refused(self.url, answer)
        if not match or (int(match[1]), int(match[2])) != (start, min(end, int(match[3])) - 1):
            raise AgainError(f"the server was asked for bytes {start}-{end - 1} and gave {text or 'others'!r}")
        wanted, length = int(match[2]) + 1 - start, answer.getheader("Content-Length")
        if length is not None and length != str(wanted):
            raise AgainError(f"the server announced {length} bytes of {wanted}")
        found = Found(path=self.url, size=int(match[3]), identity=f"{match[3]}@{version_of(answer)}")
        self.seen = Download(found=found, link=self.link, network=self.network)
        try:
            self.seen.take(answer, got, wanted)
        except AgainError:
            self.link.close()


def changed(url: str) -> RunError:
    return RunError(f"{shown(url)}: changed during the run. Leave it as it is, and run the same command again.")


def refused(url: str, answer: http.client.HTTPResponse) -> RunError:
    if answer.status == 200:
        return RunError(f"{shown(url)}: its server gives no ranges of bytes. Fetch the file first, and give the file.")
    what = "Check the address" if answer.status in (404, 410) else "Ask whoever runs the server"
    reason = f"{answer.status} {answer.reason}".strip()
    return MissingRunError(
        f"{shown(url)}: the server answered {reason}. {what}; --tolerate-missing goes on without it."
    )
