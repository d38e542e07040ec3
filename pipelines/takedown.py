"""Takes documents down from a finished run, wherever its archives are now.

    python -m pipelines.takedown --output OUT --list FILE

removes them from documents/, clean/ and shards/, and the pieces of their texts from tokenizer/, keeps the documents
that stood back behind them as duplicates, and lists the rows of the old shards for trainers, in OUT/takedown/. What
holds none of them stays as it is, and so does the tokenizer. Run the same command again after anything went wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.clean import after_ingest
from pipelines.dataflow import check_launch
from pipelines.ingest_parts import run_ingest, work_of
from pipelines.listed import adopt
from pipelines.options import parse
from pipelines.run import main
from pipelines.settings import read_settings
from pipelines.whole import locked
from schemas.errors import RunError
from schemas.stages import INGEST
from transforms.beam.parts import plan_path, read_plan


def run(argv: Sequence[str] | None) -> None:
    options = parse(argv, command="takedown", about=__doc__, needs_input=False)
    if options.recipe:
        raise RunError("--recipe: a takedown changes nothing else. Give it to pipelines.clean, before or afterwards.")
    check_launch(options, stages=5)
    with locked(options.output):
        settings = read_settings(options.output)
        planned = list(read_plan(plan_path(options.output, INGEST)))
        adopt(options.output, options.takedown)
        after_ingest(options, settings, run_ingest(options, settings, work_of(settings, planned)))


if __name__ == "__main__":
    main(run)
