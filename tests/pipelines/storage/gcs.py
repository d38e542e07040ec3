"""GCS over its real protocol: fake-gcs-server in a process of its own, and a gateway before it.

Our library uploads by GCS's XML interface, which that emulator has for reading alone. So the gateway hands uploads on
as the JSON interface's, with the same precondition, and everything else as it is.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

import pytest

CACHE = Path(os.environ.get("WINNOW_CACHE", Path.home() / ".cache" / "winnow"))
COMMAND = f"GOBIN={CACHE}/bin go install github.com/fsouza/fake-gcs-server@v1.56.1"


@dataclass
class Gateway:
    upstream: int
    pieces: dict[str, dict[int, bytes]] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None):
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()
        finally:
            connection.close()

    def upload(self, path: str, body: bytes, generation: str | None):
        bucket, _, name = path.lstrip("/").partition("/")
        condition = "" if generation is None else f"&ifGenerationMatch={generation}"
        url = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(unquote(name), safe='')}{condition}"
        status, _, data = self.ask("POST", url, body)
        if status != 200:
            return status, {}, b"<Error><Code>Refused</Code></Error>"
        made = json.loads(data)
        return 200, {"ETag": f'"{made["etag"]}"', "x-goog-generation": made["generation"]}, b""

    def answer(self, method: str, url: str, body: bytes, headers: dict[str, str]):
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query, keep_blank_values=True)
        if method == "POST" and "uploads" in query:
            number = uuid.uuid4().hex
            self.pieces[number] = {}
            text = f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId></InitiateMultipartUploadResult>"
            return 200, {}, text.encode()
        if "uploadId" in query:
            pieces = self.pieces[query["uploadId"][0]]
            if method == "PUT":
                pieces[int(query["partNumber"][0])] = body
                return 200, {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}, b""
            del self.pieces[query["uploadId"][0]]
            if method == "DELETE":
                return 204, {}, b""
            status, made, data = self.upload(path, b"".join(pieces[n] for n in sorted(pieces)), None)
            etag = made.get("ETag", "")
            text = f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>"
            return status, made, text.encode() if status == 200 else data
        if method == "PUT":
            return self.upload(path, body, headers.get("x-goog-if-generation-match"))
        return self.ask(method, url, body, {k: v for k, v in headers.items() if k != "host"})  # it answers to its own

    def handler(self) -> type[BaseHTTPRequestHandler]:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {k.lower(): v for k, v in self.headers.items()}
                status, given, data = gateway.answer(self.command, self.path, body, headers)
                self.send_response_only(status)
                for name, value in given.items():
                    if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                        self.send_header(name, value)
                length = {k.lower(): v for k, v in given.items()}.get("content-length")
                self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_any

            def log_message(self, *_: object) -> None:
                """The tests' output is no access log."""

        return Handler


@dataclass(frozen=True)
class GcsBucket:
    """A bucket of its own, looked into by the emulator's JSON interface, which our library does not use."""

    gateway: Gateway
    name: str
    url: str

    def put(self, key: str, data: bytes) -> str:
        status, _, said = self.gateway.upload(f"/{self.name}/{quote(key)}", data, None)
        assert status == 200, said
        return f"{self.url}/{key}"

    def get(self, key: str) -> bytes:
        status, _, data = self.gateway.ask("GET", f"/storage/v1/b/{self.name}/o/{quote(key, safe='')}?alt=media")
        assert status == 200, data
        return data

    def keys(self, prefix: str = "") -> list[str]:
        found, token = [], ""
        while True:
            query = urlencode({"prefix": prefix, **({"pageToken": token} if token else {})})
            status, _, data = self.gateway.ask("GET", f"/storage/v1/b/{self.name}/o?{query}")
            assert status == 200, data
            page = json.loads(data)
            found += [item["name"] for item in page.get("items", [])]
            token = page.get("nextPageToken", "")
            if not token:
                return found

    def promised(self, out: str) -> dict[str, str]:
        """As the fixture `promised` of a folder."""
        keys = [k for f in ("clean", "tokenizer", "shards") for k in self.keys(f"{out}/{f}/")]
        return {key.removeprefix(f"{out}/"): hashlib.sha256(self.get(key)).hexdigest() for key in keys}

    def fill(self, folder: Path, prefix: str) -> str:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder)}", path.read_bytes())
        return f"{self.url}/{prefix}"


@pytest.fixture(scope="session")
def emulator(server_ports) -> Iterator[Gateway]:
    program = shutil.which("fake-gcs-server") or shutil.which("fake-gcs-server", path=str(CACHE / "bin"))
    if program is None:
        pytest.skip(f"no GCS emulator: run {COMMAND}")
    free_port, wait_for = server_ports
    port = free_port()
    process = subprocess.Popen(
        [program, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory",
         "-public-host", f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process)
        yield Gateway(port)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def gcs(emulator, monkeypatch) -> Iterator[GcsBucket]:
    """An empty bucket, and an environment that leads to it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), emulator.handler())
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    status, _, said = emulator.ask("POST", "/storage/v1/b?project=p", json.dumps({"name": name}).encode())
    assert status == 200, said
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"127.0.0.1:{server.server_port}")
    try:
        yield GcsBucket(emulator, name, f"gs://{name}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
