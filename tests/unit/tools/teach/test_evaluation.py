from __future__ import annotations

from edged.tools.teach import evaluation

LABELS = ("cat", "dog", "other")
FOUND = {
    "answers": [0, 0, 0, 1, 1, 1, 2],
    "left_out": [0, 0, 1, 1, 1, 1, 0],
    "kept": [True, True, True, True, False, True, True],
    "right": [0, 1, -1, -1],
    "judged": [0, 0, 1, 0],
    "passed": [True, True, False, True],
}


def test_leaving_one_out_counts_labels_with_enough_examples() -> None:
    report = evaluation.of_examples(LABELS, FOUND)
    assert report["leave_one_out"] == round(5 / 6, 4)
    assert report["labels"] == {"cat": {"n": 3, "right": 2}, "dog": {"n": 3, "right": 3}}
    assert report["confusion"] == {"cat": {"cat": 2, "dog": 1}, "dog": {"dog": 3}}
    assert report["unknown"] == {"kept": round(5 / 6, 4), "right_among_kept": 0.8}
    assert report["examples"] == {"cat": 3, "dog": 3, "other": 1}


def test_too_few_examples_say_nothing() -> None:
    few = {"answers": [0, 1], "left_out": [0, 1], "kept": [True, True]}
    report = evaluation.of_examples(LABELS, few)
    assert (report["leave_one_out"], report["labels"]) == (None, {})
    assert report["unknown"] == {"kept": None, "right_among_kept": None}


def test_strangers_count_by_themselves() -> None:
    report = evaluation.of_pictures(LABELS, FOUND)
    assert report["top1"] == 0.5
    assert report["labels"] == {"cat": {"n": 1, "right": 1}, "dog": {"n": 1, "right": 0}}
    assert report["unknown"] == {"kept": 1.0, "right_among_kept": 0.5, "n": 2, "rejected": 1}


def test_pairs_count_both_ways() -> None:
    confusion = {"cat": {"cat": 5, "dog": 2}, "dog": {"cat": 1, "dog": 5, "fox": 1}, "fox": {"fox": 3}}
    assert evaluation.pairs(confusion) == [("cat", "dog", 3), ("dog", "fox", 1)]


def test_the_next_photographs_are_of_what_is_weak() -> None:
    labels = {"cat": {"n": 5, "right": 3}, "dog": {"n": 5, "right": 5}}
    confusion = {"cat": {"cat": 3, "dog": 2}, "dog": {"dog": 5}}
    said = evaluation.advice({"cat": 5, "dog": 5, "fox": 1}, labels, confusion, "photograph")
    assert [sentence.split(":")[0].split(",")[0] for sentence in said] == [
        "fox",
        "cat and dog",
        "cat",
        "other",
    ]
    assert "right in 3 of 5" in said[2]
    assert said[1].endswith("photographs of both in the same place and light")
    said = evaluation.advice({"cat": 5, "dog": 5, "fox": 1}, labels, confusion, "sentence")
    assert said[1].endswith(": more sentences of both")


def test_nothing_is_next_where_all_is_well() -> None:
    labels = {"cat": {"n": 20, "right": 20}, "dog": {"n": 20, "right": 20}}
    assert evaluation.advice({"cat": 20, "dog": 20, "other": 9}, labels, {}, "photograph") == []
