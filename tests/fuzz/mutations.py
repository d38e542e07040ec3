"""Hostile records, as many as wanted: the n-th is a function of n alone, so that what fails can be made again.

Each is an archive of three gzip members: a mutated record between two good ones. The first must come out, and so must
the last unless the mutation was of the record's own framing.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import brotli
import zstandard
from fuzz_labels import LABELS

SEED = "winnow-fuzz-1"
GOOD_ID = "<urn:good>"
PROSE = (
    "The mill by the river grinds from April on, and whoever brings grain waits in the yard. ",
    "Das Wasser läuft über das Rad, und die Müllerin zählt die Säcke. ",
    "Мельница стоит у реки, и осенью к ней съезжаются телеги. ",
    "水車は川のそばにあり、秋には人が集まる。",
    "طاحونة الماء عند النهر تعمل في الخريف. ",
)
TAGS = (b"<div>", b"<b>", b"<table><tr><td>", b"<ul><li>", b"<svg>", b"<blockquote>", b"<a href=x>", b"<p><span>",
        b"<select><option>", b"<template>", b"<button>", b"<math><mi>", b"<frameset>", b"<font color=red>", b"<!--",
        b"<![CDATA[", b"<script>", b"<style>", b"<title>", b"<noscript>", b"</p>", b"</br>", b"<", b"&", b"<a b='")


@dataclass(frozen=True, kw_only=True)
class Case:
    """`kind` is the mutation's name; `framed` says that the last record must come out."""

    kind: str
    data: bytes
    framed: bool


def record(block: bytes, *, kind: str = "response", number: str = "<urn:1>", length: object = None, extra: bytes = b"",
           media_type: str = "application/http") -> bytes:
    said = len(block) if length is None else length
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: {number}\r\nContent-Type: {media_type}\r\n"
    return head.encode() + extra + f"Content-Length: {said}\r\n\r\n".encode() + block + b"\r\n\r\n"


def http(body: bytes, *headers: str, media_type: str = "text/html") -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {media_type}", *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "replace") + body


def page(r: random.Random) -> str:
    paragraphs = "".join(f"<p>{r.choice(PROSE) * r.randint(1, 5)}</p>" for _ in range(r.randint(1, 8)))
    return f"<html><head><title>A page</title></head><body><div><article>{paragraphs}</article></div></body></html>"


def flipped(r: random.Random, data: bytes, start: int = 0) -> bytes:
    changed = bytearray(data)
    for _ in range(r.choice((1, 2, 8, 50))):
        changed[r.randrange(start, len(changed))] ^= 1 << r.randrange(8)
    return bytes(changed)


def flipped_record(r: random.Random) -> bytes:
    return flipped(r, record(http(page(r).encode())))


def flipped_member(r: random.Random) -> tuple[bytes]:
    return (flipped(r, gzip.compress(record(http(page(r).encode())), 1, mtime=0)),)


def flipped_body(r: random.Random) -> bytes:
    return record(flipped(r, http(page(r).encode()), start=17))


def length_lies(r: random.Random) -> bytes:
    block = http(page(r).encode())
    lie = r.choice((0, 1, len(block) - 1, len(block) + 1, len(block) + 300, 2**31, 2**63, 10**17, -1, "", "0x10", "٣"))
    return record(block, length=lie)


def chunk_lies(r: random.Random) -> bytes:
    body = page(r).encode()
    true, over = f"{len(body):x}", f"{len(body) + 5:x}"
    size = r.choice((true, over, "0", "ffffffffffffffff", "-1", "1", "zz", "1;" + "x" * 9_999))
    chunked = f"{size}\r\n".encode() + body + r.choice((b"\r\n0\r\n\r\n", b"", b"\n0\n\n"))
    return record(http(chunked, "Transfer-Encoding: chunked", f"Content-Length: {r.choice((0, 1, 10**18))}"))


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(1, wbits=-15)
    return deflater.compress(data) + deflater.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda b: gzip.compress(b, 1, mtime=0), "deflate": lambda b: zlib.compress(b, 1), "raw": raw_deflate,
    "br": lambda b: brotli.compress(b, quality=1), "identity": bytes, "zstd": zstandard.compress,
}


def nested_encodings(r: random.Random) -> bytes:
    body, names = page(r).encode(), [r.choice(list(CODINGS)) for _ in range(r.randint(1, 12))]
    for name in names:
        body = CODINGS[name](body)
    if r.random() < 0.5:
        body = flipped(r, body)
    said = ", ".join("deflate" if name == "raw" else name for name in names)
    return record(http(body, f"Content-Encoding: {said}"))


@functools.cache
def zeros(coding: str) -> bytes:
    """10 GB of zeros, as flushed blocks of 1 MB that need nothing of each other; for Brotli 256 MB."""
    if coding == "br":
        return brotli.compress(bytes(256_000_000), quality=3)
    deflater = zlib.compressobj(9, wbits=-15)
    block = deflater.compress(bytes(1_000_000)) + deflater.flush(zlib.Z_FULL_FLUSH)
    head = {"gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\xff", "deflate": b"\x78\x9c"}[coding]
    return head + block * 10_000 + b"\x03\x00" + bytes(8)


def bomb(r: random.Random) -> bytes:
    coding = r.choice(("gzip", "deflate", "br"))
    body, said = zeros(coding), coding
    if r.random() < 0.3:
        body, said = gzip.compress(body, 1, mtime=0), f"{coding}, gzip"
    return record(http(body, f"Content-Encoding: {said}"))


def bombed_member(r: random.Random) -> tuple[bytes]:
    """A record that says it has 10 GB and has them, in a member of 10 MB."""
    head = zlib.compressobj(9, wbits=31)
    start = head.compress(record(b"", length=10_000_000_000)[:-4]) + head.flush(zlib.Z_FULL_FLUSH)
    return (start + zeros("gzip")[10:],)


def deep(r: random.Random) -> bytes:
    count = r.choice((1_000, 10_000, 10_000, 10_000, 30_000))
    return record(http(b"<html><body>" + r.choice(TAGS) * count + b"the end"))


def million_deep(r: random.Random) -> bytes:
    return record(http(b"<html><body>" + (r.choice(TAGS) * 1_000_000)[: 15 << 20] + b"the end"))


def attributes(r: random.Random) -> bytes:
    many = b" ".join(b"a%d=%d" % (k, k) for k in range(r.choice((10, 1_000, 20_000))))
    body = page(r).encode().replace(b"<div>", b"<div " + many + r.choice((b">", b"", b"'>", b"/>")))
    return record(http(body.replace(b"river", r.choice((b"&amp;" * 5_000, b"&#x110000;&#xd800;&#0;", b"&" * 9_999)))))


def nulls(r: random.Random) -> bytes:
    body = bytearray(page(r).encode())
    for _ in range(r.choice((1, 10, 1_000))):
        body.insert(r.randrange(len(body)), r.choice((0, 0, 0, 0x1A, 0xFF, 0xFE, 0x1B)))
    return record(http(bytes(body), media_type=r.choice(("text/html", "text/plain", "text/html\0", ""))))


def charset(r: random.Random) -> bytes:
    """Every label, before text in it, in another charset, or before random bytes."""
    label = LABELS[r.randrange(len(LABELS))]
    text = page(r).replace("<head>", f'<head><meta charset="{label}">' if r.random() < 0.5 else "<head>")
    try:
        body = text.encode(r.choice((label, "utf-8", "cp1251", "utf-16", "shift_jis", "utf-7")), "replace")
    except (LookupError, ValueError, TypeError, AssertionError):
        body = text.encode()
    if r.random() < 0.3:
        body = b"<html><body><p>" + r.randbytes(2_000)
    quoted = r.choice(('"{}"', "{}", "'{}'", " {} ")).format(label)
    return record(http(body, media_type=f"text/html; charset={quoted}" if r.random() < 0.7 else "text/html"))


def headers(r: random.Random) -> bytes:
    odd = r.choice(("X: " + "y" * 200_000, ": none", "Content-Type", "Content-Type: " + ";" * 50_000, "\0: \0",
                    " folded", "Content-Encoding: " + "gzip," * 5_000, "Content-Encoding: " + "x" * 9_999,
                    "Transfer-Encoding: \xff"))
    extra = b"WARC-Date: " + r.choice((b"9999-99-99", b"\xff\xfe", b"2024-01-01T00:00:00+99:99", b"-1", b"0" * 5_000))
    address = r.choice((b"http://[::1", b"\0", b"<>", b"\xed\xa0\x80", b"x" * 9_999))
    return record(http(page(r).encode(), odd), extra=extra + b"\r\nWARC-Target-URI: " + address + b"\r\n")


def cut(r: random.Random) -> bytes:
    whole = record(http(page(r).encode()))
    return whole[: r.randrange(1, len(whole))]


def conversion(r: random.Random) -> bytes:
    return record(flipped(r, page(r).encode()), kind="conversion", media_type="text/plain")


COMMON: tuple[Callable[[random.Random], bytes | tuple[bytes]], ...] = (
    flipped_record, flipped_member, flipped_body, flipped_body, length_lies, chunk_lies, nested_encodings, attributes,
    nulls, charset, charset, charset, headers, cut, conversion,
)
RARE: tuple[tuple[int, Callable[[random.Random], bytes | tuple[bytes]]], ...] = (
    (4_000, bombed_member), (1_000, million_deep), (150, bomb), (50, deep),
)
"""One case in so many is of this kind."""
UNFRAMED = {"flipped_record", "length_lies", "cut"}
"""Where a lie about its length may make a record swallow a part of the next."""


def case(n: int) -> Case:
    """The n-th case."""
    r = random.Random(hashlib.sha256(f"{SEED} {n}".encode()).digest())
    make = next((rare for every, rare in RARE if n % every == every - 1), COMMON[n % len(COMMON)])
    made = make(r)
    member = made[0] if isinstance(made, tuple) else gzip.compress(made, 1, mtime=0)
    good = record(http(f"<p>{PROSE[0]}</p>".encode()), number=GOOD_ID)
    good = gzip.compress(good, 1, mtime=0)
    return Case(kind=make.__name__, data=good + member + good, framed=make.__name__ not in UNFRAMED)
