"""Models, loaded once a worker process and shared by its threads; they travel as paths."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path
from typing import cast

import fasttext
from apache_beam.utils import shared

from schemas.errors import RunError
from schemas.recipes import LanguageEngine
from transforms.language import MODEL_SHA256, LanguageModel
from transforms.language_model import parse_model
from transforms.language_tables import KernelModel

OWN_COPY = "WINNOW_LANGUAGE_MODEL"
"""The environment variable that names a worker's own copy, as in the image."""
_LANGUAGE = {"kernel": shared.Shared(), "fasttext": shared.Shared()}
"""By engine. Beam keeps alive the one that was asked for last, a part that uses it the other."""


def language_model(path: str, *, engine: LanguageEngine) -> LanguageModel | KernelModel:
    """The model at a local path, whose digest the launcher has checked, as the engine wants it. Hold it while it is
    used. Where nothing lies at that path, a worker's own copy is taken: $WINNOW_LANGUAGE_MODEL. Raises RunError if
    there is none, ValueError if it is not a model that the kernel can use."""
    path = path if os.path.exists(path) else _own_copy(path)
    load = _for_kernel if engine == "kernel" else _for_fasttext
    return cast(LanguageModel | KernelModel, _LANGUAGE[engine].acquire(lambda: load(path), tag=path))


@functools.cache
def _own_copy(path: str) -> str:
    own = os.environ.get(OWN_COPY, "")
    try:
        digest = hashlib.sha256(Path(own).read_bytes()).hexdigest() if own else "none"
    except OSError as error:
        raise RunError(f"language model {own}: {error.strerror}. Mend ${OWN_COPY} on the workers.") from error
    if digest != MODEL_SHA256:
        raise RunError(
            f"language model: {path} is not on this worker, and ${OWN_COPY} names {own or 'no file'} (sha256 {digest}, "
            f"not {MODEL_SHA256}). Use the image of deploy/, or put the model at the same path on every worker."
        )
    return own


def _for_kernel(path: str) -> KernelModel:
    return parse_model(Path(path).read_bytes())


def _for_fasttext(path: str) -> LanguageModel:
    return cast(LanguageModel, fasttext.load_model(path))
