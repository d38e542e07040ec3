"""Which extractor makes text of markup, by its name and version as documents/ records it."""

from __future__ import annotations

import importlib.metadata
from functools import cache

from schemas.recipes import Extractor

_LIBRARIES: dict[str, str] = {"resiliparse": "resiliparse", "precision": "trafilatura"}


def html_extractor(extractor: Extractor) -> str:
    """`resiliparse 2.0.1`: the library that a recipe's extractor is, and the version installed here."""
    return named(_LIBRARIES[extractor])


@cache
def named(library: str) -> str:
    """A distribution's name and installed version."""
    return f"{library} {importlib.metadata.version(library)}"
