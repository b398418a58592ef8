"""MQTT: events, retained topics and commands over one connection that is rebuilt for as long as it takes.

```
 main thread                                         thread "mqtt"
 ┌───────────────────────────────┐     up, down,    ┌───────────────────────────────────┐
 │ MqttSink                      │ ◀─acks, messages─│ Link: connect, paho's loop, wait  │──▶ broker
 │  Delivery: which rows of the  │                  │ and again; one paho client each   │
 │    spool go next, Refusals    │ ─Session.publish▶│ Renewal: files on disk            │
 │  Window: what is not answered │                  └───────────────────────────────────┘
 │  Retained: the latest values  │
 └───────────────────────────────┘
```

The queue is the spool's and never paho's: each connection has a paho client of its own, which is thrown away
with whatever it still holds, and what was not acknowledged is sent again from the spool. That is also why the
session at the broker is a clean one: there is nothing that the broker would have to remember for this node.

A row leaves the spool when its PUBACK says success, or with ``confirm`` when a consumer says on
``<prefix>/<node>/ack`` that it has all up to it. The application calls ``MqttSink.check`` each second: it
replaces a thread that died or is stuck, and ends a connection on which acknowledgements stopped.

This package is the only one that imports paho.
"""

from edged.sinks.mqtt.commands import Command
from edged.sinks.mqtt.discovery import Discovery
from edged.sinks.mqtt.listen import knock, watch
from edged.sinks.mqtt.sink import MqttSink
from edged.sinks.mqtt.state import State

__all__ = ["Command", "Discovery", "MqttSink", "State", "knock", "watch"]
