"""Clients of object stores: `s3://`, any endpoint that speaks S3, and `gs://`, through obstore (Rust's object_store).

Endpoint, region and credentials are those of the field's own variables: AWS_ENDPOINT_URL, AWS_REGION,
AWS_ACCESS_KEY_ID, …, GOOGLE_APPLICATION_CREDENTIALS, STORAGE_EMULATOR_HOST, or those of the machine.
"""

from __future__ import annotations

import functools
import os
from datetime import timedelta

from obstore.exceptions import BaseError
from obstore.store import GCSStore, S3Store

from schemas.errors import RunError
from transforms.beam.store_errors import check_endpoint, endpoint_of, told

SCHEMES = ("s3://", "gs://")
_PATIENT = {"max_retries": 10, "retry_timeout": timedelta(minutes=3)}
"""object_store's own defaults, with its backoff from 0.1 s to 15 s: an outage of a minute is waited out."""
_HASTY = {"max_retries": 2, "retry_timeout": timedelta(seconds=15)}
"""For the first look at a store: what is wrong with the options must show before the coffee is cold."""
_ENVIRONMENT = ("AWS_", "GOOGLE_", "STORAGE_EMULATOR_HOST")


def is_stored(path: str) -> bool:
    return path.startswith(SCHEMES)


def split(path: str) -> tuple[str, str]:
    """Bucket and key. Raises RunError where there is no bucket."""
    bucket, _, key = path.partition("://")[2].partition("/")
    if not bucket:
        raise RunError(f"{path}: names no bucket. Write s3://BUCKET/PATH or gs://BUCKET/PATH.")
    return bucket, key


def store_of(path: str, *, hasty: bool = False) -> S3Store | GCSStore:
    """The store of the path's bucket, made once a process and environment."""
    check_endpoint(path)
    settings = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith(_ENVIRONMENT)))
    try:
        return _store(path[:5], split(path)[0], hasty=hasty, settings=settings, process=os.getpid())
    except (BaseError, ValueError) as error:
        raise told(error, path, "cannot be opened") from error


@functools.lru_cache(maxsize=64)
def _store(
    scheme: str, bucket: str, *, hasty: bool, settings: tuple[tuple[str, str], ...], process: int
) -> S3Store | GCSStore:
    retry = _HASTY if hasty else _PATIENT
    client = {"connect_timeout": "5s", "timeout": "60s"} if not hasty else {"connect_timeout": "3s", "timeout": "15s"}
    if scheme == "s3://":
        options = {**client, "allow_http": endpoint_of("s3")[1].startswith("http://")}
        # one request a deletion: some stores that speak S3 know no other
        return S3Store(bucket, config={"disable_bulk_delete": True}, client_options=options, retry_config=retry)  # type: ignore[arg-type]
    emulator = endpoint_of("gs")[1]
    if not emulator:
        return GCSStore(bucket, client_options=client, retry_config=retry)  # type: ignore[arg-type]
    base = emulator if "://" in emulator else f"http://{emulator}"
    config = {"base_url": base.rstrip("/"), "bearer_token": "emulator"}  # an emulator asks for some token
    options = {**client, "allow_http": base.startswith("http://")}
    return GCSStore(bucket, config=config, client_options=options, retry_config=retry)  # type: ignore[arg-type]
