#!/usr/bin/env python3
"""What many a script does: paho, QoS 1, its queue in memory. A peer for the laboratory.

    tests/lab/peer_paho.py PORT NAME RATE TAKEN

Publishes numbered messages on peer/NAME/event until SIGUSR1, and goes on with its connection until SIGTERM.
The file TAKEN gets each number when ``publish`` took it, or with ``--acknowledged`` when the broker said so.
"""

import argparse
import json
import signal
import threading
from collections import deque
from pathlib import Path

from paho.mqtt.client import CallbackAPIVersion, Client

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
parser.add_argument("name")
parser.add_argument("rate", type=float)
parser.add_argument("taken", type=Path)
parser.add_argument("--acknowledged", action="store_true")
options = parser.parse_args()
quiet, done = threading.Event(), threading.Event()
signal.signal(signal.SIGUSR1, lambda *_: quiet.set())
signal.signal(signal.SIGTERM, lambda *_: done.set())
known = options.taken.read_text().split() if options.taken.exists() else []
number = int(known[-1]) if known else 0
with options.taken.open("a", buffering=1) as taken:
    client = Client(CallbackAPIVersion.VERSION2, client_id=f"peer-{options.name}")
    numbers, answered = {}, deque()  # by the library's message id; those ids
    client.on_publish = lambda _client, _userdata, mid, *_: answered.append(mid)
    client.reconnect_delay_set(1, 5)
    client.connect_async("127.0.0.1", options.port, keepalive=5)
    client.loop_start()
    while not done.wait(1 / options.rate):
        if not quiet.is_set():
            number += 1
            message = json.dumps({"id": f"{options.name}/0/{number}", "replayed": False})
            numbers[client.publish(f"peer/{options.name}/event", message, qos=1).mid] = number
            if not options.acknowledged:
                taken.write(f"{number}\n")
        while answered:
            acknowledged = numbers.pop(answered.popleft())
            if options.acknowledged:
                taken.write(f"{acknowledged}\n")
    client.disconnect()
    client.loop_stop()
