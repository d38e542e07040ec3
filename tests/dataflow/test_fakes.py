"""The fake store by clients that are not ours: what it keeps must be what they wrote."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.dataflow
NEEDS = "apache-beam[gcp] is not installed: `make test-dataflow` brings it"


def test_googles_client(cloud) -> None:
    pytest.importorskip("google.cloud.storage", reason=NEEDS)
    from google.api_core.exceptions import NotFound
    from google.cloud import storage

    client = storage.Client(project="my-project")
    bucket = client.bucket("work")
    data = os.urandom(9_000_000) + b"--\r\n\n\r"
    bucket.blob("a/multipart é").upload_from_string(data)
    with bucket.blob("a/resumable", chunk_size=1 << 18).open("wb") as file:
        file.write(data)
    assert [b.name for b in client.list_blobs("work", prefix="a/")] == ["a/multipart é", "a/resumable"]
    for name in ("a/multipart é", "a/resumable"):
        assert bucket.blob(name).download_as_bytes() == data
        assert bucket.blob(name).download_as_bytes(start=5, end=9) == data[5:10]
    bucket.copy_blob(bucket.blob("a/resumable"), bucket, "b")
    bucket.blob("a/resumable").delete()
    assert bucket.get_blob("a/resumable") is None and bucket.get_blob("b").size == len(data)
    with pytest.raises(NotFound):
        bucket.blob("a/resumable").delete()
    with pytest.raises(NotFound):
        client.get_bucket("missing-one")


def test_a_client_of_the_xml_api(cloud) -> None:
    obstore = pytest.importorskip("obstore", reason="obstore is not installed: it comes with object storage")
    from obstore.exceptions import AlreadyExistsError

    config = {"base_url": f"http://localhost:{cloud.port}", "bearer_token": "x"}
    store = obstore.store.GCSStore("work", config=config, client_options={"allow_http": True})
    data = os.urandom(12_000_000)
    obstore.put(store, "a/é b", b"small", mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(store, "a/é b", b"again", mode="create")
    with obstore.open_writer(store, "a/large", buffer_size=5 << 20) as file:
        file.write(data)
    assert bytes(obstore.get(store, "a/large").bytes()) == data == cloud.storage.read("gs://work/a/large")
    assert bytes(obstore.get_range(store, "a/large", start=7, end=11)) == data[7:11]
    assert sorted(m["path"] for page in obstore.list(store, "a") for m in page) == ["a/large", "a/é b"]
    assert obstore.list_with_delimiter(store, None)["common_prefixes"] == ["a"]
    obstore.delete(store, "a/large")
    with pytest.raises(FileNotFoundError):
        obstore.head(store, "a/large")
