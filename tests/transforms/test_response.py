from __future__ import annotations

import gzip
import random
import resource
import time
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.outcomes import RecordError
from transforms.response import content_type, parse_response

BODY = "<!DOCTYPE html><p>Ünïcode, and a little more of it</p>".encode() * 20
MAX = 1 << 20


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


def chunked(data: bytes, size: int = 100, end: bytes = b"\r\n") -> bytes:
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(b"%X;name=value%s%s%s" % (len(c), end, c, end) for c in chunks) + b"0" + end + end


def response(body: bytes, *headers: str, status: str = "HTTP/1.1 200 OK", end: str = "\r\n") -> bytes:
    return end.join([status, "Content-Type: Text/HTML; Charset=UTF-8", *headers, "", ""]).encode() + body


def body_of(body: bytes, *headers: str) -> bytes:
    return parse_response(response(body, *headers), max_bytes=MAX).body


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress,
}


@pytest.mark.parametrize("coding", ENCODERS)
def test_content_encodings(coding: str) -> None:
    encoded = ENCODERS[coding](BODY)
    assert body_of(encoded, f"Content-Encoding: {coding.upper()}") == BODY
    assert body_of(encoded, f"Transfer-Encoding: {coding}") == BODY
    assert body_of(chunked(encoded), f"Content-Encoding: {coding}", "Transfer-Encoding: chunked") == BODY


def test_raw_deflate_identity_and_members() -> None:
    assert body_of(raw_deflate(BODY), "Content-Encoding: deflate") == BODY
    assert body_of(BODY, "Content-Encoding: identity") == BODY
    assert body_of(gzip.compress(BODY) + gzip.compress(BODY) + b"\r\n", "Content-Encoding: gzip") == BODY * 2


def test_several_encodings_are_undone_from_the_last() -> None:
    twice = brotli.compress(gzip.compress(BODY))
    assert body_of(twice, "Content-Encoding: gzip, br") == BODY
    assert body_of(twice, "Content-Encoding: gzip", "Content-Encoding: br") == BODY
    with pytest.raises(RecordError, match="bad_encoding: 9 encodings"):
        body_of(twice, "Content-Encoding: " + ", ".join(["gzip"] * 9))


@pytest.mark.parametrize("header", [
    "Content-Encoding: gzip", "Content-Encoding: br", "Content-Encoding: deflate", "Transfer-Encoding: chunked",
])
def test_a_header_kept_by_a_crawler_that_had_undone_it(header: str) -> None:
    assert body_of(BODY, header) == BODY
    assert body_of(b"", header) == b""


@pytest.mark.parametrize("coding", ENCODERS)
def test_a_cut_or_unknown_stream_is_bad_encoding(coding: str) -> None:
    encoded = ENCODERS[coding](random.Random(1).randbytes(5000))
    for cut in range(2, len(encoded), 97):
        with pytest.raises(RecordError) as error:
            body_of(encoded[:cut], f"Content-Encoding: {coding}")
        assert error.value.reason == "bad_encoding"
    with pytest.raises(RecordError, match="'zstd' is not"):
        body_of(encoded, "Content-Encoding: zstd")


@pytest.mark.parametrize("coding", ENCODERS)
def test_the_bound_on_decoded_bytes_is_exact(coding: str) -> None:
    block = response(ENCODERS[coding](BODY), f"Content-Encoding: {coding}")
    assert parse_response(block, max_bytes=len(BODY)).body == BODY
    with pytest.raises(RecordError, match=f"more than {len(BODY) - 1} bytes"):
        parse_response(block, max_bytes=len(BODY) - 1)


@pytest.fixture(scope="module", params=["gzip", "br"])
def bomb(request: pytest.FixtureRequest) -> tuple[str, bytes]:
    """1 GB of zeros."""
    coder = zlib.compressobj(1, wbits=31) if request.param == "gzip" else brotli.Compressor(quality=1)
    add = coder.compress if request.param == "gzip" else coder.process
    encoded = b"".join(add(bytes(1 << 24)) for _ in range(64))
    return request.param, encoded + (coder.flush() if request.param == "gzip" else coder.finish())


def test_a_bomb_is_refused_in_little_memory_and_time(bomb: tuple[str, bytes]) -> None:
    coding, encoded = bomb
    block = response(encoded, f"Content-Encoding: {coding}")
    parse_response(response(ENCODERS[coding](BODY), f"Content-Encoding: {coding}"), max_bytes=MAX)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    tracemalloc.start()
    with pytest.raises(RecordError, match="more than 4194304 bytes"):
        parse_response(block, max_bytes=4 << 20)
    python_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert python_peak < (16 << 20) + 2 * len(encoded)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB
    assert time.perf_counter() - began < 5


def test_many_small_members_are_refused_in_little_time() -> None:
    began = time.perf_counter()
    with pytest.raises(RecordError, match="more than 64 gzip members"):
        parse_response(response(gzip.compress(b"") * 400_000, "Content-Encoding: gzip"), max_bytes=16 << 20)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(("line", "status"), [
    ("HTTP/2 200", 200), ("HTTP/1.1 200", 200), ("HTTP/1.0 404 Not Found", 404), ("HTTP/1.1  200 OK", 200),
    ("200 OK", 200), ("HTTP/1.1 999 Request denied", 999), ("HTTP/1.1 302 ", 302),
])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r\r\n"])
def test_status_lines(line: str, status: int, end: str) -> None:
    parsed = parse_response(response(b"a\r\n\r\nb", status=line, end=end), max_bytes=MAX)
    assert (parsed.status, parsed.media_type, parsed.charset) == (status, "text/html", "utf-8")
    assert parsed.body == b"a\r\n\r\nb"


@pytest.mark.parametrize("block", [
    b"", b"<html>", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 2000\r\n\r\n", b"\0\xff", b"999 x",
])
def test_no_status_line_is_bad_http(block: bytes) -> None:
    with pytest.raises(RecordError, match=r"^bad_http: the response starts with"):
        parse_response(block, max_bytes=MAX)


def test_headers() -> None:
    odd = response(b"x", "X-Long: " + "y" * 100_000, "no colon", "X-Folded: a", "\tb", ": no name", "Bin: é")
    assert parse_response(odd, max_bytes=MAX).body == b"x"
    assert parse_response(b"HTTP/1.1 200 OK\r\n\r\nx", max_bytes=MAX).body == b"x"
    unended = parse_response(b"HTTP/1.1 200 OK\r\nContent-Type: a/b", max_bytes=MAX)
    assert (unended.media_type, unended.body) == ("a/b", b"")
    assert content_type(" Text/Plain ; x=1; CHARSET='Latin1' ") == ("text/plain", "latin1")
    assert content_type("text/html; charset=") == ("text/html", None)
    assert content_type(None) == content_type(";") == (None, None)


def test_chunks() -> None:
    header = "Transfer-Encoding: Chunked"
    assert body_of(chunked(BODY, 7), header) == body_of(chunked(BODY, end=b"\n"), header) == BODY
    assert body_of(chunked(BODY).removesuffix(b"0\r\n\r\n"), header) == BODY  # the last chunk is missing
    assert body_of(chunked(BODY) + b"left over", header) == BODY
    for broken in (chunked(BODY)[:150], b"5\r\nhello\r\nno size\r\n", b"ffffffffffffffff\r\nabc"):
        with pytest.raises(RecordError, match=r"^bad_http"):
            body_of(broken, header)


@given(st.data())
def test_no_bytes_make_it_raise_anything_else(data: st.DataObject) -> None:
    coding = data.draw(st.sampled_from([*ENCODERS, "chunked"]))
    block = bytearray(response(ENCODERS.get(coding, chunked)(BODY), f"Content-Encoding: {coding}"))
    for _ in range(data.draw(st.integers(1, 4))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert len(parse_response(bytes(block), max_bytes=MAX).body) <= MAX
    except RecordError as error:
        assert error.reason in ("bad_http", "bad_encoding")
