"""Stage 6: one page about a finished run, OUT/report.html: what went in, what came out, why the rest was dropped."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.options import parse
from pipelines.removed import account
from pipelines.report_page.gather import gather
from pipelines.report_page.markup import size
from pipelines.report_page.page import page
from pipelines.report_page.yields import SHOWN
from pipelines.retention import SAMPLED, removed
from pipelines.run import main, needed, say
from pipelines.settings import read_settings
from pipelines.whole import locked, write_whole
from schemas.errors import RunError
from schemas.stages import STAGES
from transforms.beam import files


def run(argv: Sequence[str] | None) -> None:
    options = parse(argv, command="report", about=__doc__, needs_input=False)
    if options.recipe:
        raise RunError("--recipe: a report tells of the run as it is. Give it to pipelines.filter or pipelines.clean.")
    read_settings(options.output)  # before the lock, which would make the folder
    with locked(options.output):
        report(options.output)
        manifests = [needed(options.output, stage) for stage in STAGES]
        write_whole(options.output, manifests, takedown=account(options.output))


def report(out: str) -> None:
    """Writes OUT/report.html. The same run gives the same bytes, wherever it lies.

    Raises RunError where a stage is missing or a file has changed, ConservationError where the counts do not add up.
    """
    path = files.join(out, "report.html")
    lacking = [stage.folder for stage in SAMPLED if stage.name in removed(out)]
    if lacking:
        raise RunError(f"{path}: shows samples of {lacking[0]}/, which --keep removed. It cannot be made again.")
    found = gather(out)
    content = page(found)
    files.write_bytes(path, content)
    say(f"{'report':9} {path}, {size(len(content))}")
    for line in found.alarms[:SHOWN]:
        say(f"{'report':9} ALARM: {line}")
    if len(found.alarms) > SHOWN:
        say(f"{'report':9} ALARM: and {len(found.alarms) - SHOWN:,} more")


if __name__ == "__main__":
    main(run)
