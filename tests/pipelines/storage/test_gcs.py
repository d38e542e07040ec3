"""The same on gs://, against fake-gcs-server: its objects, generations, preconditions and listings."""

from __future__ import annotations

import json
import os

import pytest

from pipelines import clean, lease
from pipelines.whole import locked
from schemas.errors import RunError
from transforms.beam import files

pytestmark = pytest.mark.gcs


@pytest.fixture
def bucket(gcs) -> str:
    return gcs.url


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


def test_the_job(job, finished, promised, gcs):
    gcs.fill(job.sample, "in")
    inputs = [f"--input={name}={gcs.url}/in/{name}" for name in ("web", "wet", "json")]
    clean.run([*inputs, f"--output={gcs.url}/out"])
    assert gcs.promised("out") == promised(finished)
