"""Runs the pipeline, shows each inference, and decides when to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Protocol

from edged.config.secrets import read_secret
from edged.daemon.publisher import EventMaker, EventPublisher
from edged.errors import Refused
from edged.spool.memory import MemorySpool
from edged.supervisor import Supervisor
from edged.system.isolation import not_isolated, suffices
from edged.system.log import to_a_person

if TYPE_CHECKING:
    from edged.config.outputs import Mqtt
    from edged.config.root import PipelineSection
    from edged.events import Event
    from edged.ipc.worker_messages import Outcome
    from edged.sinks.mqtt.sink import MqttSink
    from edged.supervisor import PipelineStatus
    from edged.tools.try_.choice import Options

NAME = "try"
STOP_S = 2.0  # for the worker to close its source
LOOK_S = 0.02
BROKER_S = 5.0  # for the broker to answer, and for the last messages to it
_TRANSIENT = frozenset({"picture", "source"})  # kinds of faults that may pass, once the pipeline has run


class View(Protocol):
    """Shows the inferences of a trial."""

    def begin(self, source: str) -> None:
        """Take the description of the source."""

    def result(self, event: Event, outcome: Outcome, status: PipelineStatus) -> None:
        """Show one inference. Raises ``BrokenPipeError`` where the reader has closed the pipe."""

    def note(self, sentence: str) -> None:
        """Show a warning or another note."""


def run_trial(options: Options, view: View) -> int:
    """Run until the source ends, ``count`` inferences are shown or a signal arrives; return the exit status.

    Raises:
        Refused: the pipeline cannot start or go on.
        BrokenPipeError: the reader of the output has closed the pipe.
        KeyboardInterrupt: Ctrl-C.
    """
    to_a_person(view.note)

    async def run() -> int:
        return await Trial(options, view).run()

    return asyncio.run(run())


class Trial:
    """The supervisor's listener for one pipeline."""

    _node: str
    _event_maker: EventMaker

    def __init__(self, options: Options, view: View) -> None:
        self._options = options
        self._view = view
        self._source = self._reported = ""
        self._numbered, self._gives = False, "picture"
        self._noted: set[str] = set()
        self._shown = 0
        self._checked_isolation = False
        self._done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._publisher: EventPublisher | None = None  # with a broker only
        self._sink: MqttSink | None = None
        self._supervisor = Supervisor({}, isolation="optional", listener=self, results=True)
        self._supervisor.prepare()  # its slow imports run while this process does its own

    async def run(self) -> int:
        """Run the pipeline to its end, and stop supervisor and broker cleanly however it ended."""
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
            if self._publisher is not None:
                self._publisher.clear([NAME])
            if self._sink is not None:
                self._sink.close(BROKER_S)

    def _choose(self) -> PipelineSection:
        from edged.config import root
        from edged.tools.try_ import choice

        section, self._source = choice.pipeline(self._options)
        self._numbered, self._gives = section.source.numbered, section.source.gives
        self._node = root.host_node() if self._options.broker is None else _free_node()
        self._event_maker = EventMaker(self._node)
        self._view.begin(self._source)
        return section

    # Called by the supervisor.

    def outcome(self, outcome: Outcome, status: PipelineStatus) -> None:
        """Show an inference; publish every outcome."""
        if self._done.done():
            return
        if self._publisher is not None:
            self._publisher.outcome(outcome, status)
        if outcome.type != "result":
            return
        event = self._event_maker.event(outcome, status, numbered=self._numbered)
        try:
            self._view.result(event, outcome, status)
        except OSError as error:  # the reader has closed the pipe
            self._done.set_exception(error)
            return
        self._shown += 1
        if self._shown == self._options.count:
            self._finish(0)

    def changed(self, status: PipelineStatus) -> None:
        """Stop at the end of the source, and report faults."""
        if self._publisher is not None:
            self._publisher.changed(status)
        if self._done.done():
            return
        for sentence in status.notes.values():
            if sentence not in self._noted:
                self._noted.add(sentence)
                self._view.note(sentence)
        if status.state == "ended":
            self._ended(status)
        elif status.fault:
            self._fault(status)
        elif status.state == "running" and not self._checked_isolation:
            self._checked_isolation = True
            if not status.network and not suffices(status.isolation):
                who = "WARNING: the process that holds the pictures"
                self._view.note(f"{not_isolated(who, status.isolation)}; sudo apt install bubblewrap")

    def _ended(self, status: PipelineStatus) -> None:
        if self._shown:
            self._finish(0)
        else:
            nothing = "picture" if self._gives == "picture" else "line"
            sentence = status.last_error or f"{self._source}: it holds no readable {nothing}"
            self._done.set_exception(Refused(sentence, os.EX_NOINPUT))

    def _fault(self, status: PipelineStatus) -> None:
        if self._shown and status.fault in _TRANSIENT:
            if status.last_error != self._reported:
                self._reported = status.last_error
                self._view.note(f"{status.last_error}; trying again")
        else:
            self._done.set_exception(Refused(status.last_error))

    def _finish(self, code: int) -> None:
        if not self._done.done():
            self._done.set_result(code)

    # The broker.

    async def _connect(self, broker: Mqtt) -> None:
        spool = MemorySpool(self._node, max_mb=8, max_age_h=1)
        self._publisher = EventPublisher(self._event_maker, spool, {NAME: self._numbered})
        sink = self._sink = self._mqtt(broker, spool)
        sink.open()
        self._publisher.attach(sink)
        for _ in range(round(BROKER_S / LOOK_S)):
            if sink.state != "connecting":
                break
            await asyncio.sleep(LOOK_S)
        if sink.state != "connected":
            where = ":".join(map(str, broker.addresses[0]))
            raise Refused(f"the broker {where} cannot be used: {sink.state}: {sink.detail}")

    def _mqtt(self, broker: Mqtt, spool: MemorySpool) -> MqttSink:
        from edged.sinks.mqtt.sink import MqttSink

        return MqttSink(
            broker,
            node=self._node,
            password=None if broker.password_file is None else read_secret(broker.password_file).reveal(),
            spool=spool,
            call_soon=asyncio.get_running_loop().call_soon_threadsafe,
            on_switch=lambda _name, _on: None,  # a trial cannot be switched off
        )


def _free_node() -> str:
    """Return a name that no daemon has: a broker disconnects the older of two clients with one name."""
    from edged.config import root

    return f"{root.host_node()[:28]}-try"
