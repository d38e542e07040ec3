"""Lists of blocked addresses, read once a worker process; they travel as paths and a digest."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable

from schemas.errors import RunError
from schemas.recipes import Urls
from transforms.beam import files
from transforms.urls import UrlLists, addresses_of, domains_of, words_of


def digest_of(urls: Urls) -> str:
    """Changes when a list does, and not when it moves. Raises RunError if one cannot be read."""
    found = hashlib.blake2b(digest_size=16)
    for kind, paths in (("domains", urls.domains), ("words", urls.words), ("addresses", urls.addresses)):
        for path in paths:
            found.update(f"{kind} {hashlib.blake2b(read_list(path).encode()).hexdigest()}\n".encode())
    return found.hexdigest()


@functools.lru_cache(maxsize=8)
def url_lists(urls: Urls, digest: str) -> UrlLists:
    """The lists, whose digest the launcher has taken. Raises RunError if they are no longer the same, cannot be read,
    or have an entry that can block nothing."""
    if digest_of(urls) != digest:
        every = ", ".join(urls.domains + urls.words + urls.addresses)
        raise RunError(f"{every}: changed during the run. Run the same command again.")
    return UrlLists(
        domains=_entries(urls.domains, domains_of), words=_entries(urls.words, words_of),
        addresses=_entries(urls.addresses, addresses_of),
    )


def _entries(paths: tuple[str, ...], parse: Callable[[str], frozenset[str]]) -> frozenset[str]:
    entries: set[str] = set()
    for path in paths:
        try:
            entries.update(parse(read_list(path)))
        except ValueError as error:
            raise RunError(f"{path}: {error}. Mend that line.") from error
    return frozenset(entries)


def read_list(path: str) -> str:
    """A list's text. Raises RunError if it is not there, cannot be read, or is not UTF-8."""
    try:
        text = files.read_text(path)
    except UnicodeDecodeError as error:
        raise RunError(f"{path}: is not UTF-8: {error}. Write the list as UTF-8.") from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error}. Give the path of a readable list.") from error
    if text is None:
        raise RunError(f"{path}: no such file. Give the path of a list that every worker can read.")
    return text
