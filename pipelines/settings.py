"""What a run was asked to do, kept in OUT/run.json so that one stage can be run alone later."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field

from pipelines.options import PART_BYTES
from pipelines.recipes import recipe_from, recipe_named
from schemas.errors import RunError
from schemas.recipes import Recipe, Urls
from schemas.records import SCHEMA_VERSION
from transforms.beam import files
from transforms.beam.lists import digest_of

_FILE = "run.json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`recipe` decides for the run as a whole (dedupe, tokenizer, packing), `sources` by source (extract, rules).
    `part_bytes` is the size above which an input file becomes several parts."""

    recipe: Recipe
    sources: dict[str, Recipe] = field(default_factory=dict)
    part_bytes: int = PART_BYTES

    def rules(self) -> dict[str, object]:
        """What decides, source by source, who passes: languages, rules and, where there are any, the digest of the
        lists of addresses, and the directives that are respected. Raises RunError if a list cannot be read."""
        digests = self.list_digests()
        return {
            source: [list(recipe.languages), [dataclasses.asdict(rule) for rule in recipe.rules],
                     *([digests.get(source, "")] if source in digests or recipe.respect else []),
                     *([list(recipe.respect)] if recipe.respect else [])]
            for source, recipe in sorted(self.sources.items())
        }

    def list_digests(self) -> dict[str, str]:
        """Of the lists of addresses, by source, where its recipe has any. Raises RunError if one cannot be read."""
        return {source: digest_of(recipe.urls) for source, recipe in self.sources.items() if recipe.urls != Urls()}


def write_settings(out: str, settings: Settings) -> None:
    data = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(settings)}
    text, path = json.dumps(data, indent=1, sort_keys=True) + "\n", files.join(out, _FILE)
    try:
        if files.read_text(path) == text:
            return
    except ValueError:
        pass  # not even text
    files.remove(files.join(out, "report.html"))  # it tells of other settings
    files.write_bytes(path, text.encode())


def read_settings(out: str) -> Settings:
    """Raises RunError if `out` is not the output of a run, or of one with another schema."""
    path = files.join(out, _FILE)
    try:
        text = files.read_text(path)
        if text is None:
            raise RunError(
                f"{out}: no {_FILE}, so this is not the output of a run. Run pipelines.clean or pipelines.ingest first."
            )
        data = json.loads(text)
        check_version(path, data["schema_version"])
        recipe, sources, part_bytes = data["recipe"], dict(data["sources"]), int(data.get("part_bytes", PART_BYTES))
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: is damaged: {error}. Run pipelines.clean with its --input again.") from error
    return Settings(
        recipe=recipe_from(recipe, where=path),
        sources={name: recipe_from(fields, where=f"{path}, {name}") for name, fields in sources.items()},
        part_bytes=part_bytes,
    )


def settings_of(out: str, recipe: str | None) -> Settings:
    """The run's settings; with `recipe` given, that one for the run and all its sources."""
    kept = read_settings(out)
    if recipe is None:
        return kept
    chosen = recipe_named(recipe)
    changed = dataclasses.replace(kept, recipe=chosen, sources=dict.fromkeys(kept.sources, chosen))
    write_settings(out, changed)
    return changed


def check_output(out: str) -> None:
    """Raises RunError if `out` was written with another schema."""
    try:
        text = files.read_text(files.join(out, _FILE))
        if text is None:
            return
        version = json.loads(text)["schema_version"]
    except (ValueError, KeyError, TypeError):
        return  # it will be written again
    check_version(out, version)


def check_version(where: str, version: object) -> None:
    if version != SCHEMA_VERSION:
        raise RunError(
            f"{where}: written with schema version {version}, this winnow writes {SCHEMA_VERSION}. Give another "
            "--output, or use the winnow that wrote it."
        )
