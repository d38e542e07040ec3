"""S3 over its real protocol: moto's server in a process of its own, and a proxy before it that fails as told."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from tests.pipelines.storage.gcs import emulator, gcs
from tests.pipelines.storage.places import archives, crawl, demo, expected, place

__all__ = ["archives", "crawl", "demo", "emulator", "expected", "gcs", "place"]
KEY, SECRET = "AKIDEXAMPLEXAMPLE", "a-secret-that-must-not-be-told"


@dataclass(frozen=True)
class Asked:
    """A request: its `seen`-th time, from 1."""

    method: str
    path: str
    seen: int

    @property
    def listing(self) -> bool:
        return self.method == "GET" and "list-type=2" in self.path


@dataclass
class Proxy:
    """Forwards to `upstream`, unless `rule` names a fault: 503, 500, (status, body), 'cut upload', 'cut download',
    'lose answer', 'delay', or a function that changes the answer's body."""

    upstream: tuple[str, int]
    rule: Callable[[Asked], object] = lambda _: None
    asked: list[Asked] = field(default_factory=list)
    faults: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, method: str, path: str) -> object:
        with self.lock:
            asked = Asked(method, path, 1 + sum((a.method, a.path) == (method, path) for a in self.asked))
            self.asked.append(asked)
            found = self.rule(asked)
            self.faults += found is not None
        return found

    def handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self) -> None:
                with contextlib.suppress(ConnectionError):
                    self.answer(proxy.fault(self.command, self.path))

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_any

            def answer(self, fault: object) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                if fault == "cut upload":
                    self.rfile.read(length // 2)
                    return self.hang_up()
                body = self.rfile.read(length)
                if fault == "delay":
                    time.sleep(0.05)
                if isinstance(fault, int):
                    return self.say(fault, b"<Error><Code>SlowDown</Code><Message>planted</Message></Error>")
                if isinstance(fault, tuple):
                    return self.say(*fault)
                upstream = http.client.HTTPConnection(*proxy.upstream, timeout=60)
                try:
                    upstream.request(self.command, self.path, body, dict(self.headers))
                    reply = upstream.getresponse()
                    data = reply.read()
                finally:
                    upstream.close()
                if fault == "lose answer":
                    return self.hang_up()
                if callable(fault):
                    data = fault(data)
                self.send_response_only(reply.status)
                changed = ("content-length",) if callable(fault) else ()
                for name, value in reply.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding", *changed):
                        self.send_header(name, value)
                if changed:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if fault == "cut download":
                    self.wfile.write(data[: len(data) // 2])
                    return self.hang_up()
                self.wfile.write(data)

            def say(self, status: int, data: bytes) -> None:
                self.send_response_only(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def hang_up(self) -> None:
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, *_: object) -> None:
                """The tests' output is no access log."""

        return Handler


@dataclass(frozen=True)
class Bucket:
    """A bucket of its own, and a client that is not ours to look into it."""

    client: object
    name: str
    url: str

    def put(self, key: str, data: bytes) -> str:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)
        return f"{self.url}/{key}"

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def keys(self, prefix: str = "") -> dict[str, object]:
        """When each was written, by its key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return {o["Key"]: o["LastModified"] for page in pages for o in page.get("Contents", [])}

    def uploads(self) -> list[object]:
        return self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])

    def promised(self, out: str) -> dict[str, str]:
        """As the fixture `promised` of a folder."""
        keys = [k for f in ("clean", "tokenizer", "shards") for k in self.keys(f"{out}/{f}/")]
        return {key.removeprefix(f"{out}/"): hashlib.sha256(self.get(key)).hexdigest() for key in keys}

    def fill(self, folder: Path, prefix: str) -> str:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder)}", path.read_bytes())
        return f"{self.url}/{prefix}"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, "the server ended"
        time.sleep(0.05)
    raise AssertionError(f"nothing answers at port {port}")


@pytest.fixture(scope="session")
def moto() -> Iterator[int]:
    """The port of moto's server."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def s3(moto: int, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, and an environment that leads to it."""
    return _bucket(moto, monkeypatch, f"http://127.0.0.1:{moto}")


@pytest.fixture
def proxy(moto: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Proxy, Bucket]]:
    """The same, with the proxy between: the bucket's own client goes around it."""
    proxy = Proxy(("127.0.0.1", moto))
    server = ThreadingHTTPServer(("127.0.0.1", 0), proxy.handler())
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield proxy, _bucket(moto, monkeypatch, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _bucket(moto: int, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> Bucket:
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{moto}", config=Config(s3={"addressing_style": "path"}))
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    return Bucket(client, name, f"s3://{name}")


@pytest.fixture(scope="session")
def server_ports() -> tuple[Callable[[], int], Callable[[int, subprocess.Popen[bytes]], None]]:
    return free_port, wait_for
