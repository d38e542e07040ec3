"""Which split a document trains in: by its cluster, so that near-duplicates never sit on both sides."""

from __future__ import annotations

from schemas.recipes import Encode
from transforms.identity import draw

SPLITS = ("train", "validation", "test")


def split_of(cluster: bytes, *, settings: Encode) -> str:
    """`validation`, `test` or `train`: a hash of the seed and the document's cluster id (schemas.documents.CLUSTER)."""
    number = draw(cluster, seed=settings.seed, purpose="split")
    if number < settings.validation_per_million:
        return "validation"
    return "test" if number < settings.validation_per_million + settings.test_per_million else "train"
