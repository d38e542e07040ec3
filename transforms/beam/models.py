"""Models, loaded once a worker process and shared by its threads; they travel as paths."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import fasttext
from apache_beam.utils import shared

from schemas.recipes import LanguageEngine
from transforms.language import LanguageModel
from transforms.language_model import parse_model
from transforms.language_tables import KernelModel

_LANGUAGE = {"kernel": shared.Shared(), "fasttext": shared.Shared()}
"""By engine. Beam keeps alive the one that was asked for last, a part that uses it the other."""


def language_model(path: str, *, engine: LanguageEngine) -> LanguageModel | KernelModel:
    """The model at a local path, whose digest the launcher has checked, as the engine wants it. Hold it while it is
    used. Raises ValueError if it is not a model that the kernel can use."""
    load = _for_kernel if engine == "kernel" else _for_fasttext
    return cast(LanguageModel | KernelModel, _LANGUAGE[engine].acquire(lambda: load(path), tag=path))


def _for_kernel(path: str) -> KernelModel:
    return parse_model(Path(path).read_bytes())


def _for_fasttext(path: str) -> LanguageModel:
    return cast(LanguageModel, fasttext.load_model(path))
