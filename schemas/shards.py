"""Token shards, schema version 1, and the manifest that names them.

The documents of a shard are encoded, each followed by the end marker, and joined into one stream of T tokens. Row r
holds stream tokens [r * seq_len, r * seq_len + seq_len + 1): consecutive rows share one token, so every token but the
stream's first is a target exactly once. There are ceil((T - 1) / seq_len) rows, none when T < 2; only the last one
can be short, and is filled with the padding token. Every row has at least one target.

A row can be read alone. With `continued = len(doc_ids) - len(doc_starts)`, which is 1 if its first document began in
an earlier row and else 0, the token at position p < n_real belongs to

    doc_ids[count(doc_starts <= p) + continued - 1]

and the end marker belongs to the document that it ends. The last position, seq_len, is a target only; it is the same
token as position 0 of the next row, so a document that starts there is listed by both rows. Counting the starts at
positions 1 to seq_len of every row, and at position 0 of the first row alone, counts every document once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import pyarrow as pa

from schemas.columns import ID, Column, schema_of

SCHEMA_VERSION = 1
PACKING = "concatenate_and_chunk"
CODE = pa.int16()
"""Sources and languages travel as positions in the manifest's `sources` and `languages`."""

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One entry of a tf.train.Example. `length`: one value, one row of seq_len + 1 values, or any number."""

    name: str
    kind: Literal["int64_list", "bytes_list"]
    length: Literal["one", "row", "any"]


TFRECORD_FEATURES: tuple[Feature, ...] = (
    Feature(name="input_ids", kind="int64_list", length="row"),
    Feature(name="doc_starts", kind="int64_list", length="any"),
    Feature(name="doc_ids", kind="bytes_list", length="any"),
    Feature(name="n_bytes", kind="int64_list", length="one"),
    Feature(name="n_real", kind="int64_list", length="one"),
    Feature(name="source", kind="int64_list", length="one"),
    Feature(name="lang", kind="int64_list", length="one"),
)
"""The columns of a shard as its TFRecord twin carries them."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One shard, twice: `path` is Arrow, `tfrecord_path` the same rows as TFRecord; both relative to the manifest.

    `tokens` counts the stream once, end markers included, padding and the rows' shared tokens not. `bytes` is the
    UTF-8 length of the documents' texts. `min_id` and `max_id` bound every id in the file, padding included; both are
    0 without rows. `xxh3` and `tfrecord_xxh3` are the 128-bit digests of the files, 32 hexadecimal digits.
    """

    path: str
    source: str
    rows: int
    tokens: int
    bytes: int
    documents: int
    xxh3: str
    tfrecord_path: str
    tfrecord_xxh3: str
    min_id: int
    max_id: int


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over the shards of one source in one split; units as in `Shard`."""

    shards: int
    rows: int
    tokens: int
    bytes: int
    documents: int


@dataclass(frozen=True, kw_only=True)
class ShardManifest:
    """A data set of shards. `splits` and `totals` are keyed by split; `totals` then by source.

    `tokenizer_digest` is the 128-bit xxh3 of tokenizer.json. `token_bytes` is the path, relative to the manifest, of
    a .npy of int32: the UTF-8 bytes that each token id stands for, 0 for special tokens.
    """

    tokenizer_digest: str
    vocab_size: int
    special_ids: dict[str, int]
    seq_len: int
    token_dtype: str
    sources: tuple[str, ...]
    languages: tuple[str, ...]
    splits: dict[str, tuple[Shard, ...]]
    totals: dict[str, dict[str, Totals]]
    token_bytes: str
    dataset_id: str
    packing: str = PACKING
    schema_version: int = SCHEMA_VERSION


def token_type(vocab_size: int) -> pa.DataType:
    """uint16 while the largest id, vocab_size - 1, fits it; else uint32."""
    return pa.uint16() if vocab_size <= 1 << 16 else pa.uint32()


def shard_columns(*, seq_len: int, vocab_size: int) -> tuple[Column, ...]:
    """The columns of a shard. Positions in a row run from 0 to seq_len, both included."""
    if seq_len < 1 or vocab_size < 1:
        raise ValueError(f"seq_len and vocab_size must be at least 1, not {seq_len} and {vocab_size}")
    position = pa.uint16() if seq_len <= 65_535 else pa.uint32()
    ids = pa.list_(_item(token_type(vocab_size)), seq_len + 1)
    return (
        Column(name="input_ids", type=ids,
               meaning="seq_len + 1 tokens; the last is the next row's first; padding from position n_real on"),
        Column(name="doc_starts", type=pa.list_(_item(position)),
               meaning="positions, ascending, where a document's first token lies; one begun earlier is not listed"),
        Column(name="doc_ids", type=pa.list_(_item(ID)),
               meaning="every document with a token in the row, in order; the first may continue an earlier row's"),
        Column(name="n_bytes", type=pa.int32(),
               meaning="UTF-8 bytes of the targets, positions 1 to n_real - 1; special tokens count 0. "
                       "Bits per byte = sum of losses / (ln 2 * sum of n_bytes)"),
        Column(name="n_real", type=pa.int32(), meaning="tokens that are not padding, from 2 to seq_len + 1"),
        Column(name="source", type=CODE, meaning="where the documents come from: a position in the manifest's sources"),
        Column(name="lang", type=CODE,
               meaning="language with the most targets in the row, ties to the smaller code: a position in the "
                       "manifest's languages"),
    )


def shard_schema(*, seq_len: int, vocab_size: int) -> pa.Schema:
    """The Arrow schema of a shard. Raises ValueError unless both sizes are at least 1."""
    schema = schema_of(shard_columns(seq_len=seq_len, vocab_size=vocab_size))
    return schema.with_metadata({"shard_schema_version": str(SCHEMA_VERSION)})


def dataset_id(shards: Iterable[Shard]) -> str:
    """BLAKE2b-128, in hexadecimal, of the sorted digests of the Arrow files: a name for the rows, wherever they lie."""
    return hashlib.blake2b("\n".join(sorted(s.xxh3 for s in shards)).encode(), digest_size=16).hexdigest()


def totals_of(splits: Mapping[str, Iterable[Shard]]) -> dict[str, dict[str, Totals]]:
    """The sums by split and source. A source without shards in a split has no entry there."""
    totals: dict[str, dict[str, Totals]] = {}
    for split, shards in splits.items():
        sums = totals.setdefault(split, {})
        for s in shards:
            t = sums.get(s.source, Totals(shards=0, rows=0, tokens=0, bytes=0, documents=0))
            sums[s.source] = Totals(shards=t.shards + 1, rows=t.rows + s.rows, tokens=t.tokens + s.tokens,
                                    bytes=t.bytes + s.bytes, documents=t.documents + s.documents)
    return totals


def to_json(manifest: ShardManifest) -> str:
    """Sorted, indented JSON: equal manifests give equal bytes."""
    return json.dumps(dataclasses.asdict(manifest), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def from_json(text: str) -> ShardManifest:
    """The inverse of `to_json`.

    Raises ValueError, saying what is wrong, on another schema version, a missing, unknown or mistyped field, a shard
    of an unknown source, and on totals or a dataset_id that the shards do not give.
    """
    raw = json.loads(text)
    if not isinstance(raw, dict) or "schema_version" not in raw:
        raise ValueError("not a shard manifest: no schema_version")
    if raw["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"shard manifest of schema version {raw['schema_version']}; this reads {SCHEMA_VERSION}")
    manifest = _build(ShardManifest, raw, "shard manifest")
    try:
        splits = {k: tuple(_build(Shard, s, f"shard of {k}") for s in v) for k, v in manifest.splits.items()}
        totals = {k: {n: _build(Totals, t, f"totals of {k}") for n, t in v.items()} for k, v in manifest.totals.items()}
        sources, languages = tuple(manifest.sources), tuple(manifest.languages)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"not a shard manifest: {error}") from error
    manifest = dataclasses.replace(manifest, splits=splits, totals=totals, sources=sources, languages=languages)
    _check(manifest)
    return manifest


def _item(kind: pa.DataType) -> pa.Field:
    return pa.field("item", kind, nullable=False)


def _build(cls: type[_T], raw: Any, what: str) -> _T:
    """`cls` from its JSON object, with its scalar fields checked by type. Raises TypeError on another JSON value."""
    if not isinstance(raw, dict):
        raise TypeError(f"{what}: not a JSON object")
    fields = {f.name: str(f.type) for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if missing := sorted(fields.keys() - raw.keys()):
        raise ValueError(f"{what} lacks {', '.join(missing)}")
    if unknown := sorted(raw.keys() - fields.keys()):
        raise ValueError(f"{what} has unknown {', '.join(unknown)}")
    for name, kind in fields.items():
        if kind in ("int", "str") and type(raw[name]).__name__ != kind:
            raise ValueError(f"{what}: {name} must be {kind}, not {raw[name]!r}")
    return cls(**raw)


def _check(manifest: ShardManifest) -> None:
    """Raises ValueError unless the manifest's parts agree with each other."""
    shards = [s for split in manifest.splits.values() for s in split]
    if manifest.packing != PACKING:
        raise ValueError(f"shard manifest: packing {manifest.packing!r}; this reads {PACKING!r}")
    if manifest.token_dtype != str(token_type(manifest.vocab_size)):
        raise ValueError(f"shard manifest: {manifest.token_dtype} ids for a vocabulary of {manifest.vocab_size}")
    if unknown := sorted({s.source for s in shards} - set(manifest.sources)):
        raise ValueError(f"shard manifest: shards of unknown sources {', '.join(unknown)}")
    if manifest.totals != totals_of(manifest.splits):
        raise ValueError("shard manifest: totals are not the sums over its shards")
    if manifest.dataset_id != dataset_id(shards):
        raise ValueError("shard manifest: dataset_id does not follow from its shards' digests")
