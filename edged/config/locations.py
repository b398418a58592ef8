"""Finds the position in the file of a path such as ``pipelines, porch, source, kind``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.config import declarations
from edged.config.secrets import is_secret_key
from edged.config.yaml_tree import Mapping, Node, Scalar, Sequence, data, kind
from edged.system.addresses import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.config.declarations import Declared

_SHOWN = 40  # characters of a value that a message quotes


@dataclass
class Place:
    """The place that an error points at: the last node on the way down, and its declaration.

    Attributes:
        node: the value; the enclosing block where ``missing``.
        declared: the declaration in the models; None for an unknown key.
        key: the value's key, if it has one.
        name: the last step.
        path: all steps, in the notation that people write.
        above: the declaration and the node one step up.
        bad: a problem was already reported for this place.
        missing: the last step is not in the file.
        of_key: the error concerns the key, not the value.
        secret: the value must not appear in a message.
    """

    node: Node
    declared: Declared | None
    key: Scalar | None = None
    name: str = ""
    path: str = ""
    above: tuple[Declared | None, Node] | None = None
    bad: bool = False
    missing: bool = False
    of_key: bool = False
    secret: bool = False

    def step(self, part: str | int) -> None:
        """Go one step down. Steps below a missing key are ignored."""
        if part == "[key]":
            self.of_key = True
        elif isinstance(part, str) and part.startswith("["):
            return  # the tag of one of several forms
        elif self.missing or (isinstance(part, str) and self.declared and not self.declared.has_keys):
            return  # pydantic's name for one of several types is not a key
        elif isinstance(self.node, Mapping):
            self._enter(part, self.node.items.get(str(part)), self.node.keys.get(str(part)))
        elif isinstance(self.node, Sequence) and isinstance(part, int) and part < len(self.node.items):
            self._enter(part, self.node.items[part], None)

    def _enter(self, part: str | int, below: Node | None, key: Scalar | None) -> None:
        above = (self.declared, self.node)
        self.above, self.name, self.key = above, str(part), key
        self.declared = declarations.child(self.declared, kind(self.node), part) if self.declared else None
        self.path += f"[{part}]" if isinstance(part, int) else f".{shown(part)}" if self.path else shown(part)
        self.secret = self.secret or is_secret_key(self.name)
        self.missing = below is None
        if below is not None:
            self.node = below
            self.bad = self.bad or below.bad or (key is not None and key.bad)

    @property
    def mark(self) -> Node:
        """The node to point at: the key if the error concerns the key, else the value."""
        return self.key if self.key is not None and (self.of_key or self.declared is None) else self.node

    @property
    def quoted(self) -> str:
        """The value as written in the file, or a description where it must not or cannot be quoted."""
        if isinstance(self.node, Mapping):
            return "a block of keys"
        if isinstance(self.node, Sequence):
            return f"a list of {len(self.node.items)}"
        if data(self.node) is None:
            return "empty"
        return "something else (not shown here)" if self.secret else f"'{shown(self.node.text)}'"


def find(root: Mapping, declared: Declared, steps: Iterable[str | int]) -> Place:
    """Follow the steps from the root as far as the file has them."""
    place = Place(root, declared, bad=root.bad)
    for part in steps:
        place.step(part)
    return place


def shown(text: str) -> str:
    """Return a text for use in a message: shortened, and without credentials."""
    text = redact(text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
