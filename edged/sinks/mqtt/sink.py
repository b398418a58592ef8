"""The main thread's side of MQTT: what is sent when, and what becomes of it."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Literal

from edged.sinks.mqtt.commands import CommandTopics
from edged.sinks.mqtt.connection import Connection
from edged.sinks.mqtt.delivery import Delivery
from edged.sinks.mqtt.inbox import DefectLog, Inbox
from edged.sinks.mqtt.outgoing import InFlight, Publish, RetainedTopics
from edged.sinks.mqtt.refusals import HOPELESS
from edged.sinks.mqtt.settings import Settings
from edged.sinks.mqtt.state import State, Why
from edged.sinks.mqtt.terms import Will
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edged.config.outputs import Mqtt
    from edged.sinks import Discovery
    from edged.sinks.mqtt.session import Message, Session
    from edged.spool import Row, Spool

    Connect = Callable[[Settings, "MqttSink", Callable[[Callable[[], None]], None]], Connection]

log = logging.getLogger(__name__)

REFRESH_S = 60.0  # between two times that all values are sent to a broker that retains none
STATUS_S = 15.0  # after a change of address; the will of the connection before may come late


class MqttSink:
    """Sends events and retained values, and receives switches and commands.

    All methods are called on the main thread, and all callbacks come there: the connection's thread puts what
    it has to report into an inbox and asks ``call_soon`` (``loop.call_soon_threadsafe``) to have it emptied.

    Args:
        config: the section ``mqtt``.
        node: this node's name.
        password: in clear, or a function that reads it before each attempt (it may raise ``ConfigError``), so
            that a renewed one is used without a restart; it appears in no repr.
        spool: where events wait.
        call_soon: runs a function on the main thread; callable from any thread.
        on_switch: gets a pipeline's name (well-formed, perhaps unknown) and whether to enable it.
        on_command: carries out the command of a verb with a payload and returns the answer, which is sent to
            where the sender wants it, else on ``cmd/<verb>/result``; None: there are no commands.
        discovery: keeps a discovery topic up to date; None: nothing is announced and nothing withdrawn.
        client_id: default ``edged-<node>``. Two clients with the same id throw each other out.
        strict: one event at a time, and none before an older one.
        confirm: keep events until a consumer confirms them on ``<prefix>/<node>/ack``.
        connect: makes a connection, for tests; default :class:`Connection`.

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
        on_command: Callable[[str, bytes], bytes] | None = None,
        discovery: Discovery | None = None,
        client_id: str | None = None,
        strict: bool = False,
        confirm: bool = False,
        connect: Connect | None = None,
    ) -> None:
        self._base = f"{config.prefix}/{node}"
        self._status = f"{self._base}/status"
        self._confirmations = f"{self._base}/ack" if confirm else ""
        self._delivery = Delivery(spool, strict=strict, confirm=confirm, silence_s=1.5 * config.keepalive_s)
        self._inbox = Inbox(call_soon)
        self._commands = CommandTopics(
            self._base,
            on_switch=on_switch,
            on_command=on_command,
            reply=self._send_once,
            reply_prefix=config.reply_prefix,
        )
        self._discovery = discovery
        self._settings = Settings.of(
            config, client_id=client_id or f"edged-{node}", will_topic=self._status, password=password
        )
        self._connect = connect or Connection
        self._connection = self._connect(self._settings, self, self._inbox.post)
        self._where = f"broker {self._settings}"
        self._told: dict[str, State] = {}  # what the log has of each address
        self._leaving = False  # for a preferred address
        self._refresh_at: float | None = None
        self._session: Session | None = None
        self._why = Why(State.STOPPED, "not started")
        self._retained = RetainedTopics(self._status, b"online")
        self._in_flight = InFlight()
        self._warned: set[str] = set()  # topics
        self._logged: set[str] = set()  # sentences about brokers
        self._defects = DefectLog()
        self._counts: Counter[str] = Counter()
        self._overflowed = 0  # of connections that were replaced
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
        """The setting that a person has to put right: ``auth``, ``certificate``, or "" for nothing."""
        if self._why.state is State.AUTH:
            return "auth"
        return "certificate" if self._why.state is State.CERTIFICATE else ""

    @property
    def counts(self) -> Mapping[str, int]:
        """Counters since the start.

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
        acknowledgements stopped is thrown away, even where its thread forgot to call ``tick``.
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
        self._connection = self._connect(self._settings, self, self._inbox.post)
        self._connection.start()

    def drain(self) -> None:
        """Send what may be sent now: retained values, discovery, and events as far as the window goes."""
        if self._session is None:
            return
        if self._leaving:
            self._leave_in_order(self._session)
            return
        self._refresh()
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
        sent = self._send_once(f"{self._base}/{pipeline}/result", payload)
        self._counts["results" if sent else "results_dropped"] += 1

    def reading(self, line: bytes) -> None:
        """Do nothing: readings have topics here, which ``retain`` keeps."""

    def close(self, timeout_s: float) -> None:
        """Flush what can be flushed, publish ``offline`` and disconnect, in ``timeout_s``; call it once."""
        deadline = clock.monotonic() + timeout_s
        self._closing = True
        try:
            if self._session is not None:
                self.drain()
                self._settle(deadline - timeout_s * 0.4)
                self._say_goodbye(deadline - timeout_s * 0.2)
        finally:  # whatever becomes of the goodbye, no thread is left behind and no row in flight
            self._connection.stop(max(0.1, deadline - clock.monotonic()))
            in_order = self._saying_goodbye and not self._in_flight.holds(self._status)
            self._in_flight.clear()
            self._delivery.disconnected(clock.monotonic(), by_broker=in_order and self._session is not None)
        self._session, self._why = None, Why(State.STOPPED, "closed")

    # What the connection reports, on the main thread.

    def up(self, session: Session) -> None:
        """Take the connection over: subscribe, then send everything again."""
        self._session, self._where = session, session.where or self._where
        self._counts["connects"] += 1
        self._delivery.connected()
        self._warned.clear()
        self._retained.send_all()
        self._become(Why(State.CONNECTED, f"MQTT to {self._where}", where=self._where))
        self._take_terms(session)
        confirmations = [self._confirmations] if self._confirmations else []
        session.subscribe([*self._commands.subscriptions, *confirmations])
        if self._discovery is not None:
            session.subscribe(self._discovery.subscriptions)
            self._discovery.connected(clock.monotonic())
        self.drain()

    def down(self, why: Why) -> None:
        """Give the rows in flight back."""
        self._session, self._leaving, self._refresh_at = None, False, None
        self._in_flight.clear()
        self._delivery.disconnected(clock.monotonic(), by_broker=why.by_broker)
        if self._discovery is not None:
            self._discovery.disconnected()
        self._become(why)

    def acked(self, mid: int, code: int, name: str) -> None:
        """Account for one answer, then use the place that it left in the window."""
        now = clock.monotonic()
        publish = self._in_flight.answered(mid, now)
        if publish is None:
            return  # QoS 0, which paho reports too
        if code >= 0x80:
            self._refused(publish, code, name, now)
        else:
            self._delivery.accepted(publish.row, now)
            self._counts["acknowledged"] += publish.row is not None
        self.drain()

    def received(self, message: Message) -> None:
        """Hand a message to the part that it concerns."""
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
        if not self._commands.handle(message):
            self._counts["ignored"] += 1

    def unsubscribed(self, count: int) -> None:
        """Warn that switches or commands will not arrive."""
        log.warning("%s refuses %d subscriptions: switches or commands will not arrive", self._where, count)

    def tick(self) -> None:
        """Do what was planned for now."""
        due = self._in_flight.answer_due
        if due is not None and clock.monotonic() >= due:
            self._connection.abort("acknowledgements stopped")
        else:
            self.drain()

    def leave(self) -> None:
        """Send nothing more, and leave for a preferred address once everything in flight is answered."""
        self._leaving = True
        self.drain()

    # Inside.

    def _leave_in_order(self, session: Session) -> None:
        if self._in_flight:
            self._plan()
            return
        self._connection.leave()
        session.disconnect()

    def _take_terms(self, session: Session) -> None:
        """Log, once for each broker, what it does not have, and plan what makes up for it."""
        lacks = []
        if self._settings.mqtt5 is None and not session.terms.mqtt5:
            lacks.append("it speaks MQTT 3.1.1, not 5")
        if self._settings.retain and not session.retains:
            every = f"again every {REFRESH_S:g} s"
            lacks.append(f"it does not retain messages: values are sent {every} for those who come later")
        if session.terms.will is Will.NONE:
            lacks.append(f"it takes no will on {self._status}: nobody publishes offline when this node dies")
        if session.qos == 0:
            lacks.append("it has QoS 0 only: an event that it loses is lost")
        for lack in lacks:
            if (sentence := f"{self._where}: {lack}") not in self._logged:
                self._logged.add(sentence)
                log.warning("%s", sentence)
        if not session.retains:
            self._refresh_at = clock.monotonic() + REFRESH_S
        elif len(self._settings.addresses) > 1:
            self._refresh_at = clock.monotonic() + STATUS_S

    def _refresh(self) -> None:
        """Send values again where that is due; see ``_take_terms``."""
        now, session = clock.monotonic(), self._session
        if session is None or self._refresh_at is None or now < self._refresh_at:
            return
        if session.retains:
            self._refresh_at = None
            self._retained.send_again(self._status)
        else:
            self._refresh_at = now + REFRESH_S
            self._retained.send_all()

    def _settle(self, deadline: float) -> None:
        """Wait for everything in flight and all that follows it, without the event loop."""
        while self._session is not None and (self._in_flight or self._retained):
            left = deadline - clock.monotonic()
            if left <= 0 or not self._inbox.take(left):
                return

    def _say_goodbye(self, deadline: float) -> None:
        """Publish ``offline`` and disconnect; a broker that does not take it publishes the will instead."""
        session = self._session
        if session is None:
            return
        self._saying_goodbye = True  # no event behind it
        self._retained.send_nothing()
        self._retained.put(self._status, b"offline")
        self._in_flight.forget_retained()
        self._send_retained(session, window=session.window + 1)
        self._settle(deadline)
        if not self._in_flight.holds(self._status):
            session.disconnect()

    def _send_once(self, topic: str, payload: bytes, correlation: bytes | None = None) -> bool:
        return self._session is not None and self._session.publish_once(topic, payload, correlation)

    def _send_retained(self, session: Session, window: int = 0) -> None:
        while self._retained and len(self._in_flight) < (window or session.window):
            self._publish_retained(session, *self._retained.take())

    def _send_discovery(self, session: Session) -> None:
        if self._discovery is None or self._closing or len(self._in_flight) >= session.window:
            return
        try:
            due = self._discovery.poll(clock.monotonic())
        except Exception as error:  # noqa: BLE001  a defect there must not hold up the events
            self._defects.add("the discovery", error)
            return
        for topic, payload in due:
            self._publish_retained(session, topic, payload)

    def _publish_retained(self, session: Session, topic: str, payload: bytes) -> None:
        if not session.fits(topic, payload):
            self._warn_of_refusal(topic, "its size")
            return
        mid = session.publish(topic, payload, retain=True)
        self._in_flight.add(mid, Publish(clock.monotonic(), topic))

    def _send_rows(self, session: Session) -> None:
        now = clock.monotonic()
        free = session.window - len(self._in_flight)
        while free > 0 and not self._saying_goodbye:
            rows = self._delivery.take(free, now)
            placed = sum(self._send_row(session, row, now) for row in rows)
            free -= placed
            if placed == len(rows):
                return

    def _send_row(self, session: Session, row: Row, now: float) -> bool:
        """Send a row; return whether it takes a place in the window now."""
        topic = f"{self._base}/{row.topic}"
        payload = row.message(replayed=self._delivery.waited(row))
        if not session.fits(topic, payload):
            self._warn_of_refusal(topic, "its size")
            self._delivery.give_up(row)
            return False
        mid = session.publish(topic, payload, expiry_s=row.left_s)
        self._in_flight.add(mid, Publish(now, topic, row))
        return True

    def _refused(self, publish: Publish, code: int, name: str, now: float) -> None:
        self._counts["refused"] += 1
        self._warn_of_refusal(publish.topic, HOPELESS.get(code, name))
        if publish.row is not None:  # a retained value is sent again with its next change or connection
            self._delivery.refused(publish.row, code, now)

    def _warn_of_refusal(self, topic: str, what: str) -> None:
        if topic not in self._warned:  # once a connection: the cause stays
            self._warned.add(topic)
            log.warning("%s refuses a message on %s: %s", self._where, topic, what.lower())

    def _plan(self) -> None:
        """Set when the connection is to call ``tick`` next."""
        discovery = None if self._discovery is None else self._discovery.wake_at
        times = (self._in_flight.answer_due, self._delivery.wake_at, discovery, self._refresh_at)
        self._connection.wake = min((at for at in times if at is not None), default=None)

    def _become(self, why: Why) -> None:
        """Log a change of state, once; an attempt that fails like the one before is not logged."""
        where = why.where or self._where
        changed = self._told.get(where) is not why.state
        self._why, self._told[where] = why, why.state
        if not changed or self._closing:
            return
        if why.state is State.CONNECTED:
            log.info("%s: connected", where)
        elif why.state is State.CONNECTING:
            log.info("%s: %s", where, why.detail)
        else:
            log.warning("%s: %s: %s; trying again", where, why.state.value, why.detail)
