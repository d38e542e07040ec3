"""A corpus with documents that will be taken down, each with a word that stands in no other text, and near-duplicates
of some of them; and what an independent reader finds in a run's files."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from schemas.shards import from_json

RECIPE = """
base = "web-en"
languages = []
rules = []
[tokenizer]
vocab_size = 700
[encode]
seq_len = 128
shard_text_bytes = 2000
validation_per_million = 200000
test_per_million = 100000
"""
FILES, PAGES = 16, 12


@dataclass
class Corpus:
    """`listed` are the addresses to take down, `marks` the words that only their texts have, `freed` the addresses of
    documents that stood back behind one of them, `shadowed` of those listed, ones that stood back behind others."""

    folder: Path
    listed: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    shadowed: list[str] = field(default_factory=list)


def words(rng: random.Random, count: int) -> list[str]:
    return ["".join(rng.choice("aeioubdfgklmnprst") for _ in range(rng.randint(3, 8))) for _ in range(count)]


def mark(number: int) -> str:
    return "qx" + "".join(chr(97 + number // 26**k % 26) for k in range(3)) + "xq"


def write_corpus(folder: Path) -> Corpus:
    """16 files of JSON lines. In files 0 to 4 lie the 50 listed documents: 44 plain ones, 3 whose near-duplicate in
    file 9 is shorter and so stood back, and 3 that stood back behind a longer one in file 10. Files 5 on have nothing
    else to do with them. A broken line of file 0 is of a listed address."""
    found, rng = Corpus(folder), random.Random(6)
    folder.mkdir()
    pages: list[list[tuple[str, str]]] = [[] for _ in range(FILES)]
    for file in range(FILES):
        for page in range(PAGES):
            text = words(rng, 60)
            url = f"https://host{file}.example/page-{page}"
            pages[file].append((url, " ".join(text)))
            if file < 5 and page < 10:
                word = mark(len(found.marks))
                found.marks.append(word)
                found.listed.append(url)
                pages[file][-1] = (url, " ".join([*text[:30], word, *text[30:]]))
                if page == 0 and file < 3:  # its near-duplicate is shorter: it survives once this one is gone
                    pages[9].append((f"https://copy.example/{file}", " ".join(text)))
                    found.freed.append(f"https://copy.example/{file}")
                if page == 1 and file < 3:  # its near-duplicate is longer: this one stood back
                    longer = " ".join([*text[:30], "morewords", *text[30:]])
                    pages[10].append((f"https://longer.example/{file}", longer))
                    found.shadowed.append(url)
    for file, of_file in enumerate(pages):
        lines = [json.dumps({"url": url, "text": text}) for url, text in of_file]
        if file == 0:
            lines.append(f'{{"url": "{found.listed[0]}", "text": "broken {found.marks[0]}')
            lines.append('{"url": "https://other.example/", "text": "broken otherwise')
        (folder / f"{file:02d}.jsonl").write_text("\n".join(lines) + "\n")
    return found


def every_byte(out: Path) -> Iterator[tuple[Path, bytes]]:
    """Each file of a run as it lies, and what tables hold, inflated, and what shards hold, decoded."""
    tokenizer = Tokenizer.from_file(str(out / "tokenizer/tokenizer.json"))
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        yield path, path.read_bytes()
        if path.suffix == ".parquet":
            for row in pq.read_table(path).to_pylist():
                yield path, b" ".join(v if isinstance(v, bytes) else str(v).encode() for v in row.values())
        if path.suffix == ".arrow":
            for row in rows_of(path).column("input_ids").to_pylist():
                yield path, tokenizer.decode(row).encode()


def rows_of(path: Path) -> pa.RecordBatch:
    return pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)


def table(out: Path, folder: str) -> list[dict]:
    return [row for path in sorted((out / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def shards_of(out: Path) -> dict[str, str]:
    """Path and digest of each shard that the trainer's manifest names."""
    manifest = from_json((out / "shards/manifest.json").read_text())
    return {s.path: s.xxh3 for of_split in manifest.splits.values() for s in of_split}


def rows_with(out: Path, documents: set[bytes]) -> set[tuple[str, int]]:
    """(shard, row) of each row that holds a token of one of the documents."""
    return {
        (path, number)
        for path in shards_of(out)
        for number, ids in enumerate(rows_of(out / "shards" / path).column("doc_ids").to_pylist())
        if documents & set(ids)
    }


def documents_by_split(out: Path) -> dict[str, set[bytes]]:
    found: dict[str, set[bytes]] = {"train": set(), "validation": set(), "test": set()}
    for path in shards_of(out):
        for ids in rows_of(out / "shards" / path).column("doc_ids").to_pylist():
            found[path.split("/")[0]] |= set(ids)
    return found


def times(out: Path, *folders: str) -> dict[str, int]:
    return {str(p.relative_to(out)): p.stat().st_mtime_ns for f in folders for p in sorted((out / f).rglob("*"))
            if p.is_file()}
