from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from transforms.identity import chosen, document_id, draw, fingerprint, part_name, text_digests

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
PLACES = st.tuples(NAMES, NAMES, st.integers(0, 99), st.integers(0, 99))


def test_a_document_id_is_blake2b_of_its_four_coordinates() -> None:
    expected = hashlib.blake2b(b"web\0cr\xc3\xa4wl/x.warc.gz\x00120\x003", digest_size=16).digest()
    assert document_id(source="web", file="cräwl/x.warc.gz", offset=120, inner_offset=3) == expected


@given(PLACES, PLACES)
def test_two_places_have_two_ids(one: tuple[str, str, int, int], other: tuple[str, str, int, int]) -> None:
    def of(place: tuple[str, str, int, int]) -> bytes:
        return document_id(source=place[0], file=place[1], offset=place[2], inner_offset=place[3])

    assert (of(one) == of(other)) == (one == other)
    assert len(of(one)) == 16


@given(st.lists(st.text(max_size=9)), st.integers(0, 3))
def test_text_digests_are_those_of_the_bytes(texts: list[str], first: int) -> None:
    digests = text_digests(pa.array(texts, pa.string())[first:])
    assert digests.type == pa.binary(16)
    assert digests.to_pylist() == [hashlib.blake2b(t.encode(), digest_size=16).digest() for t in texts[first:]]


def test_a_part_keeps_its_name() -> None:
    """Output directories of older runs hang on it."""
    value = json.dumps(["web", "cräwl/x.warc.gz"], ensure_ascii=True, separators=(",", ":"))
    name = "part-" + hashlib.blake2b(value.encode(), digest_size=16).hexdigest()[:16]
    assert part_name(source="web", file="cräwl/x.warc.gz") == name
    assert part_name(source="web", file="a") != part_name(source="we", file="ba") != part_name(source="weba", file="")
    value = json.dumps(["web", "a", 0, 1073741824], separators=(",", ":"))
    of_range = part_name(source="web", file="a", span=(0, 1 << 30))
    assert of_range == "part-" + hashlib.blake2b(value.encode(), digest_size=16).hexdigest()[:16]
    assert len({of_range, part_name(source="web", file="a"), part_name(source="web", file="a", span=(1, 1 << 30))}) == 3


def test_a_fingerprint_ignores_the_order_of_keys_and_nothing_else() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    values = [None, 0, "0", 0.5, False, [], {}, [[]], ["a", "b"], ["b", "a"], ["ab"], {"a": 1}, {"a": "1"}, "\ud800"]
    assert len({fingerprint(v) for v in values}) == len(values)
    assert fingerprint((1, 2)) == fingerprint([1, 2])


def test_fingerprints_and_draws_are_the_same_in_another_process(tmp_path: Path) -> None:
    ask = "print(fingerprint({'b': [1.5, None], 'a': 'é'}), draw(b'x' * 16, seed=-1, purpose='p'))"
    code = f"from transforms.identity import draw, fingerprint; {ask}"
    root = Path(__file__).parents[2]
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={"PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in (1, 2)
    ]
    here = [fingerprint({"a": "é", "b": [1.5, None]}), str(draw(b"x" * 16, seed=-1, purpose="p"))]
    assert told == [here, here]


def ids(n: int) -> list[bytes]:
    return [k.to_bytes(16, "big") for k in range(n)]


def test_draws_are_even_and_depend_on_seed_and_purpose() -> None:
    one, two, three = (
        [draw(i, seed=seed, purpose=purpose) for i in ids(20_000)] for seed, purpose in ((0, "a"), (1, "a"), (0, "b"))
    )
    for numbers in (one, two, three):
        assert 0 <= min(numbers) < 500 and 999_500 <= max(numbers) < 1_000_000
        assert abs(sum(numbers) / len(numbers) - 500_000) < 8_000
    for other in (two, three):
        both = sum(a < 100_000 and b < 100_000 for a, b in zip(one, other, strict=True))
        assert 140 < both < 260, "independent: 1% of 20,000 in both tenths"


def test_a_sample_grows_with_its_share_and_keeps_whom_it_had() -> None:
    samples = [{i for i in ids(5_000) if chosen(i, seed=3, per_million=n)} for n in (0, 1, 250_000, 500_000, 1_000_000)]
    assert not samples[0] and samples[-1] == set(ids(5_000))
    assert all(a <= b for a, b in itertools.pairwise(samples))
    assert abs(len(samples[2]) - 1250) < 120 and abs(len(samples[3]) - 2500) < 150
