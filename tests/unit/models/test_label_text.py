"""The forms in which labels lie about: each is read as its names, or refused with the kind of file it is."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from edged.errors import ModelError
from edged.models import label_text, labels

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("dark", "mid", "bright")
FORMS = {
    "lines": "dark\nmid\nbright\n",
    "one-based": "1 dark\n2 mid\n3 bright",
    "old-mac": "dark\rmid\rbright\r",
    "quoted": '"dark"\n"mid"\n"bright"\n',
    "single-quoted": "'dark'\n'mid'\n'bright'",
    "typographic-quotes": "\u201cdark\u201d\n\u201cmid\u201d\n\u201cbright\u201d",
    "list-without-brackets": "'dark',\n'mid',\n'bright'",
    "dictionary-without-braces": "0: 'dark',\n1: 'mid',\n2: 'bright'",
    "colon": "0: dark\n1: mid\n2: bright",
    "colon-without-blank": "0:dark\n1:mid\n2:bright",
    "bracket": "0) dark\n1) mid\n2) bright",
    "in-brackets": "[0] dark\n[1] mid\n[2] bright",
    "in-parentheses": "(0) dark\n(1) mid\n(2) bright",
    "dash": "0 - dark\n1 - mid\n2 - bright",
    "en-dash": "0 \u2013 dark\n1 \u2013 mid\n2 \u2013 bright",
    "dot": "0. dark\n1. mid\n2. bright",
    "equals": "0=dark\n1=mid\n2=bright",
    "arrow": "0 => dark\n1 => mid\n2 => bright",
    "pipe": "0|dark\n1|mid\n2|bright",
    "underscore": "0_dark\n1_mid\n2_bright",
    "hash": "#0 dark\n#1 mid\n#2 bright",
    "zeros": "000 dark\n001 mid\n002 bright",
    "no-break-space": "0\u00a0dark\n1\u00a0mid\n2\u00a0bright",
    "number-last": "dark 0\nmid 1\nbright 2",
    "csv": "0,dark\n1,mid\n2,bright\n",
    "csv-heading": "id,name\n0,dark\n1,mid\n2,bright\n",
    "csv-name-first": "name;id\nbright;2\ndark;0\nmid;1\n",
    "csv-heading-of-its-own": "ClassId,SignName\n0,dark\n1,mid\n2,bright",
    "csv-label-is-the-number": "label,name\n2,bright\n0,dark\n1,mid",
    "csv-class-is-the-number": "class,label\n0,dark\n1,mid\n2,bright",
    "csv-number-last": "dark,0\nmid,1\nbright,2",
    "csv-one-column": "label\ndark\nmid\nbright\n",
    "csv-display-name": 'index,mid,display_name\n0,/m/1,"dark"\n1,/m/2,mid\n2,/m/3,bright\n',
    "csv-identifiers": "/m/01,dark\n/m/02,mid\n/m/03,bright",
    "csv-colours": "0,dark,0,0,0\n1,mid,128,0,0\n2,bright,0,128,0",
    "tsv": "0\tdark\n1\tmid\n2\tbright",
    "synset": "n01440764 dark\nn01443537 mid\nn01484850 bright",
    "numbered-synset": "0 n01440764 dark\n1 n01443537 mid\n2 n01484850 bright",
    "json-list": '["dark","mid","bright"]',
    "json-dict": '{"0": "dark", "1": "mid", "2": "bright"}',
    "json-labels": '{"labels": ["dark", "mid", "bright"]}',
    "json-class-indices": '{"dark": 0, "mid": 1, "bright": 2}',
    "json-records": '[{"id": 2, "name": "bright"}, {"id": 0, "name": "dark"}, {"id": 1, "name": "mid"}]',
    "json-imagenet": '{"0": ["n01440764", "dark"], "1": ["n01443537", "mid"], "2": ["n01484850", "bright"]}',
    "json-ultralytics": '{"imgsz": [64, 64], "names": {"0": "dark", "1": "mid", "2": "bright"}}',
    "json-nested": '{"model": {"version": 1, "labels": ["dark", "mid", "bright"]}}',
    "json-names-of-classes": '{"classes": [{"id": 0, "name": "dark"}, {"id": 1, "name": "mid"}, '
    '{"id": 2, "name": "bright"}]}',
    "json-lines": '{"id": 0, "name": "dark"}\n{"id": 1, "name": "mid"}\n{"id": 2, "name": "bright"}\n',
    "json-hugging-face": '{"id2label": {"0": "dark", "1": "mid", "2": "bright"}, "label2id": {"dark": 0}}',
    "python-dict": "{0: 'dark', 1: 'mid',\n 2: 'bright'}",
    "python-list": "names = ['dark', 'mid', 'bright',]  # three\n",
    "python-tuple": "('dark', 'mid', 'bright')",
    "c-array": 'const char* names[] = { "dark", "mid", "bright" };',
    "yaml-list": "nc: 3\nnames:\n- dark\n- mid\n- bright\ntrain: x\n",
    "yaml-dict": "path: x\nnames:\n  0: dark\n  1: mid\n  2: 'bright'  # the last one\nval: y\n",
    "yaml-flow": "names: [dark, mid, bright]\nnc: 3",
    "yaml-document": "---\n- dark\n- mid\n- bright\n",
    "pbtxt": "item {\n  id: 1\n  name: \"dark\"\n}\nitem {\n  id: 2\n  name: 'mid'\n}\n"
    'item { id: 3 name: "/m/x" '
    'display_name: "bright" }\n',
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_names(form: str) -> None:
    found = label_text.read(FORMS[form].encode(), "x.txt")
    assert labels.fit(found, 3, "x.txt") == NAMES


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_every_encoding_of_unicode_is_read(encoding: str) -> None:
    assert labels.parse(FORMS["csv"].encode(encoding), "x.txt") == NAMES


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("tench, Tinca tinca\ngoldfish, Carassius", ("tench, Tinca tinca", "goldfish, Carassius")),
        ('0,"tench, Tinca tinca"\n1,goldfish', ("tench, Tinca tinca", "goldfish")),
        ("0,tench, Tinca tinca\n1,goldfish", ("tench, Tinca tinca", "goldfish")),
        ("1 euro\n2 euro\n5 euro", ("1 euro", "2 euro", "5 euro")),
        ("Class 1\nClass 2", ("Class 1", "Class 2")),
        ("0 Class 1\n1 Class 2", ("Class 1", "Class 2")),
        ("0.5 mg\n1.5 mg", ("0.5 mg", "1.5 mg")),
        ("10-20\n20-30", ("10-20", "20-30")),
        ("Boeing 747\nAirbus 320", ("Boeing 747", "Airbus 320")),
        ("0 0\n1 1\n2 2", ("0", "1", "2")),
        ("jack-o'-lantern\n'em\n12\"", None),
        ("crane [bird]\n<unk>", ("crane [bird]", "<unk>")),
        ("(other)\ndark", ("(other)", "dark")),
        ("jack-o'-lantern\ndriver's cab", ("jack-o'-lantern", "driver's cab")),
    ],
)
def test_what_belongs_to_a_name_stays_there(text: str, names: tuple[str, ...] | None) -> None:
    if names is None:
        with pytest.raises(ModelError):
            labels.parse(text.encode(), "x.txt")
    else:
        assert labels.parse(text.encode(), "x.txt") == names


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'["dark","mid",', "JSON or a Python list that is cut off"),
        (b'{"a": {"b": [1]}}', "has no list of labels"),
        (b'["a"] ["b"]', "more behind its end"),
        (b"0 dark\n1 mid\nbright", "line 3 has no number"),
        (b"<labels><l>dark</l></labels>", "XML"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\x80\x04\x95dark", "a Python pickle"),
        (b"\x93NUMPY\x01\x00", "a NumPy array"),
        (b"PK\x03\x04dark", "a zip archive"),
        (b"\x20\0\0\0TFL3dark", "a .tflite model"),
        (b'"dark\nmid', "a quote at one end"),
        (b"# the classes\ndark", "line 1 looks like a comment"),
        (b"0,cat,animal\n1,dog,animal", "several columns of names"),
        (b"id,colour,shade\n0,red,x\n1,blue,y", "none is the name"),
        (b"id,name\n0,red\nx,blue", "column id is not a number in each line"),
        (b'item { id: 1 name: "a" part { id: 2 } }\nitem { id: 2 name: "b" }', "cut off"),
        (b"names:\n  - name: dark\n    id: 0\n", "blocks of keys"),
        (b"dark\tnight\nmid", "a table"),
        (b'item { id: 1 }\nitem { id: 2 name: "x" }', "an item has no name"),
        (b'item { id: 1 name: "x" }\nitem { name: "y" }', "only some items have an id"),
        (b"names:\n\ntrain: x", "its list of names is empty"),
        (b"dark {\nmid", "a part of a program"),
        (b'{"0": "dark", "0": "mid"}', "duplicate number 0"),
    ],
)
def test_what_is_not_certain_is_refused_with_its_kind(content: bytes, kind: str) -> None:
    with pytest.raises(ModelError) as caught:
        label_text.read(content, "x.txt")
    assert str(caught.value).startswith("x.txt: ")
    assert kind in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 500_000,
        "{" * 500_000,
        "a" + " " * 900_000 + "b",
        "item" + " " * 900_000 + "x",
        "item {" + "a" * 900_000,
        "names:\n - a" + " " * 900_000 + "b",
        "x" * 900_000 + "\n",
        "[" + "1," * 400_000,
        "0" * 900_000,
        "'" * 900_000,
        "a = " + " " * 900_000,
    ],
)
def test_no_content_takes_long(content: str) -> None:
    began = time.process_time()
    with contextlib.suppress(ModelError):
        label_text.read(content.encode(), "x.txt")
    assert time.process_time() - began < 3


def test_numbers_from_one_mean_the_second_class_where_that_makes_the_count_right() -> None:
    found = label_text.read(b"1 dark\n2 mid\n3 bright", "x.txt")
    assert labels.fit(found, 3, "x.txt") == NAMES
    assert labels.fit(found, 4, "x.txt") == ("class 0", *NAMES)
    assert labels.every_reading(found) == {"class 0", *NAMES}
    with pytest.raises(ModelError, match="3 labels do not fit the 5 classes"):
        labels.fit(found, 5, "x.txt")


def test_two_classes_with_one_name_are_told() -> None:
    found = labels.fit(label_text.read(b"0 cars\n1 car\n2 cars", "x.txt"), 3, "x.txt")
    assert found == ("cars", "car", "cars")
    (warning,) = labels.warnings(found)
    assert warning.startswith("classes 0 and 2 have the same name, 'cars'")
    assert labels.warnings(NAMES) == []


def test_a_class_called_unknown_is_kept_apart_from_edgeds_own() -> None:
    read = label_text.read(b"unknown\nmid\nbright", "x.txt")
    found = labels.fit(read, 3, "x.txt")
    assert found == ("unknown (class 0)", "mid", "bright")
    assert set(found) <= labels.every_reading(read)
    (warning,) = labels.warnings(found)
    assert "appears as 'unknown (class 0)'" in warning


def test_the_label_files_of_reports_are_read(testdata: Path) -> None:
    folder = testdata.parent / "cases" / "labels"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    for name in (
        "csv_nohdr.csv",
        "quoted.txt",
        "json_list.json",
        "json_dict.json",
        "one_based.txt",
        "old_mac.txt",
    ):
        assert labels.fit(labels.load(folder / name), 3, name) == NAMES
