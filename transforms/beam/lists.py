"""Lists of blocked addresses, read once a worker process; they travel as paths and a digest."""

from __future__ import annotations

import functools
import hashlib

from schemas.errors import RunError
from schemas.recipes import Urls
from transforms.beam import files
from transforms.urls import UrlLists, domains_of, words_of


def digest_of(urls: Urls) -> str:
    """Changes when a list does, and not when it moves. Raises RunError if one cannot be read."""
    found = hashlib.blake2b(digest_size=16)
    for kind, paths in (("domains", urls.domains), ("words", urls.words)):
        for path in paths:
            found.update(f"{kind} {hashlib.blake2b(_read(path).encode()).hexdigest()}\n".encode())
    return found.hexdigest()


@functools.lru_cache(maxsize=8)
def url_lists(urls: Urls, digest: str) -> UrlLists:
    """The lists, whose digest the launcher has taken. Raises RunError if they are no longer the same, cannot be read,
    or have an entry that can block nothing."""
    if digest_of(urls) != digest:
        raise RunError(f"{', '.join(urls.domains + urls.words)}: changed during the run. Run the same command again.")
    domains: set[str] = set()
    words: set[str] = set()
    for paths, parse, entries in ((urls.domains, domains_of, domains), (urls.words, words_of, words)):
        for path in paths:
            try:
                entries.update(parse(_read(path)))
            except ValueError as error:
                raise RunError(f"{path}: {error}. Mend that line.") from error
    return UrlLists(domains=frozenset(domains), words=frozenset(words))


def _read(path: str) -> str:
    try:
        text = files.read_text(path)
    except UnicodeDecodeError as error:
        raise RunError(f"{path}: is not UTF-8: {error}. Write the list as UTF-8.") from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error}. Give the path of a readable list.") from error
    if text is None:
        raise RunError(f"{path}: no such file. Give the path of a list that every worker can read.")
    return text
