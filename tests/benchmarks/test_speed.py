"""How fast each hot loop is, beside its plain version in the same run. `make bench` prints the table.

CPU seconds of this process, best of three, kernels compiled before. The texts are real where ../shared/data is there.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import runpy
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from datasketch import MinHash
from fastwarc.warc import ArchiveIterator, WarcRecord
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from pipelines.models import language_model_path
from schemas.recipes import Dedupe, Extract
from transforms.archive import read_archive
from transforms.beam.models import language_model
from transforms.encoding import encode_texts
from transforms.inflate import Inflated
from transforms.language import identify
from transforms.measure import documents
from transforms.merges import learn_merges
from transforms.outcomes import Page
from transforms.pretokens import count_pretokens
from transforms.signals import measure
from transforms.signatures import sign
from transforms.tokenizer_file import SPECIAL_TOKENS, load_for_encoding, tokenizer_json
from transforms.warc_frames import Frame, frames

pytestmark = pytest.mark.bench
ROOT = Path(__file__).parents[2]
PAGES = ROOT.parent / "shared/data/extraction/article-extraction-benchmark/html"
REFERENCES = ROOT / "tests/transforms"


@pytest.fixture(scope="module")
def archive() -> bytes:
    """A WARC of real article pages, one gzip member a record."""
    if not PAGES.is_dir():
        pytest.skip(f"the real pages are not at {PAGES}; they are not part of the repository")
    out = io.BytesIO()
    for path in sorted(PAGES.glob("*.html.gz")):
        page = gzip.decompress(path.read_bytes())
        block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page
        kind = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\n"
        length = f"Content-Length: {len(block)}\r\n\r\n".encode()
        out.write(gzip.compress(kind + length + block + b"\r\n\r\n", mtime=0))
    return out.getvalue()


@pytest.fixture(scope="module")
def pages(archive) -> list[Page]:
    return [p for p in read_archive(Inflated(io.BytesIO(archive)), extract=Extract()) if isinstance(p, Page)]


@pytest.fixture(scope="module")
def texts(pages) -> pa.Array:
    """The articles, ten times over and made unequal, so that a pass takes long enough to time."""
    return pa.array([f"{p.text}\n{k}" for k in range(10) for p in pages])


def best(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def tell(name: str, count: int, size: int, seconds: float, plain: tuple[str, float] | None = None) -> None:
    line = f"{name:34} {count / seconds:10,.0f} docs/s {size / seconds / 1e6:8.1f} MB/s"
    if plain:
        line += f"   {plain[1] / seconds:6.1f} x {plain[0]}"
    print(f"\n{line}", end="")


def size_of(texts: pa.Array) -> int:
    return sum(len(t.encode()) for t in texts.to_pylist())


def test_archive_to_text(archive, pages):
    raw = sum(len(gzip.decompress(path.read_bytes())) for path in PAGES.glob("*.html.gz"))
    seconds = best(lambda: list(read_archive(Inflated(io.BytesIO(archive)), extract=Extract())))
    pytest.importorskip("trafilatura", reason="pip install 'winnow-data[precision]' brings it")
    precise = Extract(extractor="precision")
    slower = best(lambda: list(read_archive(Inflated(io.BytesIO(archive)), extract=precise)))
    tell("archive to text, MB of HTML", len(pages), raw, seconds, ("extractor precision", slower))
    tell("the same, extractor precision", len(pages), raw, slower)


def test_archive_framing(archive):
    """Inflating and framing alone: the records, told to be another type, are skipped."""
    records = [gzip.decompress(m) for m in members_of(archive)]
    records = [r.replace(b"WARC-Type: response", b"WARC-Type: metadata", 1) for r in records]
    size = sum(map(len, records))
    dictionary = zstandard.train_dictionary(110_000, records, level=3)
    packings = {
        "gzip, a member a record": b"".join(gzip.compress(r, 6) for r in records),
        "zstd -3, a frame a record": b"".join(zstandard.compress(r, 3) for r in records),
        "zstd -19, a frame a record": b"".join(zstandard.compress(r, 19) for r in records),
        "zstd -3, one frame": zstandard.compress(b"".join(records), 3),
        "zstd -3, with a dictionary": b"\x5d\x2a\x4d\x18" + len(dictionary.as_bytes()).to_bytes(4, "little")
        + dictionary.as_bytes()
        + b"".join(map(zstandard.ZstdCompressor(level=3, dict_data=dictionary).compress, records)),
    }
    for name, data in packings.items():
        assert len(list(read_archive(Inflated(io.BytesIO(data)), extract=Extract()))) == len(records)
        seconds = best(lambda data=data: list(read_archive(Inflated(io.BytesIO(data)), extract=Extract())))
        tell(f"{name} ({size / len(data):.1f}:1)", len(records), size, seconds)


def test_reading_beside_fastwarc(archive, tmp_path):
    """Every byte of every record, as a crawl keeps them: a page with its request and its metadata. At least 85 % of
    fastWARC's speed; the real archives, whose pages are small, are told and not held to it."""
    crawl = tmp_path / "crawl.warc.gz"
    small = [f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\nContent-Length: 400\r\n\r\n".encode()
             + bytes(range(97, 122)) * 16 + b"\r\n\r\n" for kind in ("request", "metadata")]
    before, after = (gzip.compress(record, mtime=0) for record in small)
    crawl.write_bytes(b"".join(before + member + after for member in members_of(archive)))
    others = [Path(os.environ.get("WINNOW_BENCH", "/nowhere")) / "docs.warc.gz",
              *sorted((ROOT.parent / "shared/data/warc").glob("*.warc.gz"))]
    for path in (crawl, *filter(Path.exists, others)):
        def ours(path: Path = path) -> int:
            return sum(len(f.block) for f in framed(path))

        def theirs(path: Path = path) -> int:
            return sum(len(r.reader.read()) for r in whole(path))

        if (size := ours()) < 10 << 20:
            continue
        assert size == theirs()
        # in turn, and each record let go before the next: records held by the hundred time the system's page faults
        rounds = [(best(theirs), best(ours)) for _ in range(3)]
        ratio, seconds = min(t for t, _ in rounds) / min(o for _, o in rounds), min(o for _, o in rounds)
        tell(f"reading {path.name[:20]}", sum(1 for _ in framed(path)), size, seconds)
        print(f"   {ratio:.2f} x fastWARC", end="")
        assert path != crawl or ratio >= 0.85


def framed(path: Path) -> Iterator[Frame]:
    with path.open("rb") as file:
        stream = Inflated(file)
        for frame in frames(stream, io.BufferedReader(stream, 1 << 16), max_bytes=1 << 40):
            assert isinstance(frame, Frame)
            yield frame


def whole(path: Path) -> Iterator[WarcRecord]:
    with path.open("rb") as file:
        yield from ArchiveIterator(file, parse_http=False)


def members_of(archive: bytes) -> list[bytes]:
    starts = [p.offset for p in read_archive(Inflated(io.BytesIO(archive)), extract=Extract()) if isinstance(p, Page)]
    return [archive[a:b] for a, b in itertools.pairwise([*starts, len(archive)])]


def test_parquet(texts):
    out = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), out, row_group_size=1000)
    seconds = best(lambda: list(read_archive(Inflated(io.BytesIO(out.getvalue())), extract=Extract())))
    tell("Parquet to text", len(texts), size_of(texts), seconds)


def test_text_to_document(pages):
    model = language_model(language_model_path(), engine="kernel")
    seconds = best(lambda: documents(pages, source="web", file="f", model=model, dedupe=Dedupe()))
    tell("text to document, all measures", len(pages), sum(len(p.text.encode()) for p in pages), seconds)


def test_signals(texts):
    reference = runpy.run_path(str(REFERENCES / "test_signals.py"))["reference"]
    few = texts.to_pylist()[:200]
    plain = best(lambda: [reference(t) for t in few]) * len(texts) / len(few)
    tell("signals", len(texts), size_of(texts), best(lambda: measure(texts)), ("plain Python", plain))


def test_signatures(texts):
    few = texts.to_pylist()[:200]

    def datasketch() -> None:
        for text in few:
            words = text.lower().split()
            MinHash(num_perm=112, seed=1).update_batch([" ".join(words[i : i + 5]).encode() for i in range(len(words))])

    plain = best(datasketch) * len(texts) / len(few)
    seconds = best(lambda: sign(texts, ngram=5, permutations=112, seed=1))
    tell("signatures", len(texts), size_of(texts), seconds, ("split and datasketch", plain))


def test_language(texts):
    few = texts.slice(0, 400)
    path = language_model_path()
    kernel, fasttext = (language_model(path, engine=engine) for engine in ("kernel", "fasttext"))
    assert identify(few, kernel) == identify(few, fasttext)
    plain = best(lambda: identify(few, fasttext))
    tell("language", len(few), size_of(few), best(lambda: identify(few, kernel)), ("fastText itself", plain))


def test_pretokens(texts):
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    few = texts.to_pylist()[:200]
    plain = best(lambda: Counter(w for t in few for w, _ in split.pre_tokenize_str(t))) * len(texts) / len(few)
    tell("pre-token counts", len(texts), size_of(texts), best(lambda: count_pretokens(texts)), ("Hugging Face", plain))


def test_merges(texts):
    counts = count_pretokens(texts)

    def hugging_face() -> None:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(vocab_size=16_000, min_frequency=2, show_progress=False)
        tokenizer.train_from_iterator(texts.to_pylist(), trainer)

    seconds = best(lambda: learn_merges(counts, vocab_size=16_000, min_count=2, special_tokens=SPECIAL_TOKENS))
    name = f"merges of {counts.num_rows:,} pre-tokens"
    tell(name, len(texts), size_of(texts), seconds, ("Hugging Face, from text", best(hugging_face)))


def test_encoding(texts):
    bpe = learn_merges(count_pretokens(texts), vocab_size=16_000, min_count=2, special_tokens=SPECIAL_TOKENS)
    tokenizer = load_for_encoding(tokenizer_json(bpe, special_tokens=SPECIAL_TOKENS))
    few = texts.slice(0, 400)
    tell("encoding", len(few), size_of(few), best(lambda: encode_texts(tokenizer, few)))


def test_json_lines(texts):
    data = "".join(json.dumps({"text": t}) + "\n" for t in texts.to_pylist()).encode()
    seconds = best(lambda: list(read_archive(Inflated(io.BytesIO(data)), extract=Extract())))
    tell("JSON lines to text", len(texts), size_of(texts), seconds)
