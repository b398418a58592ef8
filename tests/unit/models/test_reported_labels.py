"""Label files as people report them in public, rebuilt; ``docs/field.md`` has the sources."""

from __future__ import annotations

import pytest

from edged.errors import ModelError
from edged.models import label_text, labels

_NAMES = [f"thing {n // 100}-{n % 100}" for n in range(1000)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            "item {\n id: 1\n name: \u2018toy car\u2019\n}\nitem {\n id: 2\n name: \u2018ball\u2019\n}",
            ("toy car", "ball"),
        ),
        (
            "\ufeffitem{\n    id:1 \n    name:'green'\n}\nitem{\n    id:2 \n    name:'red'\n}\n",
            ("green", "red"),
        ),
        ("0  person\n1  bicycle\n", ("person", "bicycle")),
        ("person\nbicycle\n", ("person", "bicycle")),
        ("\ufeffcoke_tin\nbottle\n", ("coke_tin", "bottle")),
        (
            "path: ../birds\ntrain: images\nnc: 2\nnames:\n  0: great tit\n  1: blue tit\n",
            ("great tit", "blue tit"),
        ),
        ("train: a\nnc: 2\nnames: ['great tit', 'blue tit']\n", ("great tit", "blue tit")),
        (
            "Cyanistes caeruleus_Blue Tit\nParus major_Great Tit\n",
            ("Cyanistes caeruleus_Blue Tit", "Parus major_Great Tit"),
        ),
    ],
)
def test_the_names_are_read(text: str, names: tuple[str, ...]) -> None:
    assert labels.parse(text.encode(), "x.txt") == names


def test_a_taxonomy_is_no_label() -> None:
    rows = "2fd91d27-9832;aves;strigiformes;tyto;alba;barn owl\n2fd91d28-9832;mammalia;;;;mammal\n"
    with pytest.raises(ModelError, match="a table with several columns; keep the one with the names"):
        labels.parse(rows.encode(), "x.txt")


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(_NAMES),
        "\n".join(f"n{n:08} {name}" for n, name in enumerate(_NAMES)),
        str(dict(enumerate(_NAMES))),
        str({str(n): name for n, name in enumerate(_NAMES)}).replace("'", '"'),
    ],
)
def test_a_thousand_names_of_imagenet_for_1001_classes_are_one_too_few(text: str) -> None:
    found = label_text.read(text.encode(), "x.txt")
    assert labels.fit(found, 1000, "x.txt") == tuple(_NAMES)
    with pytest.raises(
        ModelError, match=r"1000 labels do not fit the 1001 classes.*a first line with the word background"
    ):
        labels.fit(found, 1001, "x.txt")
