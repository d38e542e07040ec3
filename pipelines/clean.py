"""The main job: raw archives in, token shards out.

    python -m pipelines.clean --input 'crawl/*.warc.gz' --output OUT

runs ingest, dedupe, filter, tokenizer, encode and report, each unless it is already complete. Run the same command
again after anything went wrong: finished parts are kept, changed ones are redone with everything after them.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.dataflow import check_launch
from pipelines.dedupe import dedupe
from pipelines.encode import encode
from pipelines.filter import sieve
from pipelines.ingest import prepare, run_ingest, work
from pipelines.logs import formatted
from pipelines.options import Options, parse
from pipelines.plan import plan_before, print_plan
from pipelines.planning.made import keep
from pipelines.removed import account, settled
from pipelines.report import report
from pipelines.run import main
from pipelines.selection import select
from pipelines.settings import Settings
from pipelines.tokenizer import tokenizer
from pipelines.whole import locked, write_whole
from schemas.records import Manifest


def run(argv: Sequence[str] | None) -> None:
    options = parse(argv, command="clean", about=__doc__, needs_input=True)
    formatted(options.log_format)
    if options.plan.only:
        print_plan(options)
        return
    check_launch(options, stages=5)  # before the lock, which is already a request to the store
    with locked(options.output):
        settings, found = prepare(options)
        parts = work(settings, found, reach=options.reach, chosen=select(options))
        keep(options.output, plan_before(options, settings, found, parts))
        after_ingest(options, settings, run_ingest(options, settings, parts))


def after_ingest(options: Options, settings: Settings, ingested: Manifest) -> None:
    """All later stages, and what is said of the run as a whole."""
    manifests = [
        ingested,
        dedupe(options, settings),
        sieve(options, settings),
        tokenizer(options, settings),
        encode(options, settings),
    ]
    write_whole(options.output, manifests, takedown=account(options.output))
    settled(options.output)
    report(options.output)


if __name__ == "__main__":
    main(run)
