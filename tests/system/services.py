"""The two units on a board, and the third one of network cameras: steps of the deployment."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from machines import until
from trial import PORT, end

if TYPE_CHECKING:
    from trial import Trial

HERE = Path(__file__).resolve().parent


def units(trial: Trial) -> str:
    says = trial.porch.says("systemd-analyze verify --man=no edged.service edged-workers.socket 2>&1")
    assert says == "", says
    exposures = {}
    for name in ("edged", "edged-workers"):
        text = trial.porch.says(f"systemd-analyze security --no-pager {name}.service | tail -n 1")
        exposures[name] = float(re.findall(rf"{name}.service: ([0-9.]+)", text)[0])
    assert max(exposures.values()) <= 1.2, exposures
    ports = trial.porch.says("ss -Hltunp | grep -cE 'edged|python' || true")
    assert ports == "0", ports
    return f"exposure {exposures}, {ports} ports"


def _worker(trial: Trial, name: str) -> int:
    process = trial.status(trial.porch)["processes"].get(name, {})
    return int(process.get("pid", 0))


def _probe(trial: Trial, who: str, unit: str) -> dict[str, dict[str, bool]]:
    """Run the probe in the place of a unit's program, and return what worked."""
    folder = trial.porch.path / "etc/systemd/system"
    text = (folder / f"{unit}.service").read_text()
    arguments = (
        f"{trial.broker.address} {PORT} {trial.garage.address} /etc/edged/node.key {trial.pid(trial.porch)}"
    )
    start = f"ExecStart=/opt/edged/current/bin/python /opt/edged/probe.py {who} {arguments}"
    text = re.sub("^ExecStart=.*", start, text, flags=re.MULTILINE)
    needless = "ExecReload|Restart|RestartSec|WatchdogSec|RestartPreventExitStatus|PartOf|Before"
    text = re.sub(f"^({needless})=.*", "", text, flags=re.MULTILINE)
    # systemd takes the run directory away with a service, and the real one still needs its own.
    text = text.replace("Type=notify", "Type=oneshot").replace(
        "RuntimeDirectory=edged", "RuntimeDirectory=edgedprobe"
    )
    (folder / "edgedprobe.service").write_text(text)
    shutil.copytree(folder / f"{unit}.service.d", folder / "edgedprobe.service.d")
    shutil.copy(HERE / "probe.py", trial.porch.path / "opt/edged/probe.py")
    trial.porch.ssh("systemctl daemon-reload && systemctl start edgedprobe", check=False)
    said = trial.porch.says("journalctl -u edgedprobe --no-pager --output cat")
    trial.porch.ssh(
        "rm -r /etc/systemd/system/edgedprobe.service* /opt/edged/probe.py; systemctl daemon-reload"
    )
    lines = [line for line in said.splitlines() if line.startswith("{")]
    assert lines, said
    found = json.loads(lines[-1])
    assert all(found["good"].values()), (who, found["good"])
    assert not any(found["bad"].values()), (who, [k for k, v in found["bad"].items() if v])
    assert isinstance(found, dict)
    return found


def sandbox(trial: Trial) -> str:
    outside = trial.porch.ssh(f"timeout 3 bash -c '</dev/tcp/{trial.garage.address}/22'", check=False)
    assert outside.returncode == 0, "the other host must be there to be refused"
    found = [_probe(trial, "main", "edged"), _probe(trial, "workers", "edged-workers")]
    status = trial.status(trial.porch)
    held = status["pipelines"]["eye"]["isolation"]
    assert {"user", "seccomp", "netns", "mountns"} <= set(held), held
    pids = [str(p["pid"]) for name, p in status["processes"].items() if name != "main"]
    inside = trial.porch.says(f"ss -tuapn | grep -cE 'pid=({'|'.join(pids)}),' || true")
    assert inside == "0", inside
    users = set(trial.porch.says(f"ps -o user= -p {','.join(pids)}").split())
    main = trial.porch.says(f"ps -o user= -p {trial.pid(trial.porch)}")
    assert main not in users, users
    good, bad = (sum(len(f[key]) for f in found) for key in ("good", "bad"))
    return f"{good} things allowed that must be, {bad} refused that must be; {', '.join(held)}"


def workers_killed(trial: Trial) -> str:
    main, times = trial.pid(trial.porch), []
    for name in ("eye", "forkserver"):
        pid, since = _worker(trial, name), time.time()
        trial.porch.ssh(f"kill -9 {pid}")
        until(f"another {name}", lambda n=name, p=pid: _worker(trial, n) not in {0, p}, 30)  # type: ignore[misc] # its defaults
        until("events", lambda s=since: bool(trial.consumer.events("porch", s + 1)), 30)  # type: ignore[misc] # its defaults
        times.append(trial.consumer.events("porch", since + 0.5)[0].at - since)
    assert trial.pid(trial.porch) == main
    return f"events again after {times[0]:.1f} s and {times[1]:.1f} s, main the same process"


def workers_watchdog(trial: Trial) -> str:
    main, pid = trial.pid(trial.porch), _worker(trial, "forkserver")
    since = time.monotonic()
    trial.porch.ssh(f"kill -STOP {pid}")
    until("another fork server", lambda: _worker(trial, "forkserver") not in {0, pid}, 130, 0.5)
    until("well", lambda: trial.is_well(trial.porch), 30)
    assert trial.pid(trial.porch) == main
    return f"well again {time.monotonic() - since:.0f} s after it froze, main the same process"


def secrets(trial: Trial) -> str:
    camera = {"kind": "video", "url": f"rtsp://cam:S3cretCam@{trial.garage.address}/1"}
    over = {"pipelines": {"yard": {"source": camera}}}
    played = trial.play("site", "--check", "--diff", "--limit", "porch", edged_config_overrides=over)
    assert "S3cretCam" not in played.output
    paths = "/etc/edged/edged.yaml /etc/edged/node.key /run/edged/status.json /opt/edged/current/deployed"
    modes = trial.porch.says(f"stat -c '%U:%G %a' {paths}").splitlines()
    assert modes == ["root:edged 640", "root:root 600", "edged:edged 640", "root:root 700"], modes
    return "4 places closed, nothing in the diff"


def network_camera(trial: Trial) -> str:
    shutil.copy(HERE / "camera.py", trial.garage.path / "srv/camera.py")
    trial.garage.ssh("systemd-run --unit camera python3 /srv/camera.py /srv/photos/01-cat.jpg 8000")
    trial.porch.ssh(f"echo '{trial.garage.address} camera.test' >>/etc/hosts")
    camera = {"kind": "video", "url": "http://camera.test:8000/stream", "interval_s": 0.5}
    over = {
        "pipelines": {"yard": {"source": camera, "decision": {"threshold": 0.5, "votes": 1, "window": 1}}}
    }
    since = time.time()
    trial.play("site", "--limit", "porch", edged_config_overrides=over)
    until("events", lambda: any("/yard/" in m.topic for m in trial.consumer.events("porch", since)), 40)
    pipelines = trial.status(trial.porch)["pipelines"]
    assert pipelines["yard"]["network"] is True
    assert "netns" not in pipelines["yard"]["isolation"]
    assert "netns" in pipelines["eye"]["isolation"]
    found = _probe(trial, "network", "edged-workers-network")
    again = trial.play("site", "--limit", "porch", edged_config_overrides=over)
    assert again.changed == {"porch": 0}, end(again.output)
    trial.play("site", "--limit", "porch")
    left = trial.porch.says("systemctl list-units --all --no-legend 'edged-workers-network*'; ls /etc/edged")
    assert "network" not in left, left
    assert "camera-hosts" not in left, left
    trial.garage.ssh("systemctl stop camera")
    return f"{len(found['good'])} things allowed that must be, {len(found['bad'])} refused that must be"


def first_release(trial: Trial) -> str:
    sources = trial.first_release()
    if sources is None:
        return "not tried: this checkout's history does not have 0.1.0"
    garage = ("--limit", "garage")
    trial.play("site", *garage, edged_state="absent", edged_purge_data=True)
    trial.play("site", *garage, root=sources, edged_version="0.1.0", edged_wheelhouse=str(sources / "wheels"))
    assert trial.garage.ssh("id -nG edged | grep -qw video").returncode == 0
    planted = "/var/lib/edged/.local/lib/python3/site-packages/planted.pth"
    trial.garage.ssh(f"install -D -o edged /dev/null {planted}")
    since, times = time.time(), []
    for playbook in ("site", "rollback", "site"):
        times.append(trial.play(playbook, *garage).seconds)
        units = trial.garage.says("find /etc/systemd/system -type f -name 'edged-workers*' | wc -l")
        groups = trial.garage.says("id -nG edged").split()
        expected = (True, True) if playbook == "rollback" else (False, False)
        assert (units == "0", "video" in groups) == expected, (playbook, times, units, groups)
        until("garage is well", lambda: trial.is_well(trial.garage), 30)
    assert trial.garage.ssh(f"test -e {planted}", check=False).returncode == 1, "what a worker left is gone"
    owner = trial.garage.says("stat -c '%U:%G %a' /var/lib/edged /var/lib/edged/models").splitlines()
    assert owner == ["root:edged 1770", "root:root 755"], owner
    time.sleep(1)
    account = trial.consumer.account("garage", since)
    assert (account.missing, account.epochs) == (0, 1), account
    return f"in {', '.join(f'{t:.0f} s' for t in times)}; {account}"
