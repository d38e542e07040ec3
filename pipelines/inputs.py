"""`--input [NAME=]PATTERN[@RECIPE]` to sources, and sources to files with logical names."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from pipelines.dumps import dump_files
from pipelines.places import check_place
from pipelines.reach import NEAR, Reach
from pipelines.remote import Named, look_at, read_lines
from pipelines.snapshots import snapshot_files
from schemas.errors import RunError
from transforms.beam import files
from transforms.beam.web_addresses import is_web, path_of
from transforms.beam.web_files import check

DEFAULT_SOURCE = "web"
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]*)=(?P<rest>.+)", re.DOTALL)
_SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_CRAWL_PATH = re.compile(r"(?:^|/)(crawl-data/.+)", re.DOTALL)
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
    digest: str | None = None
    """What its source says of its bytes, ALGORITHM:HEX."""


def parse_input(text: str) -> Input:
    """Raises RunError where the source's name is none."""
    named = _NAMED.fullmatch(text)
    source, rest = (named["name"], named["rest"]) if named and not os.path.exists(text) else (DEFAULT_SOURCE, text)
    if not _SOURCE_NAME.fullmatch(source):
        raise RunError(
            f"--input {text}: a source's name has lower-case letters, digits, - and _, at most 64; it names a folder "
            "of shards. If that = is part of a path, start the path with ./"
        )
    pattern, _, recipe = rest.rpartition("@")
    if not pattern or not recipe or ("/" in recipe and not recipe.endswith(".toml")) or os.path.exists(rest):
        return Input(source=source, pattern=rest, recipe=None)
    return Input(source=source, pattern=pattern, recipe=recipe)


def list_files(inputs: list[Input], *, output: str | None = None, reach: Reach = NEAR) -> list[InputFile]:
    """Every file of all inputs, sorted by source and logical name. Left out are hidden files, unless the pattern itself
    names them, and what lies below `output`. Raises RunError where a pattern matches nothing, a local file cannot be
    opened, two inputs give a source different recipes, two files have the same source and logical name, or one file
    would be in a source twice; and where a file that is named, not found, is not there, unless `reach` bears that."""
    check_recipes(inputs)
    found: dict[tuple[str, str], InputFile] = {}
    names: dict[tuple[str, str], str] = {}
    for given in inputs:
        for name, file, digest in _of(given.pattern, output, reach):
            _check_readable(file.path)
            entry = InputFile(source=given.source, name=name, found=file, digest=digest)
            other = found.setdefault((entry.source, name), entry)
            if other.found.path != file.path:
                raise RunError(
                    f"--input: {min(other.found.path, file.path)} and {max(other.found.path, file.path)} would both be "
                    f"{name!r} of source {entry.source!r}. Give one of them a source of its own: --input NAME=PATTERN"
                )
            first = names.setdefault((entry.source, file.path), name)
            if first != name:
                raise RunError(
                    f"--input: {file.path} is matched twice, as {min(first, name)!r} and as {max(first, name)!r} of "
                    f"source {entry.source!r}. Leave one of the patterns out."
                )
    return [found[key] for key in sorted(found)]


def check_recipes(inputs: list[Input]) -> None:
    """Raises RunError if a source is given two."""
    for source in sorted({i.source for i in inputs}):
        recipes = sorted({i.recipe for i in inputs if i.source == source and i.recipe})
        if len(recipes) > 1:
            raise RunError(
                f"--input: source {source!r} is given the recipes {' and '.join(recipes)}. A source has one; give each "
                "a source of its own: --input NAME=PATTERN@RECIPE"
            )


def _of(pattern: str, output: str | None, reach: Reach) -> list[tuple[str, files.Found, str | None]]:
    """(logical name, file, digest) of what a pattern finds or names."""
    if pattern.startswith(("cc:", "wiki:")):
        listed = (snapshot_files if pattern.startswith("cc:") else dump_files)(pattern, reach=reach)
    elif is_web(pattern):
        check(pattern, network=reach.network)
        listed = look_at([_web(pattern, below=False)], reach=reach)
    elif pattern.startswith("@") and _is_list(pattern):
        return _of_list(pattern[1:], output, reach)
    else:
        return [(name, found, None) for name, found in _matches(pattern, output)]
    return [(file.name, file.found, file.digest) for file in listed]


def _of_list(path: str, output: str | None, reach: Reach) -> list[tuple[str, files.Found, str | None]]:
    """What the lines of a file name, each as if it were given alone; but an address is named by its whole path on the
    host, since those of one list often end alike. Lines that start with # are remarks."""
    lines = [line for line in read_lines(path, reach=reach) if not line.startswith("#")]
    if not lines:
        raise RunError(f"--input @{path}: names no file. Write a path or an address on each line.")
    if any(line.startswith(("@", "cc:", "wiki:", "cc-index:", "cdxj:")) for line in lines):
        raise RunError(f"--input @{path}: holds a line that starts with @, cc: or wiki:. Give that as an --input.")
    for line in filter(is_web, lines):
        check(line, network=reach.network)
    listed = look_at([_web(line, below=True) for line in filter(is_web, lines)], reach=reach)
    if any(is_web(path) and not is_web(line) for line in lines):
        raise RunError(f"--input @{path}: a list from the web may name addresses alone. Fetch it, and check it.")
    here = [match for line in lines if not is_web(line) for match in _matches(line, output)]
    return [(f.name, f.found, f.digest) for f in listed] + [(name, found, None) for name, found in here]


def _is_list(pattern: str) -> bool:
    path = pattern[1:]
    return not os.path.exists(pattern) and (not files.is_local(path) or os.path.isfile(path))


def _web(url: str, *, below: bool) -> Named:
    path = path_of(url)
    return Named(name=_logical_name(path, "" if below else path[: path.rfind("/") + 1]), path=url)


def _matches(pattern: str, output: str | None) -> list[tuple[str, files.Found]]:
    """(logical name, file) of what a pattern matches. Raises RunError where that is nothing."""
    check_place(pattern, option="--input")
    local = bool(pattern) and files.is_local(pattern)
    pattern = os.path.normpath(pattern) if local else pattern
    found = files.find(pattern) if pattern else []
    root = _root(pattern, found)
    unseen = re.compile(r"(?!)" if "/." in "/" + pattern.removeprefix(root) else r"(?:^|/)\.")
    matched = [
        (_logical_name(f.path, root), f)
        for f in found
        if not unseen.search(f.path.removeprefix(root)) and not _is_below(f.path, output)
    ]
    if matched and not local:  # one tells for all: a crawl has a hundred thousand
        files.open_read(matched[0][1].path, identity=matched[0][1].identity).read(1)
    if matched:
        return matched
    if local and os.path.exists(pattern) and re.search(r"[*?\[]", pattern):
        raise RunError(f"--input {pattern}: *, ? and [ make a pattern, so no path can have them. Rename it.")
    raise RunError(
        f"--input {pattern}: no file matches. Check the path, and quote the pattern so that the shell leaves it alone."
    )


def _root(pattern: str, found: list[files.Found]) -> str:
    """What comes before the first wildcard, up to its last slash; of a folder, the folder. On an object store a folder
    is what has files below it and is none."""
    literal = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    below = literal == pattern and [f.path for f in found] != [pattern]
    if os.path.isdir(pattern) if files.is_local(pattern) else below:
        return pattern.rstrip("/") + "/"
    return literal[: literal.rfind("/") + 1]


def _logical_name(path: str, root: str) -> str:
    """The path below `root`; of a Common Crawl file, from crawl-data/ on."""
    crawl = _CRAWL_PATH.search(path)
    return crawl[1] if crawl else path.removeprefix(root)


def _is_below(path: str, folder: str | None) -> bool:
    if folder is None:
        return False
    if files.is_local(path) and files.is_local(folder):
        path, folder = os.path.abspath(path), os.path.abspath(folder)
    return path.startswith(folder.rstrip("/") + "/")


def _check_readable(path: str) -> None:
    """Also that the path is text: names go into tables and plans."""
    if not files.is_local(path):
        return
    try:
        path.encode()
        if not os.path.isfile(path):  # opening a named pipe would wait for its writer
            raise RunError(f"--input {path}: is not a file. Leave it out.")
        with open(path, "rb"):
            pass
    except UnicodeEncodeError as error:
        shown = path.encode(errors="backslashreplace").decode()
        raise RunError(f"--input {shown}: the name is not UTF-8. Rename it, or leave it out.") from error
    except OSError as error:
        raise RunError(f"--input {path}: {error.strerror}. Make it readable, or leave it out.") from error
