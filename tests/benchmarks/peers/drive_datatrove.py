"""datatrove, one task and one worker: its signature stage, and WARC to filtered English text.

Both run first on a few records, so that loading spaCy and the language model counts as start-up.
"""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

from common import Figures, main, measured, rows, size_of, texts
from datatrove.executor import LocalPipelineExecutor
from datatrove.io import strip_protocol
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter, LanguageFilter
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.lid import FT176LID
from huggingface_hub import cached_assets_path

WARM_UP = 5
"""Records."""


def run(*steps: object, logs: Path) -> None:
    LocalPipelineExecutor(list(steps), tasks=1, workers=1, logging_dir=str(logs), skip_completed=False).run()


def written(folder: Path) -> int:
    files = [file for file in folder.rglob("*") if file.is_file()]
    if not files:
        raise SystemExit(f"datatrove wrote nothing to {folder}")
    return sum(file.stat().st_size for file in files)


def signatures(inputs: Path, scratch: Path) -> Figures:
    """14 x 8 permutations of word 5-grams, which are the defaults. Reads JSON lines, writes sorted signatures."""

    def work(limit: int, out: Path) -> None:
        reader = JsonlReader(str(inputs), glob_pattern="documents.jsonl.gz", limit=limit)
        run(reader, MinhashDedupSignature(str(out / "signatures"), language="eng"), logs=out / "logs")

    documents = texts(inputs)
    work(WARM_UP, scratch / "warm-up")
    cost, _ = measured(lambda: work(-1, scratch / "run"))
    told = f"{written(scratch / 'run/signatures') / 1e6:.1f} MB of signatures"
    return Figures(cost=cost, documents=len(documents), size=size_of(documents), result=told)


def end_to_end(inputs: Path, scratch: Path) -> Figures:
    """WARC, trafilatura, English by lid.176, the two Gopher filters, JSON lines out."""
    lay_model()

    def work(limit: int, out: Path) -> None:
        run(
            WarcReader(str(inputs), glob_pattern="pages.warc.gz", limit=limit), Trafilatura(timeout=5.0),
            LanguageFilter("en"), GopherRepetitionFilter(), GopherQualityFilter(), JsonlWriter(str(out / "clean")),
            logs=out / "logs",
        )

    pages = rows(inputs / "pages.jsonl.gz", "html")
    work(WARM_UP, scratch / "warm-up")
    cost, _ = measured(lambda: work(-1, scratch / "run"))
    kept = sum(sum(1 for _ in gzip.open(file)) for file in (scratch / "run/clean").glob("*.jsonl.gz"))
    return Figures(cost=cost, documents=len(pages), size=size_of(pages), result=f"{kept:,} kept")


def lay_model() -> None:
    """Puts our copy of the language model where datatrove looks for the one it downloads: it takes no path, but keeps
    downloads under a name made from their address, with a marker beside them."""
    folder = cached_assets_path(library_name="datatrove", namespace="lid", subfolder=FT176LID.MODEL_SUBFOLDER)
    target = folder / strip_protocol(FT176LID.MODEL_URL).replace("/", "_")
    shutil.copy(os.environ["WINNOW_LANGUAGE_MODEL"], target)
    target.with_name(f"{target.name}.completed").touch()


if __name__ == "__main__":
    main({"signatures": signatures, "end-to-end": end_to_end})
