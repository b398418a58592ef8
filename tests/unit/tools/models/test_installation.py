from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import build_sound
import numpy as np
import pytest
from text_models import text_model
from tflite_builder import Kind, Packed, build

from edged.config.loader import load
from edged.errors import EdgedError, ModelError, Refused
from edged.ipc.bench_request import NOISE
from edged.models import bundled, catalogue
from edged.models.catalogue import Entry
from edged.models.installed import Store
from edged.system.child import ChildFailed
from edged.tools.models import Installer, Wish, describe, in_use, installation, listing, state_dir
from unit.tools.models.http_server import Server
from unit.tools.models.test_download import Heard

if TYPE_CHECKING:
    from pathlib import Path

    from edged.ipc.bench_request import BenchRequest

UINT8 = Kind("uint8", 1 / 256)


FILL = ("d", "e", "f", "g", "h")


def classifier(*labels: str) -> bytes:
    names = (*labels, *FILL)
    return build((1, 8, len(names), 3), picture=UINT8, scores=UINT8, packed=Packed("\n".join(names)))


MODEL = classifier("dark", "mid", "bright")
SHA256 = hashlib.sha256(MODEL).hexdigest()


class Board:
    """Stands for the process of the self-test: every run takes as long as is written here."""

    def __init__(self) -> None:
        self.ms = 2.0
        self.fails = ""
        self.requests: list[BenchRequest] = []

    def ask(self, request: BenchRequest, _progress: object) -> dict[str, Any]:
        self.requests.append(request)
        if self.fails:
            raise ChildFailed(self.fails)
        return {"invoke_ms": [self.ms, self.ms + 1, self.ms]}


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    found = Board()
    monkeypatch.setattr(installation.rounds, "ask", found.ask)
    return found


def entry(server: Server, **fields: Any) -> dict[str, Entry]:
    made = Entry("net", "classify", "", "", "", url=server.url, sha256=SHA256, bytes=len(MODEL))
    return {"net": replace(made, **fields)}


def refused(installer: Installer, *words: Any, **more: Any) -> str:
    with pytest.raises(EdgedError) as caught:
        installer.add(Wish(*words, **more))
    return str(caught.value)


@pytest.mark.usefixtures("board")
def test_a_model_of_the_catalogue_is_installed_for_everybody_to_read(tmp_path: Path) -> None:
    with Server(MODEL, ["cut 100"]) as server:
        heard = Heard()
        used = Installer(tmp_path, heard, entry(server)).add(Wish("net"))
        again = Installer(tmp_path, heard, entry(server)).add(Wish("net"))
    assert used.version == again.version == 1
    assert used.file.read_bytes() == MODEL
    assert used.labels is None
    assert used.about.origin == server.url
    assert used.about.latency_ms == 2.0
    assert len(server.asked) == 2
    assert "installed already" in heard.notes[-1]
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == [
        "models/installed/net/0001/about.json",
        "models/installed/net/0001/net.tflite",
        "models/installed/net/current",
    ]
    assert {p.stat().st_mode & 0o777 for p in tmp_path.rglob("*") if p.is_file()} == {0o644}


@pytest.mark.usefixtures("board")
def test_what_arrives_corrupted_is_not_kept(tmp_path: Path) -> None:
    with Server(MODEL[:-1] + b"x") as server:
        said = refused(Installer(tmp_path, Heard(), entry(server)), "net")
    assert "its SHA-256 is" in said
    assert list((tmp_path / "models/installed").rglob("*")) == []


@pytest.mark.usefixtures("board")
def test_a_stalling_server_leaves_the_part_for_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.tools.models.download.ATTEMPTS", 1)
    with Server(MODEL, ["stall 100"]) as server:
        installer = Installer(tmp_path, Heard(), entry(server), stall_s=0.2)
        assert "the server is silent" in refused(installer, "net")
        assert installer.store.names() == []
        assert installer.add(Wish("net")).file.read_bytes() == MODEL
    assert server.asked == [None, "bytes=100-"]


@pytest.mark.usefixtures("board")
def test_a_checksum_that_nobody_knows_takes_a_word_of_trust(tmp_path: Path) -> None:
    blob = hashlib.sha1(b"blob %d\0" % len(MODEL) + MODEL, usedforsecurity=False).hexdigest()
    with Server(MODEL) as server:
        unpinned = Installer(tmp_path, heard := Heard(), entry(server, sha256="", git_blob=blob, bytes=0))
        assert "--trust-first-use" in refused(unpinned, "net")
        assert "--trust-first-use" in refused(unpinned, server.url)
        assert unpinned.add(Wish("net", trust_first_use=True)).about.sha256 == SHA256
        assert f"its SHA-256 is {SHA256}" in heard.notes[-1]
        other = Installer(tmp_path, Heard(), entry(server, sha256="", git_blob="0" * 40))
        assert "not the file that git has" in refused(other, "net", name="b", trust_first_use=True)
        assert unpinned.add(Wish(server.url, name="c", sha256=SHA256)).name == "c"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"unusable": "it cannot be had"}, "net: it cannot be had"),
        ({"task": "segment"}, "no pipeline of edged runs models for segment"),
    ],
)
def test_what_no_pipeline_runs_is_not_even_downloaded(
    tmp_path: Path, fields: dict[str, str], said: str
) -> None:
    with Server(MODEL) as server:
        assert said in refused(Installer(tmp_path, Heard(), entry(server, **fields)), "net")
    assert server.asked == []


@pytest.mark.usefixtures("board")
def test_a_file_is_installed_with_its_labels(tmp_path: Path) -> None:
    file, labels = tmp_path / "own.tflite", tmp_path / "l.txt"
    file.write_bytes(build(picture=UINT8, scores=UINT8))
    labels.write_text(names := "\n".join("abcdefgh"))
    installer = Installer(tmp_path / "state", Heard())
    assert "no labels" in refused(installer, str(file))
    used = installer.add(Wish(str(file), labels=labels))
    assert used.name == "own"
    assert used.labels is not None
    assert used.labels.read_text() == names
    labels.write_text("a\n")
    assert str(tmp_path) in refused(installer, str(file), name="other", labels=labels)
    assert installer.store.names() == ["own"]


def test_what_makes_features_is_installed_for_edged_teach(tmp_path: Path, board: Board) -> None:
    content = build((1, 8, 64, 3), picture=UINT8, scores=UINT8, head="none")
    sha256 = hashlib.sha256(content).hexdigest()
    with Server(content) as server:
        entries = entry(server, task="embed", sha256=sha256, bytes=len(content))
        used = Installer(tmp_path, Heard(), entries).add(Wish("net"))
    assert (used.labels, board.requests[0].labels, board.requests[0].answers) == (None, (), ())


def test_a_new_version_that_fails_leaves_the_one_before_in_use(tmp_path: Path, board: Board) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(MODEL)
    installer = Installer(tmp_path / "state", Heard())
    installer.add(Wish(str(file)))
    file.write_bytes(classifier("dark", "mid", "bright", "blind"))
    board.ms = 40
    assert "40.00 ms on this board, more than 30 ms" in refused(installer, str(file), budget_ms=30)
    board.fails = "its process was ended by SIGSEGV"
    assert "the self-test failed: its process was ended by SIGSEGV" in refused(installer, str(file))
    board.fails = ""
    assert "its SHA-256 is" in refused(installer, str(file), sha256=SHA256)
    file.write_bytes(classifier("dark", "mid", "glare"))
    assert "cannot say bright; the version before stays" in refused(installer, str(file))
    file.write_bytes(b"nothing")
    assert f"{file}: it is not a .tflite file" in refused(installer, str(file))
    used = installer.store.read("net")
    assert used is not None
    assert (used.version, used.about.sha256) == (1, SHA256)
    file.write_bytes(classifier("dark", "mid", "glare"))
    assert installer.add(Wish(str(file), other_labels=True)).version == 2
    assert installer.store.rollback("net").version == 1
    with pytest.raises(Refused, match="there is no version before"):
        installer.store.rollback("net")


@pytest.mark.usefixtures("board")
def test_the_self_test_is_that_of_a_worker(tmp_path: Path, board: Board) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(MODEL)
    Installer(tmp_path / "state", Heard()).add(Wish(str(file)))
    (request,) = board.requests
    assert request.sha256 == SHA256
    assert len(request.pictures) == len(request.answers) == 3


@pytest.mark.usefixtures("board")
def test_only_one_process_installs_a_model_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(MODEL)
    installer = Installer(tmp_path / "state", Heard())
    with installer.store.writing("net") as folder:
        (folder / "net.tflite").write_bytes(b"half of it")
        assert "another process installs net" in refused(installer, str(file))
        assert (folder / "net.tflite").read_bytes() == b"half of it"


@pytest.mark.usefixtures("board")
def test_a_name_is_a_name(tmp_path: Path) -> None:
    installer = Installer(tmp_path / "state", Heard())
    assert "no such name in the catalogue" in refused(installer, "mobilenet")
    file = tmp_path / "net.tflite"
    file.write_bytes(MODEL)
    for name in ("..", "a/b", ".hidden", "a" * 65):
        assert "a name has" in refused(installer, str(file), name=name)
    assert "comes with edged" in refused(installer, str(bundled.MODEL))


@pytest.mark.usefixtures("board")
def test_the_list_has_what_is_there_first(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(MODEL)
    Installer(tmp_path, Heard()).add(Wish(str(file)))
    rows = {row["name"]: row for row in listing(tmp_path)}
    assert list(rows)[:3] == [bundled.MODEL.stem, bundled.REPLIES.stem, "net"]
    assert rows["net"]["state"] == "version 1"
    assert rows["smartreply"]["state"] == "cannot be had"
    assert rows["inception_v3_299_quant"]["state"] == "unpinned"
    assert rows["ssd_mobilenet_v1"]["runs"]
    assert not rows["deeplabv3"]["runs"]


@pytest.mark.usefixtures("board")
def test_the_pipelines_that_use_a_model_are_known(tmp_path: Path) -> None:
    file, config = tmp_path / "net.tflite", tmp_path / "edged.yaml"
    file.write_bytes(MODEL)
    config.write_text(
        "state_dir: state\npipelines:\n  a: {source: {kind: synthetic}, model: {name: net}}\n"
        "  b: {source: {kind: synthetic}}\n"
    )
    folder = state_dir(config, given=True)
    assert folder == tmp_path / "state"
    installer = Installer(folder, Heard())
    used = installer.add(Wish(str(file)))
    assert in_use(config, installer.store.folder("net")) == ["a"]
    model = load(config).pipelines["a"].model
    assert (model.file, model.sha256) == (used.file, SHA256)


@pytest.mark.usefixtures("board")
def test_a_file_a_name_and_an_entry_are_described(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(MODEL)
    Installer(tmp_path, Heard()).add(Wish(str(file)))
    told = describe(str(file), tmp_path)
    assert told["inputs"] == ["uint8 1 x 8 x 8 x 3"]
    assert (told["runs"], told["classes"], told["labels"]) == (True, 8, 8)
    assert describe("net", tmp_path)["installed"]["version"] == 1
    assert describe("inception_v3_299_quant", tmp_path)["top1"] == 77.5
    assert describe(bundled.MODEL.stem, tmp_path)["classes"] == 1000
    assert describe(bundled.REPLIES.stem, tmp_path)["classes"] == 16
    with pytest.raises(Refused, match="no such file, and no such name"):
        describe("nothing", tmp_path)
    file.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"not a \.tflite file"):
        describe(str(file), tmp_path)


def test_a_user_who_may_not_look_still_gets_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr("edged.models.installed.os.scandir", denied)
    notes: list[str] = []
    assert len(listing(tmp_path, None, notes.append)) == len(catalogue.entries()) + len(bundled.NAMES)
    assert notes[0].startswith("what is installed is not shown: ")
    assert "use sudo" in notes[0]


def test_root_installs_only_where_nobody_else_can_put_links(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has to fear links")
    (tmp_path / "models").mkdir()
    os.chown(tmp_path / "models", 12345, 12345)
    with pytest.raises(Refused, match="does not belong to root"), Store(tmp_path).writing("net"):
        pass


def test_the_catalogue_is_what_its_script_makes_of_its_tables() -> None:
    import runpy

    from unit.docs.documents import ROOT

    made = runpy.run_path(str(ROOT / "catalogue" / "__main__.py"))
    assert made["TARGET"].read_text("utf-8") == made["text"](), "run: python catalogue"
    for one in catalogue.entries().values():
        assert one.unusable or one.url.startswith("https://"), one.name
        assert bool(one.sha256) == bool(one.bytes), one.name
        assert one.sha256 or one.git_blob or one.unusable, one.name


def test_a_model_of_text_is_installed_after_a_run_on_a_sentence(tmp_path: Path) -> None:
    words = {"vocab.txt": "<UNKNOWN> 2\ngood 4\nbad 6\n", "labels.txt": "praise\nblame\n"}
    (tmp_path / "mood.tflite").write_bytes(text_model(np.eye(8)[:, :2], files=words))
    used = Installer(tmp_path, Heard()).add(Wish(str(tmp_path / "mood.tflite")))
    assert (used.name, used.labels) == ("mood", None)
    told = describe("mood", tmp_path)
    assert (told["runs"], told["classes"], told["gets"]) == (True, 2, "text, at most 8 numbers")
    (tmp_path / "mute.tflite").write_bytes(text_model(np.eye(8)[:, :2]))
    with pytest.raises(ModelError, match="which number is which word"):
        Installer(tmp_path, Heard()).add(Wish(str(tmp_path / "mute.tflite")))
    with pytest.raises(Refused, match=r"replies comes with edged: model: \{name: replies\}"):
        Installer(tmp_path, Heard()).add(Wish("replies"))
    assert catalogue.entries()["test_model_nl_classifier_with_regex_tokenizer"].runs
    assert not catalogue.entries()["movie_review"].runs


def test_a_model_of_sound_is_installed_after_a_run_on_noise(tmp_path: Path, board: Board) -> None:
    used = Installer(tmp_path, Heard()).add(Wish(str(build_sound.write(tmp_path)), name="ears"))
    assert used.name == "ears"
    assert board.requests[0].pictures == (NOISE,)
    told = describe("ears", tmp_path)
    assert (told["runs"], told["classes"], told["gets"]) == (True, 4, "sound at 16000 Hz, -1..1")
    assert catalogue.entries()["yamnet"].runs
