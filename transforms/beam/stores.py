"""Object stores: `s3://`, any endpoint that speaks S3, and `gs://`, through obstore (Rust's object_store).

Endpoint, region and credentials are those of the field's own variables: AWS_ENDPOINT_URL, AWS_REGION,
AWS_ACCESS_KEY_ID, …, GOOGLE_APPLICATION_CREDENTIALS, STORAGE_EMULATOR_HOST, or those of the machine. What goes wrong is
a RunError whose text holds no header, no query and no key.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import GCSStore, S3Store

from schemas.errors import RunError
from transforms.beam.store_errors import told

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode, UpdateVersion

SCHEMES = ("s3://", "gs://")
PIECE = 8 << 20
"""Bytes of an upload that are held until they are sent: at S3's 10,000 parts an object may have 80 GiB."""
SENDING = 2
"""Pieces on their way at a time: an upload holds PIECE * (SENDING + 1) bytes at most."""
_PATIENT = {"max_retries": 10, "retry_timeout": timedelta(minutes=3)}
"""object_store's own defaults, with its backoff from 0.1 s to 15 s: an outage of a minute is waited out."""
_HASTY = {"max_retries": 2, "retry_timeout": timedelta(seconds=15)}
"""For the first look at a store: what is wrong with the options must show before the coffee is cold."""
_ENVIRONMENT = ("AWS_", "GOOGLE_", "STORAGE_EMULATOR_HOST")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An object as it is now. `version` is its etag; not its generation, which listings of GCS do not tell."""

    path: str
    size: int
    etag: str | None
    generation: str | None
    modified: datetime

    @property
    def version(self) -> str:
        return (self.etag or self.generation or self.modified.isoformat()).strip("\"")

    @property
    def condition(self) -> UpdateVersion:
        """What a put asks for that must replace exactly this."""
        found: UpdateVersion = {}
        if self.etag:
            found["e_tag"] = self.etag
        if self.generation:
            found["version"] = self.generation
        return found


class LostRaceError(RunError):
    """Another writer was first."""


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
    settings = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith(_ENVIRONMENT)))
    try:
        return _store(path[:5], split(path)[0], hasty=hasty, settings=settings, process=os.getpid())
    except (BaseError, ValueError) as error:
        raise told(error, path, "cannot be opened") from error


@functools.lru_cache(maxsize=64)
def _store(
    scheme: str, bucket: str, *, hasty: bool, settings: tuple[tuple[str, str], ...], process: int
) -> S3Store | GCSStore:
    known = dict(settings)
    retry = _HASTY if hasty else _PATIENT
    client = {"connect_timeout": "5s", "timeout": "60s"} if not hasty else {"connect_timeout": "3s", "timeout": "15s"}
    if scheme == "s3://":
        endpoint = known.get("AWS_ENDPOINT_URL_S3") or known.get("AWS_ENDPOINT_URL") or known.get("AWS_ENDPOINT", "")
        options = {**client, "allow_http": endpoint.startswith("http://")}
        # one request a deletion: some stores that speak S3 know no other
        return S3Store(bucket, config={"disable_bulk_delete": True}, client_options=options, retry_config=retry)  # type: ignore[arg-type]
    emulator = known.get("STORAGE_EMULATOR_HOST", "")
    if not emulator:
        return GCSStore(bucket, client_options=client, retry_config=retry)  # type: ignore[arg-type]
    base = emulator if "://" in emulator else f"http://{emulator}"
    config = {"base_url": base.rstrip("/"), "bearer_token": "emulator"}  # an emulator asks for some token
    options = {**client, "allow_http": base.startswith("http://")}
    return GCSStore(bucket, config=config, client_options=options, retry_config=retry)  # type: ignore[arg-type]


def look(path: str, *, hasty: bool = False) -> Stored | None:
    """The object, None if there is none (or no bucket: asking for the object does not tell)."""
    key = split(path)[1].rstrip("/")
    if not key:
        return None
    try:
        return _stored(path, obstore.head(store_of(path, hasty=hasty), key))
    except FileNotFoundError:
        return None
    except (BaseError, ValueError) as error:
        raise told(error, path, "cannot be looked at") from error


def below(prefix: str, *, deep: bool = True) -> Iterator[Stored]:
    """The objects below a prefix that ends with a slash (or is a whole bucket); without `deep`, those with no further
    slash. Markers of folders are left out. Raises RunError where there is no such bucket or it may not be listed."""
    store, (bucket, key) = store_of(prefix), split(prefix)
    root = f"{prefix[:5]}{bucket}/"
    try:
        next(iter(obstore.list(store_of(prefix, hasty=True), key or None)), None)
        pages = obstore.list(store, key or None, chunk_size=1000) if deep else [
            obstore.list_with_delimiter(store, key or None)["objects"]
        ]
        for page in pages:
            for meta in page:
                stored = _stored(root + meta["path"], meta)
                # a marker is named with a slash at its end, which the listing takes away: asked for, it is not there
                if meta["size"] or look(stored.path):
                    yield stored
    except (BaseError, ValueError, FileNotFoundError) as error:
        raise told(error, prefix, "cannot be listed") from error


def read(path: str) -> tuple[bytes, Stored] | None:
    """A small object, whole; None if it is not there."""
    try:
        found = obstore.get(store_of(path), split(path)[1])
        return bytes(found.bytes()), _stored(path, found.meta)
    except FileNotFoundError:
        return None
    except (BaseError, ValueError) as error:
        raise told(error, path, "cannot be read") from error


def put(path: str, data: bytes, *, over: Stored | None = None, hasty: bool = False, writer: str = "") -> None:
    """Writes a small object where there is none, or exactly over `over`. Raises LostRaceError if that is no longer so.

    A put whose answer was lost is repeated, and then meets itself: so what is there is looked at before it is called
    another's."""
    mode: PutMode = over.condition if over else "create"
    attributes = {"winnow-writer": writer} if writer else None
    try:
        obstore.put(store_of(path, hasty=hasty), split(path)[1], data, mode=mode, attributes=attributes)
    except (AlreadyExistsError, PreconditionError) as error:
        there = read(path)
        if there is None or there[0] != data:
            raise LostRaceError(f"{path}: another process wrote it meanwhile{_writer_of(path)}.") from error
    except (BaseError, ValueError, FileNotFoundError) as error:
        raise told(error, path, "cannot be written") from error


def _writer_of(path: str) -> str:
    try:
        writer = obstore.get(store_of(path), split(path)[1], options={"head": True}).attributes.get("winnow-writer")
    except (BaseError, FileNotFoundError):
        return ""
    return f" ({writer})" if writer else ""


def delete(path: str, *, hasty: bool = False) -> None:
    """Removes the object if it is there."""
    try:
        obstore.delete(store_of(path, hasty=hasty), split(path)[1])
    except FileNotFoundError:
        return
    except (BaseError, ValueError) as error:
        raise told(error, path, "cannot be removed") from error


def _stored(path: str, meta: ObjectMeta) -> Stored:
    return Stored(
        path=path, size=meta["size"], etag=meta["e_tag"], generation=meta["version"] if path[:3] == "gs:" else None,
        modified=meta["last_modified"],
    )
