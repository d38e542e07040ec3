"""Whether a path of the command line is at a kind of place that can be used, before anything is looked for there."""

from __future__ import annotations

import re

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from schemas.errors import RunError
from transforms.beam import files, stores

_KNOWN_AS = {"s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gs", "gcs": "gs"}
"""What other programs call the stores that we know."""
_INSTEAD = {
    "file": "Give the path alone", "http": "Give a folder, s3:// or gs://",
    "https": "Give a folder, s3:// or gs://",
}


def check_place(path: str, *, option: str) -> None:
    """Raises RunError, naming the option, where the path is on a store of no known kind, or would be on one if it had
    both of its slashes or a bucket."""
    scheme, _, rest = path.partition(":")
    known = _KNOWN_AS.get(scheme.lower())
    if known and path != scheme and re.match(r"/{0,2}$|///", rest):
        raise RunError(f"{option} {path}: names no bucket. Write {known}://BUCKET/PATH.")
    if known and re.match(r"/(?!/)", rest):
        raise RunError(f"{option} {path}: lacks a slash. Write {known}:/{rest}; a folder of that name is ./{path}")
    if files.is_local(path) or stores.is_stored(path):
        return
    try:
        FileSystems.get_filesystem(path)
    except (BeamIOError, ValueError) as error:
        instead = f"Write {known}://" if known else _INSTEAD.get(scheme.lower(), "Copy it to a folder, s3:// or gs://")
        raise RunError(f"{option} {path}: files at {scheme}:// cannot be used here. {instead}.") from error
