"""Completions in the real shells, and the manual page in the real formatters; each where it is installed."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edged.cli import main as command_line
from edged.cli.shell_words import verbs

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0
OPERATION = ROOT / "docs" / "operation.md"


def printed(form: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "edged", "completion", form], capture_output=True, text=True, check=True
    )
    assert not done.stderr
    return done.stdout


def need(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


class Shell:
    """An interactive shell on a terminal, without anybody's settings."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._fd, theirs = pty.openpty()
        environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(folder), "PS1": "> "}
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment
        )
        os.close(theirs)
        self.shown = self.all = ""

    def type(self, text: str, until: str) -> None:
        """Type, and wait until something is shown that was not there before."""
        self.shown = ""
        os.write(self._fd, text.encode())
        deadline = time.monotonic() + PATIENCE_S
        while until not in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", self.shown):
            left = deadline - time.monotonic()
            assert left > 0, f"never shown: {until!r} in {self.shown!r}"
            if select.select([self._fd], [], [], left)[0]:
                with contextlib.suppress(OSError):
                    text = os.read(self._fd, 65536).decode(errors="replace")
                    self.shown, self.all = self.shown + text, self.all + text

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)
        os.close(self._fd)


CASES = (
    ("edged sta\t", "edged status "),
    ("edged run --log j\t", "--log json "),
    ("edged run --verb\t", "--verbose "),
    ("edged completion fi\t", "completion fish "),
    ("edged check -c porch-\t", "check -c porch-camera.yaml "),
    ("edged bench --images night-\t", "--images night-photos/"),
    ("edged run --log=j\t", "--log=json "),  # bash makes three words of it
)
# Their values and texts have colons and brackets, which a shell may read as its own.
SILENT = ("edged init --broker \t", "edged log --since \t", "edged try --source=\t", "edged models \t")


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_tab_completes_verbs_options_choices_files_and_folders(tmp_path: Path, name: str) -> None:
    program = need(name)
    (tmp_path / "porch-camera.yaml").touch()
    (tmp_path / "night-photos").mkdir()
    (tmp_path / "_edged").write_text(printed(name))
    if name == "bash":
        shell = Shell([program, "--norc", "--noprofile", "-i"], tmp_path)
        shell.type("bind 'set enable-bracketed-paste off'; source ./_edged; echo rea''dy\n", "ready\n")
    else:
        shell = Shell([program, "-f", "-i"], tmp_path)
        shell.type(
            "PS1='> '; unsetopt zle_bracketed_paste; fpath=($PWD $fpath); autoload -Uz compinit; "
            "compinit -u -D; echo rea''dy\n",
            "ready\n",
        )
    for typed, expected in CASES:
        shell.type(typed, expected)
        shell.type("\x15", "")  # the line is deleted
    for typed in SILENT:
        shell.type(typed, typed.rstrip("\t"))
        shell.type("\x15", "")
    shell.type("echo the''end\n", "theend")
    shell.close()
    assert not re.search(r"not found|rror|_arguments", shell.all), shell.all


def test_fish_completes_verbs_options_and_choices(tmp_path: Path) -> None:
    program = need("fish")
    (tmp_path / "edged.fish").write_text(printed("fish"))
    (tmp_path / "porch.yaml").touch()

    def completed(line: str) -> list[str]:
        script = f"source edged.fish; complete -C '{line}'"
        done = subprocess.run(
            [program, "--no-config", "-c", script],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            check=True,
        )
        return [each.split("\t")[0] for each in done.stdout.splitlines()]

    assert completed("edged sta") == ["status"]
    assert completed("edged run --log ") == ["json", "text"]
    assert "--verbose" in completed("edged run --v")
    assert completed("edged completion f") == ["fish"]
    assert "porch.yaml" in completed("edged check -c po")


@pytest.mark.parametrize(
    "command", [["mandoc", "-T", "lint", "-W", "warning"], ["groff", "-man", "-ww", "-z"]]
)
def test_the_manual_page_is_clean(tmp_path: Path, command: list[str]) -> None:
    need(command[0])
    (tmp_path / "edged.1").write_text(printed("man"))
    done = subprocess.run([*command, "edged.1"], capture_output=True, text=True, cwd=tmp_path, check=False)
    remarks = (done.stdout + done.stderr).splitlines()
    assert [remark for remark in remarks if "missing date" not in remark] == []  # it is made without one


def test_everything_of_the_parser_is_in_each_of_them() -> None:
    texts = {form: printed(form) for form in ("bash", "zsh", "fish", "man")}
    for verb in verbs(command_line.command_line()):
        for form, text in texts.items():
            assert verb.name in text.replace("\\-", "-"), (verb.name, form)
            for option in verb.options:
                for word in option.words:
                    shown = f"-l {word[2:]}" if form == "fish" and word.startswith("--") else word
                    shown = f"-s {word[1:]}" if form == "fish" and not word.startswith("--") else shown
                    assert shown in text.replace("\\-", "-"), (verb.name, word, form)


def test_the_manual_page_has_every_exit_status() -> None:
    table = OPERATION.read_text("utf-8").partition("## Exit statuses")[2].partition("\n## ")[0]
    statuses = re.findall(r"^\| (\d+) \|", table, re.MULTILINE)
    assert statuses == re.findall(r"^\.B (\d+)$", printed("man"), re.MULTILINE)
