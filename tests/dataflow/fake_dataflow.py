"""Dataflow's jobs on a loopback port: created, looked at, listed, cancelled, with messages and metrics. A job runs the
very graph that was staged for it, in a worker process of its own that knows nothing of the launcher."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fake_storage import Answer, Request, Storage, error

JOBS = re.compile(r"/v1b3/projects/([^/]+)/locations/([^/]+)/jobs(?:/([^/:]+))?(/messages|/metrics)?")
Execute = Callable[[str], dict[str, Any]]
"""gs:// path of a graph to {"error": text or None, "counters": {name: count}}."""


@dataclass
class Service:
    """`created` are the bodies of the jobs that were posted. `execute` None leaves jobs running for ever."""

    storage: Storage
    execute: Execute | None
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    messages: dict[str, list[str]] = field(default_factory=dict)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, request: Request) -> Answer:
        self.log.append(f"{request.method} {request.path}")
        if request.path == "/token":
            return Answer(body={"access_token": "fake", "expires_in": 3600, "token_type": "Bearer"})
        found = JOBS.fullmatch(request.path)
        if found:
            return self._jobs(request, *found.groups())
        return self.storage.answer(request) or error(404, f"unknown: {request.method} {request.path}")

    def _jobs(self, request: Request, project: str, region: str, job: str | None, what: str | None) -> Answer:
        if project == "no-such-project":
            return error(403, "the caller does not have permission")
        if job is None and request.method == "POST":
            return self._create(json.loads(request.body), project, region)
        if job is None:
            return Answer(body={"jobs": [_told(j) for j in self.jobs.values()]})
        if job not in self.jobs:
            return error(404, f"no such job: {job}")
        if what == "/messages":
            return Answer(body={"jobMessages": [
                {"id": str(k), "time": "2026-01-01T00:00:01Z", "messageText": text,
                 "messageImportance": "JOB_MESSAGE_ERROR"} for k, text in enumerate(self.messages.get(job, []))
            ]})
        if what == "/metrics":
            return Answer(body={"metricTime": "2026-01-01T00:00:02Z", "metrics": [
                {"name": {"origin": "user", "name": name, "context": {"namespace": "winnow", "step": "s1", **context}},
                 "scalar": count} for name, count in self.counters.get(job, {}).items()
                for context in ({}, {"tentative": "true"})
            ]})
        if request.method == "PUT":
            self.jobs[job]["currentState"] = json.loads(request.body)["requestedState"]
        return Answer(body=_told(self.jobs[job]))

    def _create(self, body: dict[str, Any], project: str, region: str) -> Answer:
        with self.lock:
            self.created.append(body)
            job = {**body, "id": f"2026-01-01_00_00_00-{len(self.jobs) + 1}", "projectId": project, "location": region,
                   "currentState": "JOB_STATE_RUNNING", "createTime": "2026-01-01T00:00:00Z"}
            self.jobs[job["id"]] = job
        if self.execute:
            self.start(job, self.execute)
        return Answer(body=_told(job))

    def start(self, job: dict[str, Any], execute: Execute) -> None:
        threading.Thread(target=self.finish, args=(job, execute), daemon=True).start()

    def finish(self, job: dict[str, Any], execute: Execute) -> None:
        """Runs a job's graph, and tells its end."""
        done = execute(graph_of(job))
        self.counters[job["id"]] = done["counters"]
        if done["error"]:
            self.messages[job["id"]] = [done["error"]]
        job["currentState"] = "JOB_STATE_FAILED" if done["error"] else "JOB_STATE_DONE"


def graph_of(job: dict[str, Any]) -> str:
    """The gs:// path of the staged pipeline.pb: a job names its graph, it does not hold it."""
    place: str = job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
    return place


def _told(job: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "name", "type", "projectId", "location", "currentState", "createTime", "clientRequestId")
    return {name: job[name] for name in names if name in job}


def serve(service: Service) -> ThreadingHTTPServer:
    """A server on a free port of the loopback interface, in a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Quiet: the service keeps its own log."""

        def any(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                done = service.answer(Request(self.command, self.path, self._body(), headers["host"], headers))
            except Exception as failure:  # a fault of the fake must be seen, not waited for
                done = error(400, f"the fake: {type(failure).__name__}: {failure}")
            body = b"" if done.body is None else done.body
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(done.status)
            for name, value in done.headers:
                self.send_header(name, value)
            if not any(name == "Content-Type" for name, _ in done.headers):
                kind = "application/octet-stream" if isinstance(done.body, bytes) else "application/json"
                self.send_header("Content-Type", kind)
            if done.status != 204:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            data = b""
            while size := int(self.rfile.readline().strip(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = any

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
