from __future__ import annotations

from typing import TYPE_CHECKING

from edged.system.needs import folders_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_link_to_a_photograph_needs_both_folders(tmp_path: Path) -> None:
    album, camera = tmp_path / "album", tmp_path / "camera"
    for folder in (album, camera):
        folder.mkdir()
    (camera / "cat.jpg").touch()
    (album / "best.jpg").symlink_to(camera / "cat.jpg")
    assert folders_of([str(album / "best.jpg")]) == (str(album), str(camera))
    assert folders_of([str(camera / "cat.jpg")]) == (str(camera),)
    assert folders_of(()) == ()
