"""Ranged requests over HTTP: patient with a server that is slow, cut off or busy, and never more often than it bears.

The standard library's client is enough, and a worker needs no other.
"""

from __future__ import annotations

import email.utils
import http.client
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from schemas.errors import MissingRunError
from transforms.beam.web_addresses import check_address, redirected, shown
from transforms.beam.web_pace import MOST_WAIT, hold_back, pace

AGENT = "winnow/0.1.0 (text for language models)"
"""Who asks: no browser's name. tests/transforms/test_web_files.py holds the version to pyproject's."""
REDIRECTS = 5
_LONGEST_WAIT = 32.0
"""Seconds between two tries where the server does not say: by eight tries a minute has passed."""
_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))
"""Answers that another time may be others: RFC 9110, 15.5 and 15.6; 425 and 429 of RFC 8470 and RFC 6585."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Network:
    """How hosts are asked. `rate`: requests a second to a host, from all processes of a machine. `tries` of a request
    that brings nothing; before the second `first_wait` seconds pass, and twice as many before each next. `timeout`:
    seconds until a silent server is given up, and those it has for each 256 KiB. `cache`: the folder of a machine in
    which whole files are kept."""

    allow_http: bool = False
    rate: float = 10.0
    tries: int = 8
    first_wait: float = 0.5
    timeout: float = 60.0
    cache: str | None = None


NETWORK = Network()


class AgainError(Exception):
    """Another try may bring it. `gained` says that this one brought something; `wait` is what the server asks for."""

    def __init__(self, reason: str, *, wait: float = 0.0, gained: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.wait, self.gained = reason, wait, gained


class Link:
    """A connection that is kept open between the requests for one file. Not for two threads at a time."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._connection: http.client.HTTPConnection | None = None
        self._to: tuple[str, str] | None = None
        self._answer: http.client.HTTPResponse | None = None

    def close(self) -> None:
        if self._answer:  # holds the socket on where the server says that it closes the connection
            self._answer.close()
        if self._connection:
            self._connection.close()
        self._connection = self._to = self._answer = None

    def end(self, answer: http.client.HTTPResponse) -> None:
        """Of an answer that is read: the connection can be used again, unless more would come."""
        if answer.length == 0:
            answer.read()
        else:
            self.close()

    def patiently(self, url: str, ask: Callable[[], T]) -> T:
        """What `ask` gives, which is called again when it raises AgainError. Raises MissingRunError in the end."""
        failed = 0
        while True:
            try:
                return ask()
            except AgainError as again:
                self.close()
                failed = 1 if again.gained else failed + 1
                if failed >= self._network.tries or again.wait > MOST_WAIT:
                    raise MissingRunError(_given_up(url, again, failed)) from again
                # no byte of the output depends on how long we wait
                time.sleep(min(self._network.first_wait * 2 ** (failed - 1), _LONGEST_WAIT) * random.uniform(0.5, 1))  # noqa: S311

    def get(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        """The answer, after redirects, its body unread. Raises AgainError where another time may help, MissingRunError
        where it cannot."""
        at = url
        for _ in range(REDIRECTS + 1):
            check_address(at, allow_http=self._network.allow_http)
            try:
                answer = self._send(at, headers)
            except ssl.SSLCertVerificationError as error:
                raise MissingRunError(f"{shown(url)}: its certificate is not good: {error.verify_message}.") from error
            except (OSError, http.client.HTTPException) as error:
                raise AgainError(f"{type(error).__name__}: {error}") from error
            if answer.status in _AGAIN:
                wait = _wait_of(answer.getheader("Retry-After"))
                hold_back(_host(at), seconds=wait)
                raise AgainError(f"the server answered {answer.status} {answer.reason}", wait=wait)
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            self.close()
            at = redirected(at, answer.getheader("Location"), allow_http=self._network.allow_http)
        raise MissingRunError(
            f"{shown(url)}: redirects more than {REDIRECTS} times. Give the address where the file lies."
        )

    def _send(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        kept = self._connection is not None and self._to == (parts.scheme, parts.netloc)
        try:
            return self._ask(url, headers)
        except (ConnectionError, http.client.HTTPException):
            if not kept:
                raise
            return self._ask(url, headers)  # servers close connections that rest: that is no failure

    def _ask(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        if self._to != (parts.scheme, parts.netloc):
            self.close()
        pace(_host(url), rate=self._network.rate)
        if self._connection is None:
            kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
            self._connection = kind(parts.hostname or "", parts.port, timeout=self._network.timeout)
            self._to = (parts.scheme, parts.netloc)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            self._connection.request(
                "GET", target, headers={"User-Agent": AGENT, "Accept-Encoding": "identity", **headers}
            )
            self._answer = self._connection.getresponse()
            return self._answer
        except BaseException:
            self.close()
            raise


def _host(url: str) -> str:
    return urlsplit(url).netloc.lower()


def _wait_of(text: str | None) -> float:
    """Seconds of a Retry-After: a number or a date (RFC 9110, 10.2.3). 0 where there is none, or none of either."""
    try:
        if text is None or text.strip().isdecimal():
            return float(text or 0)
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0


def _given_up(url: str, again: AgainError, failed: int) -> str:
    if again.wait > MOST_WAIT:
        return f"{shown(url)}: {again.reason}, and to come back in {again.wait:.0f} s. Do so: finished parts are kept."
    return (
        f"{shown(url)}: cannot be had: {again.reason}, at the last of {failed} tries. Run the same command again: "
        "finished parts are kept. --tolerate-missing goes on without it."
    )
