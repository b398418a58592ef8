"""Checks each address of the broker: name, TLS, login and publishing, under another client id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.config.secrets import read_secret
from edged.errors import ConfigError
from edged.sinks.mqtt.endpoints import Endpoint
from edged.system import clock
from edged.tools.doctor.verdict import Verdict, error, ok, skipped, together, warning

if TYPE_CHECKING:
    from edged.config.outputs import Mqtt
    from edged.tools.doctor.subject import Subject

ANSWER_S = 5.0
_AS_ROOT = "run edged doctor as root, or as the user of the service"
_ALLOW = "allow it on the broker; docs/brokers.md has the rules that edged needs"
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
    "protocol refused": "write mqtt.protocol: auto",
    "connection lost": "check the broker's log, and whether port {port} needs TLS",
}


def broker(subject: Subject) -> Verdict:
    """Log in at the broker, publish, and disconnect."""
    if subject.config is None:
        return skipped(subject.why_not)
    mqtt = subject.config.mqtt
    if mqtt is None:
        return skipped("the configuration names no broker: events go to standard output")
    try:
        password = (
            None if mqtt.password_file is None else read_secret(mqtt.password_file, warn=False).reveal()
        )
        node = subject.config.node
        return together([_visit(Endpoint(*each), mqtt, password, node) for each in mqtt.addresses])
    except ConfigError as problem:
        if "may not be read" in str(problem):
            return skipped(str(problem), _AS_ROOT)
        return error(str(problem), "see the check configuration")


def _visit(where: Endpoint, mqtt: Mqtt, password: str | None, node: str) -> Verdict:
    from edged.sinks.mqtt.visit import visit

    began = clock.monotonic()
    only = mqtt.model_copy(update={"host": (str(where),)})
    found = visit(only, password, node, seconds=ANSWER_S)
    if found.session is None:
        fix = _FIXES.get(found.why.state, "").format(host=where.host, port=where.port)
        return error(f"{where}: {found.why.state}: {found.why.detail}", fix)
    lets = f"{where} lets {mqtt.username or 'this node'} in"
    if found.trouble:
        return error(f"{lets}, but {'; '.join(found.trouble)}", _ALLOW)
    took_ms = (clock.monotonic() - began) * 1000
    version = "5" if found.session.terms.mqtt5 else "3.1.1"
    how = f"MQTT {version}{' with TLS' if mqtt.tls is not None else ' without TLS'}"
    detail = f"{lets} ({how}, {took_ms:.0f} ms)"
    if mqtt.retain and not found.session.retains:
        return warning(f"{detail}, but retains no messages: a later subscriber waits for values up to 60 s")
    return ok(detail)
