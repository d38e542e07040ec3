"""What a run will take, before it runs: parts, documents, CPU, bytes, memory, time and money, each low and high.

    python -m pipelines.plan --input 'crawl/*.warc.gz' --workers 64 --prices prices.toml

takes the options of pipelines.clean. It reads the sizes of the inputs, a few megabytes of them, which go through all
stages here, and the rates that earlier runs left; it starts no worker and writes nothing. The plan is of
the whole run; with --output it says too what is left of that, which is what the money is for. `--dry-run` of
pipelines.clean prints the same, of another stage the plan of that stage; `--max-cost X` refuses what may cost more.

    python -m pipelines.plan --measure OUT --rates mine.json       # afterwards: --rates mine.json

writes down what a finished run became and cost, for each byte of its inputs, kind by kind: `mid` is the mean over its
parts, `low` and `high` are the 10th and 90th percentile of the parts, each counting by its size, and at least 10 % off.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial

from pipelines import dedupe, encode, filter, tokenizer
from pipelines.ingest import looked_up
from pipelines.ingest_parts import listed, work
from pipelines.options import Options, parse
from pipelines.planning.basis import Basis, basis_of
from pipelines.planning.finished import finished
from pipelines.planning.left import Left, left_of
from pipelines.planning.made import Plan, check, plan_of, to_json
from pipelines.planning.measured import rates_of
from pipelines.planning.rates import OURS, read_rates
from pipelines.planning.rates import to_json as rates_json
from pipelines.planning.sample import sampled
from pipelines.planning.show import show
from pipelines.run import Work, main, say
from pipelines.selection import check_plannable
from pipelines.settings import Settings
from schemas.errors import RunError
from schemas.stages import DEDUPE, ENCODE, FILTER, INGEST, TOKENIZER
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
    check_plannable(options)
    settings, found = looked_up(options)
    planned = work(settings, found, reach=options.reach)
    basis = basis_of(options, settings, planned, sample=sampled)
    left = _left(options, settings, planned, basis) if options.output else None
    plan = plan_of(basis, options.plan, left=left)
    sys.stdout.write(to_json(plan) if options.plan.json else show(plan))
    check(plan, options.plan)


def plan_before(options: Options, settings: Settings, planned: Work) -> Plan:
    """The plan of a run that is about to start. Raises RunError if what is left of it may cost more than --max-cost."""
    basis = basis_of(options, settings, planned, sample=sampled)
    if options.plan.max_cost is not None:
        check(plan_of(basis, options.plan, left=_left(options, settings, planned, basis)), options.plan)
    return plan_of(basis, options.plan)


def _left(options: Options, settings: Settings, planned: Work, basis: Basis) -> Left:
    later = {DEDUPE: dedupe.planned, FILTER: filter.planned, TOKENIZER: tokenizer.planned, ENCODE: encode.planned}
    works = {stage.name: partial(of, options, settings) for stage, of in later.items()}
    return left_of(options.output, {INGEST.name: lambda: listed(options.output, planned)} | works, basis)


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
