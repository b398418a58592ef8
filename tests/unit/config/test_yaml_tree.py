from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from edged.config import yaml_tree
from edged.config.yaml_tree import Mapping, Scalar, Sequence, data, parse

SAMPLE = Path(__file__).resolve().parents[3] / "config" / "edged.yaml"


def said(text: str) -> list[str]:
    return [str(problem) for problem in parse(text, "f")[1]]


def test_every_node_keeps_its_text_and_position() -> None:
    tree, problems = parse("a: [12:30:00, no]\nb:\n  c: 1.10\n  d:\n", "f")
    assert not problems
    assert tree is not None
    assert data(tree) == {"a": ["12:30:00", "no"], "b": {"c": "1.10", "d": None}}
    block = tree.items["b"]
    assert isinstance(block, Mapping)
    assert (block.items["c"].line, block.items["c"].column) == (2, 5)
    assert (block.keys["c"].line, block.keys["c"].column) == (2, 2)


@pytest.mark.parametrize("text", ["~", "null", "Null", "NULL", ""])
def test_empty_and_null_are_none_only_without_quotes(text: str) -> None:
    tree, _ = parse(f"a: {text}\nb: '{text}'\n", "f")
    assert tree is not None
    assert data(tree) == {"a": None, "b": text}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", "f:3:1: duplicate key 'a' (first on line 1; keep one)"),
        ("a: &x 1", "f:1:4: anchors (&…) are not supported"),
        ("a: *x", "f:1:4: aliases (*…) are not supported"),
        ("a: !!int 1", "f:1:4: tags (!…) are not supported"),
        ("a: ! x", "f:1:4: tags (!…) are not supported"),
        ("a:\n  <<: 1", "f:2:3: merge keys (<<) are not supported"),
        ("a: 1\n---\nb: 2", "f:2:1: a second document begins here"),
        ("- 1", "f:1:1: the file must be a block of keys"),
        ("text", "f:1:1: the file must be a block of keys"),
        ("", "f: the file is empty"),
        ("# nothing\n", "f: the file is empty"),
        ("[1]: 2", "f:1:1: a key must be text"),
        ("? {a: b}\n: 2", "f:1:3: a key must be text"),
        ("a: b\x07", "f:1:5: the control character U+0007"),
        ("a: b\0", "f:1:5: the control character U+0000"),
        ('a: "\\0"', "f:1:4: the control character U+0000"),
        ("a: |\n  b\n", "f:1:4: the control character U+000A"),
        ("a:\n\t- b", "f:2:1: this character is not allowed here (indent with spaces"),
        ("a: b: c", "f:1:5: a ':' is not allowed here"),
        ("a: [1, 2\nb: 3", "f:2:2: a ',' or the closing bracket is missing"),
        ("a: 'b", "f:1:6: the file ends inside a quoted text"),
        ("a: 1\n b: 2", "f:2:3: a ':' is not allowed here"),
        ("# a:\n  b: 1\nc: 2", "f:3:1: a key cannot begin in this column (line it up with"),
        ("c: {}\n\n# a:\n  b: {}\n", "f:4:3: a key cannot begin in this column"),
        ("a: {}\n b: 2", "f:2:2: a key cannot begin in this column"),
        ("a: {}\nb: {} c", "f:2:7: a key must follow here"),
        ("a: [" * 20, "f:1:21: nested more than 10 levels deep"),
    ],
)
def test_refusals_have_a_position(text: str, expected: str) -> None:
    assert any(line.startswith(expected) for line in said(text)), said(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a:\n\u00a0\u00a0b:\n\u00a0\u00a0\u00a0\u00a0c: d\n",
            "f:2:1: U+00A0 (no-break space) is not a space",
        ),
        ("a:\n  b:\u00a0c\n", "f:2:5: U+00A0 (no-break space)"),
        ("a: b\nc: {\u00a0d: e}\n", "f:2:5: U+00A0 (no-break space)"),
        ("a: b\n\u00a0\nc: d\n", "f:2:1: U+00A0 (no-break space)"),
        ("a:\u00a0\n  b: c\n", "f:1:3: U+00A0 (no-break space)"),
        ("a: b\u200b\n", "f:1:5: U+200B (zero width space)"),
        ("a: one\n  two\u3000three\n", "f:2:6: U+3000 (ideographic space)"),
        ("a: [b,\n\u202fc]\n", "f:2:1: U+202F (narrow no-break space)"),
        ("a: \u201cb\u201d\n", "f:1:4: \u201c is not a quotation mark (write ' or \"; "),
        ("a: b # \u00a0\n\ufeffc: d\n", "f:2:1: U+FEFF (zero width no-break space)"),
    ],
)
def test_a_character_that_looks_like_a_space_is_named(text: str, expected: str) -> None:
    (line,) = said(text)
    assert line.startswith(expected)


def test_quoted_texts_and_comments_may_have_it() -> None:
    tree, problems = parse("a: 'b\u00a0c'  # d\u00a0e\n", "f")
    assert tree is not None
    assert (data(tree), problems) == ({"a": "b\u00a0c"}, [])


def test_ten_levels_are_allowed() -> None:
    tree, problems = parse("a: " + "[" * 9 + "]" * 9, "f")
    assert tree is not None
    assert not problems


def test_all_problems_come_at_once() -> None:
    assert len(said("a: &x 1\nb: *x\na: !t 2\n")) == 4


@pytest.mark.parametrize(
    "text", ["p: *hunter2", "p: &hunter2 a", "p: !hunter2 a", "p: !hunter2!a b", "p: 'hunter2"]
)
def test_a_password_that_looks_like_yaml_is_not_repeated(text: str) -> None:
    assert said(text)
    assert "hunter2" not in str(said(text))


def test_extreme_nesting_is_refused_early() -> None:
    assert ["nested more than 10 levels deep" in line for line in said("[" * 60_000)] == [True]


@pytest.mark.skipif(not hasattr(yaml, "CSafeLoader"), reason="PyYAML was built without libyaml")
def test_both_parsers_give_the_same_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "é: 'ü'\n" + SAMPLE.read_text("utf-8")
    fast = parse(text, "f")
    monkeypatch.setattr(yaml_tree, "_LOADER", yaml.SafeLoader)
    assert parse(text, "f") == fast


def test_a_bad_node_is_marked() -> None:
    tree, _ = parse("a: &x [1]", "f")
    assert tree is not None
    node = tree.items["a"]
    assert isinstance(node, Sequence)
    assert node.bad
    assert not isinstance(node.items[0], Scalar) or not node.items[0].bad
