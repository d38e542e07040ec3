from __future__ import annotations

from collections import Counter

import pytest

from schemas.recipes import Encode
from transforms.identity import chosen, draw
from transforms.splits import SPLITS, split_of

CLUSTERS = [k.to_bytes(16, "little") for k in range(50_000)]


def shares(settings: Encode) -> dict[str, int]:
    return Counter(split_of(c, settings=settings) for c in CLUSTERS)


def test_splits_get_their_shares() -> None:
    found = shares(Encode(validation_per_million=100_000, test_per_million=20_000))
    assert set(found) == set(SPLITS) and SPLITS[0] == "train"
    assert abs(found["validation"] - 5_000) < 300 and abs(found["test"] - 1_000) < 150


@pytest.mark.parametrize(
    ("validation", "test", "expected"),
    [
        (0, 0, {"train"}),
        (1_000_000, 0, {"validation"}),
        (0, 1_000_000, {"test"}),
        (500_000, 500_000, {"validation", "test"}),
    ],
)
def test_shares_of_nothing_and_of_everything(validation: int, test: int, expected: set[str]) -> None:
    assert set(shares(Encode(validation_per_million=validation, test_per_million=test))) == expected


def test_the_bounds_are_exact() -> None:
    cluster = CLUSTERS[7]
    number = draw(cluster, seed=0, purpose="split")
    for validation, test, split in (
        (number, 0, "train"), (number + 1, 0, "validation"), (number, 1, "test"), (0, number, "train"),
        (0, number + 1, "test"),
    ):  # fmt: skip
        assert split_of(cluster, settings=Encode(validation_per_million=validation, test_per_million=test)) == split


def test_another_seed_deals_anew() -> None:
    one, two = (
        {c for c in CLUSTERS if split_of(c, settings=Encode(validation_per_million=100_000, seed=s)) == "validation"}
        for s in (0, 1)
    )
    assert 350 < len(one & two) < 650, "a tenth of a tenth"


def test_a_small_sample_for_the_tokenizer_is_not_the_validation_split() -> None:
    """With one seed for both, and clusters of one, whose id is the document's."""
    held = {c for c in CLUSTERS if split_of(c, settings=Encode(validation_per_million=100_000, seed=0)) == "validation"}
    sample = {c for c in CLUSTERS if chosen(c, seed=0, per_million=100_000)}
    assert 350 < len(held & sample) < 650
