"""Names that depend on nothing but content and logical position: documents, texts, parts."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pyarrow as pa


def document_id(*, source: str, file: str, offset: int, inner_offset: int) -> bytes:
    """16 bytes naming the record at a logical position: BLAKE2b-128 of the four, so a copy or mirror of the
    archive gives the same ids."""
    position = f"{source}\0{file}\0{offset}\0{inner_offset}"
    return hashlib.blake2b(position.encode(), digest_size=16).digest()


def text_digests(texts: pa.StringArray) -> pa.FixedSizeBinaryArray:
    """BLAKE2b-128 of each text's UTF-8 bytes: a keyed-strength hash, since who writes a page can choose its text."""
    digests = [hashlib.blake2b(t, digest_size=16).digest() for t in texts.cast(pa.binary()).to_pylist()]
    return pa.array(digests, pa.binary(16))


def part_name(*, source: str, file: str, span: tuple[int, int] | None = None) -> str:
    """The name of the part that covers `file`, or its bytes [start, end): it stays the same whatever other inputs there
    are."""
    return "part-" + fingerprint([source, file, *(span or ())])[:16]


def fingerprint(value: Any) -> str:
    """128-bit hex digest of anything JSON can write, keys sorted."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def chosen(document: bytes, *, seed: int, per_million: int) -> bool:
    """Whether a document is drawn into a sample of `per_million`: a hash of seed and id, so no order matters."""
    return draw(document, seed=seed, purpose="sample") < per_million


def draw(document: bytes, *, seed: int, purpose: str) -> int:
    """A number in [0, 1,000,000) that depends on seed, id and purpose (at most 16 bytes) only. Draws for two purposes
    are independent: else a small sample and a small split with the same seed would be the same documents."""
    key = seed.to_bytes(8, "little", signed=True)
    digest = hashlib.blake2b(document, digest_size=8, key=key, person=purpose.encode()).digest()
    return int.from_bytes(digest, "little") % 1_000_000
