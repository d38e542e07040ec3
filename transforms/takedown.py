"""Documents that must go: which of them a takedown list means.

A list is UTF-8 with an entry a line, its kind told by its form: a document's id is 32 hexadecimal digits, an address
begins with http:// or https://, and anything else is a domain, which takes all below it down too. Blank lines say
nothing, nor what follows a # at the start of a line or after white space.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from transforms.urls import UrlLists, is_blocked, is_domain, normal_address

REASON = "takedown"
"""Why ingest drops a document that is listed."""
WITHHELD = "taken down"
"""The detail of a dead letter whose record is not kept, since it may be of a listed document."""
FOLLOWERS = frozenset({"damaged", "truncated"})
"""Reasons of dead letters whose bytes may belong to the document before them."""
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_REMARK = re.compile(r"(^|\s)#.*")
_LINK = re.compile(rb"https?://[^\s\"'<>\\\x00-\x1f]{1,8192}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Takedown:
    """`documents` are ids of 16 bytes; of `lists`, domains and normal addresses are used."""

    documents: frozenset[bytes] = frozenset()
    lists: UrlLists = field(default_factory=UrlLists)


def takedown_of(text: str) -> Takedown:
    """The entries of a list. Raises ValueError, naming the line, at one that is none of the three kinds."""
    documents: set[bytes] = set()
    addresses: set[str] = set()
    domains: set[str] = set()
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        entry = _REMARK.sub("", line).strip()
        lower = entry.lower()
        if not entry:
            continue
        if _ID.fullmatch(lower):
            documents.add(bytes.fromhex(lower))
        elif normal := normal_address(entry):
            addresses.add(normal)
        elif is_domain(lower) and "." in lower:  # else a mistyped id would pass for one
            domains.add(lower)
        else:
            raise ValueError(
                f"line {number}: {entry[:80]!r} is neither the 32 hexadecimal digits of a document, nor an address, as "
                "https://example.org/page, nor a domain, as example.org"
            )
    return Takedown(
        documents=frozenset(documents), lists=UrlLists(domains=frozenset(domains), addresses=frozenset(addresses))
    )


def union(one: Takedown, other: Takedown) -> Takedown:
    """What either list means."""
    return Takedown(
        documents=one.documents | other.documents,
        lists=UrlLists(
            domains=one.lists.domains | other.lists.domains, addresses=one.lists.addresses | other.lists.addresses
        ),
    )


def entries(takedown: Takedown) -> list[str]:
    """The list's entries in one order and spelling, of which `takedown_of` makes the same list."""
    return [
        *sorted(takedown.lists.domains), *(f"https://{a}" for a in sorted(takedown.lists.addresses)),
        *sorted(i.hex() for i in takedown.documents),
    ]


def digest_of(takedown: Takedown) -> str:
    """128 bits, hexadecimal, of what the list means, however it was written."""
    return hashlib.blake2b("\n".join(entries(takedown)).encode(), digest_size=16).hexdigest()


def is_listed(takedown: Takedown, *, document: bytes, url: str | None) -> bool:
    """Whether the document of that id and address must go."""
    return document in takedown.documents or (url is not None and is_blocked(url, lists=takedown.lists))


def listed(takedown: Takedown, *, documents: Sequence[bytes], urls: Sequence[str | None]) -> list[bool]:
    """The same of many."""
    return [is_listed(takedown, document=d, url=u) for d, u in zip(documents, urls, strict=True)]


def may_hold(takedown: Takedown, *, document: bytes, record: bytes) -> bool:
    """Whether what was read of a broken record may be of a listed document: by its place, or by any address in it,
    since where a broken record says its own address cannot be told. Pages that link to a listed one are held back
    too."""
    if document in takedown.documents:
        return True
    links = _LINK.findall(record.replace(b"\\/", b"/"))
    return any(is_blocked(link.decode("utf-8", "replace"), lists=takedown.lists) for link in links)
