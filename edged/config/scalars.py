"""Turns the tree into plain data for the models, and refuses values that do not mean what they seem to.

Scalars stay text, which the declared type reads. Numbers must be plain decimal, because ``1_000``, ``0x10``,
``010`` and ``.inf`` mean different things to different YAML parsers.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, get_origin

from edged.config import declarations
from edged.config.error_messages import words
from edged.config.yaml_tree import Mapping, Node, Scalar, Sequence, data, kind, where
from edged.errors import Problem

if TYPE_CHECKING:
    from edged.config.declarations import Declared

_DECIMAL = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_NUMBERLIKE = re.compile(r"[+-]?\.?([0-9][0-9a-fA-FxXoO_.,:]*|inf|nan|infinity)", re.IGNORECASE)


class Reader:
    """Reads one file's tree. Refused values are collected in ``problems``, and their nodes are marked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []

    def read(self, node: Node, declared: Declared | None, path: str = "") -> Any:
        """Return a node's data in the form that the models accept."""
        if isinstance(node, Mapping):
            return self._block(node, declared, path)
        if isinstance(node, Sequence):
            return [
                self.read(item, declared and declarations.child(declared, None, i), f"{path}[{i}]")
                for i, item in enumerate(node.items)
            ]
        if declared is not None and not node.bad:
            self._check(node, declared, path)
        return data(node)

    def _block(self, node: Mapping, declared: Declared | None, path: str) -> dict[str, Any]:
        model = declarations.block(declared, kind(node)) if declared else None
        below = {key: self._child(key, model, declared) for key in node.items}
        items = node.items
        named = declared and any(get_origin(t) is dict for t in declared.types)
        most = declared.limit("max_length") if declared and named else None
        if most and len(items) > most:
            self._report(node, f"{path} has {len(items)} entries; the maximum is {most}")
            items = dict(list(items.items())[:most])
        prefix = f"{path}." if path else ""
        return {key: self.read(value, below[key], f"{prefix}{key[:40]}") for key, value in items.items()}

    @staticmethod
    def _child(key: str, model: Any, declared: Declared | None) -> Declared | None:
        if model is not None:
            info = model.model_fields.get(key)
            return declarations.of_field(info) if info is not None else None
        return declarations.child(declared, None, key) if declared else None

    def _check(self, node: Scalar, declared: Declared, path: str) -> None:
        if node.plain and node.text == "" and declared.optional and declared.model:
            # An empty `tls:` must not mean "no TLS".
            self._report(node, f"{path} is empty; write {{}} for the defaults, or remove the key")
        elif declared.has(int, float) and not declared.has(str) and not _is_plain(node.text):
            what = f"{path} is '{node.text[:40]}', but must be {words(declared)}, in plain decimal"
            self._report(node, what)

    def _report(self, node: Node, what: str) -> None:
        node.bad = True
        self.problems.append(Problem(where(self.name, node), what))


def _is_plain(text: str) -> bool:
    """Return whether all YAML parsers agree on the text: the same number, or not a number at all."""
    if _DECIMAL.fullmatch(text):
        return math.isfinite(float(text))
    return not _NUMBERLIKE.fullmatch(text)
