"""Signatures, buckets and forest together on real near-duplicates, against pairs that others counted exactly."""

from __future__ import annotations

import csv
import gzip
import json
import lzma
from itertools import combinations
from pathlib import Path
from statistics import mean

import numpy as np
import pyarrow as pa

from schemas.recipes import Dedupe
from transforms import duplicates as pure
from transforms.identity import text_digests
from transforms.signatures import bands, sign

Pair = frozenset[str]
SEEDS = range(1, 41)


def buckets(texts: list[str], seed: int = Dedupe().seed) -> pure.Pairs:
    how, array = Dedupe(), pa.array(texts, pa.string())
    signatures = sign(array, ngram=how.ngram, permutations=how.bands * how.rows, seed=seed)
    nodes = pure.node_numbers(0, np.arange(len(texts)))
    signed = nodes[signatures.is_valid().to_numpy(zero_copy_only=False)]
    hashes = bands(signatures.drop_null(), bands=how.bands, rows=how.rows)
    return pure.bucket_keys(hashes, pure.halves(text_digests(array)), nodes, signed)


def meetings(pairs: pure.Pairs, names: list[str]) -> set[Pair]:
    """Who shares a bucket, by a dictionary."""
    groups: dict[int, set[str]] = {}
    for bucket, node in pairs.tolist():
        groups.setdefault(bucket, set()).add(names[node])
    return pairs_in(list(groups.values()))


def clusters(pairs: pure.Pairs, names: list[str]) -> list[set[str]]:
    by_root: dict[int, set[str]] = {}
    for node, root in pure.forest_members(pure.forest(pure.edges_of_buckets([pairs.tobytes()]))).tolist():
        by_root.setdefault(root, set()).add(names[node])
    return list(by_root.values())


def pairs_in(groups: list[set[str]]) -> set[Pair]:
    return {frozenset(pair) for group in groups for pair in combinations(group, 2)}


def chance(similarity: float) -> float:
    """That two documents meet in one of 14 bands of 8 rows: Leskovec, Rajaraman, Ullman, Mining of Massive Datasets,
    3.4.2."""
    return 1 - (1 - similarity**8) ** 14


def test_planted_news_articles_are_found_and_nothing_else(data_folder: Path) -> None:
    """Nine of the ten are so alike that they always meet. The tenth, of similarity 0.80, meets with a chance of 0.92:
    it is missed with the default seed, and found with the share of the seeds that it should be."""
    with gzip.open(data_folder / "dedupe" / "parkr-ndd-100docs.jsonl.gz", "rt") as file:
        documents = [json.loads(line) for line in file]
    with (data_folder / "dedupe" / "parkr-ndd-gold-pairs.jsonl").open() as lines:
        gold = [json.loads(line) for line in lines]
    planted = {frozenset((pair["a"], pair["b"])): pair["word3gram_jaccard"] for pair in gold}
    names, texts = [d["id"] for d in documents], [d["text"] for d in documents]
    alike = {pair for pair, s in planted.items() if s > 0.85}
    [tenth] = planted.keys() - alike
    assert len(names) == 100 and len(planted) == 10 and len(alike) == 9
    assert pairs_in(clusters(buckets(texts), names)) == alike
    found = [pairs_in(clusters(buckets(texts, seed), names)) for seed in SEEDS]
    assert all(alike <= pairs <= planted.keys() for pairs in found)
    assert abs(mean(tenth in pairs for pairs in found) - chance(planted[tenth])) < 0.1


def test_licences_meet_as_often_as_fourteen_bands_of_eight_rows_promise(data_folder: Path) -> None:
    with lzma.open(data_folder / "dedupe" / "spdx-license-texts-728.jsonl.xz", "rt") as file:
        documents = [json.loads(line) for line in file]
    with gzip.open(data_folder / "dedupe" / "spdx-exact-jaccard-word5gram.tsv.gz", "rt") as file:
        exact = {frozenset((row["a"], row["b"])): float(row["jaccard"]) for row in csv.DictReader(file, delimiter="\t")}
    names, texts = [d["id"] for d in documents], [d["text"] for d in documents]
    met = [meetings(buckets(texts, seed), names) for seed in SEEDS]
    promised = sum(
        map(chance, exact.values())
    )  # 715; one seed gives 49 more or less, as its permutations serve all pairs
    assert abs(mean(map(len, met)) - promised) < 0.03 * promised
    for low, high in ((0.3, 0.5), (0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.01)):
        pairs = {pair: s for pair, s in exact.items() if low <= s < high}
        share = mean(len(pairs.keys() & found) for found in met) / len(pairs)
        assert abs(share - mean(map(chance, pairs.values()))) < 0.04, (low, high)
    assert all(pair in found for found in met for pair, s in exact.items() if s > 0.95)


def test_clusters_of_licences_are_the_closure_of_meetings(data_folder: Path) -> None:
    with lzma.open(data_folder / "dedupe" / "spdx-license-texts-728.jsonl.xz", "rt") as file:
        documents = [json.loads(line) for line in file]
    names = [d["id"] for d in documents]
    pairs = buckets([d["text"] for d in documents])
    groups = clusters(pairs, names)
    assert sorted(map(sorted, groups)) == sorted(map(sorted, closure(meetings(pairs, names))))
    assert max(map(len, groups)) < 40, "no chain swallows the licences"


def closure(pairs: set[Pair]) -> list[set[str]]:
    groups: list[set[str]] = []
    for pair in pairs:
        touched = [g for g in groups if g & pair]
        groups = [g for g in groups if not g & pair] + [set(pair).union(*touched)]
    return groups
