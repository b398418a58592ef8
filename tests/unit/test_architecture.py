"""The rules of the house that a reviewer would otherwise have to watch."""

from __future__ import annotations

import ast
import configparser
import dataclasses
import importlib
import re
import subprocess
import sys
import tokenize
import types
import typing
from pathlib import Path

import pytest

import edged
from edged.events import Event

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(edged.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
DRIVERS = [
    path
    for folder in ("sources/drivers", "sensors/drivers", "sinks/drivers", "tasks")
    for path in (PACKAGE / folder).glob("*.py")
    if path.name != "__init__.py"
]
# What only one place of the package imports, whatever module is added later.
DOORS = {
    "paho": "sinks/mqtt/",
    "yaml": "config/",
    "matplotlib": "tools/bench/draw.py",
    "gpiod": "sensors/drivers/gpio.py",
    "smbus2": "sensors/drivers/i2c.py",
    "serial": "sensors/serial_ports.py",
    "ai_edge_litert": "inference/runtime.py",
    "tflite_runtime": "inference/runtime.py",
    "tensorflow": "worker/",
    "coremltools": "worker/core_ml.py",
    "h5py": "worker/tensorflow_graphs.py",
}
LOOSE_FILES = 6  # in edged/ itself; what is more has no room


def _contract(name: str, key: str) -> list[str]:
    """Return the modules of a contract in setup.cfg, which is the only list of them."""
    file = configparser.ConfigParser()
    file.read(ROOT / "setup.cfg", "utf-8")
    return file[f"importlinter:contract:{name}"][key].split()


MAIN = tuple(_contract("main-holds-no-pixels", "source_modules"))
HEAVY = ("libcamera", *_contract("main-holds-no-pixels", "forbidden_modules"))


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _module(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _comments(path: Path) -> list[tuple[int, str]]:
    with path.open("rb") as file:
        return [
            (token.start[0], token.string)
            for token in tokenize.tokenize(file.readline)
            if token.type == tokenize.COMMENT
        ]


def _field_types(kind: object) -> set[object]:
    """Every plain type that a value of this type can hold, however deep."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        return set().union(*(_field_types(hints[f.name]) for f in dataclasses.fields(kind)))
    origin = typing.get_origin(kind)
    if origin in {tuple, types.UnionType, typing.Union}:
        return set().union(*(_field_types(a) for a in typing.get_args(kind) if a is not Ellipsis))
    return {kind}


def _imported(path: Path) -> set[str]:
    """The full names that a module imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{a.name}" for a in node.names)}
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
    return names


def test_an_event_can_hold_no_picture() -> None:
    assert _field_types(Event) <= {str, int, float, bool, type(None)}


def test_an_event_and_all_in_it_is_frozen() -> None:
    module = importlib.import_module(Event.__module__)
    for kind in vars(module).values():
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            assert vars(kind)["__dataclass_params__"].frozen, kind.__name__


def test_imports_keep_the_contracts() -> None:
    pytest.importorskip("importlinter", reason="import-linter comes with the extra 'lint'")
    # In a process of its own, because it switches off the loggers that it finds.
    program = str(Path(sys.executable).with_name("lint-imports"))
    command = [program, "--no-cache", "--no-logo", "--config", str(ROOT / "setup.cfg")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_what_main_imports_is_light() -> None:
    """Run in a fresh interpreter, because this one has run the tests of the worker's side."""
    names = [
        _module(path) for path in MODULES if _module(path).startswith(tuple(f"{room}." for room in MAIN))
    ]
    names = [name for name in [*names, *map(_module, DRIVERS)] if name != "edged.tools.bench.draw"]
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert answer.stdout.strip() == "[]"


def test_every_room_is_on_a_floor_and_few_files_have_no_room() -> None:
    floors = {name for line in _contract("layers", "layers") for name in line.split("|") if name}
    rooms = {f"edged.{path.name}" for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    files = {f"edged.{path.stem}" for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    assert rooms | files == floors | {"edged.testing"}
    assert len(list(PACKAGE.glob("*.py"))) <= LOOSE_FILES


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_no_import_reaches_into_what_another_room_keeps_private(path: Path) -> None:
    assert not [name for name in _imported(path) if name.startswith("edged.") and "._" in name]


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_each_library_has_one_door(path: Path) -> None:
    here = path.relative_to(PACKAGE).as_posix()
    for name in {n.split(".")[0] for n in _imported(path)} & DOORS.keys():
        assert here.startswith(DOORS[name]), f"{here} imports {name}"


@pytest.mark.parametrize("path", DRIVERS, ids=_named)
def test_a_driver_knows_no_other_driver(path: Path) -> None:
    others = {_module(p) for p in DRIVERS} - {_module(path)}
    assert not _imported(path) & others


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 500


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=_named)
def test_nothing_is_left_for_later_or_silenced_without_a_reason(path: Path) -> None:
    for line, comment in _comments(path):
        assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", comment), f"{path}:{line}"
        if "noqa" in comment:
            assert re.search(r"# noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*\s+\S", comment), f"{path}:{line}: {comment}"
        if "type: ignore" in comment:
            assert re.search(r"# type: ignore\[[\w, -]+\]\s+\S", comment), f"{path}:{line}: {comment}"


@pytest.mark.parametrize("path", TESTS, ids=_named)
def test_tests_use_real_parts_and_do_not_sleep(path: Path) -> None:
    in_unit = path.is_relative_to(ROOT / "tests" / "unit")
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert called.split(".")[-1] not in {"Mock", "MagicMock", "AsyncMock"}, f"{path}:{node.lineno}"
        assert not (in_unit and called == "time.sleep"), f"{path}:{node.lineno}"


def test_no_module_is_named_for_nothing() -> None:
    vague = re.compile(r"util|helper|manager|common|misc|(^|_)base$")
    assert [_named(p) for p in MODULES if vague.search(p.stem)] == []
