"""The connection's thread: it connects, runs paho's loop, and connects again.

paho's own thread dies of the first exception in a callback, comes back up to 28 s late and looks healthy all
the while. This one calls ``Client.loop`` itself: every callback is guarded, every wait is at most 5 s, and a
client is used for one connection only.
"""

from __future__ import annotations

import functools
import logging
import random
import socket
import threading
from typing import TYPE_CHECKING, Any, Protocol

from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edged.errors import ConfigError
from edged.sinks.mqtt import state
from edged.sinks.mqtt.client import MAX_INCOMING, Client
from edged.sinks.mqtt.endpoints import Endpoint, Look, Rotation
from edged.sinks.mqtt.inbox import DefectLog
from edged.sinks.mqtt.session import Message, Session
from edged.sinks.mqtt.settings import FileChanges
from edged.sinks.mqtt.state import State, Why
from edged.sinks.mqtt.terms import Negotiation, Will
from edged.system import clock
from edged.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import MQTTMessage

    from edged.sinks.mqtt.settings import Settings

log = logging.getLogger(__name__)

CONNECT_S = 5.0  # for TCP and for TLS each
CONNACK_S = 10.0  # from then to the broker's answer
CONNACK_OF_SEVERAL_S = 3.0  # while others wait to be tried; a node of a cluster without a leader stays silent
QUICK_ROUNDS = 4  # in which it is so short
SHORTEST_S, LONGEST_S = 1.0, 5.0  # between the beginnings of two attempts
LONGEST_OF_SEVERAL_S = 2.0  # between two rounds of several addresses: one of them is likely to be well
AT_ONCE_S = 0.1  # instead, before an attempt on other terms
PATIENT_S = 60.0  # instead of LONGEST_S where a person has to do something first
STABLE_S = 10.0  # a connection that lived this long starts the back-off anew
TURN_S = 1.0  # the loop returns at least this often, and ten times in a keep-alive
# paho pings after a keep-alive without a message and waits another one for the answer. With this part of ours
# for each, a connection that fell silent is found in less than 1.5 times what was asked for.
PING_SHARE = 0.65
STUCK_S = 120.0  # without a sign of life: longer than any name lookup
MOST_UNREAD = 2000  # messages that arrived and wait for the main thread; more are dropped


class Listener(Protocol):
    """The receiver of what a connection reports, on the main thread and in order."""

    def up(self, session: Session) -> None:
        """Take over a connection; its session is valid until ``down``."""

    def down(self, why: Why) -> None:
        """Note that there is no connection: it was lost, or one more attempt failed."""

    def acked(self, mid: int, code: int, name: str) -> None:
        """Take the broker's answer to a publish; a code below 128 is success."""

    def received(self, message: Message) -> None:
        """Take a message on a topic that was subscribed to."""

    def subscribed(self, mid: int, refused: int) -> None:
        """Take the broker's answer to a subscription: how many of its topics it refused."""

    def tick(self) -> None:
        """Do what was planned: the time of ``Connection.wake`` has come."""

    def leave(self) -> None:
        """End what is in flight, then call ``Connection.leave``: a preferred address works again."""


class Connection:
    """Keeps a connection until it is stopped.

    Args:
        settings: where to connect, and how to log in.
        listener: gets what is reported.
        post: has a function called on the main thread; callable from any thread.
        jitter: draws a number between two, for the pauses between attempts.

    Attributes:
        wake: monotonic time at which ``Listener.tick`` is to be called, set by the main thread; None: never.
            It is kept only while there is a connection, to within ``TURN_S``.
        overflowed: messages that were dropped because the main thread did not keep up.
    """

    def __init__(
        self,
        settings: Settings,
        listener: Listener,
        post: Callable[[Callable[[], None]], None],
        *,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._post = post
        self._rotation = Rotation(settings.addresses)
        self._negotiations: dict[Endpoint, Negotiation] = {}
        self._rounds = 0  # since the last connection, in which no address accepted one
        self._again = False  # at once, on other terms
        self._patient = True  # nothing but a person can help at the addresses of this round
        self._look: Look | None = None
        self._left: Session | None = None  # for the first address; set by the main thread
        self._turn_s = min(TURN_S, settings.keepalive_s / 10)
        # Spread over the whole pause, so that a hundred nodes do not come back to a broker at once.
        self._jitter = jitter
        longest_s = LONGEST_S if len(settings.addresses) == 1 else LONGEST_OF_SEVERAL_S
        self._backoff = Backoff(SHORTEST_S, longest_s, jitter=jitter)
        self._renewed = FileChanges(settings.files)
        self._defects = DefectLog()
        self._stopping = threading.Event()
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._alive_at = clock.monotonic()
        self._posted = self._called = 0  # calls to the main thread; each is counted by one thread only
        self._session: Session | None = None  # of this connection
        self._up_since: float | None = None
        self._open = False  # there is a TCP connection
        self._why: Why | None = None  # of the connection that is ending
        self._abort: Why | None = None  # set by the main thread
        self.overflowed = 0
        self.wake: float | None = None

    def start(self) -> None:
        """Begin to connect, in the background."""
        self._alive_at = clock.monotonic()
        self._thread.start()

    def abort(self, detail: str) -> None:
        """Throw the connection away and make a new one."""
        self._abort = Why(State.LOST, detail)

    def leave(self, session: Session) -> None:
        """Go back to the first address after this session, which its disconnect ends.

        One that has ended meanwhile changes nothing for the connection after it.
        """
        self._left = session

    def fault(self) -> str:
        """Return what is wrong with the thread, or "" where it does its work."""
        if not self._thread.is_alive():
            return "its thread has died"
        return "its thread is stuck" if clock.monotonic() - self._alive_at > STUCK_S else ""

    def abandon(self) -> None:
        """Give the connection up: whatever it still reports is dropped."""
        self._abandoned = True
        self._stopping.set()

    def stop(self, timeout_s: float) -> bool:
        """End the thread; return False where it is still stuck (in a name lookup, say), to end by itself."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = clock.monotonic()
            self._renewed.mark()
            why, lived_s = self._connect_once()
            if self._again:
                self._stopping.wait(AT_ONCE_S)
                continue
            if lived_s >= STABLE_S:
                self._backoff.reset()
            self._report(self._listener.down, why)
            self._pause(why, began, lived_s)

    def _pause(self, why: Why, began: float, lived_s: float) -> None:
        """Wait as long as it takes until the next attempt, of which several addresses need less."""
        self._patient &= why.state in (State.AUTH, State.CERTIFICATE)
        if lived_s and self._is_left:
            self._rotation.go_back()
        elif self._rotation.lost(stable=lived_s >= STABLE_S) if lived_s else self._rotation.failed():
            # Not all at the same moment: the clients of a node that died go to the same other one.
            self._stopping.wait(self._jitter(0.0, SHORTEST_S) if lived_s else 0.0)
        else:
            pause_s = self._backoff.pause_s(longest_s=PATIENT_S if self._patient else None)
            self._patient = True
            self._rounds += 1
            self._rest(pause_s - (clock.monotonic() - began - lived_s))

    def _rest(self, seconds: float) -> None:
        """Wait for the next attempt, or for a renewed file."""
        end = clock.monotonic() + max(SHORTEST_S, seconds)
        while (left := end - clock.monotonic()) > 0 and not self._stopping.wait(min(TURN_S, left)):
            self._alive_at = clock.monotonic()
            if self._renewed.happened:
                return

    def _report(self, call: Callable[..., None], *args: object) -> None:
        """Have a method of the listener called on the main thread."""
        self._posted += 1
        self._post(functools.partial(self._call, call, *args))

    def _call(self, call: Callable[..., None], *args: object) -> None:
        self._called += 1
        if not self._abandoned:
            call(*args)

    def _guarded(self, function: Callable[..., None]) -> Callable[..., None]:
        """Keep exceptions out of paho: they would end the connection and hide their cause."""

        def guarded(*args: Any) -> None:
            try:
                function(*args)
            except Exception as error:  # noqa: BLE001  whatever it is, paho must not see it
                self._defects.add("a callback of paho", error)

        return guarded

    def _connect_once(self) -> tuple[Why, float]:
        """Make one connection and stay until it ends; return why it ended and how long it was up, in s."""
        self._why = self._abort = self._up_since = self._session = self._look = None
        self._again = self._open = False
        client: Client | None = None
        try:
            client = self._client()
            self._connect(client)
            self._loop(client)
        except (OSError, ValueError) as error:  # away, misconfigured, or a name that cannot be looked up
            self._end(state.of_error(error))
        except Exception as error:  # noqa: BLE001  whatever it is, it is logged and tried again
            self._defects.add("the connection to the broker", error)
            self._end(state.of_error(error))
        finally:
            self._throw_away(client)
        return self._ended()

    def _throw_away(self, client: Client | None) -> None:
        if self._session is not None:
            self._session.end()
        if client is not None:
            try:
                client.reinitialise()  # the one public way to close a client's sockets
            except OSError as error:
                log.debug("a socket that could not be closed: %s", error)

    def _end(self, why: Why | None) -> None:
        """Note why this connection ends; the first reason is the cause of the others."""
        self._why = self._why or why

    def _ended(self) -> tuple[Why, float]:
        where = f"broker {self._rotation.current}"
        if self._up_since is not None:
            lived_s = clock.monotonic() - self._up_since
            # Not every broker tells a client that another one took its place.
            soon = "" if lived_s >= STABLE_S else " at once; perhaps another client has this node's name"
            why = self._why or Why(State.LOST, f"the connection broke{soon}", hung_up=True)
            if self._is_left:
                why = Why(State.CONNECTING, f"going back to broker {self._rotation.first}", by_broker=True)
            return why._replace(where=where), lived_s
        if self._why is None and self._open:
            self._again = self._negotiation.closed()
        silent = "the broker closed the connection without an answer; perhaps it wants TLS on this port"
        return (self._why or Why(State.LOST, silent))._replace(where=where), 0.0

    @property
    def _is_left(self) -> bool:
        """Whether the main thread left this session for the first address."""
        return self._session is not None and self._session is self._left

    @property
    def _negotiation(self) -> Negotiation:
        """The negotiation with the current address, whose outcome is remembered."""
        settings = self._settings
        return self._negotiations.setdefault(
            self._rotation.current,
            Negotiation(mqtt5=settings.mqtt5, will=bool(settings.will_topic), retain=settings.retain),
        )

    def _loop(self, client: Client) -> None:
        """Run paho's loop until the connection ends."""
        quick = len(self._settings.addresses) > 1 and self._rounds < QUICK_ROUNDS
        deadline = clock.monotonic() + (CONNACK_OF_SEVERAL_S if quick else CONNACK_S)
        while client.loop(self._wait_s()) == MQTTErrorCode.MQTT_ERR_SUCCESS:
            now = self._alive_at = clock.monotonic()
            if self._up_since is None and now > deadline:
                self._end(Why(State.TIMEOUT, "it accepts the connection and does not answer"))
                return
            if self._abort is not None:
                self._end(self._abort)
                return
            if self._stopping.is_set() and not client.want_write():
                return  # a goodbye that still waits for the socket goes first
            if self.wake is not None and now >= self.wake:
                self.wake = None
                self._report(self._listener.tick)
            self._look_back(now)

    def _look_back(self, now: float) -> None:
        """Look now and then, while another address is connected, at whether the first one works again."""
        if self._look is not None and self._look.found.is_set():
            self._look = None
            self._report(self._listener.leave)
        elif self._rotation.is_back_due(now):
            self._look = Look(self._rotation.first, CONNECT_S)

    def _wait_s(self) -> float:
        wake = self.wake
        return self._turn_s if wake is None else min(self._turn_s, max(0.0, wake - clock.monotonic()))

    def _client(self) -> Client:
        settings, terms = self._settings, self._negotiation.terms
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if terms.mqtt5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(0)  # the sink limits what is in flight
        if terms.will is not Will.NONE:
            client.will_set(
                settings.will_topic, b"offline", qos=terms.will_qos, retain=terms.will is Will.RETAINED
            )
        if settings.username is not None:
            client.username_pw_set(settings.username, self._password())
        if settings.tls is not None:
            client.tls_set_context(settings.tls())
        client.on_socket_open = self._guarded(self._on_socket_open)
        # With this set, paho leaves writing to the loop instead of doing it in the thread that publishes.
        client.on_socket_register_write = self._guarded(lambda *_: None)
        client.on_connect = self._guarded(self._on_connect)
        client.on_disconnect = self._guarded(self._on_disconnect)
        client.on_publish = self._guarded(self._on_publish)
        client.on_message = self._guarded(self._on_message)
        client.on_subscribe = self._guarded(self._on_subscribe)
        client.on_log = self._guarded(self._on_log)
        return client

    def _password(self) -> str | None:
        try:
            return self._settings.password()
        except ConfigError as error:
            self._end(Why(State.AUTH, f"the password cannot be read: {error}"))
            raise

    def _connect(self, client: Client) -> None:
        settings, properties = self._settings, None
        if self._negotiation.terms.mqtt5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's gap
            properties.MaximumPacketSize = MAX_INCOMING
        keepalive_s = int(settings.keepalive_s * PING_SHARE)
        client.connect(*self._rotation.current, keepalive_s, properties=properties)

    # Callbacks of paho.

    def _on_socket_open(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self._open = True
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # What is sent into a pulled cable fails after the keep-alive, not after a quarter of an hour.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._settings.keepalive_s * 1000)

    def _on_connect(self, client: Client, _userdata: Any, _flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure:
            self._again = self._negotiation.refused(code.value)
            self._end(state.of_code(code.value, code.getName(), connected=False))
            return
        negotiation = self._negotiation
        if not negotiation.accepted():
            self._again, self._abort = True, Why(State.CONNECTING, "trying better terms")
            return
        self._up_since = now = clock.monotonic()
        self._rotation.connected(now)
        self._rounds = 0
        self._session = session = Session(
            client,
            window=getattr(properties, "ReceiveMaximum", 0),
            max_packet=getattr(properties, "MaximumPacketSize", 0),
            qos=getattr(properties, "MaximumQoS", 1) and negotiation.terms.will_qos,
            retains=self._settings.retain and bool(getattr(properties, "RetainAvailable", 1)),
            terms=negotiation.terms,
            where=f"broker {self._rotation.current}",
        )
        self._report(self._listener.up, session)

    def _on_disconnect(self, _client: Client, _userdata: Any, flags: Any, code: Any, _props: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self._end(state.of_code(code.value, code.getName(), connected=True))

    def _on_publish(self, _client: Client, _userdata: Any, mid: int, code: Any, _properties: Any) -> None:
        self._report(self._listener.acked, mid, code.value, code.getName())

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        if self._posted - self._called > MOST_UNREAD:
            self.overflowed += 1
            return
        properties = message.properties
        arrived = Message(
            topic=message.topic,
            payload=bytes(message.payload),
            retained=bool(message.retain),
            response_topic=getattr(properties, "ResponseTopic", None),
            correlation=getattr(properties, "CorrelationData", None),
        )
        self._report(self._listener.received, arrived)

    def _on_subscribe(self, _client: Client, _userdata: Any, mid: int, codes: Any, _properties: Any) -> None:
        self._report(self._listener.subscribed, mid, sum(code.is_failure for code in codes))

    def _on_log(self, _client: Client, _userdata: Any, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self._end(state.of_tls_text(text))
