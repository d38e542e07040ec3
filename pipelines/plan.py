"""What a run will take, before it runs: parts, documents, CPU, bytes, memory, time and money, each low and high.

    python -m pipelines.plan --input 'crawl/*.warc.gz' --workers 64 --prices prices.toml

takes the options of pipelines.clean. It reads the sizes of the inputs, the first bytes of a few of them, and the rates
that earlier runs left; it starts no worker and writes nothing. The plan is of the whole run, whatever of it is done
already. `pipelines.clean --dry-run` prints the same; `--max-cost X`, with either, refuses what may cost more.

    python -m pipelines.plan --measure OUT --rates mine.json       # afterwards: --rates mine.json

writes down what a finished run became and cost, for each byte of its inputs, kind by kind: `mid` is the mean over its
parts, `low` and `high` are the 10th and 90th percentile of the parts, each counting by its size, and at least 10 % off.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence

from pipelines.ingest import looked_up, work
from pipelines.inputs import InputFile, parse_input
from pipelines.options import Options, parse
from pipelines.planning.kinds import kinds_of
from pipelines.planning.made import Plan, check, groups_of, plan_of, to_json
from pipelines.planning.measured import finished, rates_of
from pipelines.planning.rates import OURS, read_rates
from pipelines.planning.rates import to_json as rates_json
from pipelines.planning.sample import sampled
from pipelines.planning.show import show
from pipelines.run import Work, main, say
from pipelines.selection import is_selection
from pipelines.settings import Settings
from schemas.errors import RunError
from transforms.beam import files


def run(argv: Sequence[str] | None) -> None:
    options = parse(argv, command="plan", about=__doc__, needs_input=True)
    if options.plan.measure:
        measure(options, sys.argv[1:] if argv is None else argv)
    elif not options.inputs:
        raise RunError("Give --input, what a run is to read; or --measure OUT, a run to take the rates from.")
    else:
        print_plan(options)


def print_plan(options: Options) -> None:
    """Raises RunError if the run may cost more than --max-cost, after the plan is printed."""
    if any(is_selection(parse_input(text)) for text in options.inputs):
        raise RunError(
            "--input: what an index chooses is known when the run has asked it. Plan without that input; the run "
            "itself makes its plan when it has, and --max-cost holds for that."
        )
    settings, found = looked_up(options)
    plan = _plan(options, settings, found, work(settings, found, reach=options.reach))
    sys.stdout.write(to_json(plan) if options.plan.json else show(plan))
    check(plan, options.plan)


def plan_before(options: Options, settings: Settings, found: Sequence[InputFile], planned: Work) -> Plan:
    """The plan of a run that is about to start. Raises RunError if it may cost more than --max-cost."""
    plan = _plan(options, settings, found, planned)
    check(plan, options.plan)
    return plan


def _plan(options: Options, settings: Settings, found: Sequence[InputFile], planned: Work) -> Plan:
    kinds = {(f.source, f.name): kind for f, kind in zip(found, kinds_of(found), strict=True)}
    groups, rates = groups_of(kinds, planned.parts), None
    if options.plan.sample:
        groups, rates = sampled(options, settings, groups, planned, read_rates(options.plan.rates), kinds)
    return plan_of(settings, groups, options.plan, workers=options.workers, rates=rates)


def measure(options: Options, argv: Sequence[str]) -> None:
    """Writes the rates of finished runs to --rates. Raises RunError where they cannot tell."""
    if options.inputs or options.plan.rates is None:
        raise RunError("--measure OUT takes --rates FILE, where to write what that run tells, and no --input.")
    runs = [finished(out) for out in options.plan.measure]
    command = "python -m pipelines.plan " + " ".join(map(shlex.quote, argv))
    base = None if os.path.realpath(options.plan.rates) == str(OURS.resolve()) else read_rates()
    files.write_bytes(options.plan.rates, rates_json(rates_of(runs, base=base, command=command)))
    say(f"rates of {', '.join(sorted({k for r in runs for k in r.kinds.values()}))}: {options.plan.rates}")


if __name__ == "__main__":
    main(run)
