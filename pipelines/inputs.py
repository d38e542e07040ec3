"""`--input [NAME=]PATTERN[@RECIPE]` to sources, and sources to files with logical names."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from schemas.errors import RunError
from transforms.beam import files

DEFAULT_SOURCE = "web"
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]*)=(?P<rest>.+)", re.DOTALL)
_SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_CRAWL_ROOT = "crawl-data/"
"""Common Crawl's paths start with it, wherever they are mirrored."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One --input. `recipe` is the name given for this source, None for the run's."""

    source: str
    pattern: str
    recipe: str | None


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file to read. `name` is its logical name: its path below the pattern's root, the same for every copy."""

    source: str
    name: str
    found: files.Found


def parse_input(text: str) -> Input:
    """Raises RunError where the source's name is none."""
    named = _NAMED.fullmatch(text)
    source, rest = (named["name"], named["rest"]) if named and not os.path.exists(text) else (DEFAULT_SOURCE, text)
    if not _SOURCE_NAME.fullmatch(source):
        raise RunError(
            f"--input {text}: a source's name has lower-case letters, digits, - and _, at most 64; it names a folder of "
            "shards."
        )
    pattern, at, recipe = rest.rpartition("@")
    if not at or "/" in recipe and not recipe.endswith(".toml") or os.path.exists(rest):
        return Input(source=source, pattern=rest, recipe=None)
    return Input(source=source, pattern=pattern, recipe=recipe)


def list_files(inputs: list[Input]) -> list[InputFile]:
    """Every file of all inputs, sorted by source and logical name. Raises RunError where a pattern matches nothing, a
    local file cannot be opened, or two files have the same source and logical name."""
    found: dict[tuple[str, str], InputFile] = {}
    for given in inputs:
        matched = files.find(given.pattern)
        if not matched:
            raise RunError(
                f"--input {given.pattern}: no file matches. Check the path, and quote the pattern so that the shell "
                "leaves it alone."
            )
        root = _root(given.pattern)
        for file in matched:
            _check_readable(file.path)
            entry = InputFile(source=given.source, name=_logical_name(file.path, root), found=file)
            other = found.setdefault((entry.source, entry.name), entry)
            if other.found.path != file.path:
                raise RunError(
                    f"--input: {other.found.path} and {file.path} would both be {entry.name!r} of source "
                    f"{entry.source!r}. Name one of them: --input NAME={given.pattern}"
                )
    return [found[key] for key in sorted(found)]


def _root(pattern: str) -> str:
    """What comes before the first wildcard, up to its last slash; of a folder, the folder."""
    if files.is_local(pattern) and os.path.isdir(pattern):
        return pattern.rstrip("/") + "/"
    literal = re.split(r"[*?\[{]", pattern, maxsplit=1)[0]
    return literal[: literal.rfind("/") + 1]


def _logical_name(path: str, root: str) -> str:
    """The path below `root`; of a Common Crawl file, from crawl-data/ on."""
    if _CRAWL_ROOT in path:
        return path[path.index(_CRAWL_ROOT) :]
    return path.removeprefix(root) if path.startswith(root) else os.path.basename(path)


def _check_readable(path: str) -> None:
    if not files.is_local(path):
        return
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise RunError(f"--input {path}: {error.strerror}. Make it readable, or leave it out.") from error
