"""Receives each event of a node exactly once, reports missing ones, and confirms events to the node.

    pip install paho-mqtt
    consumer.py broker.lan[:1883] porch-pi seen.json [--user NAME --password-file FILE] [--ca FILE]

Events are printed to standard output, gaps to standard error. With `spool: {ack: application}` the node keeps
each event until this program confirms it, so process events where they are printed, before the file is
written. A number that does not arrive within --patience (600 s) was dropped by the node and is skipped.
"""

import argparse
import json
import ssl
import sys
import time
from pathlib import Path

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

parser = argparse.ArgumentParser(description="Print each event of a node exactly once.")
parser.add_argument("broker", help="HOST or HOST:PORT")
parser.add_argument("node", help="the node's name")
parser.add_argument("file", type=Path, help="where to remember which events were printed")
parser.add_argument("--user", help="user name at the broker")
parser.add_argument("--password-file", type=Path, help="file that holds the password")
parser.add_argument("--ca", help="certificates (PEM) to verify the broker with; switches TLS on")
parser.add_argument("--cert", help="this program's certificate (PEM), where the broker demands one")
parser.add_argument("--key", help="the key of that certificate (PEM)")
parser.add_argument("--patience", type=float, default=600.0, metavar="S", help="wait this long for a number")
options = parser.parse_args()
host, _, port = options.broker.partition(":")
node, file, patience_s = options.node, options.file, options.patience
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


def on_connect(client, _userdata, _flags, reason, _properties):
    if reason.is_failure:
        print(f"the broker refuses the login: {reason}", file=sys.stderr)
        client.disconnect()
    client.subscribe([(f"edged/{node}/{topic}", 1) for topic in ("+/event", "gap")])


client = Client(CallbackAPIVersion.VERSION2, client_id=f"consumer-{node}", protocol=MQTTv5)
client.on_connect = on_connect
client.on_message = on_message
client.reconnect_delay_set(1, 5)
session = Properties(PacketTypes.CONNECT)
session.SessionExpiryInterval = 7 * 24 * 3600  # the broker keeps events while this program is away
if options.user is not None:
    password = options.password_file.read_text("utf-8-sig").splitlines()[0] if options.password_file else None
    client.username_pw_set(options.user, password)
if options.ca or options.cert:
    context = ssl.create_default_context(cafile=options.ca)
    if options.cert:
        context.load_cert_chain(options.cert, options.key)
    client.tls_set_context(context)
default_port = 8883 if options.ca or options.cert else 1883
try:
    client.connect(host, int(port or default_port), clean_start=False, properties=session)
except OSError as error:
    sys.exit(f"the broker {options.broker} cannot be reached: {error}")
client.loop_forever()
