from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from edged.errors import Refused
from edged.tools.models import download
from edged.tools.models.download import ATTEMPTS, Download
from unit.tools.models.http_server import Server

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = bytes(range(256)) * 40


class Heard:
    """Keeps what a watcher hears."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[tuple[int, int | None]] = []

    def received(self, done: int, total: int | None) -> None:
        self.steps.append((done, total))

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def fetched(tmp_path: Path, server: Server, **fields: Any) -> tuple[bytes, Heard]:
    heard, part = Heard(), tmp_path / "part"
    waits: list[float] = []
    with server:
        values = {"most": 1 << 20, "stall_s": 0.3, "sleep": waits.append} | fields
        Download(server.url, part, **values).run(heard)
    assert len(waits) == len(heard.notes)
    return part.read_bytes(), heard


def test_a_file_is_downloaded_with_progress(tmp_path: Path) -> None:
    content, heard = fetched(tmp_path, Server(CONTENT), size=len(CONTENT))
    assert content == CONTENT
    assert heard.steps[-1] == (len(CONTENT), len(CONTENT))
    assert heard.notes == []


@pytest.mark.parametrize("way", ["cut 1000", "stall 1000", "status 503", "to"])
def test_trouble_that_passes_costs_another_attempt_at_most(tmp_path: Path, way: str) -> None:
    content, heard = fetched(tmp_path, Server(CONTENT, [way]))
    assert content == CONTENT
    assert len(heard.notes) == (way != "to")


def test_it_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    server = Server(CONTENT, ["cut 1000", "cut 500"])
    assert fetched(tmp_path, server)[0] == CONTENT
    assert server.asked == [None, "bytes=1000-", "bytes=1500-"]


def test_a_later_run_goes_on_with_the_part_of_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT[:3000])
    server = Server(CONTENT)
    assert fetched(tmp_path, server)[0] == CONTENT
    assert server.asked == ["bytes=3000-"]


@pytest.mark.parametrize("way", ["no-ranges", "other-part"])
def test_a_server_that_sends_another_part_is_asked_for_the_whole(tmp_path: Path, way: str) -> None:
    assert fetched(tmp_path, Server(CONTENT, ["cut 1000", way]))[0] == CONTENT


def test_a_part_that_is_longer_than_the_file_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT + b"more")
    assert fetched(tmp_path, Server(CONTENT))[0] == CONTENT


def test_a_server_that_never_answers_well_is_given_up(tmp_path: Path) -> None:
    server = Server(CONTENT, ["cut 0"] * 20)
    with pytest.raises(Refused, match="closed the connection before the end") as caught:
        fetched(tmp_path, server)
    assert caught.value.status == os.EX_TEMPFAIL
    assert len(server.asked) == ATTEMPTS


def test_what_has_arrived_is_kept_for_the_next_run(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="what has arrived is kept"):
        fetched(tmp_path, Server(CONTENT, ["cut 1000", *["stall 0"] * 10]))
    assert (tmp_path / "part").read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize(
    ("ways", "fields", "said"),
    [
        (["status 404"], {}, "the server answers 404"),
        (["to ftp://127.0.0.1/m"], {}, "leads to ftp://127.0.0.1/m"),
        (["to file:///etc/passwd"], {}, "file:///etc/passwd"),
        (["to"] * 20, {}, "302"),
        ([], {"size": 17}, "should have 17 bytes, and the server offers 10240"),
        ([], {"size": 20000}, "should have 20000 bytes"),
        ([], {"most": 100}, "longer than 100 bytes"),
        (["endless"], {"most": 20000}, "longer than 20000 bytes"),
    ],
)
def test_what_no_other_attempt_mends_is_refused_at_once(
    tmp_path: Path, ways: list[str], fields: dict[str, int], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        fetched(tmp_path, Server(CONTENT, ways), **fields)
    part = tmp_path / "part"
    assert not part.exists() or part.stat().st_size <= fields.get("most", 1 << 20)


def test_an_encrypted_address_never_leads_to_a_plain_one() -> None:
    request = download.urllib.request.Request("https://example.org/m")
    with pytest.raises(Refused, match="not encrypted"):
        download._Redirects().redirect_request(request, None, 302, "", {}, "http://example.org/m")


def test_nobody_at_home_is_a_sentence(tmp_path: Path) -> None:
    server = Server(CONTENT)
    with server:
        pass
    with pytest.raises(Refused, match="connection refused"):
        Download(server.url, tmp_path / "part", 100, sleep=lambda _s: None).run(Heard())
