"""Stage 1: archives to documents/, with everything that will be asked of a document measured once."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.dataflow import check_launch
from pipelines.fingerprints import extractor_versions
from pipelines.ingest_parts import listed, replay_work, run_ingest, work
from pipelines.inputs import InputFile, check_recipes, list_files, parse_input
from pipelines.listed import adopt
from pipelines.options import Options, parse
from pipelines.planning.sample import sampled
from pipelines.planning.stage import only_planned
from pipelines.recipes import WEB_EN, recipe_named
from pipelines.replay import letters_of
from pipelines.run import Work, main
from pipelines.selection import check_plannable, is_selection, parse_selection, select
from pipelines.settings import Settings, check_output, write_settings
from pipelines.whole import locked
from schemas.records import Manifest
from transforms.beam.lists import url_lists


def run(argv: Sequence[str] | None) -> None:
    options = parse(argv, command="ingest", about=__doc__, needs_input=True)
    if options.plan.wanted and only_planned(options, *_planned(options), sample=sampled):
        return
    selects = any(is_selection(parse_input(text)) for text in options.inputs)
    check_launch(options, stages=2 if selects else 1)  # before the lock, which is already a request to the store
    with locked(options.output):
        if options.replay:
            settings, planned = prepare_replay(options)
            run_ingest(options, settings, planned)
        else:
            settings, found = prepare(options)
            ingest(options, settings, found)


def _planned(options: Options) -> tuple[Settings, Work]:
    """Without writing anything."""
    if options.replay:
        settings, planned, _ = _replayed(options)
    else:
        check_plannable(options)
        settings, found = looked_up(options)
        planned = work(settings, found, reach=options.reach)
    return settings, listed(options.output, planned)


def prepare(options: Options) -> tuple[Settings, list[InputFile]]:
    """Checks everything that can be checked before a worker starts, and writes run.json."""
    settings, found = looked_up(options)
    adopt(options.output, options.takedown)
    write_settings(options.output, settings)
    return settings, found


def looked_up(options: Options) -> tuple[Settings, list[InputFile]]:
    """The same, without writing anything."""
    if options.output:
        check_output(options.output)
    recipe = recipe_named(options.recipe) if options.recipe else WEB_EN
    inputs = [parse_input(text) for text in options.inputs]
    check_recipes(inputs)
    named = {i.source: recipe_named(i.recipe) for i in inputs if i.recipe}
    selections = [parse_selection(i) for i in inputs if is_selection(i)]
    files_of = [i for i in inputs if not is_selection(i)]
    found = list_files(files_of, output=options.output or None, reach=options.reach)
    sources = {s: named.get(s, recipe) for s in sorted({f.source for f in (*found, *selections)})}
    settings = Settings(recipe=recipe, sources=sources, part_bytes=options.part_bytes)
    for chosen in sources.values():
        extractor_versions(chosen.extract.extractor)
    for source, digest in settings.list_digests().items():
        url_lists(settings.sources[source].urls, digest)
    return settings, found


def prepare_replay(options: Options) -> tuple[Settings, Work]:
    """The same for dead letters of another run, which says where its inputs are and how they were read."""
    settings, planned, other = _replayed(options)
    adopt(options.output, options.takedown, under=other)
    write_settings(options.output, settings)
    return settings, planned


def _replayed(options: Options) -> tuple[Settings, Work, str]:
    """(settings and work, the run whose dead letters they are)."""
    check_output(options.output)
    settings, letters = letters_of(
        options.replay or "", output=options.output, recipe=options.recipe, reach=options.reach
    )
    return settings, replay_work(settings, letters), letters[0].out


def ingest(options: Options, settings: Settings, found: list[InputFile]) -> Manifest:
    """With what is chosen by an index, which is a stage before this one."""
    chosen = select(options)
    return run_ingest(options, settings, work(settings, found, reach=options.reach, chosen=chosen))


if __name__ == "__main__":
    main(run)

