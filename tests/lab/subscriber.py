#!/usr/bin/env python3
"""A subscriber whose session the broker keeps: writes down each message that has an id, one a line.

    tests/lab/subscriber.py PORT HEARD.jsonl TOPIC… [--host localhost] [--name consumer] [--tls FOLDER]

It says ``ready`` when the broker took its subscription for the first time, comes back whenever it loses the
broker, and works until SIGTERM. A message is acknowledged when it is written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

if TYPE_CHECKING:
    from typing import TextIO


def entry(payload: bytes, at: float, *, dup: bool) -> str | None:
    """Return the line of a message, None for one without an id."""
    said = json.loads(payload)
    if "id" not in said:
        return None
    content = json.dumps({key: value for key, value in said.items() if key != "replayed"}, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    kept = {"at": at, "id": said["id"], "replayed": said.get("replayed", False), "dup": dup, "digest": digest}
    return json.dumps(kept | {key: said[key] for key in ("type", "count") if key in said}) + "\n"


def listen(options: argparse.Namespace, log: TextIO) -> Client:
    """Connect, and go on in a thread."""

    def write(_client: Client, _userdata: object, message: MQTTMessage) -> None:
        if (line := entry(message.payload, time.time(), dup=message.dup)) and not message.retain:
            log.write(line)
            log.flush()

    client = Client(CallbackAPIVersion.VERSION2, client_id=options.name, protocol=MQTTProtocolVersion.MQTTv5)
    if options.tls:
        name = options.tls / options.name
        client.tls_set(str(options.tls / "ca.pem"), f"{name}.pem", f"{name}.key")
    client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in options.topics])
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.on_message = write
    client.reconnect_delay_set(1, 1)
    keep = Properties(PacketTypes.CONNECT)
    keep.SessionExpiryInterval = 24 * 3600
    client.connect(options.host, options.port, keepalive=10, clean_start=False, properties=keep)
    client.loop_start()
    return client


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("heard", type=Path)
    parser.add_argument("topics", nargs="+", metavar="topic")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--name", default="consumer")
    parser.add_argument("--tls", type=Path)
    options = parser.parse_args()
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    with options.heard.open("a", encoding="utf-8") as log:
        client = listen(options, log)
        done.wait()
        client.disconnect()
        client.loop_stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
