"""Cloud Storage's JSON API on a loopback port, as far as Beam's and Google's clients use it: buckets, objects, listing,
resumable and multipart uploads, ranges, rewrites, batches. Objects are in memory and have generations."""

from __future__ import annotations

import base64
import email
import hashlib
import json
import re
import struct
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import fake_xml
import google_crc32c

OBJECT = re.compile(r"/(?:download/)?storage/v1/b/([^/]+)/o/([^/]+)")
COPY = re.compile(r"/storage/v1/b/([^/]+)/o/([^/]+)/(rewriteTo|copyTo)/b/([^/]+)/o/([^/]+)")
LIST = re.compile(r"/storage/v1/b/([^/]+)/o")
BUCKET = re.compile(r"/storage/v1/b/([^/]+)")
UPLOAD = re.compile(r"/(?:resumable/)?upload/storage/v1/b/([^/]+)/o")


@dataclass(frozen=True)
class Answer:
    """`body` is bytes, or something for JSON."""

    status: int = 200
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    body: bytes
    host: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))


def error(status: int, message: str) -> Answer:
    return Answer(status, {"error": {"code": status, "message": message}})


@dataclass
class Storage:
    """`buckets` maps names to regions; `forbidden` are those that nobody may look at."""

    buckets: dict[str, str]
    forbidden: set[str] = field(default_factory=set)
    objects: dict[tuple[str, str], tuple[bytes, int]] = field(default_factory=dict)
    uploads: dict[str, tuple[str, str, bytearray]] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    """Uploads of the XML API that are not complete."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def put(self, bucket: str, name: str, data: bytes) -> None:
        with self.lock:
            generation = self.objects.get((bucket, name), (b"", 0))[1] + 1
            self.objects[bucket, name] = (data, generation)

    def read(self, address: str) -> bytes:
        """The object at gs://…"""
        bucket, _, name = address.removeprefix("gs://").partition("/")
        return self.objects[bucket, name][0]

    def answer(self, request: Request) -> Answer | None:
        """None where the request is not one of storage's."""
        with self.lock:
            if request.path == "/batch/storage/v1":
                return self._batch(request)
            if found := UPLOAD.fullmatch(request.path):
                return self._upload(found[1], request)
            return self._plain(request) or fake_xml.answer(self, request)

    def _plain(self, request: Request) -> Answer | None:
        path, method = request.path, request.method
        if found := COPY.fullmatch(path):
            return self._copy(*(unquote(g) for g in found.groups()), host=request.host)
        if found := OBJECT.fullmatch(path):
            return self._object(found[1], unquote(found[2]), method, request)
        if found := LIST.fullmatch(path):
            return self._list(found[1], request)
        if found := BUCKET.fullmatch(path):
            if found[1] in self.forbidden:
                return error(403, "the caller does not have storage.buckets.get access")
            if found[1] not in self.buckets:
                return error(404, "The specified bucket does not exist.")
            return Answer(body={"kind": "storage#bucket", "name": found[1], "id": found[1],
                                "location": self.buckets[found[1]].upper(), "projectNumber": "1",
                                "softDeletePolicy": {"retentionDurationSeconds": "0"}})
        return None

    def _object(self, bucket: str, name: str, method: str, request: Request) -> Answer:
        if (bucket, name) not in self.objects:
            return error(404, f"No such object: {bucket}/{name}")
        data, _ = self.objects[bucket, name]
        if method == "DELETE":
            del self.objects[bucket, name]
            return Answer(204)
        if request.query.get("alt") != "media" and not request.path.startswith("/download"):
            return Answer(body=self._resource(bucket, name, request.host))
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if not wanted:
            return Answer(body=data)
        start, end = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
        if start >= len(data):
            return Answer(416, b"", (("Content-Range", f"bytes */{len(data)}"),))
        return Answer(206, data[start : end + 1], (("Content-Range", f"bytes {start}-{end}/{len(data)}"),))

    def _list(self, bucket: str, request: Request) -> Answer:
        prefix = request.query.get("prefix", "")
        names = sorted(n for b, n in self.objects if b == bucket and n.startswith(prefix))
        items = [self._resource(bucket, n, request.host) for n in names]
        return Answer(body={"kind": "storage#objects", "items": items})

    def _copy(self, bucket: str, name: str, kind: str, to: str, new: str, *, host: str) -> Answer:
        if (bucket, name) not in self.objects:
            return error(404, f"No such object: {bucket}/{name}")
        self.put(to, new, self.objects[bucket, name][0])
        made = self._resource(to, new, host)
        whole = {"kind": "storage#rewriteResponse", "totalBytesRewritten": made["size"], "objectSize": made["size"],
                 "done": True, "resource": made}
        return Answer(body=made if kind == "copyTo" else whole)

    def _upload(self, bucket: str, request: Request) -> Answer:
        kind = request.query.get("uploadType")
        if kind == "resumable" and request.method == "POST":
            name = request.query.get("name") or json.loads(request.body)["name"]
            key = f"upload-{len(self.uploads)}"
            self.uploads[key] = (bucket, name, bytearray())
            place = f"http://{request.host}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={key}"
            return Answer(body={}, headers=(("Location", place),))
        if kind == "resumable":
            return self._chunk(request)
        if kind == "multipart":
            parts = _parts(request)
            name = json.loads(parts[0].get_payload(decode=True))["name"]
            self.put(bucket, name, _binary(request))
            return Answer(body=self._resource(bucket, name, request.host))
        self.put(bucket, request.query["name"], request.body)
        return Answer(body=self._resource(bucket, request.query["name"], request.host))

    def _chunk(self, request: Request) -> Answer:
        """An object appears with its last chunk, the one whose range names the whole length."""
        bucket, name, data = self.uploads[request.query["upload_id"]]
        data += request.body
        whole = re.fullmatch(r"bytes (?:\d+-\d+|\*)/(\d+|\*)", request.headers.get("content-range", ""))
        if whole and whole[1] != str(len(data)):
            return Answer(308, None, (("Range", f"bytes=0-{len(data) - 1}"),) if data else ())
        self.put(bucket, name, bytes(data))
        return Answer(body=self._resource(bucket, name, request.host))

    def _batch(self, request: Request) -> Answer:
        boundary = re.search(r'boundary="?([^";]+)', request.headers["content-type"])
        assert boundary
        out = b""
        for part in _parts(request):
            head, _, rest = part.get_payload(decode=True).decode().replace("\r", "").lstrip().partition("\n")
            method, target = head.split()[:2]
            inner = Request(method, target, rest.partition("\n\n")[2].encode(), request.host, {})
            done = self._plain(inner) or error(404, f"unknown: {target}")
            data = b"" if done.body is None else json.dumps(done.body).encode()
            number = part["Content-ID"].strip("<>")
            out += (
                f"--{boundary[1]}\r\nContent-Type: application/http\r\nContent-ID: <response-{number}>\r\n\r\n"
                f"HTTP/1.1 {done.status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
            ).encode() + data + b"\r\n"
        out += f"--{boundary[1]}--\r\n".encode()
        return Answer(body=out, headers=(("Content-Type", f'multipart/mixed; boundary="{boundary[1]}"'),))

    def _resource(self, bucket: str, name: str, host: str) -> dict[str, Any]:
        data, generation = self.objects[bucket, name]
        crc = struct.pack(">I", google_crc32c.value(data))
        return {
            "kind": "storage#object", "id": f"{bucket}/{name}/{generation}", "name": name, "bucket": bucket,
            "generation": str(generation), "metageneration": "1", "size": str(len(data)), "etag": f"e{generation}",
            "contentType": "application/octet-stream", "timeCreated": "2026-01-01T00:00:00Z",
            "updated": "2026-01-01T00:00:00Z", "crc32c": base64.b64encode(crc).decode(),
            "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode(),
            "mediaLink": f"http://{host}/download/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media",
        }


def _parts(request: Request) -> list[Any]:
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    return email.message_from_bytes(head + request.body).get_payload()  # type: ignore[return-value]


def _binary(request: Request) -> bytes:
    """The second part, byte for byte: the parser of mail would change line ends."""
    boundary = re.search(r'boundary="?([^";]+)', request.headers["content-type"])
    assert boundary
    second = request.body.split(b"--" + boundary[1].encode().strip(b"'"))[2]
    return second.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
