"""Whether a worker runs the code that planned its parts. Work done by two versions would not be the same bytes, and the
records would say that it was: so a worker refuses parts of another version, on every engine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
from functools import cache
from pathlib import Path

from schemas.errors import RunError
from transforms.identity import fingerprint

PACKAGES = ("schemas", "transforms")
"""Ours that run on a worker."""
LIBRARIES = (
    "apache-beam", "brotli", "datasketch", "fasttext-community", "google-crc32c", "isal", "llvmlite",
    "mwparserfromhell", "numba", "numpy", "obstore", "pyarrow", "resiliparse", "scipy", "tokenizers", "xxhash",
    "zstandard",
)
"""What decides a worker's bytes, beside our code; a test compares it with what the stages import."""
ROOT = Path(__file__).resolve().parents[2]


@cache
def code_version() -> str:
    """`CODE.LIBRARIES`, two digests of 12 hex digits: of our sources and their tables, and of the versions of Python
    and of what decides bytes. The same on a checkout and on an installed wheel."""
    code = hashlib.blake2b(digest_size=6)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in (".py", ".npz"):
                code.update(f"{path.relative_to(ROOT).as_posix()} {path.stat().st_size}\n".encode())
                code.update(path.read_bytes())
    return f"{code.hexdigest()}.{fingerprint([_python(), _versions()])[:12]}"


def check_code(planned: str, *, where: str) -> None:
    """Raises RunError if the parts of `where` were planned by other code or libraries than this worker's. An empty
    `planned` tells nothing and is let through."""
    ours = code_version()
    if not planned or planned == ours:
        return
    what = "other code" if planned.partition(".")[0] != ours.partition(".")[0] else "other versions of libraries"
    raise RunError(
        f"{where}: was planned by {what} ({planned}) than this worker has ({ours}). Give the workers the launcher's "
        "version: build their image or environment anew from the same checkout and lock file, or launch from the image."
    )


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = ""
    return found
