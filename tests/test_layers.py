"""schemas <- transforms <- transforms/beam <- pipelines, checked where it matters: in a fresh interpreter."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "schemas": {"schemas"},
    "transforms": {"schemas", "transforms"},
    "transforms/beam": {"schemas", "transforms", "transforms.beam"},
    "pipelines": {"schemas", "transforms", "transforms.beam", "pipelines"},
    "trainer": {"schemas", "trainer"},
}
LAYERS = ("pipelines", "transforms.beam", "transforms", "schemas", "trainer")


def layer_of(module: str) -> str | None:
    return next((name for name in LAYERS if module == name or module.startswith(name + ".")), None)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("folder", ALLOWED)
def test_who_imports_whom(folder):
    for path in (ROOT / folder).glob("*.py" if folder == "transforms" else "**/*.py"):
        used = {layer_of(module) for module in imports(path)} - {None}
        assert used <= ALLOWED[folder], path


def test_the_pure_layers_need_no_beam():
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in ("schemas", "transforms")
        for path in sorted((ROOT / folder).glob("*.py"))
        if path.stem != "__init__"
    ]
    assert len(modules) > 30
    program = f"import sys, {', '.join(modules)}; sys.exit('apache_beam' in sys.modules or 'tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nothing_shadows_the_standard_library():
    """A module launched by its path would stand before it on sys.path."""
    for folder in ("pipelines", "transforms", "transforms/beam", "schemas", "trainer"):
        names = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__", "__main__"}
        assert not names & sys.stdlib_module_names, folder


def test_workers_import_neither_tensorflow_nor_torch():
    for path in [path for folder in ("schemas", "transforms", "pipelines") for path in (ROOT / folder).rglob("*.py")]:
        assert not {module.split(".")[0] for module in imports(path)} & {"tensorflow", "torch"}, path
