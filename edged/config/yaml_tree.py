"""From the text of a YAML file to a small tree in which everything knows its place.

Only the plain part of YAML is read: blocks, lists and text. What makes YAML surprising is refused where it
stands: duplicate keys, anchors and aliases, tags, merge keys, a second document, more than ten levels.
A scalar stays the text that stands in the file; what it means is decided by the type declared for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from edged.errors import Problem

MAX_DEPTH = 10
# The parser in C is twenty times faster, which counts on a Pi, and gives the same marks.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_EMPTY = {"", "~", "null", "Null", "NULL"}


@dataclass(slots=True)
class Scalar:
    """A text and its place (counted from 0). ``bad``: something was said about it already."""

    line: int
    column: int
    text: str
    plain: bool
    bad: bool = False


@dataclass(slots=True)
class Sequence:
    """A list and its place."""

    line: int
    column: int
    items: list[Node] = field(default_factory=list)
    bad: bool = False


@dataclass(slots=True)
class Mapping:
    """A block of keys, the place of each key, and its own place."""

    line: int
    column: int
    items: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Scalar] = field(default_factory=dict)
    bad: bool = False


Node = Scalar | Sequence | Mapping


def where(name: str, place: Any) -> str:
    """Return ``file:line:column``, counted from 1, for a node or a mark."""
    return f"{name}:{place.line + 1}:{place.column + 1}"


def data(node: Node) -> Any:
    """Return the tree as dict, list, str and None: unquoted ``null``, ``~`` and nothing are None."""
    if isinstance(node, Mapping):
        return {key: data(value) for key, value in node.items.items()}
    if isinstance(node, Sequence):
        return [data(item) for item in node.items]
    return None if node.plain and node.text in _EMPTY else node.text


def kind(node: Node) -> str | None:
    """Return the text under a block's key ``kind``, or None."""
    below = node.items.get("kind") if isinstance(node, Mapping) else None
    return below.text if isinstance(below, Scalar) else None


def parse(text: str, name: str) -> tuple[Mapping | None, list[Problem]]:
    """Read a file's text.

    Args:
        text: the whole file, decoded.
        name: what to call the file in messages.

    Returns:
        The tree, or None where there is none to go on with, and all that is wrong with it.
    """
    if found := _UNPRINTABLE.search(text):
        before = text[: found.start()]
        line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
        what = f"the control character U+{ord(found[0]):04X} has no place in this file"
        return None, [Problem(f"{name}:{line}:{column}", what)]
    builder = _Builder(name)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if not builder.take(event):
                return None, builder.problems
    except yaml.MarkedYAMLError as error:
        return None, [*builder.problems, _syntax(name, text, error)]
    except yaml.YAMLError:
        return None, [*builder.problems, Problem(name, "this is not YAML")]
    return _root(builder, name)


def _root(builder: _Builder, name: str) -> tuple[Mapping | None, list[Problem]]:
    root = builder.root
    if isinstance(root, Mapping):
        return root, builder.problems
    if root is None or (isinstance(root, Scalar) and data(root) is None):
        problem = Problem(name, "the file is empty", "`edged init` writes a first one")
    else:
        problem = Problem(where(name, root), "the file must be a block of keys", "such as  pipelines:")
    return None, [*builder.problems, problem]


class _Builder:
    """Builds the tree from the parser's events, without recursion, so that no depth can hurt it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self._documents = 0
        self._open: list[Sequence | Mapping] = []
        self._keys: list[Scalar | None] = []  # for each open node the key whose value comes next

    def take(self, event: yaml.Event) -> bool:
        """Add one event. False: there is no sense in reading on."""
        mark = event.start_mark
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._say(
                    mark, "a second document begins here", "one file, one configuration: delete the ---"
                )
                return False
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, yaml.NodeEvent):
            return self._node(event)
        return True

    def _say(self, mark: Any, what: str, hint: str = "") -> None:
        self.problems.append(Problem(where(self.name, mark), what, hint))

    def _node(self, event: yaml.NodeEvent) -> bool:
        mark = event.start_mark
        node = self._made(event)
        node.bad = self._strange(event)
        parent = self._open[-1] if self._open else None
        if isinstance(parent, Mapping) and self._keys[-1] is None and not isinstance(node, Scalar):
            self._say(mark, "a key must be text", "a list or a block cannot be a key")
            return False
        self._attach(parent, node)
        if not isinstance(node, Scalar):
            self._open.append(node)
            self._keys.append(None)
            if len(self._open) > MAX_DEPTH:
                self._say(mark, f"nested more than {MAX_DEPTH} levels deep")
                return False
        return True

    @staticmethod
    def _made(event: yaml.NodeEvent) -> Node:
        mark: Any = event.start_mark
        line, column = mark.line, mark.column
        if isinstance(event, yaml.MappingStartEvent):
            return Mapping(line, column)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(line, column)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(line, column, event.value, plain=not event.style)
        return Scalar(line, column, "", plain=False)  # an alias, which _strange refuses

    def _strange(self, event: yaml.NodeEvent) -> bool:
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            self._say(
                mark, "an alias (*…) is not read here", "write the value out; quote a text with * in front"
            )
        elif event.anchor is not None:
            self._say(mark, "an anchor (&…) is not read here", "delete it; quote a text with & in front")
        elif getattr(event, "tag", None) is not None:
            self._say(mark, "a tag (!…) is not read here", "delete it; quote a text with ! in front")
        elif isinstance(event, yaml.ScalarEvent) and (found := _CONTROL.search(event.value)):
            code = f"U+{ord(found[0]):04X}"
            self._say(mark, f"the control character {code} has no place in a value", "write it on one line")
        else:
            return False
        return True

    def _attach(self, parent: Sequence | Mapping | None, node: Node) -> None:
        if parent is None:
            self.root = node
        elif isinstance(parent, Sequence):
            parent.items.append(node)
        elif (key := self._keys[-1]) is None and isinstance(node, Scalar):
            self._key(parent, node)
        elif key is not None:
            self._keys[-1] = None
            parent.items.setdefault(key.text, node)

    def _key(self, parent: Mapping, key: Scalar) -> None:
        self._keys[-1] = key
        first = parent.keys.setdefault(key.text, key)
        if key.plain and key.text == "<<":
            key.bad = True
            self._say(key, "a merge key (<<) is not read here", "write the values out")
        elif first is not key and not key.bad:
            what = f"the key '{key.text[:40]}' stands here twice"
            self._say(key, what, f"first on line {first.line + 1}; keep one")


def _syntax(name: str, content: str, error: yaml.MarkedYAMLError) -> Problem:
    """Say what the parser stumbled over. Its quotations are left out: they may be of a secret."""
    mark = error.problem_mark or error.context_mark
    place = where(name, mark) if mark is not None else name
    text = error.problem or "this is not YAML"
    if mark is not None and "block mapping" in (error.context or "") and _begins_line(content, mark):
        return Problem(place, "no key can begin in this column", _COLUMN)
    for part, what, hint in _SYNTAX:
        if part in text:
            return Problem(place, what, hint)
    words = text.split("'", maxsplit=1)[0].strip()
    return Problem(place, f"this is not YAML: {words}")


def _begins_line(content: str, mark: Any) -> bool:
    lines = content.split("\n")
    return mark.line < len(lines) and not lines[mark.line][: mark.column].strip()


_COLUMN = "line it up with the keys beside it; or is the line that begins its block still off, with a #?"
_INDENT = "look at the indentation, or quote the text"
_SYNTAX = (
    ("<document start>", "no key can begin in this column", _COLUMN),
    ("nesting depth", f"nested more than {MAX_DEPTH} levels deep", ""),
    (
        "cannot start any token",
        "this character cannot stand here",
        "indent with spaces, not tabs; quote a text",
    ),
    ("mapping values are not allowed", "a ':' that cannot stand here", _INDENT),
    ("could not find expected ':'", "a ':' is missing after a key", "write  key: value"),
    ("did not find expected key", "a key must follow here", _INDENT),
    ("<block end>", "a key must follow here", _INDENT),
    ("unexpected end of stream", "the file ends inside a quoted text", "close the quote"),
    ("found unexpected end", "the file ends inside a quoted text", "close the quote"),
    ("did not find expected ',' or", "a ',' or the closing bracket is missing", ""),
    ("expected ',' or", "a ',' or the closing bracket is missing", ""),
)
