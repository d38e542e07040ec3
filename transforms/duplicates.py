"""Near and exact duplicates over packed blocks of numbers, the only form in which they cross a shuffle.

A *node* is a document as uint64: number of its part in the plan << 32 | row. Nodes depend on the plan and are never
written; ids are. Blocks are the bytes of little-endian numpy arrays, so that blocks of one partition can be joined.
The steps: bands to buckets, buckets to edges, edges to a min-root forest, members to verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

U64 = np.dtype("<u8")
MEMBER = np.dtype(
    [("root", U64), ("node", U64), ("id", U64, 2), ("digest", U64, 2), ("chars", "<i8"), ("date", "<i8")]
)
"""A document of a cluster, with what decides who survives. `id` is the id's two halves, high first."""
VERDICT = np.dtype([("node", U64), ("cluster", U64, 2), ("size", "<i8"), ("survivor", "?"), ("exact", "?")])
"""What dedupe found of one document: schemas.documents.DUPLICATE_COLUMNS before nodes become ids."""
NO_DATE = np.iinfo(np.int64).max
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 / golden ratio: Fibonacci hashing (Knuth, TAOCP 3, 6.4) spreads keys over partitions."""

Nodes = npt.NDArray[np.uint64]
Pairs = npt.NDArray[np.uint64]


def node_numbers(part: int, rows: npt.NDArray[np.integer]) -> Nodes:
    """The nodes of rows of the plan's part number `part`."""
    return (np.uint64(part) << np.uint64(32)) | rows.astype(np.uint64)


def part_and_row(nodes: Nodes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The inverse of `node_numbers`."""
    return (nodes >> np.uint64(32)).astype(np.int64), (nodes & np.uint64(0xFFFFFFFF)).astype(np.int64)


def halves(ids: pa.FixedSizeBinaryArray) -> npt.NDArray[np.uint64]:
    """uint64 [n, 2] that sorts as the 16-byte ids do."""
    raw = np.frombuffer(b"".join(ids.to_pylist()), ">u8")
    return raw.astype(np.uint64).reshape(-1, 2)


def ids_of(pairs: npt.NDArray[np.uint64]) -> pa.FixedSizeBinaryArray:
    """The inverse of `halves`."""
    data = np.ascontiguousarray(pairs).astype(">u8").tobytes()
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(pairs), [None, pa.py_buffer(data)])


def partitions_of(keys: npt.NDArray[np.uint64], partitions: int) -> npt.NDArray[np.int64]:
    """The partition of each key, by its mixed high bits."""
    return ((keys * _SPREAD) >> np.uint64(40)).astype(np.int64) % partitions


def blocks_by(numbers: npt.NDArray[np.int64], rows: npt.NDArray[np.void] | Pairs) -> Iterator[tuple[int, bytes]]:
    """`rows` as one packed block for each of the `numbers` beside them."""
    order = np.argsort(numbers, kind="stable")
    found, starts = np.unique(numbers[order], return_index=True)
    ends = np.append(starts, len(rows))[1:]
    for number, start, end in zip(found.tolist(), starts, ends, strict=True):
        yield number, rows[order[start:end]].tobytes()


def bucket_keys(bands: npt.NDArray[np.uint64], digests: npt.NDArray[np.uint64], nodes: Nodes, signed: Nodes) -> Pairs:
    """uint64 [n, 2] of (bucket, node). `bands` [len(signed), bands] are the band hashes of the nodes that have a
    signature; equal texts share the bucket that is their digest's first half, which serves texts without one."""
    near = np.stack([bands.ravel(), np.repeat(signed, bands.shape[1])], axis=1)
    return np.concatenate([near, np.stack([digests[:, 0], nodes], axis=1)])


def edges_of_buckets(blocks: Iterable[bytes]) -> Pairs:
    """Edges (smallest node, other) of each bucket with two nodes or more, from blocks of (bucket, node)."""
    pairs = np.frombuffer(b"".join(blocks), U64).reshape(-1, 2)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    again = np.zeros(len(pairs), bool)
    again[1:] = pairs[1:, 0] == pairs[:-1, 0]
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(pairs))))
    edges = np.stack([pairs[first, 1], pairs[:, 1]], axis=1)[again]
    return np.unique(edges, axis=0)


def forest(edges: Pairs) -> Pairs:
    """(node, root) for each node that is not a root, sorted: root is the smallest node of its component. A forest
    is a set of edges too, so forests of pieces merge by joining them and calling this again, in any order."""
    if not len(edges):
        return edges.reshape(0, 2)
    nodes, ends = np.unique(edges, return_inverse=True)
    ends = ends.reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(len(nodes), len(nodes)))
    _, labels = connected_components(graph, directed=False)
    _, first = np.unique(labels, return_index=True)
    trees = np.stack([nodes, nodes[first[labels]]], axis=1)
    below: Pairs = trees[trees[:, 0] != trees[:, 1]]
    return below


def forest_members(trees: Pairs) -> Pairs:
    """(node, root) for every node of a forest, roots included."""
    roots = np.unique(trees[:, 1])
    return np.concatenate([trees, np.stack([roots, roots], axis=1)])


def verdicts(blocks: Iterable[bytes]) -> npt.NDArray[np.void]:
    """VERDICT rows of all members of the clusters in blocks of MEMBER.

    The survivor is the longest text; of those the earliest date, no date being the latest; of those the smallest id.
    The cluster is named by its smallest id. Neither depends on how nodes were numbered."""
    members = np.frombuffer(b"".join(blocks), MEMBER)
    high, low = members["id"][:, 0], members["id"][:, 1]
    named, _ = _firsts(np.lexsort((low, high, members["root"])), members["root"])
    order = np.lexsort((low, high, members["date"], -members["chars"], members["root"]))
    survivors, sizes = _firsts(order, members["root"])
    result = np.zeros(len(members), VERDICT)
    result["node"] = members["node"][order]
    result["cluster"] = np.repeat(members["id"][named], sizes, axis=0)
    result["size"] = np.repeat(sizes, sizes)
    result["survivor"] = np.isin(order, survivors)
    result["exact"] = (members["digest"][order] == np.repeat(members["digest"][survivors], sizes, axis=0)).all(axis=1)
    return result


def _firsts(order: npt.NDArray[np.int64], roots: Nodes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(first member of each root in `order`, members of each root), roots ascending."""
    _, starts, sizes = np.unique(roots[order], return_index=True, return_counts=True)
    return order[starts], sizes
