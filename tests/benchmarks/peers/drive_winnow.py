"""winnow's side of each task, by the repository's own functions. `prepare` learns the tokenizer that all encode with.

Kernels run once on little before they are measured: loading or compiling them counts as start-up.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pyarrow as pa
from common import Cost, Figures, main, measured, merges_told, rows, size_of, texts, tokens_told

from pipelines import dedupe, filter, ingest
from schemas.recipes import Extract
from schemas.stages import FILTER
from transforms.archive import read_archive
from transforms.encoding import encode_texts
from transforms.inflate import Inflated
from transforms.merges import Bpe, learn_merges
from transforms.outcomes import Page
from transforms.pretokens import count_pretokens
from transforms.signatures import sign
from transforms.tokenizer_file import SPECIAL_TOKENS, load_for_encoding, tokenizer_json

SENTENCE = "Kernels are loaded when they run first, so they run on this sentence before anything is measured. "


def extract(inputs: Path, scratch: Path) -> Figures:
    """Inflation, WARC, HTTP, charset and resiliparse's main content."""
    archive = (inputs / "pages.warc.gz").read_bytes()
    html = rows(inputs / "pages.jsonl.gz", "html")

    def work() -> list[str]:
        outcomes = read_archive(Inflated(io.BytesIO(archive)), extract=Extract())
        return [outcome.text for outcome in outcomes if isinstance(outcome, Page)]

    cost, found = measured(work)
    told = f"{len(found):,} texts, {size_of(found) / 1e6:.1f} MB"
    return Figures(cost=cost, documents=len(html), size=size_of(html), result=told)


def signatures(inputs: Path, scratch: Path) -> Figures:
    documents = texts(inputs)
    column = pa.array(documents)
    sign(pa.array([SENTENCE]), ngram=5, permutations=112, seed=1)
    cost, signed = measured(lambda: sign(column, ngram=5, permutations=112, seed=1))
    told = f"{len(signed) - signed.null_count:,} signatures"
    return Figures(cost=cost, documents=len(documents), size=size_of(documents), result=told)


def learnt(column: pa.StringArray, vocab_size: int = 32_000) -> Bpe:
    counts = count_pretokens(column)
    return learn_merges(counts, vocab_size=vocab_size, min_count=2, special_tokens=SPECIAL_TOKENS)


def learn(inputs: Path, scratch: Path) -> Figures:
    documents = texts(inputs)
    column = pa.array(documents)
    learnt(pa.array([SENTENCE]), 300)
    cost, bpe = measured(lambda: learnt(column))
    told = merges_told(" ".join(pair) for pair in bpe.merges)
    return Figures(cost=cost, documents=len(documents), size=size_of(documents), result=told)


def prepare(inputs: Path, scratch: Path) -> Figures:
    documents = texts(inputs)
    content = tokenizer_json(learnt(pa.array(documents)), special_tokens=SPECIAL_TOKENS)
    (inputs / "tokenizer.json").write_bytes(content)
    free = Cost(spent_s=0.0, passes=1)
    return Figures(cost=free, documents=len(documents), size=size_of(documents), result="tokenizer.json")


def encode(inputs: Path, scratch: Path) -> Figures:
    documents = texts(inputs)
    column = pa.array(documents)
    tokenizer = load_for_encoding(inputs / "tokenizer.json")
    encode_texts(tokenizer, pa.array([SENTENCE]))
    cost, (ids, _) = measured(lambda: encode_texts(tokenizer, column))
    told = tokens_told(ids.tolist())
    return Figures(cost=cost, documents=len(documents), size=size_of(documents), result=told)


def end_to_end(inputs: Path, scratch: Path) -> Figures:
    """The stages ingest, dedupe and filter with the recipe web-en, Beam included: more than the filters alone."""

    def work(archive: str, out: Path) -> Path:
        model = f"--language-model={os.environ['WINNOW_LANGUAGE_MODEL']}"
        ingest.run([f"--input={inputs / archive}", f"--output={out}", model])
        dedupe.run([f"--output={out}"])
        filter.run([f"--output={out}"])
        return out / FILTER.folder / FILTER.manifest

    html = rows(inputs / "pages.jsonl.gz", "html")
    work("warm-up.warc.gz", scratch / "warm-up")
    passes = iter(range(1000))  # a stage that finds its parts done does not do them again: each pass has its folder
    cost, manifest = measured(lambda: work("pages.warc.gz", scratch / f"run-{next(passes)}"))
    kept = json.loads(manifest.read_text())["counts"]["went_out"]
    return Figures(cost=cost, documents=len(html), size=size_of(html), result=f"{kept:,} kept")


if __name__ == "__main__":
    main({"extract": extract, "signatures": signatures, "learn": learn, "prepare": prepare, "encode": encode,
          "end-to-end": end_to_end})
