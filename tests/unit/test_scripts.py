"""Scripts that no quick test runs: what they import from edged is there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(
    path
    for folder in ("lab", "bench", "system", "board", "faults", "integration")
    for path in (TESTS / folder).rglob("*.py")
    if not path.name.startswith("test_")
)


def imported(path: Path) -> set[tuple[str, str]]:
    """Return what a script imports from edged: module and name, or a module and no name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
    return {(module, name) for module, name in found if module.split(".")[0] == "edged"}


def is_there(module: str, name: str) -> bool:
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    return not name or hasattr(found, name) or is_there(f"{module}.{name}", "")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(TESTS)))
def test_what_a_script_imports_is_there(path: Path) -> None:
    assert [found for found in imported(path) if not is_there(*found)] == []
