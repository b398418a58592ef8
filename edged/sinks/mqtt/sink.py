"""The main thread's side of MQTT: what is sent when, and what became of it."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Literal

from edged.sinks.mqtt.commands import Command, CommandTopics
from edged.sinks.mqtt.connection import Connection
from edged.sinks.mqtt.defects import Defects
from edged.sinks.mqtt.delivery import Delivery
from edged.sinks.mqtt.inbox import Inbox
from edged.sinks.mqtt.outgoing import Sent, Window
from edged.sinks.mqtt.refusals import HOPELESS
from edged.sinks.mqtt.retained import Retained
from edged.sinks.mqtt.settings import settings
from edged.sinks.mqtt.state import State, Why
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edged.config.outputs import Mqtt
    from edged.sinks.mqtt.discovery import Discovery
    from edged.sinks.mqtt.session import Message, Session
    from edged.spool import Row, Spool

log = logging.getLogger(__name__)


class MqttSink:
    """Sends events and retained values, and hears switches and commands.

    All methods are called on the main thread, and all callbacks come there: the link's thread puts what it
    has to say into an inbox and asks ``call_soon`` (``loop.call_soon_threadsafe``) to have it emptied.

    Args:
        config: the section ``mqtt``.
        node: this node's name.
        password: in clear, or a function that reads it before each attempt (it may raise ``ConfigError``), so
            that a renewed one is used without a restart; it appears in no repr.
        spool: where events wait.
        call_soon: runs a function on the main thread; callable from any thread.
        on_switch: gets a pipeline's name (well-formed, perhaps unknown) and whether to enable it.
        on_command: gets requests on ``cmd/<verb>``; None: nobody listens there.
        homeassistant: keeps the discovery topic; None: nothing is announced and nothing withdrawn.
        client_id: default ``edged-<node>``. Two clients of one name throw each other out.
        strict: one event at a time, and none before an older one.
        confirm: keep events until a consumer confirms them on ``<prefix>/<node>/ack``.

    Raises:
        ConfigError: a TLS file is missing or wrong.
    """

    def __init__(
        self,
        config: Mqtt,
        *,
        node: str,
        password: str | Callable[[], str] | None = None,
        spool: Spool,
        call_soon: Callable[[Callable[[], None]], object],
        on_switch: Callable[[str, bool], None],
        on_command: Callable[[Command], None] | None = None,
        homeassistant: Discovery | None = None,
        client_id: str | None = None,
        strict: bool = False,
        confirm: bool = False,
    ) -> None:
        self._base = f"{config.prefix}/{node}"
        self._status = f"{self._base}/status"
        self._confirmations = f"{self._base}/ack" if confirm else ""
        self._delivery = Delivery(spool, strict=strict, confirm=confirm, silence_s=1.5 * config.keepalive_s)
        self._inbox = Inbox(call_soon)
        closed = homeassistant.subscriptions if homeassistant is not None else ()
        self._orders = CommandTopics(self._base, on_switch, on_command, closed)
        self._discovery = homeassistant
        self._settings = settings(
            config, client_id=client_id or f"edged-{node}", will_topic=self._status, password=password
        )
        self._connection = Connection(self._settings, self, self._inbox.post)
        self._where = f"broker {config.host}:{config.port_number}"
        self._session: Session | None = None
        self._why = Why(State.STOPPED, "not started")
        self._retained = Retained(self._status, b"online")
        self._window = Window()
        self._complained: set[str] = set()
        self._defects = Defects()
        self._counts: Counter[str] = Counter()
        self._overflowed = 0  # of links that were replaced
        self._closing = self._saying_goodbye = False

    @property
    def state(self) -> State:
        """The connection now, in one or two words."""
        return self._why.state

    @property
    def detail(self) -> str:
        """A sentence that goes with the state."""
        return self._why.detail

    @property
    def degraded(self) -> Literal["", "auth", "certificate"]:
        """What a person has to put right: ``auth``, ``certificate``, or "" for nothing."""
        if self._why.state is State.AUTH:
            return "auth"
        return "certificate" if self._why.state is State.CERTIFICATE else ""

    @property
    def counts(self) -> Mapping[str, int]:
        """Since the start.

        connects, rebuilt (threads replaced), acknowledged (by the broker), confirmed (messages of the
        application), refused, results, results_dropped, ignored, overflowed (messages that came too fast).
        """
        return {**self._counts, "overflowed": self._overflowed + self._connection.overflowed}

    def open(self) -> None:
        """Start connecting in the background. Never raises because the broker is away."""
        self._why = Why(State.CONNECTING, "the first attempt")
        self._connection.start()

    def check(self) -> None:
        """Look after the connection; the application calls this each second.

        A thread that has died, or gave no sign of life for two minutes, is replaced. A connection on which
        acknowledgements stopped is thrown away, also where the thread forgot to wake this side for it.
        """
        if self._closing or self._why.state is State.STOPPED:
            return
        fault = self._connection.fault()
        if not fault:
            self.tick()
            return
        log.error("%s: %s; starting another", self._where, fault)
        self._counts["rebuilt"] += 1
        self._overflowed += self._connection.overflowed
        self._connection.abandon()
        self.down(Why(State.LOST, fault))
        self._connection = Connection(self._settings, self, self._inbox.post)
        self._connection.start()

    def drain(self) -> None:
        """Send what may be sent now: retained values, discovery, and events as far as the window goes."""
        if self._session is None:
            return
        self._send_retained(self._session)
        self._send_discovery(self._session)
        self._send_rows(self._session)
        self._plan()

    def retain(self, suffix: str, payload: bytes | str) -> None:
        """Keep ``<prefix>/<node>/<suffix>`` at this value, over reconnects too; only the latest is sent."""
        data = payload.encode() if isinstance(payload, str) else payload
        if self._retained.put(f"{self._base}/{suffix}", data):
            self.drain()

    def result(self, pipeline: str, payload: bytes) -> None:
        """Send one inference with QoS 0; it is dropped where there is no connection or the socket is full."""
        topic = f"{self._base}/{pipeline}/result"
        sent = self._session is not None and self._session.publish_once(topic, payload)
        self._counts["results" if sent else "results_dropped"] += 1

    def reply(self, command: Command, payload: bytes) -> None:
        """Answer a command where its sender asked for it, else on ``cmd/<verb>/result``."""
        if self._session is None:
            return
        topic = command.response_topic or f"{self._base}/cmd/{command.verb}/result"
        self._session.publish_once(topic, payload, command.correlation)

    def close(self, timeout_s: float) -> None:
        """Flush what can be flushed, say ``offline`` and disconnect, in ``timeout_s``; call it once."""
        deadline = clock.monotonic() + timeout_s
        self._closing = True
        try:
            if self._session is not None:
                self.drain()
                self._settle(deadline - timeout_s * 0.4)
                self._farewell(deadline - timeout_s * 0.2)
        finally:  # whatever becomes of the goodbye, no thread is left behind and no row in flight
            self._connection.stop(max(0.1, deadline - clock.monotonic()))
            in_peace = self._saying_goodbye and not self._window.holds(self._status)
            self._window.clear()
            self._delivery.disconnected(clock.monotonic(), told=in_peace and self._session is not None)
        self._session, self._why = None, Why(State.STOPPED, "closed")

    # What the link reports, on the main thread.

    def up(self, session: Session) -> None:
        """Take the connection over: subscribe, then send everything again."""
        self._session = session
        self._counts["connects"] += 1
        self._delivery.connected()
        self._complained.clear()
        self._retained.send_all()
        self._become(Why(State.CONNECTED, f"MQTT to {self._where}"))
        confirmations = [self._confirmations] if self._confirmations else []
        session.subscribe([*self._orders.subscriptions, *confirmations])
        if self._discovery is not None:
            session.subscribe(self._discovery.subscriptions)
            self._discovery.connected(clock.monotonic())
        self.drain()

    def down(self, why: Why) -> None:
        """Give the rows in flight back."""
        self._session = None
        self._window.clear()
        self._delivery.disconnected(clock.monotonic(), told=why.told)
        if self._discovery is not None:
            self._discovery.disconnected()
        self._become(why)

    def acked(self, mid: int, code: int, name: str) -> None:
        """Account for one answer, then use the place that it left in the window."""
        now = clock.monotonic()
        sent = self._window.answered(mid, now)
        if sent is None:
            return  # QoS 0, which paho reports too
        if code >= 0x80:
            self._refused(sent, code, name, now)
        else:
            self._delivery.accepted(sent.row, now)
            self._counts["acknowledged"] += sent.row is not None
        self.drain()

    def received(self, message: Message) -> None:
        """Route a message to whom it concerns."""
        if self._closing:
            return
        now = clock.monotonic()
        if message.topic == self._confirmations:
            meant = self._delivery.confirm(message.payload, retained=message.retained, now=now)
            self._counts["confirmed" if meant else "ignored"] += 1
            return
        if self._discovery is not None and message.topic in self._discovery.subscriptions:
            self._discovery.message(message.topic, message.payload, retained=message.retained, now=now)
            self.drain()
            return
        if not self._orders.handle(message):
            self._counts["ignored"] += 1

    def unsubscribed(self, count: int) -> None:
        """Say that switches or commands will not arrive."""
        log.warning("%s refuses %d subscriptions: switches or commands will not arrive", self._where, count)

    def tick(self) -> None:
        """Do what was planned for now."""
        due = self._window.answer_due
        if due is not None and clock.monotonic() >= due:
            self._connection.abort("acknowledgements stopped")
        else:
            self.drain()

    # Inside.

    def _settle(self, deadline: float) -> None:
        """Wait for everything in flight and all that follows it, without the event loop."""
        while self._session is not None and (self._window or self._retained):
            left = deadline - clock.monotonic()
            if left <= 0 or not self._inbox.take(left):
                return

    def _farewell(self, deadline: float) -> None:
        """Publish ``offline`` and disconnect; a broker that does not take it publishes the will instead."""
        session = self._session
        if session is None:
            return
        self._saying_goodbye = True  # no event behind it
        self._retained.send_nothing()
        self._retained.put(self._status, b"offline")
        self._window.forget_retained()
        self._send_retained(session, window=session.window + 1)
        self._settle(deadline)
        if not self._window.holds(self._status):
            session.disconnect()

    def _send_retained(self, session: Session, window: int = 0) -> None:
        while self._retained and len(self._window) < (window or session.window):
            self._publish_retained(session, *self._retained.take())

    def _send_discovery(self, session: Session) -> None:
        if self._discovery is None or self._closing or len(self._window) >= session.window:
            return
        try:
            due = self._discovery.poll(clock.monotonic())
        except Exception as error:  # a defect there must not hold up the events
            if self._defects.is_new(error):
                log.exception("a defect in the discovery")
            return
        for topic, payload in due:
            self._publish_retained(session, topic, payload)

    def _publish_retained(self, session: Session, topic: str, payload: bytes) -> None:
        if not session.fits(topic, payload):
            self._complain(topic, "its size")
            return
        mid = session.publish(topic, payload, retain=True)
        self._window.add(mid, Sent(clock.monotonic(), topic))

    def _send_rows(self, session: Session) -> None:
        now = clock.monotonic()
        free = session.window - len(self._window)
        while free > 0 and not self._saying_goodbye:
            rows = self._delivery.take(free, now)
            placed = sum(self._send_row(session, row, now) for row in rows)
            free -= placed
            if placed == len(rows):
                return

    def _send_row(self, session: Session, row: Row, now: float) -> bool:
        """Tells whether the row takes a place in the window now."""
        topic = f"{self._base}/{row.topic}"
        payload = row.message(replayed=self._delivery.waited(row))
        if not session.fits(topic, payload):
            self._complain(topic, "its size")
            self._delivery.give_up(row)
            return False
        mid = session.publish(topic, payload, expiry_s=row.left_s)
        self._window.add(mid, Sent(now, topic, row))
        return True

    def _refused(self, sent: Sent, code: int, name: str, now: float) -> None:
        self._counts["refused"] += 1
        self._complain(sent.topic, HOPELESS.get(code, name))
        if sent.row is not None:  # a retained value is sent again with its next change or connection
            self._delivery.refused(sent.row, code, now)

    def _complain(self, topic: str, what: str) -> None:
        if topic not in self._complained:  # once a connection: the cause is there and stays there
            self._complained.add(topic)
            log.warning("%s refuses a message on %s: %s", self._where, topic, what.lower())

    def _plan(self) -> None:
        """Tell the link when to wake this side next."""
        discovery = None if self._discovery is None else self._discovery.wake_at
        times = (self._window.answer_due, self._delivery.wake_at, discovery)
        self._connection.wake = min((at for at in times if at is not None), default=None)

    def _become(self, why: Why) -> None:
        """Log a change of state, once; an attempt that fails as the one before says nothing."""
        changed, self._why = why.state is not self._why.state, why
        if not changed or self._closing:
            return
        if why.state is State.CONNECTED:
            log.info("%s: connected", self._where)
        else:
            log.warning("%s: %s: %s; trying again", self._where, why.state.value, why.detail)
