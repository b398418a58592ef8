"""Runs the pipeline, shows each inference, and decides when it is over."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING

from edged.daemon.event_maker import EventMaker
from edged.daemon.publisher import EventPublisher
from edged.errors import Refused
from edged.spool.memory import MemorySpool
from edged.supervisor import Supervisor

if TYPE_CHECKING:
    from edged.config.root import PipelineSection
    from edged.ipc.worker_messages import Outcome
    from edged.sinks.mqtt import MqttSink
    from edged.supervisor import PipelineStatus
    from edged.tools.try_.options import Options
    from edged.tools.try_.views import View

NAME = "try"
STOP_S = 2.0  # for the worker to close its source
LOOK_S = 0.02
BROKER_S = 5.0  # for the broker to answer, and for the last words to it
# What OpenCV and FFmpeg say of a source stands in the fault, in words, and would tear the table.
_QUIET = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}
_PASSING = frozenset({"picture", "source"})  # kinds of faults that may go by themselves, once it has run


def attempt(options: Options, view: View) -> int:
    """Run until the source ends, ``count`` inferences were shown or a signal came; return the exit status.

    Raises:
        Refused: it cannot begin or go on.
        BrokenPipeError: nobody reads the output any more.
        KeyboardInterrupt: Ctrl-C.
    """
    root = logging.getLogger()
    root.handlers = [_ToView(view)]
    root.setLevel(logging.ERROR)  # what the supervisor has to say comes as a fault
    os.environ.update(_QUIET | os.environ)

    async def life() -> int:
        return await _Trial(options, view).run()

    return asyncio.run(life())


class _Trial:
    """The supervisor's listener for one pipeline."""

    _node: str
    _event_maker: EventMaker

    def __init__(self, options: Options, view: View) -> None:
        self._options = options
        self._view = view
        self._kind = self._words = self._told = ""
        self._shown = 0
        self._warned = False
        self._done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._publisher = EventPublisher()
        self._sink: MqttSink | None = None
        self._supervisor = Supervisor({}, isolation="optional", listener=self, results=True)
        self._supervisor.prepare()  # it imports what is slow to import, while this process does the same

    async def run(self) -> int:
        """Begin, wait for the end, and end in order whatever it was."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._finish, 128 + signal.SIGTERM)
        try:
            section = self._choose()
            if self._options.broker is not None:
                await self._connect(self._options.broker)
            await self._supervisor.start()
            await self._supervisor.apply({NAME: section}, "optional")
            return await self._done
        finally:
            await self._supervisor.stop(STOP_S)
            if self._sink is not None:
                self._publisher.clear([NAME])
                self._sink.close(BROKER_S)

    def _choose(self) -> PipelineSection:
        from edged.config import root
        from edged.tools.try_ import choice

        section, self._words = choice.pipeline(self._options)
        self._kind = section.source.kind
        self._node = root.host_node() if self._options.broker is None else _free_node()
        self._event_maker = EventMaker(self._node)
        self._view.begin(self._words)
        return section

    # What the supervisor calls.

    def outcome(self, outcome: Outcome, status: PipelineStatus) -> None:
        """Show an inference, publish whatever comes."""
        if self._done.done():
            return
        if self._sink is not None:
            self._publisher.outcome(outcome, status)
        if outcome.type != "result":
            return
        event = self._event_maker.event(outcome, status, kind=self._kind)
        try:
            self._view.result(event, outcome, status)
        except OSError as error:  # nobody reads any more
            self._done.set_exception(error)
            return
        self._shown += 1
        if self._shown == self._options.count:
            self._finish(0)

    def changed(self, status: PipelineStatus) -> None:
        """See whether it is over, or whether something is to be said."""
        if self._sink is not None:
            self._publisher.changed(status)
        if self._done.done():
            return
        if status.state == "ended":
            self._ended(status)
        elif status.fault:
            self._fault(status)
        elif status.state == "running" and not self._warned:
            self._warned = True
            if not status.isolation and not status.network:
                self._view.note(
                    "WARNING: the process that has the pictures is NOT cut off from the network: "
                    "neither seccomp nor a network namespace can be had here"
                )

    def _ended(self, status: PipelineStatus) -> None:
        if self._shown:
            self._finish(0)
        else:
            what = status.last_error or f"{self._words}: no picture is in it that can be read"
            self._done.set_exception(Refused(what, os.EX_NOINPUT))

    def _fault(self, status: PipelineStatus) -> None:
        if self._shown and status.fault in _PASSING:
            if status.last_error != self._told:
                self._told = status.last_error
                self._view.note(f"{status.last_error}; trying again")
        else:
            self._done.set_exception(Refused(status.last_error))

    def _finish(self, code: int) -> None:
        if not self._done.done():
            self._done.set_result(code)

    # The broker.

    async def _connect(self, broker: str) -> None:
        sink = self._sink = self._mqtt(broker)
        sink.open()
        self._publisher.attach(sink)
        for _ in range(round(BROKER_S / LOOK_S)):
            if sink.state != "connecting":
                break
            await asyncio.sleep(LOOK_S)
        if sink.state != "connected":
            raise Refused(f"the broker {broker} cannot be used: {sink.state}: {sink.detail}")

    def _mqtt(self, broker: str) -> MqttSink:
        from edged.config.outputs import Mqtt
        from edged.sinks.mqtt import MqttSink

        host, port = _address(broker)
        try:
            section = Mqtt(host=host, port=port)
        except ValueError:
            raise Refused(f"--broker {broker}: write HOST or HOST:PORT", os.EX_USAGE) from None
        spool = MemorySpool(self._node, max_mb=8, max_age_h=1)
        self._publisher.begin(self._event_maker, spool, {NAME: self._kind})
        return MqttSink(
            section,
            node=self._node,
            spool=spool,
            call_soon=asyncio.get_running_loop().call_soon_threadsafe,
            on_switch=lambda _name, _on: None,  # a demonstration has no switch
        )


class _ToView(logging.Handler):
    """Lets what is logged appear beside what is shown."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self._view = view

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        self._view.note(record.getMessage())


def _free_node() -> str:
    """Return a name that no daemon has: two clients of one name would throw each other off the broker."""
    from edged.config import root

    return f"{root.host_node()[:28]}-try"


def _address(broker: str) -> tuple[str, int | None]:
    """Split HOST[:PORT]; an IPv6 address with a port stands in brackets."""
    host, colon, port = broker.rpartition(":")
    if not colon or (":" in host.strip("[]") and not host.endswith("]")):
        return broker, None
    if not port.isdecimal():
        raise Refused(f"--broker {broker}: {port or 'nothing'} is no port", os.EX_USAGE)
    return host, int(port)
