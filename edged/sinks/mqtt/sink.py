"""The main thread's side of MQTT: what is sent when, and what becomes of it."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Literal

from edged.sinks.mqtt.commands import CommandTopics
from edged.sinks.mqtt.connection import Connection
from edged.sinks.mqtt.delivery import Delivery
from edged.sinks.mqtt.hangups import FIRST_ROWS, PROMPT_S, STANDS_S, SUBSCRIPTION
from edged.sinks.mqtt.inbox import DefectLog, Inbox
from edged.sinks.mqtt.outgoing import InFlight, Publish, RetainedTopics
from edged.sinks.mqtt.refusals import HOPELESS, TOO_LARGE
from edged.sinks.mqtt.rights import REFRESH_S, Rights, lacks
from edged.sinks.mqtt.settings import Settings
from edged.sinks.mqtt.state import State, Why
from edged.sinks.mqtt.subscriptions import Subscriptions
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edged.config.outputs import Mqtt
    from edged.sinks import Discovery
    from edged.sinks.mqtt.session import Message, Session
    from edged.spool import Row, Spool

    Connect = Callable[[Settings, "MqttSink", Callable[[Callable[[], None]], None]], Connection]

log = logging.getLogger(__name__)

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
        self._rights = Rights(self._base)
        self._hang_ups = self._rights.hang_ups
        self._first_rows, self._up_at = 0, 0.0
        self._subscriptions = Subscriptions(self._hang_ups)
        self._outside: list[tuple[str, bytes]] = []  # of the discovery, to be published
        self._once = Publish(float("-inf"), "")  # the last message with QoS 0
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
    def problems(self) -> Sequence[str]:
        """Sentences about what the broker does not let this node do."""
        return self._rights.sentences()

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
            if self._session is not None and clock.monotonic() - self._up_at > STANDS_S:
                self._hang_ups.forget()
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
        session, now, careful = self._session, clock.monotonic(), self._hang_ups.careful
        self._retained.refresh(now)
        if not careful:
            self._send_retained(session)
        if self._first_rows > 0:  # a node of a cluster without a leader answers nothing behind a subscription
            self._first_rows -= self._send_rows(session)
        self._subscriptions.make(session, lambda: not careful or self._free(session) > 0, now)
        self._send_retained(session)
        self._send_discovery(session)
        self._send_rows(session)
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
        self._rights.connected()
        self._up_at, self._first_rows = clock.monotonic(), FIRST_ROWS
        confirmations = [self._confirmations] if self._confirmations else []
        self._subscriptions.want([*self._commands.subscriptions, *confirmations])
        if self._discovery is not None:
            self._subscriptions.want(self._discovery.subscriptions)
            self._discovery.connected(self._up_at)
        self.drain()
        self._publish_echo(session)

    def down(self, why: Why) -> None:
        """Give the rows in flight back."""
        if why.hung_up and not self._closing:
            self._find_cause()
        self._session, self._leaving, self._outside = None, False, []
        self._in_flight.clear()
        self._subscriptions.clear()
        self._delivery.disconnected(clock.monotonic(), by_broker=why.by_broker)
        if self._discovery is not None:
            self._discovery.disconnected()
        self._become(why)

    def acked(self, mid: int, code: int, name: str) -> None:
        """Account for one answer, then use the place that it left in the window."""
        publish = self._in_flight.answered(mid, now := clock.monotonic())
        if publish is None:
            return  # QoS 0, which paho reports too
        self._answered(publish)
        if code >= 0x80:
            self._refused(publish, code, name, now)
        else:
            self._rights.took(publish)
            self._delivery.accepted(publish.row, now)
            self._counts["acknowledged"] += publish.row is not None
        self.drain()

    def received(self, message: Message) -> None:
        """Hand a message to the part that it concerns."""
        if self._closing:
            return
        now = clock.monotonic()
        if message.topic == self._rights.echo and not message.retained:
            self._rights.heard_echo()
            return
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

    def subscribed(self, mid: int, refused: int) -> None:
        """Note that messages on a topic will arrive, or never."""
        publish = self._subscriptions.answered(mid, refused, clock.monotonic())
        if publish is None:
            return
        self._answered(publish)
        if refused:
            self._warn_of_refusal(publish.topic, "not authorized")
        else:
            self._rights.took(publish)
        self.drain()

    def tick(self) -> None:
        """Do what was planned for now."""
        due = self._in_flight.answer_due
        self._rights.look(clock.monotonic())
        if due is not None and clock.monotonic() >= due:
            self._connection.abort("acknowledgements stopped")
        else:
            self.drain()

    def leave(self) -> None:
        """Send nothing more, and leave for a preferred address once everything in flight is answered."""
        self._leaving = True
        self.drain()

    # Inside.

    def _answered(self, publish: Publish) -> None:
        """Note an answer of the broker: it does not hang up at this topic."""
        self._hang_ups.answered(publish.sent)
        self._delivery.left_out = self._hang_ups.pipelines(self._base)

    def _find_cause(self) -> None:
        """Find the message over which the broker hung up, if it did, and send it no more."""
        now = clock.monotonic()
        unanswered = [*self._in_flight.waiting(now - PROMPT_S), *self._subscriptions.waiting(now - PROMPT_S)]
        if not unanswered and self._once.at > now - PROMPT_S:
            unanswered = [self._once]
        hopeless = self._rights.hung_up(unanswered, now, self._where)
        if hopeless is None:
            return
        if hopeless.row is not None and not self._hang_ups.is_left_out(hopeless.topic):
            self._delivery.give_up(hopeless.row)
            self._counts["refused"] += 1
        elif self._discovery is not None:
            self._discovery.refused(hopeless.topic)
        self._delivery.left_out = self._hang_ups.pipelines(self._base)

    def _try_again(self) -> None:
        """Try the topics again that were left out for long enough."""
        for topic in self._hang_ups.due(clock.monotonic()):
            if topic.startswith(SUBSCRIPTION):
                self._subscriptions.want([topic.removeprefix(SUBSCRIPTION)])
            elif self._retained.holds(topic):
                self._retained.send_again(topic)
            self._delivery.left_out = self._hang_ups.pipelines(self._base)

    def _publish_echo(self, session: Session) -> None:
        """Publish what should come back; see ``Rights``. MQTT 5 has reason codes instead."""
        now = clock.monotonic()
        if self._session is session and not session.terms.mqtt5 and not self._hang_ups.careful:
            self._in_flight.add(session.publish(self._rights.echo, b""), Publish(now, self._rights.echo))
            self._rights.published_echo(now)
            self._plan()

    def _free(self, session: Session) -> int:
        """Return how many messages may be sent now: one alone, where the broker may hang up at it."""
        if self._hang_ups.careful:
            return 0 if self._in_flight or self._subscriptions else 1
        return session.window - len(self._in_flight)

    def _leave_in_order(self, session: Session) -> None:
        if self._in_flight:
            self._plan()
        else:
            self._connection.leave(session)
            session.disconnect()

    def _take_terms(self, session: Session) -> None:
        """Log, once for each broker, what it does not have, and plan what makes up for it."""
        for lack in lacks(session, self._settings, self._status):
            if (sentence := f"{self._where}: {lack}") not in self._logged:
                self._logged.add(sentence)
                log.warning("%s", sentence)
        if self._rights.unretained or not session.retains:
            self._retained.refresh_every(REFRESH_S, clock.monotonic())
        elif len(self._settings.addresses) > 1:
            self._retained.refresh_once(self._status, clock.monotonic() + STATUS_S)

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
        if self._session is None or self._hang_ups.is_left_out(topic):
            return False
        self._once = Publish(clock.monotonic(), topic)
        return self._session.publish_once(topic, payload, correlation)

    def _send_retained(self, session: Session, window: int = 0) -> None:
        self._try_again()
        while self._retained and (window - len(self._in_flight) if window else self._free(session)) > 0:
            self._publish_retained(session, *self._retained.take())

    def _send_discovery(self, session: Session) -> None:
        if self._discovery is None or self._closing or self._free(session) <= 0:
            return
        try:
            due = self._discovery.poll(clock.monotonic())
        except Exception as error:  # noqa: BLE001  a defect there must not hold up the events
            self._defects.add("the discovery", error)
            return
        self._outside += due
        while self._outside and self._free(session) > 0:
            self._publish_retained(session, *self._outside.pop(0))

    def _publish_retained(self, session: Session, topic: str, payload: bytes) -> None:
        if self._hang_ups.is_left_out(topic):
            return
        if not session.fits(topic, payload):
            self._too_large(topic)
            return
        mid = session.publish(topic, payload, retain=not self._rights.unretained)
        self._in_flight.add(mid, Publish(clock.monotonic(), topic, retained=True))

    def _send_rows(self, session: Session) -> int:
        """Send the rows that go next; return how many."""
        now, sent = clock.monotonic(), 0
        free = self._free(session)
        while free > sent and not self._saying_goodbye:
            rows = self._delivery.take(free - sent, now)
            placed = sum(self._send_row(session, row, now) for row in rows)
            sent += placed
            if placed == len(rows):
                break
        return sent

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
        if code == TOO_LARGE:
            self._too_large(publish.topic)
        else:
            self._warn_of_refusal(publish.topic, HOPELESS.get(code, name))
        if publish.row is not None:  # a retained value is sent again with its next change or connection
            self._delivery.refused(publish.row, code, now)

    def _too_large(self, topic: str) -> None:
        if (
            self._discovery is None
            or topic.startswith(f"{self._base}/")
            or not self._discovery.refused(topic)
        ):
            self._warn_of_refusal(topic, HOPELESS[TOO_LARGE])

    def _warn_of_refusal(self, topic: str, what: str) -> None:
        self._rights.refused(topic, what)
        if topic not in self._warned:  # once a connection: the cause stays
            self._warned.add(topic)
            log.warning("%s refuses a message on %s: %s", self._where, topic, what.lower())

    def _plan(self) -> None:
        """Set when the connection is to call ``tick`` next."""
        parts = (self._delivery, self._hang_ups, self._rights, self._subscriptions, self._discovery)
        times = [None if part is None else part.wake_at for part in parts]
        times += [self._in_flight.answer_due, self._retained.refresh_at]
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
        elif why.state is not State.CONNECTING:
            log.warning("%s: %s: %s; trying again", where, why.state.value, why.detail)
