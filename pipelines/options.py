"""The command line: our options, and whatever Beam knows."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from pipelines.exits import table
from pipelines.planning.asked import NOTHING, Asked, add_asked, asked_of
from pipelines.reach import NEAR, Reach, add_reach, reach_of
from pipelines.retention import add_retention, kept_folders
from pipelines.telling import add_telling
from schemas.errors import OptionError, RunError
from schemas.stages import STAGES

BATCH_ROWS = 1024
PART_BYTES = 1 << 30
"""A part of this size is some minutes of one core's work, and Common Crawl's archives are about as large."""
_LEAST_PART = 256
"""Far below anything of use: it keeps a slip from planning a part a byte."""
PLANNED = ("plan", "clean", *(stage.name for stage in STAGES))
"""Commands that take the options of a plan."""
LOCAL_RUNNERS = ("direct", "fnapi")
"""Without their ending and in lower case, as Beam takes them too."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Parsed options of any stage. `beam` is what goes to Beam."""

    inputs: tuple[str, ...]
    output: str
    recipe: str | None
    workers: int
    batch_rows: int
    part_bytes: int
    language_model: str | None
    local: bool
    beam: PipelineOptions
    replay: str | None = None
    reach: Reach = NEAR
    keep: tuple[str, ...] | None = None
    """Folders of stages whose data stays; None: all."""
    gc: str | None = None
    """What becomes of files that no manifest names: "remove", "list", or None: nothing."""
    takedown: tuple[str, ...] = ()
    plan: Asked = NOTHING
    log_format: str = "text"


def parse(argv: Sequence[str] | None, *, command: str, about: str, needs_input: bool) -> Options:
    """Raises OptionError at an option that neither we nor Beam know, or a value out of range."""
    try:
        return _parse(argv, command=command, about=about, needs_input=needs_input)
    except RunError as error:
        raise OptionError(str(error)) from error


def _parse(argv: Sequence[str] | None, *, command: str, about: str, needs_input: bool) -> Options:
    parser = _parser(command=command, about=about, needs_input=needs_input)
    ours, rest = parser.parse_known_args(argv)
    _check_known(rest, parser)
    if command == "ingest" and (ours.input is None) == (ours.replay is None):
        raise RunError("Give either --input or --replay: what is to be read.")
    if command == "clean" and needs_input and ours.input is None and (ours.gc is None or ours.keep):
        raise RunError("Give --input: what is to be read. Only --gc can do without.")
    if command == "clean" and needs_input and ours.input is None and ours.dry_run:
        raise RunError("--dry-run plans a run: give --input too. What --gc would remove, --gc=list prints.")
    if ours.workers < 1 or ours.batch_rows < 1:
        raise RunError("--workers and --batch-rows must be at least 1.")
    if ours.part_bytes < _LEAST_PART:
        raise RunError(f"--part-bytes must be at least {_LEAST_PART}.")
    if not ours.output and command != "plan":
        raise RunError("--output is empty. Give the folder of the run.")
    _check_runner(ours.runner)
    local = _short(ours.runner) in LOCAL_RUNNERS
    if ours.workers > 1 and not local and command != "plan":
        raise RunError(f"--workers is for the DirectRunner. Use the options of {ours.runner} instead; see Beam's help.")
    return Options(
        inputs=tuple(ours.input or ()) if needs_input else (), replay=ours.replay,
        output=(ours.output.rstrip("/") or "/") if ours.output else "", recipe=ours.recipe,
        workers=ours.workers, batch_rows=ours.batch_rows, part_bytes=ours.part_bytes,
        language_model=ours.language_model, local=local,
        beam=PipelineOptions(_beam_arguments(ours.runner, ours.workers, local=local) + rest),
        reach=reach_of(ours) if needs_input else NEAR, takedown=tuple(ours.takedown or ()),
        log_format=ours.log_format, keep=kept_folders(ours.keep), gc=ours.gc,
        plan=asked_of(ours, command=command) if command in PLANNED else NOTHING,
    )


def _parser(*, command: str, about: str, needs_input: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m pipelines.{command}", description=about, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Other options go to Beam: --project, --temp_location, --flink_master, …\n"
               "Finished parts and stages are kept: run the same command again after anything went wrong."
               f"\n\n{table()}",
    )
    if needs_input:
        parser.add_argument(
            "--input", action="append", metavar="[NAME=]PATTERN[@RECIPE]",
            help="files to read: a path, a quoted glob or a folder, of WARC, WET, ARC, JSON lines or Parquet, gzip, "
                 "zstd or plain, told by their content; hidden files are left out; may be given several times. NAME is "
                 "the source, a component of the training mixture (default web); RECIPE applies to this source. "
                 "PATTERN may also be https://…, @FILE (such paths, one a line), cc:SNAPSHOT[/wet], wiki:DB/DATE, or "
                 "records chosen by an index: cc-index:SNAPSHOT[/cdxj]?FILTERS or cdxj:PATTERN?FILTERS, where FILTERS "
                 "are joined by & out of languages=, domain=, tld=, mime=, status=, from=, to= (YYYYMMDD), each with "
                 "values joined by commas, and url= (with *)",
        )
    parser.set_defaults(input=None, replay=None)
    if command == "ingest":
        parser.add_argument(
            "--replay", metavar="OUT/dead_letters",
            help="instead of --input: the records that another run could not read are tried again from where its files "
                 "lie and with its recipe; --output gets what came of them, and that alone",
        )
    parser.add_argument(
        "--output", required=command != "plan", default="", metavar="OUT",
        help="folder of the run; a run continues where it is",
    )
    parser.add_argument(
        "--recipe", metavar="NAME",
        help="what to keep: a recipe's name, or a .toml file of the same fields (default web-en)",
    )
    parser.add_argument(
        "--runner", default="DirectRunner",
        help="DirectRunner (default) is Beam's in-process runner; PrismRunner, FlinkRunner, SparkRunner and "
             "DataflowRunner are passed to Beam",
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="worker processes of the DirectRunner (default 1)"
    )
    parser.add_argument(
        "--batch-rows", type=int, default=BATCH_ROWS, metavar="N",
        help=f"documents handled at a time (default {BATCH_ROWS}); memory and speed, never the result",
    )
    parser.set_defaults(part_bytes=PART_BYTES, keep=None, gc=None)
    if needs_input:
        parser.add_argument(
            "--part-bytes", type=int, metavar="N",
            help=f"larger files are split into parts of at most N bytes where their format allows it (default "
                 f"{PART_BYTES}, 1 GiB); other parts mean other files and another order of the same documents",
        )
    parser.set_defaults(takedown=None)
    if needs_input or command == "takedown":
        parser.add_argument(
            "--takedown" if needs_input else "--list", dest="takedown", action="append", metavar="FILE",
            help="documents that must go, one a line: a document's id, an http or https address, or a domain with all "
                 "below it; # begins a remark. Their text is written nowhere. The list is added to that of OUT, which "
                 "holds for every later run there; may be given several times",
        )
    parser.add_argument("--language-model", metavar="PATH", help="lid.176.ftz; found or fetched when not given")
    parser.add_argument(
        "--log-format", choices=("text", "json"), default="text",
        help="what is said on stderr, a line a minute where that is no terminal: as text, or each line as JSON",
    )
    if command in PLANNED:
        add_asked(parser, command=command)
    if needs_input:
        add_reach(parser)
    if command == "clean":
        add_retention(parser)
    add_telling(parser)
    return parser


def _beam_arguments(runner: str, workers: int, *, local: bool) -> list[str]:
    """Beam's own DirectRunner downloads Prism when it can, so the same command would run on two engines by network
    weather: ours is always the in-process one."""
    return ["--runner=FnApiRunner", f"--direct_num_workers={workers}"] if local else [f"--runner={runner}"]


def _check_runner(runner: str) -> None:
    """Beam finds out too, but only when the first stage is to run."""
    known = [name for name in StandardOptions.KNOWN_RUNNER_NAMES if not name.startswith("Test")]
    if "." in runner or _short(runner) in {_short(name) for name in known}:
        return
    raise RunError(f"--runner {runner}: no such runner. Known: {', '.join(known)}, or the dotted name of a class.")


def _short(runner: str) -> str:
    return runner.lower().removesuffix("runner")


def _check_known(rest: list[str], ours: argparse.ArgumentParser) -> None:
    """Beam drops what it does not know with a warning; a misspelt option must stop the run."""
    beam = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(beam)
    _, unknown = beam.parse_known_args(rest)
    if not unknown:
        return
    if not unknown[0].startswith("-"):
        raise RunError(f"{unknown[0]}: belongs to no option. If the shell made it from a pattern, quote the pattern.")
    names = [o for parser in (ours, beam) for action in parser._actions for o in action.option_strings]
    given = unknown[0].split("=")[0]
    near = difflib.get_close_matches(given, names, n=1)
    raise RunError(f"{given}: no such option.{f' Did you mean {near[0]}?' if near else ''} See --help.")
