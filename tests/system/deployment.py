"""The deployment, step by step, on machines with a real systemd; ``tests/system/run`` prepares and calls it.

Two boards, ``porch`` and ``garage``, and a ``broker``: all come from the same bare Debian, and the playbooks
of ``deploy/`` are applied to them over ssh, as a person would. Each step shows one thing and returns its
figure.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attempts
import machines
import one_board
import services
from machines import run, until
from trial import PASSWORD, PASSWORD_PORT, PORT, ROOT, Trial, end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
STEPS: list[tuple[str, Callable[[Trial], str]]] = []


def step(title: str) -> Callable[[Callable[[Trial], str]], Callable[[Trial], str]]:
    def register(function: Callable[[Trial], str]) -> Callable[[Trial], str]:
        STEPS.append((title, function))
        return function

    return register


def _break(sources: Path) -> None:
    """Make a version that starts and then fails, as a bad release would."""
    app = sources / "edged/daemon/app.py"
    app.write_text(
        app.read_text() + '\n\ndef run(*_: object) -> None:\n    raise RuntimeError("a broken release")\n'
    )


@step("a broker by its role: TLS, certificates, rules; a second run changes nothing")
def broker(trial: Trial) -> str:
    first = trial.play("broker")
    second = trial.play("broker")
    assert second.changed == {"broker": 0}, end(second.output)
    target = ("mosquitto_pub", "-h", trial.broker.address, "-p", str(PASSWORD_PORT), "-t", "x", "-n")
    login = ("--cafile", str(trial.authority / "ca.pem"), "-u", "guest", "-P")
    codes = [run(*target, *login, word, check=False).returncode for word in (PASSWORD, "wrong")]
    assert codes[0] == 0, "the right password"
    assert codes[1] != 0, "a wrong one"
    trial.consumer.start()
    return f"{first.seconds:.0f} s, then {second.seconds:.0f} s with 0 changes"


@step("--check on a bare board changes nothing there")
def check_mode(trial: Trial) -> str:
    before = trial.files_of(trial.porch)
    played = trial.play("site", "--check", "--diff", "--limit", "porch")
    after = trial.files_of(trial.porch)
    assert after == before, sorted(set(after.items()) ^ set(before.items()))[:10]
    return (
        f"would change {played.changed['porch']} things; files before and after: {len(before)}, {len(after)}"
    )


@step("a bare board publishes: playbook to first message at a subscriber (at most 300 s)")
def install(trial: Trial) -> str:
    profile = trial.garage.path / "root/.bashrc"
    profile.write_text("umask 077\n")  # as on boards that somebody hardened
    assert trial.garage.ssh("umask").stdout.strip() == "0077"
    since = time.time()
    played = trial.play("site", edged_serial=["100%"])
    profile.unlink()
    times = {b.name: trial.consumer.events(b.name)[0].at - since for b in (trial.porch, trial.garage)}
    assert max(times.values()) <= 300, times
    figures = ", ".join(f"{name} {took:.0f} s" for name, took in times.items())
    return f"{figures}, both at once; playbook {played.seconds:.0f} s"


@step("a second run changes nothing, nor does one in check mode find anything to change")
def second_run(trial: Trial) -> str:
    pids = [trial.pid(b) for b in (trial.porch, trial.garage)]
    second = trial.play("site", "--diff", edged_serial=["100%"])
    check = trial.play("site", "--check", "--diff", "--limit", "porch")
    assert set(second.changed.values()) == {0}, end(second.output)
    assert set(check.changed.values()) == {0}, end(check.output)
    assert pids == [trial.pid(b) for b in (trial.porch, trial.garage)]
    return f"0 changes on {len(second.changed)} boards in {second.seconds:.0f} s, same processes"


step("the installed units: verified, exposure at most 1.2 each, no listening port")(services.units)


@step("TLS with a certificate of the board's own; without one, and in clear, nothing")
def tls(trial: Trial) -> str:
    def publish(*login: str) -> int:
        target = [
            "mosquitto_pub",
            "-h",
            trial.broker.address,
            "-p",
            str(PORT),
            "-t",
            "edged/porch/x",
            "-m",
            "1",
        ]
        return subprocess.run([*target, *login], capture_output=True, timeout=20, check=False).returncode

    authority = str(trial.authority / "ca.pem")
    assert publish() != 0, "in clear"
    assert publish("--cafile", authority) != 0, "without a certificate"
    own = ("--cert", str(trial.authority / "porch.pem"), "--key", str(trial.authority / "porch.key"))
    assert publish("--cafile", authority, *own) == 0, "with the board's"
    link = trial.porch.says("ss -Htnp state established | grep edged")
    assert f"{trial.broker.address}:{PORT}" in link, link
    return f"connected to {trial.broker.address}:{PORT}, 2 other ways refused"


@step("a board is refused the topics of another")
def identity(trial: Trial) -> str:
    since = time.time()
    for topic, login in (("garage", "porch"), ("porch", "porch")):
        run(
            *("mosquitto_pub", "-V", "mqttv5", "-h", trial.broker.address, "-p", str(PORT), "-q", "1"),
            *(
                "--cafile",
                str(trial.authority / "ca.pem"),
                "-t",
                f"edged/{topic}/forged",
                "-m",
                '{"id":"x/0/1"}',
            ),
            *(
                "--cert",
                str(trial.authority / f"{login}.pem"),
                "--key",
                str(trial.authority / f"{login}.key"),
            ),
            check=False,
        )
    trial.consumer.wait_for("edged/porch/forged", "x/0/1", since, 10)
    assert not [m for m in trial.consumer.messages(since) if m.topic == "edged/garage/forged"]
    return "its own arrives, the foreign one does not"


@step("stop in at most 5 s with a retained 'offline', then start")
def stop_and_start(trial: Trial) -> str:
    since = time.time()
    begun = time.monotonic()
    trial.porch.ssh("systemctl stop edged")
    stopped = time.monotonic() - begun
    trial.consumer.wait_for("edged/porch/status", "offline", since, 5)
    assert stopped <= 5, stopped
    begun = time.monotonic()
    trial.porch.ssh("systemctl start edged")
    started = time.monotonic() - begun
    trial.consumer.wait_for("edged/porch/status", "online", since + stopped, 10)
    return f"stop {stopped:.2f} s, start until READY {started:.2f} s"


@step("a changed threshold is taken over by a reload, in the same process")
def reload(trial: Trial) -> str:
    pid = trial.pid(trial.porch)
    before = {m.data["label"] for m in trial.consumer.events("porch")[-12:]}
    over = {"pipelines": {"eye": {"decision": {"threshold": 0.85, "exit_threshold": 0.8}}}}
    played = trial.play("site", "--limit", "porch", edged_config_overrides=over)
    since = time.time()
    until("events after the reload", lambda: len(trial.consumer.events("porch", since)) >= 6, 20)
    after = {m.data["label"] for m in trial.consumer.events("porch", since)[1:]}
    assert trial.pid(trial.porch) == pid
    assert "Egyptian cat" in before - after, (before, after)
    trial.play("site", "--limit", "porch")
    assert trial.pid(trial.porch) == pid
    return f"pid {pid} before and after; {played.changed['porch']} change; the cat at 0.77 is unknown now"


@step("a configuration that edged refuses never takes the place of a good one")
def bad_configuration(trial: Trial) -> str:
    pid, before = trial.pid(trial.porch), trial.porch.says("sha256sum /etc/edged/edged.yaml")
    over = {"pipelines": {"eye": {"decision": {"treshold": 0.5}}}}
    played = trial.play("site", "--limit", "porch", good=False, edged_config_overrides=over)
    assert played.code != 0
    assert "treshold" in played.output
    assert trial.porch.says("sha256sum /etc/edged/edged.yaml") == before
    assert trial.pid(trial.porch) == pid
    return "refused with its line, file and process untouched"


@step("kill -9 of main: back by itself")
def killed(trial: Trial) -> str:
    pid = trial.pid(trial.porch)
    since = time.time()
    trial.porch.ssh(f"kill -9 {pid}")
    took = until(
        "a new process that is well",
        lambda: trial.pid(trial.porch) not in {0, pid} and trial.is_well(trial.porch),
        30,
    )
    event = until("events", lambda: bool(trial.consumer.events("porch", since + 2)), 20)
    return f"well again after {took:.1f} s, events {event:.1f} s later"


@step("a stalled main is killed by the watchdog and comes back (WatchdogSec=30)")
def watchdog(trial: Trial) -> str:
    pid = trial.pid(trial.garage)
    since = time.monotonic()
    trial.garage.ssh(f"kill -STOP {pid}")
    until(
        "a new process that is well",
        lambda: trial.pid(trial.garage) not in {0, pid} and trial.is_well(trial.garage),
        90,
        0.5,
    )
    took = time.monotonic() - since
    said = trial.garage.says(
        "journalctl -u edged --no-pager --output cat --since '-3 min' | grep -i 'watchdog timeout'"
    )
    assert said, "systemd says nothing of a watchdog"
    return f"well again {took:.0f} s after it froze"


step("kill -9 of a worker and of the fork server: back by themselves, main goes on")(services.workers_killed)


step("a stalled fork server is ended by systemd, as main may not (WatchdogSec=60)")(services.workers_watchdog)


@step("the board restarts while the broker is away: it comes up by itself and delivers what was queued")
def reboot(trial: Trial) -> str:
    since = time.time()
    until("events", lambda: len(trial.consumer.events("porch", since)) >= 2, 20)
    trial.broker.ssh("systemctl stop mosquitto")
    until("a queue", lambda: int(trial.status(trial.porch)["queue"]) >= 8, 60, 0.5)
    queued = trial.status(trial.porch)["queue"]
    back = trial.porch.reboot()
    until("edged is active", lambda: trial.pid(trial.porch) != 0, 30)
    trial.broker.ssh("systemctl start mosquitto")
    until(
        "the queue is empty",
        lambda: trial.is_well(trial.porch) and trial.status(trial.porch)["queue"] <= 1,
        40,
        0.5,
    )
    time.sleep(1)
    account = trial.consumer.account("porch", since)
    assert (account.missing, account.epochs) == (0, 1), account
    replayed = sum(bool(m.data["replayed"]) for m in trial.consumer.events("porch", since))
    assert replayed >= queued - 1, (replayed, queued)
    return f"ssh back in {back:.1f} s; {queued} queued before, {replayed} replayed; {account}"


step("both units hold: what must work works, what must not does not")(services.sandbox)


step("code in a worker tries every way out of its unit")(attempts.walls)


step("no secret is shown: files are root's, and --diff prints no password of an address")(services.secrets)


step("a network camera: a third unit, which reaches it and nothing else")(services.network_camera)


@step("a good upgrade: no event is lost on the way")
def upgrade(trial: Trial) -> str:
    new = f"{trial.version}.post1"
    since = time.time()
    played = trial.play("site", "--limit", "porch", edged_version=new, edged_wheelhouse=str(trial.house(new)))
    assert trial.porch.says("readlink /opt/edged/current") == f"releases/{trial.release(new)}"
    assert trial.status(trial.porch)["version"] == new
    account = trial.consumer.account("porch", since)
    assert (account.missing, account.epochs) == (0, 1), account
    return f"{trial.version} to {new} in {played.seconds:.0f} s; {account}"


@step("an upgrade to a broken release: the old one runs again, the next board is never touched")
def broken(trial: Trial) -> str:
    new = f"{trial.version}.post2"
    now = trial.porch.says("readlink /opt/edged/current")
    garage = trial.pid(trial.garage)
    since = time.time()
    house = str(trial.house(new, _break))
    played = trial.play("site", good=False, edged_version=new, edged_wheelhouse=house, edged_gate_timeout=10)
    assert played.code != 0
    assert "is running again, as it was before" in played.output, end(played.output)
    assert "garage" not in played.changed, played.changed
    assert trial.pid(trial.garage) == garage
    assert trial.porch.says("readlink /opt/edged/current") == now
    until("porch is well", lambda: trial.is_well(trial.porch), 20)
    statuses = [m for m in trial.consumer.messages(since) if m.topic == "edged/porch/status"]
    away = statuses[-1].at - statuses[0].at
    account = trial.consumer.account("porch", since)
    assert (account.missing, account.epochs) == (0, 1), account
    return f"back in {played.seconds:.0f} s, of which away {away:.0f} s; garage untouched; {account}"


@step("rollback.yml: the release before, with its configuration")
def rollback(trial: Trial) -> str:
    played = trial.play("rollback", "--limit", "porch")
    assert trial.porch.says("readlink /opt/edged/current") == f"releases/{trial.release(trial.version)}"
    assert trial.status(trial.porch)["version"] == trial.version
    assert trial.is_well(trial.porch)
    return f"in {played.seconds:.0f} s"


@step("releases whose queues differ: said beforehand, nothing is touched")
def queue(trial: Trial) -> str:
    other = trial.release(f"{trial.version}.post1")
    module = trial.porch.path / f"opt/edged/releases/{other}/lib"
    store = next(module.glob("python3*/site-packages/edged/spool/store.py"))
    text = store.read_text()
    store.write_text(re.sub("^VERSION = .*", "VERSION = 99", text, flags=re.MULTILINE))
    pid = trial.pid(trial.porch)
    played = trial.play("rollback", "--limit", "porch", good=False, edged_rollback_to=other)
    store.write_text(text)
    assert played.code != 0
    assert "in form 99" in played.output, end(played.output)
    assert trial.pid(trial.porch) == pid
    return "refused with both forms and what to say to go on; same process"


@step("certificates rotate by playbook, and no event is lost")
def rotate(trial: Trial) -> str:
    serial = ("openssl", "x509", "-noout", "-serial", "-in", str(trial.authority / "porch.pem"))
    before, since = run(*serial).stdout, time.time()
    trial.play("broker", edged_ca_rotate=True)
    played = trial.play("site", "--limit", "porch", edged_ca_rotate=True)
    until("events", lambda: trial.is_well(trial.porch) and trial.status(trial.porch)["queue"] <= 1, 30)
    time.sleep(1)
    assert run(*serial).stdout != before
    account = trial.consumer.account("porch", since)
    assert (account.missing, account.epochs) == (0, 1), account
    return f"broker and board in {played.seconds:.0f} s; {account}"


@step("fleet.yml: one table, nothing changed")
def fleet(trial: Trial) -> str:
    played = trial.play("fleet")
    rows = re.findall(r'"((?:porch|garage) +.*?)"', played.output)
    assert len(rows) == 2, end(played.output)
    assert set(played.changed.values()) == {0}
    return "; ".join(" ".join(row.split()) for row in rows)


step("a board of 0.1.0: to two units, back to one, forward again; no event is lost")(services.first_release)


@step("stopped: all in place, nothing runs, also after a reboot")
def stopped(trial: Trial) -> str:
    trial.play("site", "--limit", "porch", edged_state="stopped")
    assert trial.porch.ssh("systemctl is-active edged", check=False).stdout.strip() == "inactive"
    assert trial.porch.ssh("systemctl is-enabled edged", check=False).stdout.strip() == "disabled"
    trial.porch.reboot()
    assert trial.pid(trial.porch) == 0
    again = trial.play("site", "--limit", "porch", edged_state="stopped")
    assert again.changed == {"porch": 0}, again.changed
    return "inactive and disabled; again: 0 changes"


@step("absent removes all but the data; with edged_purge_data those too")
def absent(trial: Trial) -> str:
    played = trial.play("site", "--limit", "porch", edged_state="absent")
    left = trial.porch.says(
        "find / -xdev -path /proc -prune -o -path /var/log -prune -o -path /var/lib/edged -prune "
        "-o -name '*edged*' -print"
    )
    assert left == "", left
    assert trial.porch.says("systemctl list-units --all --no-legend 'edged*'") == ""
    assert trial.porch.says("ls -A /var/lib/edged | wc -l") != "0"
    trial.play("site", "--limit", "porch", edged_state="absent", edged_purge_data=True)
    assert trial.porch.says("ls -d /var/lib/edged 2>/dev/null; id edged 2>/dev/null || true") == ""
    again = trial.play("site", "--limit", "porch", edged_state="absent", edged_purge_data=True)
    assert again.changed == {"porch": 0}, again.changed
    return f"{played.seconds:.0f} s, nothing left; again: 0 changes"


step("one board by deploy/install: installed, upgraded, returned, taken over by the role, removed")(
    one_board.one_board
)


_FIRST = {broker, install}  # without these there is nothing to look at


@contextlib.contextmanager
def _world(root: Path, wheels: Path) -> Iterator[Trial]:
    with tempfile.TemporaryDirectory(prefix="edged-system-") as folder, machines.network():
        work = Path(folder)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(work / "key"))
        trial = Trial(work, root, wheels)
        try:
            for machine in trial.machines:
                since = time.monotonic()
                machine.start()
                shutil.copytree(ROOT / "edged/photos", machine.path / "srv/photos")
                print(
                    f"    {machine.name} ({machine.address}) is up after {time.monotonic() - since:.1f} s",
                    flush=True,
                )
            trial.inventory()
            yield trial
        finally:
            trial.consumer.stop()
            for machine in trial.machines:
                machine.stop()


def _show(trial: Trial, title: str, function: Callable[[Trial], str]) -> bool:
    since = time.monotonic()
    try:
        figure, verdict = function(trial), "ok    "
    except (AssertionError, subprocess.SubprocessError, ValueError, LookupError, OSError) as error:
        figure, verdict = f"{type(error).__name__}: {error}", "FAILED"
    print(f"{verdict} {time.monotonic() - since:4.0f} s  {title}\n                {figure}", flush=True)
    return verdict == "ok    "


def main() -> int:
    parser = argparse.ArgumentParser(description="see tests/system/run")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("--only", metavar="NAME", help=", ".join(function.__name__ for _, function in STEPS))
    parser.add_argument("--just", metavar="NAME", help="this step, after those that it needs")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    since, results = time.monotonic(), []
    with _world(arguments.root, arguments.wheels) as trial:
        for title, function in STEPS:
            if arguments.just not in {None, function.__name__} and function not in _FIRST:
                continue
            results.append(_show(trial, title, function))
            if function.__name__ == arguments.only or (function in _FIRST and not results[-1]):
                break
        if arguments.keep:
            input(
                f"the machines are on; ssh -i {trial.porch.key} root@{trial.porch.address}; Enter ends them: "
            )
    print(f"    {time.monotonic() - since:.0f} s in all")
    print(f"{sum(results)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
