"""Addresses of the web that are used as they are, or refused: before anything is asked, and at each redirect."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote, urljoin, urlsplit

from schemas.errors import MissingRunError, RunError

_WRITTEN = re.compile(r"[!-~]+")
"""What RFC 3986 lets stand in an address is within this; a blank or a line's end would make another request of it."""


def is_web(path: str) -> bool:
    return path.lower().startswith(("https://", "http://"))


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def shown(url: str) -> str:
    """Without a query, which may hold a signature, and without a name and a password."""
    return re.sub(r"//[^/@?#]*@", "//", url).partition("?")[0].encode(errors="backslashreplace").decode()


def check_address(url: str, *, allow_http: bool) -> None:
    """Raises RunError where the address is none, carries a password, or leads over a network unencrypted."""
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.port != 0 and _WRITTEN.fullmatch(url) is not None
    except ValueError:
        good = False
    if not good:
        raise RunError(f"{shown(url)}: is no address. Write https://HOST/PATH, other characters than ASCII's as %XX.")
    if parts.username is not None or parts.password is not None:
        raise RunError(f"{shown(url)}: holds a name or a password, which would end up in plans. Leave them out.")
    if "#" in url:
        raise RunError(f"{shown(url)}: has a #, which no server sees. Leave out what follows it, or write %23.")
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname or ""):
        raise RunError(f"{shown(url)}: is not encrypted. Write https://, or give --allow-http.")


def redirected(url: str, location: str | None, *, allow_http: bool) -> str:
    """Where a redirect leads. Raises MissingRunError where it may not: to another scheme, from the network to this very
    machine, or from https to http."""
    try:
        target = urljoin(url, location or "")
        before, after = urlsplit(url), urlsplit(target)
        good = bool(location) and is_web(target) and not (before.scheme == "https" and after.scheme == "http")
        good = good and (is_loopback(before.hostname or "") or not is_loopback(after.hostname or ""))
        check_address(target.partition("#")[0], allow_http=allow_http)
    except (ValueError, RunError):
        good = False
    if not good:
        raise MissingRunError(
            f"{shown(url)}: redirects to {shown(location or 'nowhere')!r}, which is not followed. Give the address "
            "where the file lies."
        )
    return target.partition("#")[0]


def path_of(url: str) -> str:
    """The path on the host as files are named: without the first slash, %XX as the character where that is text."""
    path = urlsplit(url).path.lstrip("/")
    try:
        plain = unquote(path, errors="strict")
    except UnicodeDecodeError:
        return path
    return plain if plain.isprintable() else path
