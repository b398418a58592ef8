"""Finds the place in the file for a step-by-step location such as ``pipelines, porch, source, kind``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.config import declarations
from edged.config.secrets import is_secret_key
from edged.config.yaml_tree import Mapping, Node, Scalar, Sequence, data, kind
from edged.system.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.config.declarations import Declared

_SHOWN = 40  # characters of a value that a message quotes


@dataclass
class Place:
    """Where an error points: the last node on the way down and what is declared there.

    Attributes:
        node: the value; the enclosing block where ``missing``.
        declared: what the models say about it; None for a key that nobody declares.
        key: the key in front of the value, where there is one.
        name: the last step.
        path: all steps, as a person writes them.
        above: the declaration and the node one step up.
        bad: something was said about this place already.
        missing: the last step is not in the file.
        of_key: it is about the key, not the value.
        secret: the value is not for a message.
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
        """Go one step down; of what the file does not have, only a missing key is noted."""
        if part == "[key]":
            self.of_key = True
        elif self.missing:
            return
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
        """What to point at: the key of an error about a key, else the value."""
        return self.key if self.key is not None and (self.of_key or self.declared is None) else self.node

    @property
    def quoted(self) -> str:
        """The value as it stands in the file, or what it is where it must not or cannot be quoted."""
        if isinstance(self.node, Mapping):
            return "a block of keys"
        if isinstance(self.node, Sequence):
            return f"a list of {len(self.node.items)}"
        if data(self.node) is None:
            return "empty"
        return "something else (not shown here)" if self.secret else f"'{shown(self.node.text)}'"


def find(root: Mapping, declared: Declared, steps: Iterable[str | int]) -> Place:
    """Follow the steps from the root as far as the file goes."""
    place = Place(root, declared, bad=root.bad)
    for part in steps:
        place.step(part)
    return place


def shown(text: str) -> str:
    """Return a text short and without credentials, for a message."""
    text = redact(text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
