"""The benchmark corpus: real HTML pages as a WARC, and documents with known duplicates as JSON lines.

    python tests/benchmarks/corpus.py FOLDER

downloads the documentation packages of `packages.txt` with apt-get (Debian 12; nothing is installed), unpacks them,
and writes FOLDER/docs.warc.gz and FOLDER/docs.jsonl.gz. Which pages are in, and where words are changed, is chosen by
hashes of names: the same packages give the same corpus. Technical documentation, in some 25 languages: compare ratios
between tools on it, not keep rates with the web.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pipelines.sample.archive import warc_record
from schemas.recipes import Extract
from transforms.page import read_page

PACKAGES = Path(__file__).with_name("packages.txt")
PAGE_BYTES = range(1_500, 1_000_001)
PAGE_CAPS = {
    "debian-handbook": 1000, "installation-guide-amd64": 800, "linux-doc-6.1": 900, "libreoffice-help": 80,
    "lilypond": 90, "fp-docs-3.2.2": 150, "postgresql-doc-15": 450, "python3.11-doc": 450, "grass-doc": 450,
}
"""Pages of the WARC, by how a package's name starts: no package outweighs the rest."""
TEXT_CAPS = {"libreoffice-help": 900, "fp-docs-3.2.2": 1500}
"""Pages cut into documents."""
SECTION_CHARACTERS = (2500, 3500, 5000, 8000)
LEAST_CHARACTERS = 400
BASE, NEAR, EXACT = 37_500, 10_000, 2_500
"""Documents, near-duplicates (1 to 5 % of the words replaced) and exact copies of them."""


def number(*names: str) -> int:
    """64 bits that depend on names alone."""
    return int.from_bytes(hashlib.blake2b("\0".join(names).encode(), digest_size=8).digest(), "little")


def fetch(folder: Path) -> None:
    """Downloads and unpacks the packages that are not there yet. One that this Debian does not have is named."""
    (folder / "deb").mkdir(parents=True, exist_ok=True)
    for package in PACKAGES.read_text().split():
        target = folder / "x" / package
        if target.is_dir():
            continue
        if not list((folder / "deb").glob(f"{package}_*.deb")):
            done = subprocess.run(["apt-get", "download", "-q=2", package], cwd=folder / "deb", check=False)
            if done.returncode:
                print(f"{package}: not to be had; run apt-get update, or do without", file=sys.stderr)
                continue
        [archive] = (folder / "deb").glob(f"{package}_*.deb")
        target.mkdir(parents=True)
        subprocess.run(["dpkg-deb", "-x", str(archive), str(target)], check=True)


def pages(folder: Path, caps: dict[str, int]) -> list[Path]:
    """The chosen pages, in an order that mixes the packages."""
    chosen: list[Path] = []
    for package in sorted(path for path in folder.iterdir() if path.is_dir()):
        found = [
            path
            for path in package.rglob("*.htm*")
            if path.is_file() and not path.is_symlink() and path.stat().st_size in PAGE_BYTES
        ]
        cap = next((n for start, n in caps.items() if package.name.startswith(start)), len(found))
        chosen += sorted(found, key=lambda path: number("page", str(path.relative_to(folder))))[:cap]
    return sorted(chosen, key=lambda path: number("order", str(path.relative_to(folder))))


def content(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def write_warc(folder: Path) -> tuple[int, int]:
    """(pages, bytes of HTML) written."""
    size = 0
    chosen = pages(folder / "x", PAGE_CAPS)
    with open(folder / "docs.warc.gz", "wb") as out:
        for path in chosen:
            name, page = str(path.relative_to(folder / "x")), content(path)
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n".encode()
            record = warc_record(
                "response", name=name, when="2026-01-01T00:00:00Z", content_type="application/http; msgtype=response",
                block=head + page, more=(("WARC-Target-URI", f"http://doc.example.org/{name.replace(' ', '%20')}"),),
            )
            out.write(gzip.compress(record, compresslevel=6, mtime=0))
            size += len(page)
    return len(chosen), size


def sections(folder: Path) -> Iterator[tuple[str, str]]:
    """(address, text) of the pages' main texts, cut at blank lines."""
    for path in pages(folder / "x", TEXT_CAPS):
        name = str(path.relative_to(folder / "x"))
        text, *_ = read_page(content(path), media_type="text/html", declared=None, extract=Extract())
        wanted = SECTION_CHARACTERS[number("section", name) % len(SECTION_CHARACTERS)]
        lines: list[str] = []
        for line in [*text.split("\n"), ""]:
            lines.append(line)
            if not line and sum(map(len, lines)) >= wanted:
                yield f"{name}#{number(*lines)}", "\n".join(lines).strip()
                lines = []
        yield f"{name}#end", "\n".join(lines).strip()


def documents(folder: Path) -> Iterator[dict[str, str]]:
    """The documents of docs.jsonl.gz: b… are unequal, n…-of-b… nearly equal to one of them, e…-of-b… equal."""
    unequal = {text: name for name, text in sections(folder) if len(text) >= LEAST_CHARACTERS}
    chosen = sorted(unequal.items(), key=lambda item: number("base", item[1]))[:BASE]
    words = sorted({word for text, _ in chosen[:2000] for word in text.split() if 3 <= len(word) <= 12})
    for k, (text, name) in enumerate(chosen):
        yield {"id": f"b{k:06d}", "url": f"http://doc.example.org/{name}", "text": text}
    for kind, count in (("n", NEAR), ("e", EXACT)):
        for k in range(count):
            origin = number(kind, str(k)) % len(chosen)
            text, name = chosen[origin]
            if kind == "n":
                text = perturbed(text, words, random.Random(number("perturb", str(k))))
            url = f"http://doc.example.org/{name}?{kind}"
            yield {"id": f"{kind}{k:06d}-of-b{origin:06d}", "url": url, "text": text}


def perturbed(text: str, words: list[str], chance: random.Random) -> str:
    """1 to 5 % of the space-separated words, at least one, replaced by words of the corpus."""
    pieces = text.split(" ")
    places = [k for k, piece in enumerate(pieces) if piece.strip()]
    for k in chance.sample(places, max(1, round(len(places) * chance.uniform(0.01, 0.05)))):
        pieces[k] = chance.choice(words)
    return " ".join(pieces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to put it: some 3 GB while it is made")
    folder = parser.parse_args().folder
    fetch(folder)
    count, size = write_warc(folder)
    print(f"docs.warc.gz: {count:,} pages, {size:,} bytes of HTML")
    rows = sorted(documents(folder), key=lambda row: number("shuffle", row["id"]))
    with gzip.GzipFile(folder / "docs.jsonl.gz", "wb", compresslevel=6, mtime=0) as out:
        for row in rows:
            out.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
    text = sum(len(row["text"].encode()) for row in rows)
    print(f"docs.jsonl.gz: {len(rows):,} documents, {text:,} bytes of text")


if __name__ == "__main__":
    main()
