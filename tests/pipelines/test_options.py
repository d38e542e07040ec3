from __future__ import annotations

import argparse
from dataclasses import fields

import pytest
from apache_beam.options.pipeline_options import (
    DirectOptions,
    FlinkRunnerOptions,
    PipelineOptions,
    StandardOptions,
    WorkerOptions,
)

from pipelines.options import Options, _parser, parse
from pipelines.reach import Reach
from schemas.errors import OptionError, RunError

HELP = """\
usage: python -m pipelines.clean [-h] [--input [NAME=]PATTERN[@RECIPE]] --output OUT [--recipe NAME]
                                 [--runner RUNNER] [--workers N] [--batch-rows N] [--part-bytes N]
                                 [--takedown FILE] [--language-model PATH] [--log-format {text,json}]
                                 [--dry-run] [--rates FILE] [--sample MB] [--prices FILE.toml]
                                 [--price-region NAME] [--storage-months N] [--max-cost X]
                                 [--machine-cores N] [--machine-memory GIB] [--json] [--cc-base BASE]
                                 [--wiki-base BASE] [--limit-files N] [--sample-files N]
                                 [--tolerate-missing] [--requests-per-second N] [--cache FOLDER]
                                 [--allow-http] [--keep FOLDERS] [--gc [list]] [--status-file FILE]
                                 [--webhook URL]

What it does.

options:
  -h, --help            show this help message and exit
  --input [NAME=]PATTERN[@RECIPE]
                        files to read: a path, a quoted glob or a folder, of WARC, WET, ARC, JSON lines or
                        Parquet, gzip, zstd or plain, told by their content; hidden files are left out; may
                        be given several times. NAME is the source, a component of the training mixture
                        (default web); RECIPE applies to this source. PATTERN may also be https://…, @FILE
                        (such paths, one a line), cc:SNAPSHOT[/wet], wiki:DB/DATE, or records chosen by an
                        index: cc-index:SNAPSHOT[/cdxj]?FILTERS or cdxj:PATTERN?FILTERS, where FILTERS are
                        joined by & out of languages=, domain=, tld=, mime=, status=, from=, to= (YYYYMMDD),
                        each with values joined by commas, and url= (with *)
  --output OUT          folder of the run; a run continues where it is
  --recipe NAME         what to keep: a recipe's name, or a .toml file of the same fields (default web-en)
  --runner RUNNER       DirectRunner (default) is Beam's in-process runner; PrismRunner, FlinkRunner,
                        SparkRunner and DataflowRunner are passed to Beam
  --workers N           worker processes of the DirectRunner (default 1)
  --batch-rows N        documents handled at a time (default 1024); memory and speed, never the result
  --part-bytes N        larger files are split into parts of at most N bytes where their format allows it
                        (default 1073741824, 1 GiB); other parts mean other files and another order of the
                        same documents
  --takedown FILE       documents that must go, one a line: a document's id, an http or https address, or a
                        domain with all below it; # begins a remark. Their text is written nowhere. The list
                        is added to that of OUT, which holds for every later run there; may be given several
                        times
  --language-model PATH
                        lid.176.ftz; found or fetched when not given
  --log-format {text,json}
                        what is said on stderr, a line a minute where that is no terminal: as text, or
                        each line as JSON
  --cc-base BASE        where crawl-data/ lies for cc:SNAPSHOT, and what an index names: an address,
                        s3://commoncrawl/ or a folder (default https://data.commoncrawl.org/)
  --wiki-base BASE      where DB/DATE/ lies for wiki:DB/DATE: an address, a bucket or a folder (default
                        https://dumps.wikimedia.org/)
  --limit-files N       only the first N files of each cc:SNAPSHOT
  --sample-files N      only N files of each cc:SNAPSHOT, by a hash of their names: the same ones each
                        time, and among those of a larger N
  --tolerate-missing    an input that cannot be had, after all tries, becomes a dead letter instead of the
                        run's end; a later run without this tries it again
  --requests-per-second N
                        at most, to each https:// host, from all workers of a machine (default 10)
  --cache FOLDER        keep files of https:// in this folder of each machine, whole and by version, for
                        other runs; nothing clears it
  --allow-http          take http:// addresses of other machines too
  --keep FOLDERS        what stays of the stages' data after success, of
                        documents,duplicates,clean,tokenizer,shards (default all); shards/, tokenizer.json and
                        all manifests always stay. Without documents/ another input or rule reads every archive
                        again
  --gc [list]           remove the files of parts that no manifest names, after the run or, without --input,
                        alone; --gc=list prints them instead
  --status-file FILE    JSON of how the run stands, written whole at its start, after each stage and at its end
  --webhook URL         address that gets the same JSON at the end, https alone but on this machine; also
                        WINNOW_WEBHOOK, which keeps it out of lists of processes; what it answers never fails a
                        run

the plan:
  --dry-run             print the plan, as pipelines.plan does, and end
  --rates FILE          rates of earlier runs, which pipelines.plan --measure writes (default: those in
                        the repository)
  --sample MB           first read about so many megabytes of each source, from all over it, for what its
                        own pages become and cost: much closer than rates of other pages (default 4
                        for a plan that is printed or held against --max-cost, else 0)
  --prices FILE.toml    what cores, shuffle, storage and egress cost, by region:
                        deploy/prices.example.toml
  --price-region NAME   the region in --prices, where it has several
  --storage-months N    how long the output is kept (default 1)
  --max-cost X          refuse a run whose high estimate costs more, before any worker starts; needs
                        --prices
  --machine-cores N     cores of a machine (default: this one's)
  --machine-memory GIB  its memory in GiB (default: this one's)
  --json                print the plan as JSON

Other options go to Beam: --project, --temp_location, --flink_master, …
Finished parts and stages are kept: run the same command again after anything went wrong.

Exit status:
    0  done, or nothing to do
    1  failed: the message says why; finished parts are kept, so run the same command again
    2  the command line is wrong: nothing was begun
    3  a worker process was lost; run the same command again
    4  another run took the output over; run the same command again when that has ended
    5  another run has the output: nothing was begun
  130  interrupted
  143  ended by SIGTERM
"""


def parsed(*argv: str, needs_input: bool = True) -> Options:
    given = ["--input", "a", *argv] if needs_input else list(argv)
    if not any(a.startswith("--output") for a in given):
        given += ["--output", "out"]
    return parse(given, command="clean", about="What it does.", needs_input=needs_input)


def told(*argv: str, needs_input: bool = True) -> str:
    with pytest.raises(RunError) as raised:
        parsed(*argv, needs_input=needs_input)
    return str(raised.value)


def test_help_tells_every_option_and_has_not_drifted(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"], command="clean", about="What it does.", needs_input=True)
    told = capsys.readouterr().out
    assert told.split() == HELP.split(), "but for where lines break, which is the terminal's and Python's"
    ours = {f.name for f in fields(Options)} - {"inputs", "beam", "local", "reach", "plan", "replay"}
    ours |= {f.name for f in fields(Reach)} - {"network"}
    assert all(f"--{name.replace('_', '-')} " in told for name in ours | {"input", "runner"})
    with pytest.raises(SystemExit):
        parse(["--help"], command="ingest", about="", needs_input=True)
    assert "--replay " in capsys.readouterr().out and "--replay " not in told
    with pytest.raises(SystemExit):
        parse(["--help"], command="filter", about="", needs_input=False)
    assert "--input" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["clean", "plan", "ingest", "filter"])
def test_no_option_of_ours_hides_one_of_beam(command: str) -> None:
    """As --region would, which Dataflow needs."""
    beam = argparse.ArgumentParser(add_help=False)
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(beam)
    ours = _parser(command=command, about="", needs_input=command != "filter")
    known, taken = ({o for a in p._actions for o in a.option_strings} for p in (beam, ours))
    assert taken & known == {"--runner"}


def test_defaults_and_everything_given() -> None:
    options = parsed()
    assert (options.inputs, options.output, options.recipe, options.workers) == (("a",), "out", None, 1)
    assert (options.batch_rows, options.language_model, options.local) == (1024, None, True)
    full = parsed(
        "--input=news=b@web-en",
        "--output",
        "gs://b/out//",
        "--recipe",
        "r.toml",
        "--workers=3",
        "--batch-rows",
        "7",
        "--language-model",
        "m",
        "--runner",
        "FnApiRunner",
    )
    assert (full.inputs, full.output, full.recipe, full.workers) == (("a", "news=b@web-en"), "gs://b/out", "r.toml", 3)
    assert (full.batch_rows, full.language_model, full.local) == (7, "m", True)
    assert parsed(needs_input=False).inputs == ()
    assert parsed("--output", "/").output == "/"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--worker", "2"], "--worker: no such option. Did you mean --workers? See --help."),
        (["--recpe=x"], "--recpe: no such option. Did you mean --recipe? See --help."),
        (["--flink_mastr", "x"], "--flink_mastr: no such option. Did you mean --flink_master? See --help."),
        (["--zzzzzzzz"], "--zzzzzzzz: no such option. See --help."),
        (["-x"], "-x: no such option. See --help."),
        (["--input", "b.gz", "c.gz"],
         "c.gz: belongs to no option. If the shell made it from a pattern, quote the pattern."),
        (["--workers", "0"], "--workers and --batch-rows must be at least 1."),
        (
            ["--workers=2", "--runner=FlinkRunner"],
            "--workers is for the DirectRunner. Use the options of FlinkRunner instead; see Beam's help.",
        ),
        (["--batch-rows", "-3"], "--workers and --batch-rows must be at least 1."),
        (["--output", ""], "--output is empty. Give the folder of the run."),
        (["--runner", "FlinkRuner"],
         "--runner FlinkRuner: no such runner. Known: DataflowRunner, "
         "BundleBasedDirectRunner, DirectRunner, SwitchingDirectRunner, InteractiveRunner, FlinkRunner, FnApiRunner, "
         "KafkaStreamsRunner, PortableRunner, PrismRunner, SparkRunner, or the dotted name of a class."),
    ],
)  # fmt: skip
def test_what_nobody_knows_is_refused(argv: list[str], says: str) -> None:
    assert told(*argv) == says


def test_a_stage_that_reads_the_output_takes_no_input() -> None:
    assert told("--input", "x", needs_input=False).startswith("--input: no such option.")


@pytest.mark.parametrize("argv", [["--workers", "two"], ["--output"], ["--recipe"]])
def test_what_argparse_refuses_ends_the_command(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        parsed(*argv)
    assert raised.value.code == 2 and argv[0] in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--out", "x"], ["--inp", "x"], ["--work", "2"]])
def test_options_cannot_be_shortened(argv: list[str]) -> None:
    assert told("--output", "o", *argv).startswith(f"{argv[0]}: no such option.")


@pytest.mark.parametrize("name", [None, "DirectRunner", "directrunner", "direct", "FnApiRunner"])
@pytest.mark.parametrize("workers", [1, 4])
def test_the_direct_runner_is_the_one_in_process(name: str | None, workers: int) -> None:
    options = parsed("--workers", str(workers), *([] if name is None else ["--runner", name]))
    assert options.local and options.beam.view_as(StandardOptions).runner == "FnApiRunner"
    assert options.workers == options.beam.view_as(DirectOptions).direct_num_workers == workers


@pytest.mark.parametrize(
    "name", ["PrismRunner", "FlinkRunner", "sparkrunner", "flink", "DataflowRunner", "my.own.Runner"]
)
def test_another_runner_goes_to_beam_as_it_is(name: str) -> None:
    options = parsed("--runner", name)
    assert not options.local and options.beam.view_as(StandardOptions).runner == name
    assert options.beam.view_as(DirectOptions).direct_num_workers == 1


def test_beams_options_go_to_beam() -> None:
    beam = parsed(
        "--runner=FlinkRunner", "--flink_master", "host:1", "--experiments=a", "--experiments=b", "--num_workers=3"
    ).beam
    assert beam.view_as(FlinkRunnerOptions).flink_master == "host:1"
    assert beam.view_as(WorkerOptions).num_workers == 3
    assert beam.get_all_options()["experiments"] == ["a", "b"]
    assert not {"input", "output", "batch_rows", "recipe"} & beam.get_all_options(drop_default=True).keys()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--output=o"], "Give --input: what is to be read. Only --gc can do without."),
        (["--output=o", "--gc", "--keep=shards"], "Give --input: what is to be read. Only --gc can do without."),
        (["--output=o", "--gc", "--dry-run"],
         "--dry-run plans a run: give --input too. What --gc would remove, --gc=list prints."),
    ],
)  # fmt: skip
def test_the_main_job_without_input(argv: list[str], says: str) -> None:
    with pytest.raises(OptionError) as error:
        parse(argv, command="clean", about="", needs_input=True)
    assert str(error.value) == says
