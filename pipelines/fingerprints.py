"""What code and which libraries a stage's output depends on: the part of a plan key that an upgrade changes."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from functools import cache
from pathlib import Path

from schemas.errors import RunError
from transforms.identity import fingerprint

OURS = ("schemas", "transforms")
ON_DEMAND: dict[str, tuple[str, ...]] = {"precision": ("justext", "lxml", "trafilatura")}
"""By extractor, the libraries that only recipes asking for it use. They are in the plan keys of those sources alone.
trafilatura reads with lxml, and asks justext for another opinion: the text depends on all three."""
ROOT = Path(__file__).resolve().parents[1]
"""Where our packages lie, side by side."""


@cache
def stage_fingerprint(module: str) -> str:
    """Digest of the sources of `module` and of all of ours it imports, directly or not, with their data files, and of
    the versions of the libraries that any of them imports."""
    sources, libraries = _closure(module)
    return fingerprint([sources, libraries])


def library_versions(module: str) -> dict[str, str]:
    """Versions, by distribution, of the libraries under a stage's code, and of Python."""
    return _closure(module)[1]


def extractor_versions(extractor: str) -> dict[str, str]:
    """Versions of the libraries that an extractor needs beside those of the stage. Raises RunError if one is not
    installed."""
    try:
        return {name: importlib.metadata.version(name) for name in ON_DEMAND.get(extractor, ())}
    except importlib.metadata.PackageNotFoundError as error:
        raise RunError(
            f"extract, extractor: {extractor!r} needs {error.name}, which is not installed. "
            f"Run: python -m pip install 'winnow-data[{extractor}]'"
        ) from error


@cache
def _closure(module: str) -> tuple[dict[str, str], dict[str, str]]:
    sources: dict[str, str] = {}
    imported: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        if name.split(".")[0] not in OURS:
            imported.add(name.split(".")[0])
            continue
        path = _source_of(name)
        if path is None:  # `from package.module import name`: the name of a thing, not of a module
            continue
        text = path.read_text(encoding="utf-8")
        tables = [t.read_bytes().hex() for t in sorted(path.parent.glob(f"{path.stem}.np*"))]
        sources[name] = fingerprint([text, tables])
        waiting += _imports(text)
    distributions = importlib.metadata.packages_distributions()
    always = imported.difference(sys.stdlib_module_names, *ON_DEMAND.values())
    names = {d for i in always for d in distributions.get(i, ())}
    versions = {name: importlib.metadata.version(name) for name in sorted(names)}
    versions["python"] = f"{sys.version_info.major}.{sys.version_info.minor}"
    return dict(sorted(sources.items())), versions


def _source_of(name: str) -> Path | None:
    """Found by its path, not by importing what it stands in."""
    path = ROOT.joinpath(*name.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def _imports(text: str) -> list[str]:
    """Modules a source imports; for `from x import y` both x and x.y, since y may be a module."""
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found
