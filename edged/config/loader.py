"""Reads the configuration: text → tree → models. Reports all problems at once, with line and column."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from edged.config import error_messages, locations, root, yaml_tree
from edged.config.catalogues import CatalogueSection
from edged.config.declarations import Declared
from edged.config.outputs import Mqtt
from edged.config.paths import absolute, absolute_in
from edged.config.pruning import Pruning
from edged.config.root import Config
from edged.config.scalars import Reader
from edged.drivers import Section
from edged.errors import ConfigError, Problem
from edged.system.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.config.locations import Place

MAX_BYTES = 64 * 1024
MAX_PROBLEMS = 50
_IF_MISSING = "edged init -o FILE writes one, and -c FILE names it"
STANDARD_INPUT = "-"
MAX_ROUNDS = 20  # in each of which some mistakes come to light that others hid
_CONFIG = Declared((Config,))
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Loaded:
    """A valid configuration, with the position of each value in its file.

    Attributes:
        config: the configuration, with absolute paths.
        name: the file's name in messages.
        tree: the file's syntax tree.
        pruning: the values that were wrong and are not in it.
    """

    config: Config
    name: str
    tree: yaml_tree.Mapping
    pruning: Pruning

    def where(self, steps: Sequence[str | int]) -> str:
        """Return ``file:line:column`` of the value at this path, or of the block that would hold it."""
        return yaml_tree.where(self.name, locations.find(self.tree, _CONFIG, steps).mark)

    def is_whole(self, *steps: str | int) -> bool:
        """Return whether nothing was wrong in the value at this path."""
        return self.pruning.is_whole(locations.find(self.tree, _CONFIG, steps))

    def written(self, steps: Sequence[str | int]) -> str | None:
        """Return the value at this path exactly as written in the file; None where it is not a scalar."""
        place = locations.find(self.tree, _CONFIG, steps)
        return place.node.text if isinstance(place.node, yaml_tree.Scalar) and not place.missing else None


def load(path: Path | str) -> Config:
    """Load the configuration from a file.

    Raises:
        ConfigError: the configuration is wrong; it lists every problem.
    """
    return read(path).config


def loads(text: str, name: str, base: Path) -> Config:
    """Load the configuration from a text.

    Args:
        text: YAML.
        name: the file name to use in messages.
        base: the folder against which relative paths are resolved.

    Raises:
        ConfigError: the configuration is wrong; it lists every problem.
    """
    return reads(text, name, base).config


def read(path: Path | str) -> Loaded:
    """Load a file and keep the positions of its values. Raises the same errors as :func:`load`."""
    return reads(_text(path), str(path), Path(path).absolute().parent)


def reads(text: str, name: str, base: Path) -> Loaded:
    """Load a text and keep the positions of its values. Raises the same errors as :func:`loads`."""
    loaded, problems = read_in_part(text, name, base)
    if loaded is None or problems:
        raise ConfigError(problems)
    return loaded


def examine(path: Path | str) -> tuple[Loaded | None, list[Problem]]:
    """Load what is right in a file (``-``: standard input), and return all problems of the rest.

    Returns:
        The configuration without the values that are wrong, or None where nothing is left; the problems,
        in file order.
    """
    try:
        if str(path) == STANDARD_INPUT:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
            return read_in_part(_decoded(data, "standard input"), "standard input", Path.cwd())
        return read_in_part(_text(path), str(path), Path(path).absolute().parent)
    except ConfigError as error:
        return None, error.problems


def read_in_part(text: str, name: str, base: Path) -> tuple[Loaded | None, list[Problem]]:
    """Load what is right in a text; see :func:`examine`. Raises ``ConfigError`` where it is not YAML."""
    tree, problems = _tree(text, name)
    config, pruning = _right(Config, _CONFIG, tree, name, problems)
    loaded = None if config is None else Loaded(absolute(config, base), name, tree, pruning)
    return loaded, in_order(problems)


def broker(path: Path | str) -> Mqtt | None:
    """Load only the section ``mqtt``, for programs that read messages; None without one.

    Raises:
        ConfigError: the section is wrong, or the file is not YAML.
    """
    tree, problems = _tree(_text(path), str(path))
    only = replace(tree, items={key: node for key, node in tree.items.items() if key == "mqtt"})
    found, _ = _right(_Broker, Declared((_Broker,)), only, str(path), problems)
    if found is None or problems:
        raise ConfigError(in_order(problems))
    return absolute_in(found, Path(path).absolute().parent).mqtt


def catalogues(path: Path | str) -> dict[str, CatalogueSection]:
    """Load only the section ``catalogues``. Raises as :func:`broker`."""
    tree, problems = _tree(_text(path), str(path))
    only = replace(tree, items={key: node for key, node in tree.items.items() if key == "catalogues"})
    found, _ = _right(_Catalogues, Declared((_Catalogues,)), only, str(path), problems)
    if found is None or problems:
        raise ConfigError(in_order(problems))
    return found.catalogues


def run_dir(path: Path | str) -> Path:
    """Return the run directory that a file names, or the default: the rest of the file may be wrong.

    Raises:
        ConfigError: the file cannot be read, or is not YAML.
    """
    return _folder(path, "run_dir") or root.run_dir()


def state_dir(path: Path | str) -> Path:
    """Return the state directory that a file names, or the default; as :func:`run_dir`."""
    return _folder(path, "state_dir") or root.state_dir()


def _folder(path: Path | str, key: str) -> Path | None:
    tree, _ = _tree(_text(path), str(path))
    named = tree.items.get(key)
    if not isinstance(named, yaml_tree.Scalar) or not named.text:
        return None
    return Path(path).absolute().parent / named.text


class _Broker(Section):
    mqtt: Mqtt | None = None


class _Catalogues(Section):
    catalogues: dict[str, CatalogueSection] = Field(default_factory=dict)


def _text(path: Path | str) -> str:
    return _decoded(read_regular(path, MAX_BYTES, if_missing=_IF_MISSING)[0], str(path))


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([_not_utf8(name, data, error.start)]) from None


def _tree(text: str, name: str) -> tuple[yaml_tree.Mapping, list[Problem]]:
    """Return the syntax tree, and problems that do not keep the rest from being read."""
    if len(text) > MAX_BYTES:
        raise ConfigError([Problem(name, f"the text is longer than {MAX_BYTES} characters")])
    tree, problems = yaml_tree.parse(text, name)
    if tree is None:
        raise ConfigError(problems)
    return tree, problems


def _right(
    model: type[M], declared: Declared, tree: yaml_tree.Mapping, name: str, problems: list[Problem]
) -> tuple[M | None, Pruning]:
    """Return the model of what is right in a tree, and what was taken out; add the problems to the list."""
    pruning = Pruning(tree)
    for _ in range(MAX_ROUNDS):
        reader = Reader(name)
        data = reader.read(tree, declared)
        problems += reader.problems
        try:
            return model.model_validate(data), pruning
        except ValidationError as error:
            places = [
                (locations.find(tree, declared, (*item["loc"], *item.get("ctx", {}).get("steps", ()))), item)
                for item in error.errors(include_url=False, include_input=False)
            ]
            problems += _explained(name, places, pruning)
        removed = [pruning.remove(place) for place, _ in places]
        if not any(removed) or len(problems) > MAX_PROBLEMS:
            break
    return None, pruning


def _not_utf8(name: str, data: bytes, at: int) -> Problem:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Problem(f"{name}:1:1", "the file is UTF-16, not UTF-8", "save it as UTF-8")
    before = data[:at].decode("utf-8-sig", "replace")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return Problem(f"{name}:{line}:{column}", "this character is not UTF-8", "save the file as UTF-8")


def _explained(name: str, places: Sequence[tuple[Place, Any]], pruning: Pruning) -> list[Problem]:
    """Return pydantic's errors as problems, except for values about which a problem was already reported."""
    found = [
        (place, item)
        for place, item in places
        if not (place.bad or pruning.may_follow(place) or (pruning.has_cut and item["type"] == "nothing"))
    ]
    # Of a value with several forms, each form reports what it misses; a sentence is worth more.
    explicit = {id(place.node) for place, item in found if item["type"] == "value_error"}
    found = [f for f in found if f[1]["type"] == "value_error" or id(f[0].node) not in explicit]
    found.sort(key=lambda f: (f[0].mark.line, f[0].mark.column))
    explained = [error_messages.problem(name, place, item) for place, item in found[:MAX_PROBLEMS]]
    if len(found) > MAX_PROBLEMS:
        explained.append(Problem(name, f"{len(found) - MAX_PROBLEMS} more errors are not shown"))
    return explained


def in_order(problems: list[Problem]) -> list[Problem]:
    """Return the problems in file order, without duplicates, and at most twice ``MAX_PROBLEMS``."""

    def place(problem: Problem) -> tuple[int, ...]:
        line = problem.where.rsplit(":", 2)[1:]
        return tuple(map(int, line)) if len(line) == 2 and all(map(str.isdecimal, line)) else (1 << 30,)

    return sorted(dict.fromkeys(problems), key=place)[: 2 * MAX_PROBLEMS]
