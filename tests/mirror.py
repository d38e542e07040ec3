"""A loopback web server that serves a folder as a mirror does, with ranges and etags, and fails as told."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


@dataclass(frozen=True)
class Asked:
    """A request; `seen` is how often this path was asked for, from 1, `probe` whether for its first byte alone."""

    path: str
    range: str | None
    headers: dict[str, str]
    seen: int
    when: float

    @property
    def probe(self) -> bool:
        return self.range == "bytes=0-0"


@dataclass(frozen=True)
class Fault:
    """What is done instead. `status` answers that and `headers`; `cut` sends so many bytes of the body and hangs up;
    `pause` waits so many seconds before each 1,000 bytes; `body` is sent in the file's place; `headers` replace."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    pause: float = 0.0
    body: bytes | None = None
    ranges: bool = True
    hang_up: bool = False


@dataclass
class Mirror:
    folder: Path
    rule: Callable[[Asked], Fault | None] = lambda _: None
    asked: list[Asked] = field(default_factory=list)
    sent: int = 0
    served: dict[str, int] = field(default_factory=dict)
    """Bytes of bodies, by path."""
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def note(self, path: str, headers: dict[str, str]) -> Fault:
        with self.lock:
            seen = 1 + sum(a.path == path for a in self.asked)
            asked = Asked(path, headers.get("Range"), headers, seen, time.monotonic())
            self.asked.append(asked)
        return self.rule(asked) or Fault()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with contextlib.suppress(ConnectionError):
                    self.answer(mirror.note(self.path, dict(self.headers)))

            def answer(self, fault: Fault) -> None:
                file = mirror.folder / unquote(self.path.partition("?")[0]).lstrip("/")
                if fault.hang_up:
                    self.close_connection = True
                elif fault.status:
                    self.say(fault.status, {}, b"planted", fault)
                elif not file.is_file():
                    self.say(404, {}, b"", fault)
                else:
                    self.give(file.read_bytes() if fault.body is None else fault.body, fault)

            def give(self, data: bytes, fault: Fault) -> None:
                etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
                wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
                if not wanted or not fault.ranges or self.headers.get("If-Range", etag) != etag:
                    return self.say(200, {"ETag": etag}, data, fault)
                start, last = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
                if start >= len(data):
                    return self.say(416, {"ETag": etag, "Content-Range": f"bytes */{len(data)}"}, b"", fault)
                span = f"bytes {start}-{last}/{len(data)}"
                return self.say(206, {"ETag": etag, "Content-Range": span}, data[start : last + 1], fault)

            def say(self, status: int, headers: dict[str, str], body: bytes, fault: Fault) -> None:
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers | fault.headers).items():
                    if value:
                        self.send_header(name, value)
                self.end_headers()
                body = body if fault.cut is None else body[: fault.cut]
                with mirror.lock:
                    mirror.sent += len(body)
                    mirror.served[self.path] = mirror.served.get(self.path, 0) + len(body)
                for at in range(0, len(body), 1000) if fault.pause else ():
                    time.sleep(fault.pause)
                    self.wfile.write(body[at : at + 1000])
                if not fault.pause:
                    self.wfile.write(body)
                self.close_connection = fault.cut is not None or "Content-Length" in fault.headers

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no error of the server's."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Mirror]:
    mirror = Mirror(folder)
    server = _Server(("127.0.0.1", 0), mirror.handler())
    mirror.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
