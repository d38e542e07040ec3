"""The main job: raw archives in, token shards out.

    python -m pipelines.clean --input 'crawl/*.warc.gz' --output OUT

runs ingest, dedupe, filter, tokenizer, encode and report, each unless it is already complete. Run the same command
again after anything went wrong: finished parts are kept, changed ones are redone with everything after them. The same
command is what runs on a schedule, over inputs that grow: deploy/README.md. With --gc and without --input it only
removes what earlier runs left behind.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines import telling
from pipelines.dataflow import check_launch
from pipelines.dedupe import dedupe
from pipelines.encode import encode
from pipelines.filter import sieve
from pipelines.ingest import prepare
from pipelines.ingest_parts import run_ingest, work
from pipelines.logs import formatted
from pipelines.options import Options, parse
from pipelines.plan import plan_before, print_plan
from pipelines.planning.made import keep
from pipelines.removed import account, settled
from pipelines.report import report
from pipelines.report_page.markup import size
from pipelines.retention import SAMPLED, GoneError, forget_removed, mark_removed, removed, sweep_removed
from pipelines.run import Work, main, say
from pipelines.selection import select
from pipelines.settings import Settings
from pipelines.sweep import check_sweepable, sweep
from pipelines.tokenizer import tokenizer
from pipelines.whole import is_unchanged, locked, write_whole
from schemas.records import Manifest
from schemas.stages import BY_NAME, INGEST


def run(argv: Sequence[str] | None) -> None:
    options = parse(argv, command="clean", about=__doc__, needs_input=True)
    formatted(options.log_format)
    if options.plan.only:
        print_plan(options)
        return
    if options.gc and not options.inputs:
        check_sweepable(options.output)
    else:
        check_launch(options, stages=5)  # before the lock, which is already a request to the store
    with locked(options.output):
        if options.inputs:
            settings, found = prepare(options)
            parts = work(settings, found, reach=options.reach, chosen=select(options))
            keep(options.output, plan_before(options, settings, parts))
            finish(options, stages(options, settings, parts))
        if options.gc:
            sweep(options.output, only_list=options.gc == "list")


def stages(options: Options, settings: Settings, parts: Work) -> list[Manifest]:
    """The manifests of all stages. Where one must run and reads what --keep removed, that is made again first."""
    while True:
        try:
            return [run_ingest(options, settings, parts), *later_stages(options, settings)]
        except GoneError as gone:
            say(str(gone))
            forget_removed(options.output, gone.stages)


def later_stages(options: Options, settings: Settings) -> list[Manifest]:
    return [
        dedupe(options, settings), sieve(options, settings), tokenizer(options, settings), encode(options, settings)
    ]


def after_ingest(options: Options, settings: Settings, ingested: Manifest) -> None:
    """All later stages, and what is said of the run as a whole."""
    finish(options, [ingested, *later_stages(options, settings)])


def finish(options: Options, manifests: list[Manifest]) -> None:
    """The manifest of the whole and the report, unless nothing has changed; then goes what --keep does not name."""
    out, takedown = options.output, account(options.output)
    if is_unchanged(out, manifests, takedown=takedown):
        telling.nothing_to_do()
        say(f"{'clean':9} nothing to do: these inputs and this recipe are complete here")
    else:
        write_whole(out, manifests, takedown=takedown)
        settled(out)
        lacking = [stage.folder for stage in SAMPLED if stage.name in removed(out)]
        if lacking:
            say(f"{'report':9} not made: it shows samples of {lacking[0]}/, which --keep removed")
        else:
            report(out)
    going = mark_removed(out, options.keep, manifests) if options.keep else []
    if going:
        write_whole(out, manifests, takedown=takedown)
        number, n = sweep_removed(out, going)
        folders = ", ".join(f"{BY_NAME[m.stage].folder}/" for m in going)
        whole = INGEST.name in removed(out)
        again = "another input or rule reads every archive again" if whole else "no archive need be read again for it"
        say(f"{'keep':9} removed the data of {folders}: {number:,} files, {size(n)}; {again}")


if __name__ == "__main__":
    main(run)
