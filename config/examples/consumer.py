"""Receives each event of a node exactly once, reports missing ones, and confirms events to the node.

    pip install paho-mqtt
    consumer.py broker.lan[:1883] porch-pi seen.json [PATIENCE_S]

Events are printed to standard output, gaps to standard error. With `spool: {ack: application}` the node keeps
each event until this program confirms it, so process events where they are printed, before the file is
written.
A number that does not arrive within PATIENCE_S (600) was dropped by the node and is skipped.
"""

import json
import sys
import time
from pathlib import Path

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

host, _, port = sys.argv[1].partition(":")
node, file = sys.argv[2], Path(sys.argv[3])
patience_s = float(sys.argv[4]) if len(sys.argv) > 4 else 600.0
# By epoch (the middle part of an id): all numbers up to one, and those beyond it that arrived early.
seen = json.loads(file.read_text()) if file.exists() else {}
moved = {}  # by epoch: when up_to last grew


def on_message(client, _userdata, message):
    event = json.loads(message.payload)
    _, epoch, number = event["id"].split("/")
    mine = seen.setdefault(epoch, {"up_to": 0, "beyond": []})
    if int(number) > mine["up_to"] and int(number) not in mine["beyond"]:
        print(json.dumps(event), flush=True)
        mine["beyond"].append(int(number))
    advance(client, epoch, mine)


def advance(client, epoch, mine):
    before = mine["up_to"]
    if mine["beyond"] and time.monotonic() - moved.setdefault(epoch, time.monotonic()) > patience_s:
        print(f"missing: {epoch} {before + 1}-{min(mine['beyond']) - 1}", file=sys.stderr, flush=True)
        mine["up_to"] = min(mine["beyond"]) - 1
    while mine["up_to"] + 1 in mine["beyond"]:
        mine["up_to"] += 1
        mine["beyond"].remove(mine["up_to"])
    file.with_suffix(".new").write_text(json.dumps(seen))
    file.with_suffix(".new").replace(file)
    if mine["up_to"] > before or not mine["beyond"]:
        moved[epoch] = time.monotonic()
        confirmed = json.dumps({"epoch": epoch, "sequence": mine["up_to"]})
        client.publish(f"edged/{node}/ack", confirmed, qos=1, retain=True)


client = Client(CallbackAPIVersion.VERSION2, client_id=f"consumer-{node}", protocol=MQTTv5)
client.on_connect = lambda client, *_: client.subscribe(
    [(f"edged/{node}/{t}", 1) for t in ("+/event", "gap")]
)
client.on_message = on_message
client.reconnect_delay_set(1, 5)
session = Properties(PacketTypes.CONNECT)
session.SessionExpiryInterval = 7 * 24 * 3600  # the broker keeps events while this program is away
client.connect(host, int(port or 1883), clean_start=False, properties=session)
client.loop_forever()
