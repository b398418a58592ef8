"""Parses a YAML file into a small tree in which each node keeps its position.

Only a plain subset of YAML is accepted: blocks, lists and text. The surprising features are refused, with
position: duplicate keys, anchors and aliases, tags, merge keys, a second document, more than ten levels.
A scalar keeps its literal text; the type declared for it decides how the text is read.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

import yaml

from edged.errors import Problem

MAX_DEPTH = 10
# The parser written in C is twenty times faster, which matters on a Pi, and reports the same positions.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_EMPTY = {"", "~", "null", "Null", "NULL"}
_TYPOGRAPHIC = re.compile(
    "[\u201c\u201d\u201e\u2018\u2019\u201a].*[\u201c\u201d\u201f\u2018\u2019\u201b]", re.DOTALL
)
# Looks like a space or like nothing, comes from web pages and word processors, and is neither to YAML.
_LOOKALIKE = re.compile("[\u00a0\u00ad\u1680\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff]")


@dataclass(slots=True)
class Scalar:
    """A text and its position (counted from 0). ``bad``: a problem was already reported for it."""

    line: int
    column: int
    text: str
    plain: bool
    bad: bool = False


@dataclass(slots=True)
class Sequence:
    """A list and its position."""

    line: int
    column: int
    items: list[Node] = field(default_factory=list)
    bad: bool = False


@dataclass(slots=True)
class Mapping:
    """A block of keys, its position and that of each key."""

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
    """Return the tree as dict, list, str and None; an unquoted ``null``, ``~`` or empty value is None."""
    if isinstance(node, Mapping):
        return {key: data(value) for key, value in node.items.items()}
    if isinstance(node, Sequence):
        return [data(item) for item in node.items]
    return None if node.plain and node.text in _EMPTY else node.text


def kind(node: Node) -> str | None:
    """Return the text of a block's key ``kind``, or None."""
    below = node.items.get("kind") if isinstance(node, Mapping) else None
    return below.text if isinstance(below, Scalar) else None


def parse(text: str, name: str) -> tuple[Mapping | None, list[Problem]]:
    """Parse a file's text.

    Args:
        text: the whole file, decoded.
        name: the file name to use in messages.

    Returns:
        The tree, or None where parsing cannot go on, and all problems found.
    """
    if found := _UNPRINTABLE.search(text):
        before = text[: found.start()]
        line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
        what = f"the control character U+{ord(found[0]):04X} is not allowed in this file"
        return None, [Problem(f"{name}:{line}:{column}", what)]
    builder = _Builder(name, text.split("\n"))
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
        problem = Problem(name, "the file is empty", "`edged init` writes one to start from")
    else:
        problem = Problem(where(name, root), "the file must be a block of keys", "such as  pipelines:")
    return None, [*builder.problems, problem]


class _Builder:
    """Builds the tree from the parser's events, without recursion, so that deep nesting cannot break it."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self._lines = lines
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self._documents = 0
        self._open: list[Sequence | Mapping] = []
        self._keys: list[Scalar | None] = []  # for each open node the key whose value comes next

    def take(self, event: yaml.Event) -> bool:
        """Add one event; return False where it makes no sense to read on."""
        mark = event.start_mark
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._report(
                    mark, "a second document begins here", "one file, one configuration: delete the ---"
                )
                return False
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, yaml.NodeEvent):
            return self._node(event)
        return True

    def _report(self, mark: Any, what: str, hint: str = "") -> None:
        self.problems.append(Problem(where(self.name, mark), what, hint))

    def _node(self, event: yaml.NodeEvent) -> bool:
        mark = event.start_mark
        if isinstance(event, yaml.ScalarEvent) and not event.style:
            if self._has_lookalike(event):
                return False
            if _TYPOGRAPHIC.fullmatch(event.value):
                hint = "write ' or \"; typographic ones come with text from a web page"
                self._report(mark, f"{event.value[0]} is not a quotation mark", hint)
        node = self._node_of(event)
        node.bad = self._refused(event)
        parent = self._open[-1] if self._open else None
        if isinstance(parent, Mapping) and self._keys[-1] is None and not isinstance(node, Scalar):
            self._report(mark, "a key must be text", "a list or a block cannot be a key")
            return False
        self._attach(parent, node)
        if not isinstance(node, Scalar):
            self._open.append(node)
            self._keys.append(None)
            if len(self._open) > MAX_DEPTH:
                self._report(mark, f"nested more than {MAX_DEPTH} levels deep")
                return False
        return True

    def _has_lookalike(self, event: yaml.ScalarEvent) -> bool:
        """Report a character that looks like a space in an unquoted text, or as a part of the indentation."""
        if not _LOOKALIKE.search(event.value):
            return False
        start: Any = event.start_mark
        end: Any = event.end_mark
        found = _lookalike(self.name, self._lines, start.line, end.line, start.column)
        if found is not None:
            self.problems.append(found)
        return found is not None

    @staticmethod
    def _node_of(event: yaml.NodeEvent) -> Node:
        mark: Any = event.start_mark
        line, column = mark.line, mark.column
        if isinstance(event, yaml.MappingStartEvent):
            return Mapping(line, column)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(line, column)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(line, column, event.value, plain=not event.style)
        return Scalar(line, column, "", plain=False)  # an alias, which _refused reports

    def _refused(self, event: yaml.NodeEvent) -> bool:
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            self._report(
                mark, "aliases (*…) are not supported", "write the value out; quote a text that begins with *"
            )
        elif event.anchor is not None:
            self._report(mark, "anchors (&…) are not supported", "delete it; quote a text that begins with &")
        elif getattr(event, "tag", None) is not None:
            self._report(mark, "tags (!…) are not supported", "delete it; quote a text that begins with !")
        elif isinstance(event, yaml.ScalarEvent) and (found := _CONTROL.search(event.value)):
            code = f"U+{ord(found[0]):04X}"
            self._report(
                mark, f"the control character {code} is not allowed in a value", "write it on one line"
            )
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
            self._report(key, "merge keys (<<) are not supported", "write the values out")
        elif first is not key and not key.bad:
            what = f"duplicate key '{key.text[:40]}'"
            self._report(key, what, f"first on line {first.line + 1}; keep one")


def _syntax(name: str, content: str, error: yaml.MarkedYAMLError) -> Problem:
    """Return the parser's error as a problem, without the text it quotes, which may be a secret."""
    mark = error.problem_mark or error.context_mark
    place = where(name, mark) if mark is not None else name
    text = error.problem or "this is not YAML"
    if mark is not None:
        begin = min(mark.line, (error.context_mark or mark).line)
        code = [re.sub(r"#.*", "", line) for line in content.split("\n")]
        if found := _lookalike(name, code, max(0, begin - 1), mark.line):
            return found
    if mark is not None and "block mapping" in (error.context or "") and _begins_line(content, mark):
        return Problem(place, "a key cannot begin in this column", _COLUMN)
    for part, what, hint in _SYNTAX:
        if part in text:
            return Problem(place, what, hint)
    words = text.split("'", maxsplit=1)[0].strip()
    return Problem(place, f"this is not YAML: {words}")


def _lookalike(name: str, lines: list[str], first: int, last: int, column: int = 0) -> Problem | None:
    """Return the problem for the first character in these lines that looks like a space; None without one."""
    for number in range(first, min(last + 1, len(lines))):
        if found := _LOOKALIKE.search(lines[number], column if number == first else 0):
            what = unicodedata.name(found[0], "an invisible character").lower()
            hint = "write a space; it often comes with text from a web page. Quote a text that needs it"
            place = f"{name}:{number + 1}:{found.start() + 1}"
            return Problem(place, f"U+{ord(found[0]):04X} ({what}) is not a space", hint)
    return None


def _begins_line(content: str, mark: Any) -> bool:
    lines = content.split("\n")
    return mark.line < len(lines) and not lines[mark.line][: mark.column].strip()


_COLUMN = (
    "line it up with the other keys of its block; is the line that begins the block still commented out?"
)
_INDENT = "look at the indentation, or quote the text"
_SYNTAX = (
    ("<document start>", "a key cannot begin in this column", _COLUMN),
    ("nesting depth", f"nested more than {MAX_DEPTH} levels deep", ""),
    (
        "cannot start any token",
        "this character is not allowed here",
        "indent with spaces, not tabs; quote a text",
    ),
    ("mapping values are not allowed", "a ':' is not allowed here", _INDENT),
    ("could not find expected ':'", "a ':' is missing after a key", "write  key: value"),
    ("did not find expected key", "a key must follow here", _INDENT),
    ("<block end>", "a key must follow here", _INDENT),
    ("unexpected end of stream", "the file ends inside a quoted text", "close the quote"),
    ("found unexpected end", "the file ends inside a quoted text", "close the quote"),
    ("did not find expected ',' or", "a ',' or the closing bracket is missing", ""),
    ("expected ',' or", "a ',' or the closing bracket is missing", ""),
)
