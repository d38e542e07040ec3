from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.errors import MissingRunError
from tests.mirror import Fault, Mirror, serving
from transforms.beam import web_files
from transforms.beam.web_requests import Network

DATA = bytes(range(256)) * 4000


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "served").mkdir()
    (tmp_path / "served/x.gz").write_bytes(DATA)
    with serving(tmp_path / "served") as served:
        yield served


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(rate=1e5, tries=2, first_wait=0.001, timeout=5, cache=str(tmp_path / "kept/here"))


def read(mirror: Mirror, network: Network) -> bytes:
    with web_files.open_read(f"{mirror.url}/x.gz", network=network) as file:
        file.seek(-3, 2)
        assert file.read() == DATA[-3:]
        file.seek(0)
        return file.read()


def files(network: Network) -> list[Path]:
    return [p for p in Path(str(network.cache)).iterdir() if p.suffix != ".lock"]


def test_a_file_is_fetched_once_and_looked_for_each_time(mirror: Mirror, network: Network) -> None:
    assert read(mirror, network) == read(mirror, network) == DATA
    assert mirror.sent == len(DATA) + 2, "a probe's byte each time"
    assert [p.read_bytes() for p in files(network)] == [DATA]


def test_another_version_is_another_file(mirror: Mirror, network: Network) -> None:
    read(mirror, network)
    (mirror.folder / "x.gz").write_bytes(DATA[::-1][:-3] + DATA[-3:])
    assert read(mirror, network) == DATA[::-1][:-3] + DATA[-3:]
    assert len(files(network)) == 2


def test_what_breaks_off_leaves_nothing_that_could_be_taken_for_the_file(mirror: Mirror, network: Network) -> None:
    mirror.rule = lambda asked: None if asked.probe else Fault(cut=1000)
    with pytest.raises(MissingRunError):
        read(mirror, network)
    assert not [p for p in files(network) if p.suffix != ".part"]
    mirror.rule = lambda _: None
    assert read(mirror, network) == DATA and len(files(network)) == 1


def test_a_kept_file_of_another_size_is_fetched_again(mirror: Mirror, network: Network) -> None:
    read(mirror, network)
    files(network)[0].write_bytes(DATA[:-1])
    assert read(mirror, network) == DATA


def test_of_many_at_once_one_fetches(mirror: Mirror, network: Network) -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(read(mirror, network))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [DATA] * 6
    assert mirror.sent == len(DATA) + 6


def test_a_file_without_a_version_is_not_kept(mirror: Mirror, network: Network) -> None:
    mirror.rule = lambda _: Fault(headers={"ETag": ""})
    assert read(mirror, network) == DATA
    assert not Path(str(network.cache)).exists()
    assert read(mirror, replace(network, cache=None)) == DATA
