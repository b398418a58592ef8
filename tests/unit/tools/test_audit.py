"""``edged audit`` where there is nothing to add up, or nothing that this user may see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edged.spool.disk import NAME, DiskSpool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOBODY = 65534
PROGRAM = (
    "import os, sys\n"
    "import edged.tools.audit\n"  # imported first: what follows may not read every folder
    "from edged.config import loader\n"
    "config = loader.load(sys.argv[1])\n"
    "loader.load = lambda path: config\n"
    "if os.geteuid() == 0: os.setuid(int(sys.argv[2]))\n"
    "from edged.cli.main import main\n"
    "sys.exit(main(['audit', '-c', sys.argv[1], *sys.argv[3:]]))"
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "edged.yaml"
    state = tmp_path / "state"
    file.write_text(f"state_dir: {state}\npipelines: {{p: {{source: {{kind: synthetic}}}}}}\n")
    return file


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    DiskSpool(folder, "n").close()
    yield folder
    folder.chmod(0o700)


def audit(config: Path, *options: str, user: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, str(config), str(user), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done


def test_a_missing_spool_is_reported(config: Path, tmp_path: Path) -> None:
    done = audit(config)
    sentence = f"there is no spool in {tmp_path / 'state'}: no event has been written there"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{sentence}\n", "")
    done = audit(config, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert (found["accepted"], found["dropped"], found["problem"]) == (0, {}, sentence)


@pytest.mark.usefixtures("spool")
def test_an_empty_spool_adds_up(config: Path) -> None:
    done = audit(config)
    assert done.returncode == 0
    assert "accepted        0" in done.stdout
    assert done.stdout.endswith("it adds up\n")


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_user_without_permission_gets_a_hint_and_no_account(config: Path, spool: Path, what: str) -> None:
    closed = spool if what == "folder" else spool / NAME
    if os.geteuid() == 0:
        for folder in config.parents:
            if folder.stat().st_mode & 0o001:
                break  # from here up others may pass already
            folder.chmod(0o711)
        spool.chmod(0o700 if what == "folder" else 0o755)
    else:
        closed.chmod(0)
    done = audit(config, user=NOBODY)
    sentence = f"{spool / NAME} cannot be read by this user: run it as root or as the user of the service"
    assert (done.returncode, done.stdout, done.stderr) == (77, "", f"edged: {sentence}\n")
    done = audit(config, "--json", user=NOBODY)
    found = json.loads(done.stdout)
    assert (done.returncode, found["balanced"], found["problem"]) == (77, None, sentence)


@pytest.mark.parametrize("suffix", ["", "-wal"])
@pytest.mark.parametrize("kind", ["pipe", "device", "huge"])
def test_what_is_no_spool_is_refused_at_once_and_never_copied(
    config: Path, spool: Path, suffix: str, kind: str
) -> None:
    file = spool / f"{NAME}{suffix}"
    file.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        file.touch()
        os.truncate(file, 1 << 42)
    done = audit(config)
    assert done.returncode == 1
    assert ("longer than" if kind == "huge" else "a device or pipe") in done.stdout
