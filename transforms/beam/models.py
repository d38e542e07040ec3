"""Models, loaded once a worker process and shared by its threads; they travel as paths."""

from __future__ import annotations

from typing import cast

import fasttext
from apache_beam.utils import shared

from transforms.language import LanguageModel

_LANGUAGE = shared.Shared()


def language_model(path: str) -> LanguageModel:
    """The fastText model at a local path, whose digest the launcher has checked."""
    return cast(LanguageModel, _LANGUAGE.acquire(lambda: fasttext.load_model(path), tag=path))
