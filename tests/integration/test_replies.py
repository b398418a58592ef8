"""The example with the bundled replies, as it ships: only its file and its broker are replaced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml
from commandline import call
from daemon import Daemon, wait_for
from test_examples import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = {
    "are you on your way home already": "I'm on my way.",
    "please bring some milk and eggs": "Sure, I'll get it.",
    "quodlibet xylophage zwieback": "unknown",
}


def test_each_line_gets_replies_and_none_leaves(tmp_path: Path) -> None:
    config = yaml.safe_load((EXAMPLES / "replies.yaml").read_text("utf-8"))
    del config["mqtt"]
    config |= {"state_dir": f"{tmp_path}/state", "run_dir": f"{tmp_path}/run"}
    log = tmp_path / "chat.log"
    config["pipelines"]["chat"]["source"]["path"] = str(log)
    log.write_text("hello from before\n")
    with Daemon(tmp_path, yaml.safe_dump(config, allow_unicode=True)) as daemon:
        for line in MESSAGES:
            with log.open("a") as chat:
                chat.write(f"{line}\n")
        out = tmp_path / "stdout"
        wait_for(lambda: out.read_text().count('"result"') >= 3, "three lines judged")
        wait_for(lambda: '"type":"end"' in out.read_text(), "the end of the last suggestion")
        printed = (tmp_path / "stdout").read_text() + daemon.log
    events = [json.loads(line) for line in (tmp_path / "stdout").read_text().splitlines()]
    first, second, third = (event for event in events if event["type"] == "result")
    assert [first["label"], second["label"]] == list(MESSAGES.values())[:2]
    assert len(first["top"]) == 3
    assert first["model"]["name"] == "replies"
    assert third["score"] < 0.5
    (ended,) = (event for event in events if event["type"] == "end")
    assert (ended["label"], ended["previous"]) == ("unknown", "Sure, I'll get it.")
    assert not [word for word in ("milk", "already", "quodlibet", "before", "chat.log") if word in printed]


def test_try_shows_the_replies_to_the_lines_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "said.txt").write_text("\n".join(MESSAGES), "utf-8")
    done = call("try", "--source", str(tmp_path / "said.txt"), "--model", "replies", "--json")
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["label"] for result in results][:2] == list(MESSAGES.values())[:2]
    assert results[2]["score"] < 0.5
    assert "milk" not in done.stdout
