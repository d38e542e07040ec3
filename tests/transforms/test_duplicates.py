"""The blocks, edges, forest and verdicts of dedupe against dictionaries and a union-find in plain Python."""

from __future__ import annotations

import datetime
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import duplicates as pure

BANDS = 3


class Document(NamedTuple):
    """Documents agree in a band, or in their text, when the numbers do. `date` is None where there is none."""

    id: bytes
    bands: tuple[int, int, int] | None
    text: int
    chars: int
    date: int | None


class Verdict(NamedTuple):
    cluster: bytes
    size: int
    survivor: bool
    exact: bool


@st.composite
def corpora(draw: st.DrawFn) -> list[Document]:
    few = st.integers(0, 6)
    halves = st.sampled_from(
        [b"\x00" * 8, b"\x7f" + b"\xff" * 7, b"\x80" + b"\x00" * 7, b"\xff" * 8, b"\x01" + b"\x00" * 7]
    )
    ids = draw(st.lists(st.tuples(halves, halves).map(b"".join), unique=True, max_size=20))
    kinds = st.tuples(st.none() | st.tuples(few, few, few), few, st.integers(1, 3), st.none() | st.integers(-2, 2))
    return [Document(i, *draw(kinds)) for i in ids]


def expected(documents: list[Document]) -> dict[bytes, Verdict]:
    """Buckets in a dictionary, clusters by union-find, survivors by sorting tuples."""
    parent = {d.id: d.id for d in documents}

    def root(x: bytes) -> bytes:
        while parent[x] != x:
            x = parent[x]
        return x

    buckets: dict[object, list[Document]] = defaultdict(list)
    for d in documents:
        buckets["text", d.text].append(d)
        for number, band in enumerate(d.bands or ()):
            buckets[number, band].append(d)
    for bucket in buckets.values():
        for other in bucket[1:]:
            parent[root(other.id)] = root(bucket[0].id)
    clusters: dict[bytes, list[Document]] = defaultdict(list)
    for d in documents:
        clusters[root(d.id)].append(d)
    found = {}
    for members in clusters.values():
        if len(members) == 1:
            continue
        best = min(members, key=lambda d: (-d.chars, d.date is None, d.date or 0, d.id))
        name = min(d.id for d in members)
        found |= {d.id: Verdict(name, len(members), d is best, d.text == best.text) for d in members}
    return found


def digest(text: int) -> tuple[int, int]:
    return (text + 1) * 0x9E3779B97F4A7C15 % 2**64, text


def computed(documents: list[Document], *, nodes: list[int], partitions: int, cuts: list[int]) -> dict[bytes, Verdict]:
    """The stage without Beam: `nodes` numbers the documents, `cuts` says which pieces are made into a forest first."""
    ids = pure.halves(pa.array([d.id for d in documents], pa.binary(16)))
    numbers = np.array(nodes, np.uint64)
    digests = np.array([digest(d.text) for d in documents], np.uint64).reshape(-1, 2)
    signed = np.array([d.bands is not None for d in documents], bool)
    bands = np.array([[7 << k | b << 8 for k, b in enumerate(d.bands)] for d in documents if d.bands], np.uint64)
    pairs = pure.bucket_keys(bands.reshape(-1, BANDS), digests, numbers, numbers[signed])
    shuffled: dict[int, list[bytes]] = defaultdict(list)
    for piece in np.array_split(pairs, 3):
        for key, block in pure.blocks_by(pure.partitions_of(piece[:, 0], partitions), piece):
            shuffled[key].append(block)
    edges = np.concatenate(
        [pure.edges_of_buckets(blocks) for blocks in shuffled.values()] + [np.empty((0, 2), np.uint64)]
    )
    pieces = np.split(edges, sorted(min(c, len(edges)) for c in cuts))
    trees = pure.forest(np.concatenate([pure.forest(p) for p in pieces][::-1]))
    assert np.array_equal(trees, pure.forest(edges)), "a forest of forests is the forest of all edges"
    at = {n: k for k, n in enumerate(nodes)}
    members = np.zeros(0, pure.MEMBER)
    for node, root in pure.forest_members(trees).tolist():
        d, k = documents[at[node]], at[node]
        date = int(pure.NO_DATE) if d.date is None else d.date
        row = np.array([(root, node, ids[k], digests[k], d.chars, date)], pure.MEMBER)
        members = np.append(members, row)
    rows = [
        pure.verdicts([block]) for _, block in pure.blocks_by(pure.partitions_of(members["root"], partitions), members)
    ]
    found = np.concatenate(rows) if rows else pure.verdicts([])
    clusters = pure.ids_of(found["cluster"]).to_pylist()
    return {
        documents[at[int(v["node"])]].id: Verdict(c, int(v["size"]), bool(v["survivor"]), bool(v["exact"]))
        for v, c in zip(found, clusters, strict=True)
    }


@settings(deadline=None)
@given(corpora(), st.data())
def test_any_order_grouping_and_numbering_gives_the_clusters_and_survivors_of_the_oracle(
    documents: list[Document], data: st.DataObject
) -> None:
    documents = data.draw(st.permutations(documents))
    rows = st.integers(0, 2**32 - 1)
    nodes = data.draw(
        st.lists(
            st.tuples(st.integers(0, 3), rows).map(lambda pr: pr[0] << 32 | pr[1]),
            min_size=len(documents),
            max_size=len(documents),
            unique=True,
        )
    )
    partitions = data.draw(st.sampled_from([1, 2, 64]))
    cuts = data.draw(st.lists(st.integers(0, 40), max_size=3))
    assert computed(documents, nodes=nodes, partitions=partitions, cuts=cuts) == expected(documents)


EARLY, LATE = int(datetime.datetime(1999, 1, 1).timestamp()), int(datetime.datetime(2020, 1, 1).timestamp())
LOW, HIGH = b"\x7f" + b"\xff" * 15, b"\x80" + b"\x00" * 15


@pytest.mark.parametrize(
    ("survivor", "loser"),
    [
        ((HIGH, 11, None), (LOW, 10, EARLY)),
        ((HIGH, 10, EARLY), (LOW, 10, LATE)),
        ((HIGH, 10, -1), (LOW, 10, 0)),
        ((HIGH, 10, LATE), (LOW, 10, None)),
        ((LOW, 10, None), (HIGH, 10, None)),
        ((LOW, 10, EARLY), (HIGH, 10, EARLY)),
        ((b"\x00" * 8 + LOW[:8], 10, None), (b"\x00" * 8 + HIGH[:8], 10, None)),
    ],
)
def test_the_longest_survives_then_the_earliest_then_the_smallest_id(
    survivor: tuple[bytes, int, int | None], loser: tuple[bytes, int, int | None]
) -> None:
    documents = [Document(i, None, 1, chars, date) for i, chars, date in (loser, survivor)]
    for order in (documents, documents[::-1]):
        found = computed(order, nodes=[5, 9], partitions=4, cuts=[])
        assert found[survivor[0]].survivor and not found[loser[0]].survivor
        assert {v.cluster for v in found.values()} == {min(survivor[0], loser[0])}


@given(st.lists(st.binary(min_size=16, max_size=16)), st.integers(0, 5))
def test_halves_are_the_inverse_of_ids_of_and_sort_as_bytes_do(ids: list[bytes], first: int) -> None:
    array = pa.array(ids, pa.binary(16))[first:]
    halves = pure.halves(array)
    assert pure.ids_of(halves).equals(array)
    assert sorted(ids[first:]) == [ids[first:][k] for k in np.lexsort((halves[:, 1], halves[:, 0]))]


@given(st.lists(st.integers(0, 2**32 - 1)), st.integers(0, 2**32 - 1))
def test_nodes_keep_part_and_row(rows: list[int], part: int) -> None:
    parts, found = pure.part_and_row(pure.node_numbers(part, np.array(rows, np.int64)))
    assert parts.tolist() == [part] * len(rows) and found.tolist() == rows


@given(st.lists(st.integers(0, 2**64 - 1)), st.integers(1, 200))
def test_partitions_cover_every_row_once(keys: list[int], partitions: int) -> None:
    rows = np.stack([np.array(keys, np.uint64)] * 2, axis=1)
    blocks = list(pure.blocks_by(pure.partitions_of(rows[:, 0], partitions), rows))
    assert all(0 <= number < partitions for number, _ in blocks) and len({n for n, _ in blocks}) == len(blocks)
    assert sorted(np.frombuffer(b"".join(b for _, b in blocks), np.uint64)[::2].tolist()) == sorted(keys)


def test_partitions_of_counted_keys_are_even() -> None:
    sizes = np.bincount(pure.partitions_of(np.arange(64_000, dtype=np.uint64), 64), minlength=64)
    assert sizes.min() > 900 and sizes.max() < 1100


def test_nothing_comes_of_nothing() -> None:
    none = np.empty((0, 2), np.uint64)
    assert pure.halves(pa.array([], pa.binary(16))).shape == (0, 2) and len(pure.ids_of(none)) == 0
    assert pure.edges_of_buckets([]).shape == pure.edges_of_buckets([b""]).shape == (0, 2)
    assert pure.forest(none).shape == pure.forest_members(none).shape == (0, 2)
    assert pure.verdicts([]).dtype == pure.VERDICT and not len(pure.verdicts([]))
    assert list(pure.blocks_by(np.empty(0, np.int64), none)) == []
    assert pure.bucket_keys(np.empty((0, 14), np.uint64), none, none[:, 0], none[:, 0]).shape == (0, 2)


def test_texts_without_a_signature_still_meet_by_their_digest() -> None:
    digests, nodes = np.array([[7, 8], [7, 8], [9, 8]], np.uint64), np.array([3, 4, 5], np.uint64)
    pairs = pure.bucket_keys(np.empty((0, 14), np.uint64), digests, nodes, nodes[:0])
    assert pairs.tolist() == [[7, 3], [7, 4], [9, 5]]
    assert pure.edges_of_buckets([pairs.tobytes()]).tolist() == [[3, 4]]


def test_an_edge_that_comes_hundreds_of_times_stays_an_edge() -> None:
    """The multiplicity must not overflow: 256 ones are 0 in 8 bits."""
    edges = np.array([[1, 2]] * 256 + [[2, 3]] * 128 + [[5, 5]], np.uint64)
    assert pure.forest(edges).tolist() == [[2, 1], [3, 1]]
