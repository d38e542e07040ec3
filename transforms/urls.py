"""Addresses that a list of domains or of words blocks.

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


@dataclass(frozen=True, kw_only=True)
class UrlLists:
    """What blocks: lower case."""

    domains: frozenset[str] = frozenset()
    """`example.org` blocks www.example.org too, and not notexample.org."""
    words: frozenset[str] = frozenset()
    """Runs of letters and digits, which block where they stand whole: `bet` does not block alphabet."""


def domains_of(text: str) -> frozenset[str]:
    """The entries of a list of domains. Raises ValueError, naming the line, at one that is no domain."""
    return _entries(text, _DOMAIN, "a domain, as example.org")


def words_of(text: str) -> frozenset[str]:
    """The entries of a list of words. Raises ValueError, naming the line, at one that is not of letters and digits."""
    return _entries(text, _WORD, "a word of ASCII letters and digits")


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
    return pa.array([url is not None and _is_blocked(_lower(url), lists) for url in urls.to_pylist()], pa.bool_())


def _lower(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def _is_blocked(url: str, lists: UrlLists) -> bool:
    if lists.words and not lists.words.isdisjoint(_WORD.findall(url)):
        return True
    return bool(lists.domains) and not lists.domains.isdisjoint(_domains_above(url))


def _domains_above(url: str) -> Iterable[str]:
    """The host of an address, and every domain that it lies in."""
    match = _HOST.match(url)
    host = match.group(1).rstrip(".") if match else ""
    if not host or len(host) > LONGEST_HOST:
        return []
    labels = host.split(".")
    return [".".join(labels[k:]) for k in range(len(labels))]
