"""Where the page listens, and who may connect there."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from edged.errors import Refused
from edged.tools.page.address import Address, socket_path


def test_a_unix_socket_is_for_its_owner_and_goes_with_the_page(tmp_path: Path) -> None:
    path = tmp_path / "edged" / "page.sock"
    address = Address.at_socket(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
    commands = [how for _what, how in address.instructions()]
    assert commands[0].startswith(f"ssh -N -L 8080:{path} ")
    assert commands[1] == f"http://localhost:8080/#{address.token}"
    address.close()
    assert not path.exists()


def test_a_socket_that_a_killed_page_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "page.sock"
    left = Address.at_socket(path)
    left.listener.close()
    address = Address.at_socket(path)
    with pytest.raises(Refused, match="another edged page is served there"):
        Address.at_socket(path)
    address.close()


def test_a_file_of_somebody_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.sock"
    path.write_text("mine")
    with pytest.raises(Refused, match="a file that is not a socket"):
        Address.at_socket(path)
    assert path.read_text() == "mine"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="a file that is not a socket"):
        Address.at_socket(path)


def test_a_path_that_cannot_be_used_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="edged page --port 8080 needs no folder"):
        Address.at_socket(tmp_path / "file" / "page.sock")
    with pytest.raises(Refused, match="path too long"):
        Address.at_socket(tmp_path / ("x" * 200))


def test_a_port_is_one_of_127_0_0_1() -> None:
    address = Address.at_port(0)
    host, port = address.listener.getsockname()
    assert host == "127.0.0.1"
    assert [how for _what, how in address.instructions()] == [f"http://127.0.0.1:{port}/#{address.token}"]
    with pytest.raises(Refused, match=rf"port {port} of 127\.0\.0\.1: address already in use"):
        Address.at_port(port)
    address.close()
    address.close()


def test_tokens_are_long_and_never_the_same() -> None:
    addresses = [Address.at_port(0) for _ in range(3)]
    tokens = {address.token for address in addresses}
    assert len(tokens) == 3
    assert min(map(len, tokens)) >= 22
    assert not any(token in repr(addresses) for token in tokens)
    for address in addresses:
        address.close()


def test_the_run_directory_is_used_where_it_may_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert socket_path(tmp_path / "run" / "edged") == tmp_path / "run" / "edged" / "page.sock"
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == tmp_path and mode == os.W_OK))
    assert socket_path(tmp_path / "edged") == Path("/run/user/1000/edged/page.sock")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert socket_path(tmp_path / "edged") == tmp_path / "edged" / "page.sock"


def test_whoever_typed_sudo_owns_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[object, ...]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda *about, **_: given.append(about))
    monkeypatch.setenv("SUDO_UID", "1000")
    monkeypatch.setenv("SUDO_USER", "pi")
    address = Address.at_socket(tmp_path / "page.sock")
    assert given == [(tmp_path / "page.sock", 1000, -1)]
    assert " pi@" in next(address.instructions())[1]
    address.close()
