"""Cloud Storage's XML API for the objects of a fake store: what libraries that also speak S3 use."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from fake_storage import Answer, Request, Storage

PLACE = re.compile(r"/([^/]+)(?:/(.*))?", re.DOTALL)
WHEN = "Thu, 01 Jan 2026 00:00:00 GMT"
ISO = "2026-01-01T00:00:00.000Z"


def answer(storage: Storage, request: Request) -> Answer | None:
    """None where the path names no bucket of the store."""
    found = PLACE.fullmatch(request.path)
    if not found or found[1] not in storage.buckets:
        return None
    bucket, key = found[1], unquote(found[2] or "")
    if bucket in storage.forbidden:
        return _error(403, "AccessDenied")
    if not key:
        return _list(storage, bucket, request)
    if "uploadId" in request.query or "uploads" in request.target.partition("?")[2]:
        return _multipart(storage, bucket, key, request)
    if request.method == "PUT":
        return _put(storage, bucket, key, request.body, request)
    if (bucket, key) not in storage.objects:
        return _error(404, "NoSuchKey")
    if request.method == "DELETE":
        del storage.objects[bucket, key]
        return _answer(204, None)
    return _get(storage, bucket, key, request)


def _get(storage: Storage, bucket: str, key: str, request: Request) -> Answer:
    data, _ = storage.objects[bucket, key]
    headers = _headers(storage, bucket, key)
    wanted = request.headers.get("if-match")
    if wanted and wanted != dict(headers)["ETag"]:
        return _error(412, "PreconditionFailed")
    part = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if part is None or request.method == "HEAD":
        return _answer(200, data, *headers)
    start, end = int(part[1]), min(int(part[2] or len(data)), len(data) - 1)
    if start >= len(data):
        return _error(416, "InvalidRange")
    return _answer(206, data[start : end + 1], *headers, ("Content-Range", f"bytes {start}-{end}/{len(data)}"))


def _put(storage: Storage, bucket: str, key: str, data: bytes, request: Request) -> Answer:
    wanted = request.headers.get("x-goog-if-generation-match")
    if wanted is not None and int(wanted) != storage.objects.get((bucket, key), (b"", 0))[1]:
        return _error(412, "PreconditionFailed")
    storage.put(bucket, key, data)
    return _answer(200, b"", *_headers(storage, bucket, key))


def _multipart(storage: Storage, bucket: str, key: str, request: Request) -> Answer:
    number = request.query.get("uploadId")
    if number is None:
        number = f"parts-{len(storage.parts)}"
        storage.parts[number] = {}
        return _xml(f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId></InitiateMultipartUploadResult>")
    if request.method == "PUT":
        storage.parts[number][int(request.query["partNumber"])] = request.body
        return _answer(200, b"", ("ETag", f'"{hashlib.md5(request.body).hexdigest()}"'))
    parts = storage.parts.pop(number)
    if request.method == "DELETE":
        return _answer(204, None)
    _put(storage, bucket, key, b"".join(parts[k] for k in sorted(parts)), request)
    tag = dict(_headers(storage, bucket, key))["ETag"]
    return _xml(f"<CompleteMultipartUploadResult><ETag>{escape(tag)}</ETag></CompleteMultipartUploadResult>")


def _list(storage: Storage, bucket: str, request: Request) -> Answer:
    """All at once; with a delimiter what lies deeper is told as folders."""
    prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter")
    keys = sorted(k for b, k in storage.objects if b == bucket and k.startswith(prefix))
    folders: set[str] = set()
    if delimiter:
        deep = [k for k in keys if delimiter in k[len(prefix) :]]
        folders = {prefix + k[len(prefix) :].partition(delimiter)[0] + delimiter for k in deep}
        keys = [k for k in keys if k not in deep]
    told = "".join(
        f"<Contents><Key>{escape(k)}</Key><LastModified>{ISO}</LastModified>"
        f"<ETag>{escape(dict(_headers(storage, bucket, k))['ETag'])}</ETag>"
        f"<Size>{len(storage.objects[bucket, k][0])}</Size></Contents>" for k in keys
    ) + "".join(f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in sorted(folders))
    return _xml(f"<ListBucketResult><Name>{bucket}</Name><IsTruncated>false</IsTruncated>{told}</ListBucketResult>")


def _headers(storage: Storage, bucket: str, key: str) -> list[tuple[str, str]]:
    data, generation = storage.objects[bucket, key]
    tag = f'"{hashlib.md5(data).hexdigest()}"'
    return [("ETag", tag), ("Last-Modified", WHEN), ("x-goog-generation", str(generation))]


def _xml(text: str) -> Answer:
    return _answer(200, text.encode(), ("Content-Type", "application/xml"))


def _error(status: int, code: str) -> Answer:
    return _answer(status, f"<Error><Code>{code}</Code></Error>".encode(), ("Content-Type", "application/xml"))


def _answer(status: int, body: bytes | None, *headers: tuple[str, str]) -> Answer:
    from fake_storage import Answer

    return Answer(status, body, headers)
