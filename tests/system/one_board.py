"""One board, from itself, by deploy/install: a step of the deployment. At the end the role takes it over."""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING

from machines import until
from trial import PASSWORD, PASSWORD_PORT, ROOT, end

if TYPE_CHECKING:
    from pathlib import Path

    from trial import Trial

CHECKOUT, WHEELS, HOME = "/srv/edged", "/srv/wheels", "/root/board"
PIECES = ("edged", "deploy", "systemd", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
# Where the role may differ: it writes the configuration itself, from the inventory, and has edged reload it.
ITS_OWN = {"Install the configuration", "Restart or reload the service", "Copy them"}
# The broker lets the user guest write below its own name.
CONFIG = """
node: guest
state_dir: /root/.local/state/edged
run_dir: /root/.local/state/edged/run
mqtt:
  host: {host}
  port: {port}
  username: guest
  password_file: mqtt-password
  tls: {{ca_file: ca.pem}}
pipelines:
  eye:
    source: {{kind: folder, path: /srv/photos, interval_s: 0.5}}
    decision: {{threshold: 0.5, votes: 1, window: 1}}
"""


def _checkout(trial: Trial) -> Path:
    """Put a checkout and the wheels on the board."""
    place = trial.porch.path / CHECKOUT.removeprefix("/")
    place.mkdir()
    for name in PIECES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, place / name)
    shutil.copytree(trial.wheels, trial.porch.path / WHEELS.removeprefix("/"))
    return place


def _configure(trial: Trial) -> None:
    """Write a configuration with its password and its authority beside it, as a person would in a folder."""
    folder = trial.porch.path / HOME.removeprefix("/")
    folder.mkdir()
    text = CONFIG.format(host=trial.broker.address, port=PASSWORD_PORT)
    (folder / "edged.yaml").write_text(text)
    (folder / "mqtt-password").write_text(f"{PASSWORD}\n")
    shutil.copy(trial.authority / "ca.pem", folder / "ca.pem")


def _call(trial: Trial, *options: str) -> tuple[int, str, float]:
    since = time.monotonic()
    command = f"umask 077; {CHECKOUT}/deploy/install {' '.join(options)} 2>&1"
    done = trial.porch.ssh(command, check=False)
    return done.returncode, done.stdout, time.monotonic() - since


def _install(trial: Trial, *options: str) -> tuple[str, float]:
    code, printed, took = _call(trial, "--healthy-for 3", f"--wheels {WHEELS}", *options)
    assert code == 0, printed
    return printed, took


def _link(trial: Trial) -> str:
    return trial.porch.says("readlink /opt/edged/current").removeprefix("releases/")


def _break(place: Path) -> None:
    app = place / "edged/daemon/app.py"
    app.write_text(app.read_text() + '\n\ndef run(*_: object) -> None:\n    raise RuntimeError("broken")\n')


def one_board(trial: Trial) -> str:
    board = trial.porch
    trial.play("site", "--limit", "porch", edged_state="absent", edged_purge_data=True)
    place = _checkout(trial)
    times = [_install(trial)[1]]
    assert "photos" in board.says("cat /etc/edged/edged.yaml"), "what init finds on a board without a camera"
    first = _link(trial)

    _configure(trial)
    since = time.time()
    times.append(_install(trial, f"--config {HOME}/edged.yaml")[1])
    until("events at the broker", lambda: bool(trial.consumer.events("guest", since)), 20)
    modes = board.says("stat -c '%U:%G %a' /etc/edged/edged.yaml /etc/edged/mqtt-password").splitlines()
    assert modes == ["root:edged 640", "root:root 600"], modes
    pid = trial.pid(board)
    again, took = _install(trial)
    times.append(took)
    assert "nothing to change" in again, again
    assert trial.pid(board) == pid

    board.ssh("sed -i 's/threshold/treshold/' /etc/edged/edged.yaml")
    code, refused, _ = _call(trial, f"--wheels {WHEELS}")
    assert (code, trial.pid(board)) == (1, pid), refused
    assert re.search(r"/etc/edged/edged.yaml:\d+:\d+: .*treshold", refused), refused
    board.ssh("sed -i 's/treshold/threshold/' /etc/edged/edged.yaml")

    # The role takes over what it finds; it checks the file elsewhere, so the certificate is named in full.
    place_of_it = board.path / "etc/edged/edged.yaml"
    tls = "{'mqtt': {'tls': {'ca_file': '/etc/edged/ca.pem'}}}"
    text = f"{{{{ lookup('file', '{place_of_it}') | from_yaml | combine({tls}, recursive=true) }}}}"
    config = {"edged_config": text}
    secrets = {"edged_mqtt_password": PASSWORD, "edged_tls_ca": str(trial.authority / "ca.pem")}
    others = {"edged_tls_certificate": "", "edged_tls_key": "", "edged_mqtt_host": ""}
    played = trial.play(
        *("site", "--limit", "porch", "--diff"),
        **config,
        **secrets,
        **others,
        edged_install_from="source",
    )
    changed = set(re.findall(r"TASK \[edged : ([^\]]+)\][^\n]*\n(?:(?!TASK).*\n)*?changed:", played.output))
    assert changed <= ITS_OWN, (changed, end(played.output))
    assert _link(trial) == first

    # Upgrades: refused without the word, one that breaks, one that does not.
    board.ssh(f"sed -i 's/^__version__ = \"/&9./' {CHECKOUT}/edged/__init__.py")
    code, refused, _ = _call(trial, f"--wheels {WHEELS}")
    assert code == 1, refused
    assert "--upgrade replaces it" in refused, refused
    good = (place / "edged/daemon/app.py").read_text()
    _break(place)
    code, printed, took = _call(trial, "--upgrade --healthy-for 3", f"--wheels {WHEELS}")
    times.append(took)
    assert code == 1, printed
    assert "runs again, as before" in printed, printed
    assert _link(trial) == first
    until("porch is well", lambda: trial.is_well(board), 20)
    (place / "edged/daemon/app.py").write_text(good)
    since = time.time()
    times.append(_install(trial, "--upgrade")[1])
    assert trial.status(board)["version"].startswith("9.")
    code, printed, _ = _call(trial, "--rollback --healthy-for 3")
    assert (code, _link(trial)) == (0, first), printed
    time.sleep(1)
    account = trial.consumer.account("guest", since)
    assert (account.missing, account.epochs) == (0, 1), account

    code, printed, _ = _call(trial, "--remove --data")
    assert code == 0, printed
    left = board.says(
        "find / -xdev -path /proc -prune -o -path /var/log -prune -o -path /srv -prune -o -path /root -prune "
        "-o -path /run -prune -o -name '*edged*' -print; id edged 2>/dev/null || true"
    )
    assert left == "", left
    figures = ", ".join(f"{took:.0f}" for took in times)
    return f"{figures} s (bare, configured, again, broken, good); role: {sorted(changed)}; {account}"
