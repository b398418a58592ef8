from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from edged.errors import ModelError, Refused
from edged.models.taught.head_file import CORRECTED, Taught
from edged.models.taught.store import EMBEDDER, HEAD, KEPT, Store
from unit.models.taught.test_head_file import head

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edged.models.taught.head_file import HeadFile


def taught(store: Store, name: str, version: int) -> HeadFile:
    made = head(version=version)
    with store.writing(name) as folder:
        store.put_embedder(folder, b"TFL3")
        store.put(folder, made)
    return made


def modes(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): stat.S_IMODE(p.stat().st_mode) for p in folder.rglob("*")}


def test_everything_is_for_its_owner_alone(tmp_path: Path) -> None:
    taught(Store(tmp_path), "garage", 1)
    assert modes(tmp_path / "models" / "taught") == {
        "garage": 0o700,
        f"garage/{EMBEDDER}": 0o600,
        f"garage/{HEAD}": 0o600,
        "garage/versions": 0o700,
        "garage/versions/0001": 0o600,
    }


def test_root_gives_what_it_makes_to_the_owner_of_the_state_directory(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 12345, 23456)
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(0o755)
    taught(Store(state), "garage", 1)
    owners = {(p.stat().st_uid, p.stat().st_gid) for p in state.rglob("*")}
    assert owners == {(12345, 23456)}


def test_undo_goes_back_a_version_at_a_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for version in (1, 2, 3):
        taught(store, "garage", version)
    assert store.undo("garage").version == 2
    assert taught(store, "garage", 3) == store.read("garage")
    assert [store.undo("garage").version, store.undo("garage").version] == [2, 1]
    with pytest.raises(Refused, match="no version before"):
        store.undo("garage")
    assert store.read("garage") == head(version=1)


def test_undo_mends_a_damaged_head(tmp_path: Path) -> None:
    store = Store(tmp_path)
    taught(store, "garage", 1)
    taught(store, "garage", 2)
    (store.folder("garage") / HEAD).write_bytes(b"nothing")
    with pytest.raises(ModelError):
        store.read("garage")
    store.undo("garage")
    assert store.read("garage") == head(version=1)


def test_old_versions_go(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for version in range(1, KEPT + 4):
        taught(store, "garage", version)
    assert len(list((store.folder("garage") / "versions").iterdir())) == KEPT


def test_corrections_never_put_what_was_taught_out_of_reach(tmp_path: Path) -> None:
    store = Store(tmp_path)
    taught(store, "garage", 1)
    made = taught(store, "garage", 2)
    corrected = (*made.history, Taught(6.0, CORRECTED, "cat", 1))
    for version in range(3, KEPT + 8):
        with store.writing("garage") as folder:
            store.put(folder, head(version=version, history=corrected))
    versions = sorted(int(file.name) for file in (store.folder("garage") / "versions").iterdir())
    assert versions == [2, *range(8, KEPT + 8)]
    for _ in range(KEPT):
        store.undo("garage")
    assert store.read("garage") == made


def test_a_lesson_that_fails_keeps_the_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    taught(store, "garage", 1)
    inode = (store.folder("garage") / HEAD).stat().st_ino

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Refused, match="no space left"):
        taught(store, "garage", 2)
    assert (store.folder("garage") / HEAD).stat().st_ino == inode
    assert store.read("garage") == head(version=1)


def test_a_first_lesson_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def lesson() -> None:
        with store.writing("garage") as folder:
            store.put_embedder(folder, b"TFL3")
            raise ModelError("nothing can be read")

    with pytest.raises(ModelError):
        lesson()
    assert not store.folder("garage").exists()
    assert store.names() == []


def test_one_process_teaches_at_a_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.writing("garage") as folder:
        store.put_embedder(folder, b"the first lesson")
        with pytest.raises(Refused, match="another process teaches garage"):
            taught(store, "garage", 1)
        assert (folder / EMBEDDER).read_bytes() == b"the first lesson"


def test_names_and_removal(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.names() == []
    taught(store, "porch", 1)
    taught(store, "garage", 1)
    assert store.names() == ["garage", "porch"]
    store.remove("porch")
    assert store.names() == ["garage"]
    assert [p.name for p in (tmp_path / "models" / "taught").iterdir()] == ["garage"]
    with pytest.raises(Refused, match="no taught model porch"):
        store.remove("porch")
    assert store.read("porch") is None


@pytest.mark.parametrize("name", ["", "..", "a/b", "Porch", "x" * 33])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="1 to 32 characters"):
        Store(tmp_path).folder(name)


def test_a_state_directory_of_others_is_told(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file in the way")
    with pytest.raises(Refused, match="models"):
        taught(Store(tmp_path), "garage", 1)


def test_no_link_leads_root_out_of_the_state_directory(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root could be led there")
    state, outside = tmp_path / "state", tmp_path / "outside"
    for folder in (state, outside):
        folder.mkdir()
    os.chown(state, 12345, 23456)
    tmp_path.chmod(0o755)
    store = Store(state)
    (state / "models").symlink_to(outside)
    with pytest.raises(Refused):
        taught(store, "garage", 1)
    (state / "models").unlink()
    taught(store, "porch", 1)
    (state / "models" / "taught" / "garage").symlink_to(outside)
    with pytest.raises(Refused, match="permission denied"):
        taught(store, "garage", 1)
    assert list(outside.iterdir()) == []
    assert (os.geteuid(), os.getegid()) == (0, 0)


@pytest.mark.parametrize("step", range(8))
def test_a_death_at_any_step_leaves_one_head_or_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    store, left = Store(tmp_path), [step]
    taught(store, "garage", 1)

    def dies(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return real(*given, **named)

        return call

    for name in ("fsync", "rename", "link", "unlink"):
        monkeypatch.setattr(os, name, dies(getattr(os, name)))
    with contextlib.suppress(KeyboardInterrupt):
        taught(store, "garage", 2)
    monkeypatch.undo()
    found = store.read("garage")
    assert found in {head(version=1), head(version=2)}
    assert taught(store, "garage", found.version + 1 if found else 1).version > 1
    assert store.undo("garage") == found
