"""Takes wrong values out of a file's tree, so that the rest is checked in the same pass.

A mistake that hides behind another one would cost a person one more run of the check. What may only follow
from a value that was taken out is not reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.config.yaml_tree import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.config.locations import Place


class Pruning:
    """The wrong values of one tree; the tree itself is changed.

    Args:
        tree: the file's syntax tree.
    """

    def __init__(self, tree: Mapping) -> None:
        self._tree = tree
        self._parents = {id(below): node for node in _all(tree) for below in _below(node)}
        self._incomplete: list[Node] = []  # blocks and lists that lost a value
        self._gone: set[str] = set()  # the keys of blocks that were taken out

    def remove(self, place: Place) -> bool:
        """Take the value at a place out, or the whole block where a key is missing in it.

        Returns:
            Whether there is anything left to check: not where it is the whole file.
        """
        node = place.node
        while (parent := self._parents.get(id(node))) is not None and parent.bad:
            node = parent
        if parent is None:
            return False
        if isinstance(parent, Mapping):
            key = next((key for key, below in parent.items.items() if below is node), None)
            if key is not None:
                del parent.items[key]
                if isinstance(node, Mapping):
                    self._gone.add(key)
        elif isinstance(parent, Sequence):
            parent.items = [below for below in parent.items if below is not node]
        self._incomplete.append(parent)
        return True

    @property
    def has_cut(self) -> bool:
        """Return whether anything was taken out."""
        return bool(self._incomplete)

    def may_follow(self, place: Place) -> bool:
        """Return whether an error may only follow from a value that was taken out."""
        node = place.node
        if self._lost(node):
            return True
        if isinstance(node, Scalar) and node.text.partition("/")[0] in self._gone:
            return True
        parent = None if place.missing else self._parents.get(id(node))
        if parent is None:
            return False
        # A pipeline that lost its model may have a threshold that is wrong only for the default one.
        above = self._parents.get(id(parent))
        if isinstance(above, Mapping) and above is not self._tree and self._lost(above):
            return True
        return self._lost(parent)

    def is_whole(self, place: Place) -> bool:
        """Return whether the value at a place is not there, or has lost nothing at any depth."""
        if place.missing:
            return not self._lost(place.node)
        return not any(self._lost(below) for below in _all(place.node))

    def _lost(self, node: Node) -> bool:
        return any(node is each for each in self._incomplete)


def _below(node: Node) -> Iterator[Node]:
    if isinstance(node, Mapping):
        yield from node.items.values()
    elif isinstance(node, Sequence):
        yield from node.items


def _all(node: Node) -> Iterator[Node]:
    yield node
    for below in _below(node):
        yield from _all(below)
