"""One POST of JSON to an address that somebody listens at. The address may hold a secret, so it is never told."""

from __future__ import annotations

import http.client
import ipaddress
import ssl
import time
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from schemas.errors import OptionError

TIMEOUT_S = 5.0
TRIES = 3
"""With the waits between them, 16.5 s at most: less than the 30 s that Kubernetes leaves a pod to end in."""
FIRST_WAIT_S = 0.5


def check_webhook(url: str) -> str:
    """The address as it is. Raises OptionError, without it, unless it is https, or http of this machine."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise OptionError("--webhook: is no address. Write https://HOST/PATH.") from None
    if parts.username or parts.password:
        raise OptionError("--webhook: holds a user's name or password. Use an address with a token in its path.")
    if not host or port == 0 or not (parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))):
        raise OptionError("--webhook: only https:// is posted to, and http:// of this machine.")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise OptionError("--webhook: is no address. Write other characters as %XX.")
    return url


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def post(url: str, body: bytes, *, wait: Callable[[float], None] = time.sleep) -> str:
    """Sends `body`, again where the other side was busy or not there. Returns what went wrong, or nothing: whoever
    listens decides nothing about the run. Redirects are not followed, proxies not used."""
    parts, problem = urlsplit(url), ""
    for tried in range(TRIES):
        if tried:
            wait(FIRST_WAIT_S * 2 ** (tried - 1))
        try:
            status = _once(parts, body)
        except (OSError, http.client.HTTPException) as error:
            problem = type(error).__name__  # its text may hold the address
            continue
        if 200 <= status < 300:
            return ""
        problem = f"it answered {status}"
        if status < 500 and status not in (408, 425, 429):
            break
    return problem


def _once(parts: SplitResult, body: bytes) -> int:
    host = parts.hostname or ""
    if parts.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, parts.port, timeout=TIMEOUT_S, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, {"Content-Type": "application/json", "User-Agent": "winnow"})
        return connection.getresponse().status
    finally:
        connection.close()
