"""A service and a store on loopback ports, and a key that is made for the occasion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_dataflow import Service, serve
from fake_storage import Storage

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
IMAGE = "us-central1-docker.pkg.dev/my-project/winnow/winnow:0.1.0-beam2.77.0-py3.11"


@dataclass
class Cloud:
    """The fakes, and the options that lead Beam to them."""

    storage: Storage
    service: Service
    port: int
    image: str = IMAGE

    def load(self, folder: Path) -> list[str]:
        """Copies a folder's files to the bucket `crawl`; gives the options that read them from there."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.storage.put("crawl", path.relative_to(folder).as_posix(), path.read_bytes())
        return [f"--input={p.name}=gs://crawl/{p.name}/**" for p in sorted(folder.iterdir()) if p.is_dir()]

    def arguments(self, *more: str) -> list[str]:
        """Valid options of a launch."""
        return [
            "--runner=DataflowRunner", "--project=my-project", "--region=us-central1", "--temp_location=gs://work/temp",
            f"--sdk_container_image={IMAGE}", "--sdk_location=container", "--max_num_workers=2",
            f"--dataflow_endpoint=http://localhost:{self.port}", *more,
        ]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    storage = Storage(buckets={"work": "us-central1", "crawl": "us-central1", "europe": "europe-west4"})
    storage.buckets["secret"] = "us-central1"
    storage.forbidden.add("secret")
    service = Service(storage, execute=None)
    server = serve(service)
    port = server.server_address[1]
    for name, value in environment(tmp_path, port).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("pipelines.follow.TICK_S", 0.1)
    yield Cloud(storage, service, port)
    server.shutdown()
    server.server_close()


def environment(folder: Path, port: int) -> dict[str, str]:
    """What leads Google's clients to the fakes. The key is nobody's, and its tokens come from the fake."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account", "project_id": "my-project", "private_key_id": "x", "private_key": key.decode(),
        "client_email": "nobody@my-project.iam.gserviceaccount.com", "client_id": "1",
        "token_uri": f"http://localhost:{port}/token",
    }
    path = folder / "nobody.json"
    path.write_text(json.dumps(account))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(path), "STORAGE_EMULATOR_HOST": f"http://localhost:{port}",
            "NO_GCE_CHECK": "true"}


@dataclass
class Worker:
    """A process that runs staged graphs."""

    process: subprocess.Popen[str]

    def __call__(self, path: str) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(path + "\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


@pytest.fixture
def worker(cloud: Cloud) -> Iterator[Worker]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "worker.py")], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    yield Worker(process)
    assert process.stdin and process.stdout
    process.stdin.close()
    process.stdout.close()
    process.wait(timeout=30)
