"""The daemon as a whole, over a supervisor without processes: start, reload, watchdog, stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

from edged.daemon import app
from edged.daemon.status_file import NAME
from edged.errors import ConfigError
from edged.system.systemd import Notifier
from edged.testing.supervisor import Supervised, outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from edged.supervisor import Listener

PIPELINE = """
  porch:
    source: {kind: synthetic}
"""
YARD = """
  yard:
    source: {kind: synthetic, seed: 1}
"""


def text(folder: Path, more: str = "", pipelines: str = PIPELINE) -> str:
    where = f"state_dir: {folder}/state\nrun_dir: {folder}/run\njsonl: {{path: {folder}/events.jsonl}}\n"
    return f"node: n\n{where}{more}\npipelines:{pipelines}"


class Hand:
    """Signals, given by hand."""

    stop: Callable[[], object]
    reload: Callable[[], object]

    def attach(self, _loop: object, stop: Callable[[], object], reload: Callable[[], object]) -> None:
        self.stop, self.reload = stop, reload


class Told(Notifier):
    """systemd, which keeps what it is told."""

    def __init__(self, watchdog_s: float | None = None) -> None:
        super().__init__(watchdog_s=watchdog_s)
        self.told: list[str] = []

    def _send(self, text: str) -> None:
        self.told.append(text.split("\n", maxsplit=1)[0])


class Life:
    """``async with Life(tmp_path) as life`` is a daemon that is ready."""

    def __init__(
        self,
        folder: Path,
        more: str = "",
        *,
        watchdog_s: float | None = None,
        kind: type[Supervised] = Supervised,
    ) -> None:
        self._kind = kind
        self.folder = folder
        self.path = folder / "edged.yaml"
        self.path.write_text(text(folder, more))
        self.hand = Hand()
        self.systemd = Told(watchdog_s)
        self.supervisor: Supervised

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.daemon().run())
        await self.until(lambda: "READY=1" in self.systemd.told)
        return self

    def daemon(self) -> app.Daemon:
        return app.Daemon(self.path, self.supervise, self.hand, self.systemd)  # type: ignore[arg-type]  # they behave

    def supervise(self, listener: Listener) -> Supervised:
        self.supervisor = self._kind(listener)
        return self.supervisor

    async def __aexit__(self, *_: object) -> None:
        self.hand.stop()
        await asyncio.wait_for(self.task, 5)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.01)

    async def reload(self, content: str) -> None:
        self.path.write_text(content)
        ready = self.systemd.told.count("READY=1")
        self.hand.reload()
        await self.until(lambda: self.systemd.told.count("READY=1") > ready)

    def health(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.folder / "run" / NAME).read_text())
        return data

    def events(self, name: str = "events.jsonl") -> list[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError):
            return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]
        return []


def live(life: Coroutine[Any, Any, None]) -> None:
    asyncio.run(life)


def test_a_life(tmp_path: Path) -> None:
    async def life() -> None:
        async with Life(tmp_path) as daemon:
            assert daemon.supervisor.calls == ["start", "apply", "settle"]
            assert daemon.systemd.told[-2:] == ["STATUS=1 of 1 pipelines running, 0 events queued", "READY=1"]
            daemon.supervisor.happen(outcome())
            await daemon.until(daemon.events)
            assert daemon.events()[0]["id"].startswith("n/")
            await daemon.until(lambda: daemon.health()["events"]["acknowledged"] == 1)
            assert daemon.health()["status"] == "ok"
            assert "main" in daemon.health()["processes"]
        assert daemon.supervisor.calls[-1] == "stop"
        assert daemon.systemd.told[-1] == "STOPPING=1"
        assert not (tmp_path / "run" / NAME).exists()

    live(life())


def test_a_camera_that_goes_away_is_a_problem_at_once(tmp_path: Path) -> None:
    async def life() -> None:
        async with Life(tmp_path) as daemon:
            daemon.supervisor.fail("porch", "/dev/video0 is away")
            await daemon.until(lambda: daemon.health()["status"] == "problem")
            assert daemon.health()["problems"] == ["porch: /dev/video0 is away"]
            assert daemon.systemd.told[-1].endswith("porch: /dev/video0 is away")

    live(life())


def test_a_changed_configuration_is_taken_over(tmp_path: Path) -> None:
    async def life() -> None:
        async with Life(tmp_path) as daemon:
            await daemon.reload(text(tmp_path, pipelines=PIPELINE + YARD))
            assert daemon.health()["pipelines"].keys() == {"porch", "yard"}
            assert "RELOADING=1" in daemon.systemd.told
            await daemon.reload(text(tmp_path, pipelines=YARD))
            assert daemon.health()["pipelines"].keys() == {"yard"}

    live(life())


def test_a_bad_configuration_is_refused_and_the_old_one_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def life() -> None:
        async with Life(tmp_path) as daemon:
            bad = "\n  porch:\n    source: {kind: synthetik, sise: 1}\n    task: {top_k: 99}\n"
            await daemon.reload(text(tmp_path, pipelines=bad))
            refused = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
            assert len(refused) == 2
            assert all(r.startswith(f"configuration refused: {daemon.path}:") for r in refused)
            assert daemon.health()["status"] == "degraded"
            assert "the old one runs" in daemon.health()["problems"][0]
            assert "refused" in daemon.systemd.told[-2]
            assert daemon.supervisor.calls.count("apply") == 1
            daemon.supervisor.happen(outcome())
            await daemon.until(daemon.events)
            await daemon.reload(text(tmp_path))
            assert daemon.health()["status"] == "ok"

    live(life())


def test_a_file_that_is_gone_is_refused_too(tmp_path: Path) -> None:
    async def life() -> None:
        async with Life(tmp_path) as daemon:
            daemon.path.unlink()
            daemon.hand.reload()
            await daemon.until(lambda: daemon.systemd.told.count("READY=1") == 2)
            assert "there is no such file" in daemon.health()["problems"][0]

    live(life())


@pytest.mark.parametrize(
    ("old", "new"), [("node: n", "node: m"), ("/run\n", "/walk\n"), ("/state\n", "/province\n")]
)
def test_what_needs_a_restart_is_refused_with_a_sentence(tmp_path: Path, old: str, new: str) -> None:
    async def life() -> None:
        async with Life(tmp_path) as daemon:
            await daemon.reload(text(tmp_path).replace(old, new))
            assert "changes only with a restart" in daemon.health()["problems"][0]
            assert daemon.supervisor.calls.count("apply") == 1

    live(life())


def test_where_events_go_may_change(tmp_path: Path) -> None:
    async def life() -> None:
        async with Life(tmp_path) as daemon:
            daemon.supervisor.happen(outcome())
            await daemon.until(daemon.events)
            await daemon.reload(text(tmp_path).replace("events.jsonl", "others.jsonl"))
            daemon.supervisor.happen(outcome(label="dog"))
            await daemon.until(lambda: daemon.events("others.jsonl"))
            assert [e["label"] for e in daemon.events("others.jsonl")] == ["dog"]
            assert len(daemon.events()) == 1
            await daemon.reload(text(tmp_path, "mqtt: {host: 127.0.0.1, port: 1}"))
            await daemon.until(lambda: daemon.health()["broker"]["state"] == "connection refused")

    live(life())


def test_the_watchdog_is_fed_only_while_every_pipeline_gets_on(tmp_path: Path) -> None:
    async def life() -> None:
        async with Life(tmp_path, watchdog_s=0.06) as daemon:
            fed = daemon.systemd.told.count("WATCHDOG=1")
            await daemon.until(lambda: daemon.systemd.told.count("WATCHDOG=1") > fed + 2)
            daemon.supervisor.stuck = ["porch"]
            await asyncio.sleep(0.05)
            fed = daemon.systemd.told.count("WATCHDOG=1")
            await asyncio.sleep(0.2)
            assert daemon.systemd.told.count("WATCHDOG=1") == fed
            daemon.supervisor.stuck = []
            await daemon.until(lambda: daemon.systemd.told.count("WATCHDOG=1") > fed)

    live(life())


def test_workers_that_do_not_stop_do_not_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "WORKERS_STOP_S", 0.1)

    async def life() -> None:
        async with Life(tmp_path) as daemon:
            daemon.supervisor.hangs = True
            before = time.monotonic()
        assert time.monotonic() - before < 3

    live(life())


def test_it_stops_also_while_it_starts(tmp_path: Path) -> None:
    class Slow(Supervised):
        async def settle(self, timeout_s: float) -> None:
            await asyncio.sleep(timeout_s)

    async def life() -> None:
        daemon = Life(tmp_path, kind=Slow)
        entering = asyncio.create_task(daemon.__aenter__())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        while "apply" not in daemon.supervisor.calls:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
        daemon.hand.stop()
        await asyncio.wait_for(daemon.task, 3)
        entering.cancel()
        assert "READY=1" not in daemon.systemd.told
        assert daemon.supervisor.calls[-1] == "stop"

    live(life())


def test_it_stops_where_that_was_asked_for_before_it_began(tmp_path: Path) -> None:
    class Early(Hand):
        def attach(self, _loop: object, stop: Callable[[], object], reload: Callable[[], object]) -> None:
            super().attach(_loop, stop, reload)
            stop()

    async def life() -> None:
        daemon = Life(tmp_path)
        daemon.hand = Early()
        await asyncio.wait_for(daemon.daemon().run(), 5)
        assert daemon.supervisor.calls == ["stop"]
        assert daemon.systemd.told == ["STOPPING=1"]

    live(life())


def test_a_defect_ends_it_in_order_and_is_told(tmp_path: Path) -> None:
    class Broken(Supervised):
        async def settle(self, timeout_s: float) -> None:
            raise ZeroDivisionError(timeout_s)

    async def life() -> None:
        daemon = Life(tmp_path, kind=Broken)
        with pytest.raises(ExceptionGroup) as told:
            await daemon.daemon().run()
        assert told.group_contains(ZeroDivisionError)
        assert daemon.supervisor.calls[-1] == "stop"

    live(life())


def test_a_wrong_password_file_is_told_before_anything_runs(tmp_path: Path) -> None:
    async def life() -> None:
        daemon = Life(tmp_path, "mqtt: {host: h, username: u, password_file: none}")
        with pytest.raises(ConfigError, match="none"):
            daemon.daemon()

    live(life())


def test_a_run_directory_that_cannot_be_written_keeps_nobody_from_running(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")

    async def life() -> None:
        async with Life(tmp_path) as daemon:
            assert daemon.supervisor.calls == ["start", "apply", "settle"]

    live(life())
