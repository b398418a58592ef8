from __future__ import annotations

from edged.sources.progress import MOST, Place, Progress


def test_of_a_folder_in_a_loop_only_the_last_one_is_known() -> None:
    progress = Progress()
    assert (progress.last, progress.number) == (0, 0)
    progress.done(Place(7), 1)
    progress.done(Place(9), 2)
    assert (progress.last, progress.number, progress.marks) == (9, 2, ((9, 0.0),))


def test_of_a_drop_folder_each_one_is_known_and_of_the_oldest_when_it_was_changed() -> None:
    progress = Progress()
    for n in range(1, MOST + 11):
        progress.done(Place(n, 1000.0 + n, each=True), n)
    assert len(progress.marks) == MOST
    assert progress.floor_s == 1010.0
    assert progress.has(5, 1005.0)
    assert progress.has(MOST, 2e9)
    assert not progress.has(10**9, 1011.5)
    again = Progress(progress.marks, progress.floor_s, progress.number)
    assert (again.marks, again.last, again.number) == (progress.marks, MOST + 10, MOST + 10)
