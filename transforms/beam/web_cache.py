"""Files of the web kept in a folder of this machine, so that a second run need not ask for them.

A file lies there under the digest of its address, version and size, and only once it is whole. It is looked for at its
server first all the same, by one request for a byte: another version is another file.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from transforms.beam.files import Found
from transforms.beam.ranged import MOST


def kept(found: Found, *, folder: str, open_read: Callable[[], BinaryIO]) -> BinaryIO:
    """The file, from `folder`, and put there first if it is not. Of processes that want it at the same time one fetches
    it, and the others wait. Without a version from its server, which nothing would tell from the next, it is not kept.
    Raises OSError where the folder cannot be written, and what `open_read` raises."""
    if not found.identity.partition("@")[2]:
        return open_read()
    os.makedirs(folder, exist_ok=True)
    key = f"{found.path}\0{found.identity}".encode("utf-8", "surrogatepass")
    path = os.path.join(folder, hashlib.blake2b(key, digest_size=16).hexdigest())
    with _alone(f"{path}.lock"):
        if not os.path.exists(path) or os.path.getsize(path) != found.size:
            _fetch(path, open_read)
    return open(path, "rb")


def _fetch(path: str, open_read: Callable[[], BinaryIO]) -> None:
    part = f"{path}.part"  # nobody else's: we are alone, and what a killed process left is written over
    with open_read() as source, open(part, "wb") as target:
        while data := source.read(MOST):
            target.write(data)
        target.flush()
        os.fsync(target.fileno())
    os.rename(part, path)


@contextlib.contextmanager
def _alone(path: str) -> Iterator[None]:
    """Held until it is let go, or this process dies."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
