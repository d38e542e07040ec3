"""Addresses that a list of domains, of words or of addresses blocks.

Addresses are compared as ASCII without regard to case, as archives keep them: other letters stand percent-encoded or,
in hosts, as punycode, and a list must have them so too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

LONGEST_HOST = 253
"""Characters of the longest domain name: RFC 1035, section 2.3.4, without the root's dot."""
_HOST = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//(?:[^/?#\\]*@)?([^/?#\\:]*)", re.ASCII)
_WORD = re.compile(r"[a-z0-9]+", re.ASCII)
_DOMAIN = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.ASCII)
_ADDRESS = re.compile(r"(?is)https?://(?:[^/?#\\@]*@)?([^/?#\\:@]+)(:[0-9]*)?([/?][^#]*)?(?:#.*)?")
_DEFAULT_PORTS = frozenset({"", ":", ":80", ":443"})
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]", re.ASCII)
"""RFC 3986, 2.3: what means the same whether it is percent-encoded or not."""


@dataclass(frozen=True, kw_only=True)
class UrlLists:
    """What blocks: lower case."""

    domains: frozenset[str] = frozenset()
    """`example.org` blocks www.example.org too, and not notexample.org."""
    words: frozenset[str] = frozenset()
    """Runs of letters and digits, which block where they stand whole: `bet` does not block alphabet."""
    addresses: frozenset[str] = frozenset()
    """Whole addresses, as `normal_address` gives them."""


def domains_of(text: str) -> frozenset[str]:
    """The entries of a list of domains. Raises ValueError, naming the line, at one that is no domain."""
    return _entries(text, _DOMAIN, "a domain, as example.org")


def words_of(text: str) -> frozenset[str]:
    """The entries of a list of words. Raises ValueError, naming the line, at one that is not of letters and digits."""
    return _entries(text, _WORD, "a word of ASCII letters and digits")


def addresses_of(text: str) -> frozenset[str]:
    """The entries of a list of addresses, normal. Raises ValueError, naming the line, at one that is no address."""
    found = set()
    for number, line in enumerate(text.split("\n"), 1):
        entry = line.strip()
        if entry and not entry.startswith("#"):
            normal = normal_address(entry)
            if normal is None:
                raise ValueError(f"line {number}: {entry[:80]!r} is not an address, as https://example.org/page")
            found.add(normal)
    return frozenset(found)


def is_domain(text: str) -> bool:
    """Whether text in lower case may stand in a list of domains."""
    return _DOMAIN.fullmatch(text) is not None


def normal_address(url: str) -> str | None:
    """What two spellings of an address have in common; None if it is not of http or https. Scheme, user, fragment and
    default port do not count, nor the case of the host and its last dot; letters and digits are not percent-encoded,
    all beyond ASCII is (RFC 3986, 6.2.2). The case of path and query counts."""
    match = _ADDRESS.fullmatch(url.strip())
    if not match:
        return None
    host, port, rest = match.groups()
    port = "" if (port or "") in _DEFAULT_PORTS else port
    rest = rest or "/"
    rest = rest if rest.startswith("/") else f"/{rest}"
    encoded = "".join(chr(b) if 0x20 < b < 0x7F else f"%{b:02X}" for b in rest.encode("utf-8", "replace"))
    return f"{_lower(host).rstrip('.')}{port}{_ESCAPE.sub(_unescaped, encoded)}"


def _unescaped(escape: re.Match[str]) -> str:
    letter = chr(int(escape[1], 16))
    return letter if _UNRESERVED.fullmatch(letter) else escape[0].upper()


def _entries(text: str, kind: re.Pattern[str], what: str) -> frozenset[str]:
    found = set()
    for number, line in enumerate(text.split("\n"), 1):
        entry = _lower(line.strip())
        if not entry or entry.startswith("#"):
            continue
        if not kind.fullmatch(entry):
            raise ValueError(f"line {number}: {entry[:80]!r} is not {what}")
        found.add(entry)
    return frozenset(found)


def blocked(urls: pa.StringArray, *, lists: UrlLists) -> pa.BooleanArray:
    """[rows], no nulls: whether a list blocks the address. One that is null is not blocked."""
    return pa.array([url is not None and is_blocked(url, lists=lists) for url in urls.to_pylist()], pa.bool_())


def _lower(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def is_blocked(url: str, *, lists: UrlLists) -> bool:
    """Whether a list blocks one address."""
    if lists.addresses and normal_address(url) in lists.addresses:
        return True
    lower = _lower(url)
    if lists.words and not lists.words.isdisjoint(_WORD.findall(lower)):
        return True
    return bool(lists.domains) and not lists.domains.isdisjoint(_domains_above(lower))


def _domains_above(url: str) -> Iterable[str]:
    """The host of an address, and every domain that it lies in."""
    match = _HOST.match(url)
    host = match.group(1).rstrip(".") if match else ""
    if not host or len(host) > LONGEST_HOST:
        return []
    labels = host.split(".")
    return [".".join(labels[k:]) for k in range(len(labels))]
