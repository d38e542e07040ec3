"""More of the benchmark corpus, for runs that are long enough to measure: copies with the words in another order.

    python tests/benchmarks/grown.py FOLDER 10

writes FOLDER/grown/docs-00.warc.gz … docs-09.warc.gz and the same of docs.jsonl.gz. The words of copy 0 are the
corpus's. In copy k each run of text has its words dealt out in turn on 2k + 1 heaps, which are then joined: the same
words, characters, markup and language, but hardly a sequence of five words in common, so that no copy is a
near-duplicate of another.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

_TEXT = re.compile(rb"(?<=>)[^<>]+(?=<)")
_HEAD_END = b"\r\n\r\n"


def dealt(text: bytes, copy: int) -> bytes:
    """The space-separated words of each line, dealt out on 2 * copy + 1 heaps."""
    heaps = 2 * copy + 1
    lines = []
    for line in text.split(b"\n"):
        words = line.split(b" ")
        lines.append(b" ".join(word for heap in range(heaps) for word in words[heap::heaps]))
    return b"\n".join(lines)


def page(record: bytes, copy: int) -> bytes:
    """A WARC record of a page with another address and its text dealt out; it keeps its length."""
    warc, http, html = record.split(_HEAD_END, 2)
    warc = warc.replace(b"//doc.example.org/", b"//doc%02d.example.org/" % copy)
    return _HEAD_END.join([warc, http, _TEXT.sub(lambda run: dealt(run[0], copy), html)])


def document(line: bytes, copy: int) -> bytes:
    """A line of docs.jsonl with another id and its text dealt out."""
    row = json.loads(line)
    row["id"] += f"-c{copy:02d}"
    row["text"] = dealt(row["text"].encode(), copy).decode()
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()


def records(path: Path) -> Iterator[bytes]:
    """The records of a WARC whose blocks hold their length and are followed by two line ends."""
    with gzip.open(path, "rb") as file:
        while head := file.readline():
            while not head.endswith(_HEAD_END):
                head += file.readline()
            length = int(head.rpartition(b"Content-Length: ")[2])
            yield head + file.read(length + len(_HEAD_END))


def write(source: Path, target: Path, change: Callable[[bytes], bytes], *, warc: bool) -> None:
    """A WARC gets a gzip member a record. Level 1: it is read as fast as any."""
    with open(target, "wb") as out:
        if warc:
            for record in records(source):
                out.write(gzip.compress(change(record), compresslevel=1, mtime=0))
            return
        with gzip.open(source, "rb") as lines, gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as rows:
            for line in lines:
                rows.write(change(line))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the corpus, as corpus.py made it")
    parser.add_argument("copies", type=int, help="how many, at most 100")
    args = parser.parse_args()
    if not 1 <= args.copies <= 100:
        parser.error("between 1 and 100 copies")
    grown = args.folder / "grown"
    grown.mkdir(exist_ok=True)
    for copy in range(args.copies):
        for name, change in (("warc.gz", page), ("jsonl.gz", document)):
            target = grown / f"docs-{copy:02d}.{name}"
            if not target.exists():
                part = target.with_suffix(".part")
                write(args.folder / f"docs.{name}", part, partial(change, copy=copy), warc=name == "warc.gz")
                part.rename(target)
                print(target, flush=True)


if __name__ == "__main__":
    main()
