"""The same on gs://, against fake-gcs-server: its objects, generations, preconditions and listings.

Our library uploads by GCS's XML interface, which that emulator has for reading alone. So a gateway stands before it
that hands uploads on as the JSON interface's, with the same precondition, and everything else as it is.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from pipelines import clean, lease
from pipelines.whole import locked
from schemas.errors import RunError
from transforms.beam import files

pytestmark = pytest.mark.gcs

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
def bucket(emulator, monkeypatch) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), emulator.handler())
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    status, _, said = emulator.ask("POST", "/storage/v1/b?project=p", json.dumps({"name": name}).encode())
    assert status == 200, said
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"127.0.0.1:{server.server_port}")
    try:
        yield f"gs://{name}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def put(path: str, data: bytes) -> None:
    with files.create(path) as sink:
        sink.write(data)


def test_objects(bucket):
    big = bytes(range(256)) * 80_000
    for name, data in {"c/x.gz": b"x", "c/a/y.gz": b"", "c/big": big, "cc/z": b"z"}.items():
        put(f"{bucket}/{name}", data)
    assert [(f.path, f.size) for f in files.find(f"{bucket}/c")] == [
        (f"{bucket}/c/a/y.gz", 0), (f"{bucket}/c/big", len(big)), (f"{bucket}/c/x.gz", 1),
    ]
    assert [f.path for f in files.find(f"{bucket}/c/*.gz")] == [f"{bucket}/c/x.gz"]
    with files.open_read(f"{bucket}/c/big") as file:
        assert file.read() == big
    files.remove(f"{bucket}/c/x.gz")
    assert files.size(f"{bucket}/c/x.gz") is None
    with pytest.raises(KeyError), files.create(f"{bucket}/half") as sink:
        sink.write(big)
        raise KeyError
    assert files.size(f"{bucket}/half") is None


def test_a_change_is_noticed(bucket):
    put(f"{bucket}/x", bytes(2_000_000))
    [planned] = files.find(f"{bucket}/x")
    with files.open_read(f"{bucket}/x", identity=planned.identity) as file:
        file.read(1)
        put(f"{bucket}/x", bytes(2_000_000))
        with pytest.raises(RunError, match="changed during the run"):
            file.read()


def test_publication_and_the_lock(bucket, monkeypatch):
    files.publish(f"{bucket}/m.json", b"one")
    files.publish(f"{bucket}/m.json", b"one")
    with pytest.raises(RunError, match="another process wrote it meanwhile"):
        files.publish(f"{bucket}/m.json", b"two")
    files.publish(f"{bucket}/m.json", b"two", anew=True)
    assert files.read_text(f"{bucket}/m.json") == "two"
    monkeypatch.setattr(lease, "BEAT_S", 0.1)
    with locked(f"{bucket}/out"):
        with pytest.raises(RunError, match="another run is writing here"), locked(f"{bucket}/out"):
            pass
    with locked(f"{bucket}/out"):
        assert json.loads(files.read_text(f"{bucket}/out/.lock"))["process"] == os.getpid()


@pytest.mark.usefixtures("bucket")
def test_no_bucket():
    with pytest.raises(RunError, match="there is no bucket nobody-has-this"), locked("gs://nobody-has-this/out"):
        pass


def test_the_job(job, finished, promised, bucket):
    for path in sorted(job.sample.rglob("*")):
        if path.is_file():
            put(f"{bucket}/in/{path.relative_to(job.sample)}", path.read_bytes())
    inputs = [f"--input={name}={bucket}/in/{name}" for name in ("web", "wet", "json")]
    clean.run([*inputs, f"--output={bucket}/out"])
    found = {
        f.path.removeprefix(f"{bucket}/out/"): hashlib.sha256(files.open_read(f.path).read()).hexdigest()
        for f in files.find(f"{bucket}/out")
        if re.match(r"(clean|tokenizer|shards)/", f.path.removeprefix(f"{bucket}/out/"))
    }
    assert found == promised(finished)
