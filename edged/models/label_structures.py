"""Reads labels out of structured text: JSON, Python literals, YAML, label maps (pbtxt) and tables.

Each reader returns names, or pairs of number and name; None where the text has another form.
"""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Names = list[str]
Pairs = list[tuple[int, str]]

_DEEPEST = 8
_LONGEST_LINE = 1000
_HOLDERS = (  # keys whose value is the list, in the order of preference
    "names",
    "labels",
    "classes",
    "class_names",
    "class_labels",
    "label_names",
    "id2label",
    "id_to_label",
    "idx_to_class",
    "class_indices",
    "label_map",
    "labelmap",
    "categories",
    "items",
    "label",
    "class",
    "tags",
)
_NAME_KEYS = ("display_name", "displayname", "name", "label", "class_name", "classname", "title", "class")
_NUMBER_KEYS = ("id", "index", "idx", "class_id", "classid", "label_id", "number", "class_index", "class_idx")
_HEADINGS = frozenset({*_NAME_KEYS, "labels", "names", "class_names", "description"})

_ID = re.compile(r"n\d{8}|/[mgt]/\w+")  # of WordNet, or of Google's knowledge graph
# Runs of blanks are bounded: a pattern must not take long on a file that was made for that.
_BLOCK_START = re.compile(r"\b(?:item|entry|label|class)s?\s{0,9}:?\s{0,9}\{")
_BLOCK = re.compile(r"\b(?:item|entry|label|class)s?\s{0,9}:?\s{0,9}\{([^{}]*)\}")
_FIELD = re.compile(
    r"\b(\w{1,40})\s{0,9}:\s{0,9}"
    r"(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\u2018[^\u2019]*\u2019|\u201c[^\u201d]*\u201d|[^\s,;}]+)"
)
_YAML_KEY = re.compile(rf"^(?:{'|'.join(_HOLDERS)})[ \t]*:[ \t]*(.*)$", re.MULTILINE)
_YAML_ITEM = re.compile(r"\s*(?:-\s+|[\"']?(\d{1,6})[\"']?\s*:\s+)(\S.*?)(?:\s+#.*)?\s*")
_ASSIGNMENT = re.compile(r"[\w \t*&<>:.,]{1,120}(?:\[\w{0,9}\])?\s{0,9}=\s{0,9}(?=[\[{(])")
_IN_BRACKETS = re.compile(r"[\[(]\s{0,9}\d{1,6}\s{0,9}[\])]\s{0,9}\w")  # "[0] cat"

_TOKEN = re.compile(
    r"""\s*(?:\#[^\n]*\s*)*(?:
        (?P<string>[bBuUrR]{0,2}(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
      | (?P<mark>[\[\](){},:])
      | (?P<word>[^\s\[\](){},:'"#](?:[^\n\[\](){},:"#]*[^\s\[\](){},:"#])?)
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_CLOSING = {"[": "]", "{": "}", "(": ")"}


class Unreadable(Exception):  # noqa: N818 - the reader of the file turns it into a ModelError
    """The text begins like a structure, and has no labels in it; the message is a clause that says why."""


def literal(text: str) -> Names | Pairs | None:
    """Read JSON or a Python literal, also one that is assigned to a name.

    Raises:
        Unreadable: it is one, but cut off or without labels.
    """
    text = text.strip()
    assigned = _ASSIGNMENT.match(text)
    if assigned is not None:
        text = text[assigned.end() :].rstrip("; \t\n")
    if text[:1] not in _CLOSING or _IN_BRACKETS.match(text):
        return None
    try:
        # An object becomes a list of pairs, so that a key that stands twice is not lost.
        found = _of_json(json.loads(text, object_pairs_hook=list))
    except (ValueError, RecursionError):
        if (found := _json_lines(text)) is not None:
            return found
        value, end = _Literal(text).read()
        if re.sub(r"#[^\n]*", "", text[end:]).strip():
            raise Unreadable("it looks like JSON or a Python list with more behind its end") from None
        found = _of_json(value)
    if not found:
        raise Unreadable(
            'it looks like JSON or Python, but has no list of labels: write ["cat", "dog"], {"0": "cat"} '
            'or {"labels": ["cat"]}'
        )
    return found


def _json_lines(text: str) -> Names | Pairs | None:
    """Read a JSON object in each line."""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) < 2 or not all(line.startswith("{") and line.rstrip().endswith("}") for line in lines):
        return None
    try:
        return _of_json(json.loads(f"[{','.join(lines)}]", object_pairs_hook=list))
    except (ValueError, RecursionError):
        return None


class _Literal:
    """Reads a Python literal, or a list or an object of JavaScript, C or YAML: quotes are optional.

    A dictionary becomes a list of pairs, as with :func:`json.loads` above.
    """

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def read(self) -> tuple[Any, int]:
        """Return the value, and where the text goes on. Raises ``Unreadable``."""
        kind, token = self._next()
        return self._value(kind, token, 0), self._at

    def _next(self) -> tuple[str, str]:
        found = _TOKEN.match(self._text, self._at)
        if found is None or found.lastgroup is None:
            raise Unreadable("it looks like JSON or a Python list that is cut off or damaged")
        self._at = found.end()
        return found.lastgroup, found[found.lastgroup]

    def _value(self, kind: str, token: str, depth: int) -> Any:
        if kind == "string":
            return _unescaped(token.lstrip("bBuUrR")[1:-1])
        if kind == "word":
            return int(token) if token.isdecimal() and token.isascii() and len(token) < 12 else token
        if token not in _CLOSING or depth > _DEEPEST:
            raise Unreadable("it looks like JSON or a Python list that is cut off or damaged")
        return self._container(_CLOSING[token], depth + 1)

    def _container(self, closing: str, depth: int) -> list[Any]:
        values: list[Any] = []
        while True:
            kind, token = self._next()
            if token == closing and kind == "mark":
                return values
            value = self._value(kind, token, depth)
            kind, token = self._next()
            if (kind, token) == ("mark", ":") and closing == "}":
                value = (value, self._value(*self._next(), depth))
                kind, token = self._next()
            values.append(value)
            if (kind, token) == ("mark", closing):
                return values
            if (kind, token) != ("mark", ","):
                raise Unreadable("it looks like JSON or a Python list that is cut off or damaged")


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code = found[1]
        if len(code) > 1:
            return chr(int(code[1:], 16))
        return {"n": "\n", "t": "\t", "r": "\r"}.get(code, code)

    return _ESCAPE.sub(one, text)


def _of_json(value: Any, depth: int = 0) -> Names | Pairs | None:
    """Return the labels in a value whose objects are lists of pairs."""
    if not isinstance(value, list) or not value or depth > _DEEPEST:
        return None
    if all(isinstance(entry, tuple) for entry in value):
        return _of_object(value, depth)
    records = [_record(entry) for entry in value]
    if all(record is not None for record in records):
        found = [record for record in records if record is not None]
        numbered = [(number, name) for number, name in found if number is not None]
        if len(numbered) == len(found):
            return numbered
        return [name for _, name in found] if not numbered else None
    return None


def _of_object(entries: list[tuple[Any, Any]], depth: int) -> Names | Pairs | None:
    keys = [_number(key) for key, _ in entries]
    if all(type(number) is int for _, number in entries):  # {"cat": 0}, as Keras writes class_indices
        return [(number, str(name)) for name, number in entries]
    if all(key is not None for key in keys):
        named = [_record(value) for _, value in entries]
        if all(record is not None for record in named):
            pairs = zip(keys, named, strict=True)
            return [(key, record[1]) for key, record in pairs if key is not None and record is not None]
        return None
    inside = {str(key).lower(): value for key, value in entries}
    for holder in _HOLDERS:
        if holder in inside and (found := _of_json(inside[holder], depth + 1)):
            return found
    below = [
        found for value in inside.values() if _is_object(value) and (found := _of_object(value, depth + 1))
    ]
    return below[0] if len(below) == 1 and depth < _DEEPEST else None


def _is_object(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, tuple) for entry in value)


def _record(value: Any) -> tuple[int | None, str] | None:
    """Return the number, if any, and the name of one class."""
    if isinstance(value, str | int | float):
        return None, str(value)
    if not isinstance(value, list) or not value:
        return None
    return _of_fields(value) if all(isinstance(entry, tuple) for entry in value) else _of_pair(value)


def _of_fields(value: list[tuple[Any, Any]]) -> tuple[int | None, str] | None:
    fields = {str(key).lower(): field for key, field in value}
    name = next((fields[key] for key in _NAME_KEYS if isinstance(fields.get(key), str)), None)
    number = next((n for key in _NUMBER_KEYS if (n := _number(fields.get(key))) is not None), None)
    return None if name is None else (number, name)


def _of_pair(value: list[Any]) -> tuple[int | None, str] | None:
    """Read ``["n01440764", "tench"]`` or ``[0, "cat"]``."""
    if len(value) != 2 or not isinstance(value[1], str):
        return None
    if isinstance(value[0], str) and _ID.fullmatch(value[0]):
        return None, value[1]
    number = _number(value[0])
    return None if number is None else (number, value[1])


def _number(value: Any) -> int | None:
    if type(value) is int:
        return value if value >= 0 else None
    text = str(value) if isinstance(value, str) else ""
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 12 else None


def label_map(text: str) -> Names | Pairs | None:
    """Read a label map of TensorFlow (pbtxt): ``item { id: 1 name: "cat" display_name: "Cat" }``.

    Raises:
        Unreadable: an item has no name, or only some have numbers.
    """
    if not re.match(r"(?:item|entry|label|class)s?\s{0,9}:?\s{0,9}\{", text.lstrip()):
        return None
    pairs, names = Pairs(), Names()
    for block in _BLOCK.finditer(text):
        fields = {key.lower(): _plain(value) for key, value in _FIELD.findall(block[1])}
        name = next((fields[key] for key in _NAME_KEYS if fields.get(key)), "")
        number = next((n for key in _NUMBER_KEYS if (n := _number(fields.get(key))) is not None), None)
        if not name:
            raise Unreadable("it looks like a label map (pbtxt), and an item has no name")
        if number is None:
            names.append(name)
        else:
            pairs.append((number, name))
    complete = len(pairs) + len(names) == len(_BLOCK_START.findall(text))
    if not (pairs or names) or (pairs and names) or not complete:
        raise Unreadable("it looks like a label map (pbtxt) that is cut off, or only some items have an id")
    return pairs or names


def _plain(value: str) -> str:
    return _unescaped(value[1:-1]) if value[:1] in {'"', "'"} else value


def yaml_names(text: str) -> Names | Pairs | None:
    """Read the classes in a YAML file, such as ``names:`` of a dataset.

    Raises:
        Unreadable: the key is there, without names below it.
    """
    key = _YAML_KEY.search(text)
    if key is None:
        return None
    rest = key[1].split(" #")[0].strip()
    if rest[:1] in _CLOSING:
        value, _ = _Literal(text[key.start(1) :]).read()
        found = _of_json(value)
    elif rest:
        return None  # a label that ends with a colon, or a scalar
    else:
        found = _yaml_block(text[key.end() :].split("\n")[1:])
    if not found:
        raise Unreadable("it looks like YAML, but its list of names is empty or has another form")
    return found


def _yaml_block(lines: Sequence[str]) -> Names | Pairs | None:
    names, pairs = Names(), Pairs()
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        item = _YAML_ITEM.fullmatch(line[:_LONGEST_LINE])
        if item is None or not (line[0].isspace() or line.startswith("-")):
            break
        name = _plain(item[2]) if item[2][:1] == item[2][-1:] else item[2]
        if item[1] is None and re.match(r"(?:name|label|id|class)\s?:\s", name):
            raise Unreadable("it looks like YAML whose names are blocks of keys; write one name an item")
        if item[1] is None:
            names.append(name)
        else:
            pairs.append((int(item[1]), name))
    return None if names and pairs else pairs or names


def table(lines: Sequence[str]) -> Names | Pairs | None:
    """Read lines of columns, with or without a heading.

    Raises:
        Unreadable: it is a table, and it is not sure which column has the names.
    """
    for delimiter in (",", ";", "\t", "|"):
        if not all(delimiter in line for line in lines):
            continue
        try:
            rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True))
        except csv.Error:
            continue
        if len(rows) == len(lines) and (found := _of_rows(rows, delimiter)) is not None:
            return found
    return None


def _of_rows(rows: list[list[str]], delimiter: str) -> Names | Pairs | None:
    rows = [[cell.strip() for cell in row] for row in rows]
    head = [cell.lower().replace(" ", "_") for cell in rows[0]]
    known = [cell in _HEADINGS or cell in _NUMBER_KEYS or cell == "mid" for cell in head]
    if sum(known) >= 2 or (len(head) > 1 and len(rows) > 1 and {head[0], head[-1]} & {*_NUMBER_KEYS}):
        return _below_heading(head, rows[1:])
    columns = {len(row) for row in rows}
    if len(columns) == 1:
        found = _of_columns(list(zip(*rows, strict=True)))
        if found is None and delimiter != "," and columns != {1}:
            raise Unreadable("it looks like a table with several columns; keep the one with the names")
        return found
    numbers = [_number(row[0]) for row in rows]  # names that contain the delimiter, without quotes
    if all(number is not None for number in numbers):
        joint = delimiter + (" " if delimiter == "," else "")
        return [(int(row[0]), joint.join(row[1:])) for row in rows]
    return None


def _below_heading(head: list[str], rows: list[list[str]]) -> Names | Pairs:
    columns = list(zip(*rows, strict=True)) if rows and all(len(row) == len(head) for row in rows) else []
    numeric = [all(_number(cell) is not None for cell in column) for column in columns]
    named = [head.index(key) for key in (*_NAME_KEYS, "labels", "names", "description") if key in head]
    at = next((n for n in named if columns and not numeric[n]), None)
    if at is None and numeric.count(False) == 1:
        at = numeric.index(False)
    if at is None and columns and named:
        at = named[0]  # digits
    if at is None:
        raise Unreadable(
            f"it looks like a table with the columns {', '.join(head)}, of which none is the name"
        )
    numbered = [head.index(key) for key in _NUMBER_KEYS if key in head]
    others = [
        n for n, cells in enumerate(columns) if numeric[n] and n != at and len(set(cells)) == len(cells)
    ]
    if numbered and not numeric[numbered[0]]:
        what = f"its column {head[numbered[0]]} is not a number in each line"
        raise Unreadable(f"it looks like a table, and {what}")
    number = next(iter(numbered or others), None)
    if number is None or number == at:
        return list(columns[at])
    return [(int(row[number]), row[at]) for row in rows]


def _of_columns(columns: Sequence[tuple[str, ...]]) -> Names | Pairs | None:
    """Read columns without a heading: a number, and one column of names."""
    numeric = [all(_number(cell) is not None for cell in column) for column in columns]
    texts = [column for column, is_number in zip(columns, numeric, strict=True) if not is_number]
    ids = [column for column in texts if all(map(_ID.fullmatch, column))]
    if not any(numeric) and not (ids and len(columns) == 2):
        return None  # names with commas, such as ImageNet's
    named = [column for column in texts if column not in ids]
    if not named and len(columns) == 2 and all(numeric):
        named = [columns[1]]  # digits
    if len(named) != 1:
        raise Unreadable("it looks like a table with several columns of names; keep the number and the name")
    key = next((c for c, is_number in zip(columns, numeric, strict=True) if is_number), None)
    if key is None:
        return list(named[0])
    if len(set(key)) < len(key) and columns.index(key):
        raise Unreadable("it looks like a table whose numbers are not those of classes; keep the names only")
    return [(int(number), name) for number, name in zip(key, named[0], strict=True)]


def is_heading(line: str) -> bool:
    """Return whether a line is the heading of a column of names."""
    return line.strip("\"' ").lower().replace(" ", "_") in _HEADINGS


def without_ids(names: Sequence[str]) -> Iterator[str] | None:
    """Return the names behind WordNet's or Google's identifiers; None where a line has none."""
    found = [re.fullmatch(rf"(?:{_ID.pattern})(?:\s*[:,;=|-]\s*|\s+)(\S.*)", name) for name in names]
    return (match[1] for match in found if match) if found and all(found) else None
