"""The main thread's side of MQTT: what is sent when, and what became of it."""

from __future__ import annotations

import logging
import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from edged import clock
from edged.sinks.mqtt import _tls
from edged.sinks.mqtt._inbox import Inbox
from edged.sinks.mqtt._link import Link, Settings
from edged.sinks.mqtt._orders import Command, Orders
from edged.sinks.mqtt._state import State, Why

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edged.config.models import Mqtt
    from edged.sinks.mqtt._discovery import Discovery
    from edged.sinks.mqtt._session import Message, Session
    from edged.spool import Spool

log = logging.getLogger(__name__)

ACK_S = 15.0  # without an answer for so long the connection is thrown away, however healthy it looks
REFUSED_PAUSE_S = 5.0  # before what the broker did not want now is offered again
HOPELESS = {0x90: "its topic", 0x95: "its size", 0x99: "its format"}  # PUBACK codes that no retry changes


class _Sent(NamedTuple):
    """A publish in flight: a row of the spool, or else a topic that is retained."""

    at: float
    topic: str
    sequence: int | None = None


class MqttSink:
    """Sends events and retained values, and hears switches and commands.

    All methods are called on the main thread, and all callbacks come there: the link's thread puts what it
    has to say into an inbox and asks ``call_soon`` (``loop.call_soon_threadsafe``) to have it emptied.

    Args:
        config: the section ``mqtt``.
        node: this node's name.
        password: in clear; it is kept for reconnecting and appears in no repr.
        spool: where events wait.
        call_soon: runs a function on the main thread; callable from any thread.
        on_switch: gets a pipeline's name (well-formed, perhaps unknown) and whether to enable it.
        on_command: gets requests on ``cmd/<verb>``; None: nobody listens there.
        homeassistant: keeps the discovery topic; None: nothing is announced and nothing withdrawn.
        client_id: default ``edged-<node>``. Two clients of one name throw each other out.

    Raises:
        ConfigError: a TLS file is missing or wrong.
    """

    def __init__(
        self,
        config: Mqtt,
        *,
        node: str,
        password: str | None = None,
        spool: Spool,
        call_soon: Callable[[Callable[[], None]], object],
        on_switch: Callable[[str, bool], None],
        on_command: Callable[[Command], None] | None = None,
        homeassistant: Discovery | None = None,
        client_id: str | None = None,
    ) -> None:
        self._base = f"{config.prefix}/{node}"
        self._status = f"{self._base}/status"
        self._spool = spool
        self._inbox = Inbox(call_soon)
        self._orders = Orders(self._base, on_switch, on_command)
        self._discovery = homeassistant
        settings = _settings(config, client_id or f"edged-{node}", self._status, password)
        self._link = Link(settings, self, self._inbox.post)
        self._where = f"broker {config.host}:{config.port_number}"
        self._session: Session | None = None
        self._why = Why(State.STOPPED, "not started")
        self._latest: dict[str, bytes] = {self._status: b"online"}
        self._dirty: dict[str, None] = {}  # topics of _latest that the broker does not have, in order
        self._flying: dict[int, _Sent] = {}  # by message id, the oldest first
        self._before_up = 0  # rows up to this sequence waited for the connection
        self._paused_until = 0.0
        self._complained: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._closing = False

    @property
    def state(self) -> State:
        """The connection now, in one or two words."""
        return self._why.state

    @property
    def detail(self) -> str:
        """A sentence that goes with the state."""
        return self._why.detail

    @property
    def counts(self) -> Mapping[str, int]:
        """Since the start: connects, acknowledged, refused, results, results_dropped, ignored."""
        return dict(self._counts)

    def open(self) -> None:
        """Start connecting in the background. Never raises because the broker is away."""
        self._why = Why(State.CONNECTING, "the first attempt")
        self._link.start()

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
        topic = f"{self._base}/{suffix}"
        data = payload.encode() if isinstance(payload, str) else payload
        if self._latest.get(topic) == data:
            return
        self._latest[topic] = data
        self._dirty[topic] = None
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
                self._dirty = {self._status: None}
                self._latest[self._status] = b"offline"
                self._farewell(deadline - timeout_s * 0.2)
        finally:  # whatever becomes of the goodbye, no thread is left behind and no row in flight
            self._link.stop(max(0.1, deadline - clock.monotonic()))
            self._release()
        self._session = None
        self._why = Why(State.STOPPED, "closed")

    # What the link reports, on the main thread.

    def up(self, session: Session) -> None:
        """Take the connection over: subscribe, then send everything again."""
        self._session = session
        self._counts["connects"] += 1
        self._before_up = self._spool.last
        self._paused_until = 0.0
        self._complained.clear()
        self._dirty = dict.fromkeys(self._latest)
        self._become(Why(State.CONNECTED, f"MQTT to {self._where}"))
        session.subscribe(self._orders.subscriptions)
        if self._discovery is not None:
            session.subscribe(self._discovery.subscriptions)
            self._discovery.connected(clock.monotonic())
        self.drain()

    def down(self, why: Why) -> None:
        """Give the rows in flight back."""
        self._session = None
        self._release()
        if self._discovery is not None:
            self._discovery.disconnected()
        self._become(why)

    def acked(self, mid: int, code: int, name: str) -> None:
        """Account for one answer, then use the place that it left in the window."""
        sent = self._flying.pop(mid, None)
        if sent is None:
            return  # QoS 0, which paho reports too
        if code >= 0x80:
            self._refused(sent, code, name)
        elif sent.sequence is not None:
            self._spool.acknowledged(sent.sequence)
            self._counts["acknowledged"] += 1
        self.drain()

    def received(self, message: Message) -> None:
        """Route a message to whom it concerns."""
        if self._closing:
            return
        if self._discovery is not None and message.topic in self._discovery.subscriptions:
            self._discovery.message(
                message.topic, message.payload, retained=message.retained, now=clock.monotonic()
            )
            self.drain()
            return
        if not self._orders.handle(message):
            self._counts["ignored"] += 1

    def unsubscribed(self, count: int) -> None:
        """Say that switches or commands will not arrive."""
        log.warning("%s refuses %d subscriptions: switches or commands will not arrive", self._where, count)

    def tick(self) -> None:
        """Do what was planned for now."""
        oldest = next(iter(self._flying.values()), None)
        if oldest is not None and clock.monotonic() - oldest.at >= ACK_S:
            self._link.abort("acknowledgements stopped")
        else:
            self.drain()

    # Inside.

    def _settle(self, deadline: float) -> None:
        """Wait for everything in flight and all that follows it, without the event loop."""
        while self._session is not None and (self._flying or self._dirty):
            left = deadline - clock.monotonic()
            if left <= 0 or not self._inbox.take(left):
                return

    def _farewell(self, deadline: float) -> None:
        """Publish ``offline`` and disconnect; a broker that does not take it publishes the will instead."""
        session = self._session
        if session is None:
            return
        self._paused_until = math.inf  # no event behind the goodbye
        self._flying = {mid: sent for mid, sent in self._flying.items() if sent.sequence is not None}
        self._send_retained(session, window=session.window + 1)
        self._settle(deadline)
        if not any(sent.topic == self._status for sent in self._flying.values()):
            session.disconnect()

    def _send_retained(self, session: Session, window: int = 0) -> None:
        while self._dirty and len(self._flying) < (window or session.window):
            topic = next(iter(self._dirty))
            del self._dirty[topic]
            self._publish_retained(session, topic, self._latest[topic])

    def _send_discovery(self, session: Session) -> None:
        if self._discovery is None or self._closing or len(self._flying) >= session.window:
            return
        for topic, payload in self._discovery.poll(clock.monotonic()):
            self._publish_retained(session, topic, payload)

    def _publish_retained(self, session: Session, topic: str, payload: bytes) -> None:
        if not session.fits(topic, payload):
            self._complain(topic, "its size")
            return
        mid = session.publish(topic, payload, retain=True)
        self._flying[mid] = _Sent(clock.monotonic(), topic)

    def _send_rows(self, session: Session) -> None:
        now = clock.monotonic()
        free = session.window - len(self._flying)
        if free <= 0 or now < self._paused_until:
            return
        for row in self._spool.pending(free):
            topic = f"{self._base}/{row.pipeline}/event"
            payload = row.message(replayed=row.sequence <= self._before_up)
            if not session.fits(topic, payload):
                self._give_up(row.sequence, topic, "its size")
                continue
            mid = session.publish(topic, payload)
            self._flying[mid] = _Sent(now, topic, row.sequence)

    def _refused(self, sent: _Sent, code: int, name: str) -> None:
        self._counts["refused"] += 1
        if sent.sequence is None:
            self._complain(sent.topic, name)  # offered again with its next value, or the next connection
        elif code in HOPELESS:
            self._give_up(sent.sequence, sent.topic, HOPELESS[code])
        else:
            self._complain(sent.topic, name)
            self._spool.released([sent.sequence])
            self._paused_until = clock.monotonic() + REFUSED_PAUSE_S

    def _give_up(self, sequence: int, topic: str, what: str) -> None:
        self._complain(topic, what)
        self._spool.refused(sequence)

    def _complain(self, topic: str, what: str) -> None:
        if topic not in self._complained:  # once a connection: the cause is there and stays there
            self._complained.add(topic)
            log.warning("%s refuses a message on %s: %s", self._where, topic, what.lower())

    def _release(self) -> None:
        self._spool.released([sent.sequence for sent in self._flying.values() if sent.sequence is not None])
        self._flying.clear()

    def _plan(self) -> None:
        """Tell the link when to wake this side next."""
        times = [sent.at + ACK_S for sent in list(self._flying.values())[:1]]
        if clock.monotonic() < self._paused_until < math.inf:
            times.append(self._paused_until)
        if self._discovery is not None and self._discovery.wake_at is not None:
            times.append(self._discovery.wake_at)
        self._link.wake = min(times, default=None)

    def _become(self, why: Why) -> None:
        """Log a change of state, once; an attempt that fails as the one before says nothing."""
        changed, self._why = why.state is not self._why.state, why
        if not changed or self._closing:
            return
        if why.state is State.CONNECTED:
            log.info("%s: connected", self._where)
        else:
            log.warning("%s: %s: %s; trying again", self._where, why.state.value, why.detail)


def _settings(config: Mqtt, client_id: str, will_topic: str, password: str | None) -> Settings:
    tls = config.tls
    if tls is not None:
        _tls.context(tls)  # a wrong file is an error of the configuration, to be told now
    return Settings(
        host=config.host,
        port=config.port_number,
        client_id=client_id,
        mqtt5=config.protocol == "5",
        keepalive_s=config.keepalive_s,
        will_topic=will_topic,
        username=config.username,
        password=password,
        tls=None if tls is None else lambda: _tls.context(tls),
    )
