"""Checks the broker: name, connection, TLS and login as the daemon uses them, under another client id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.config.secrets import read_secret
from edged.errors import ConfigError
from edged.system import clock
from edged.tools.doctor.verdict import Verdict, error, ok, skipped

if TYPE_CHECKING:
    from edged.config.outputs import Mqtt
    from edged.tools.doctor.subject import Subject

ANSWER_S = 5.0
_AS_ROOT = "run edged doctor as root, or as the user of the service"
_FIXES = {  # by the state of the connection
    "auth refused": "write mqtt.username and the password in mqtt.password_file as the broker knows them "
    "(on the broker: mosquitto_passwd)",
    "certificate refused": "mqtt.tls.ca_file must hold the CA that signed the broker's certificate, "
    "mqtt.host a name in it, and cert_file a certificate that the broker accepts",
    "tls failed": "only one side uses TLS: write or remove mqtt.tls, or correct mqtt.port",
    "name not found": "correct mqtt.host, or the name server; try: getent hosts {host}",
    "connection refused": "start the broker there, or correct mqtt.host and mqtt.port",
    "no answer": "check the network, firewalls, and whether {host} is on and its broker responds",
    "unreachable": "check the network; try: ip route get {host}",
    "protocol refused": 'write mqtt.protocol: "3.1.1"',
    "connection lost": "check the broker's log, and whether port {port} needs TLS",
}


def broker(subject: Subject) -> Verdict:
    """Log in at the broker, and disconnect."""
    if subject.config is None:
        return skipped(subject.why_not)
    mqtt = subject.config.mqtt
    if mqtt is None:
        return skipped("the configuration names no broker: events go to standard output")
    try:
        password = (
            None if mqtt.password_file is None else read_secret(mqtt.password_file, warn=False).reveal()
        )
        return _knock(mqtt, password)
    except ConfigError as problem:
        if "may not be read" in str(problem):
            return skipped(str(problem), _AS_ROOT)
        return error(str(problem), "see the check configuration")


def _knock(mqtt: Mqtt, password: str | None) -> Verdict:
    from edged.sinks.mqtt.listen import knock

    began = clock.monotonic()
    why = knock(mqtt, password, seconds=ANSWER_S)
    where = f"{mqtt.host}:{mqtt.port_number}"
    if why.state == "connected":
        took_ms = (clock.monotonic() - began) * 1000
        how = f"MQTT {mqtt.protocol}{' with TLS' if mqtt.tls is not None else ' without TLS'}"
        return ok(f"{where} lets {mqtt.username or 'this node'} in ({how}, {took_ms:.0f} ms)")
    fix = _FIXES.get(why.state, "").format(host=mqtt.host, port=mqtt.port_number)
    return error(f"{where}: {why.state}: {why.detail}", fix)
