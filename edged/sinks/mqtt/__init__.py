"""MQTT: events, retained topics and commands over one connection that is rebuilt for as long as it takes.

```
 main thread                                       thread "mqtt"
 ┌──────────────────────────────┐    up, down,    ┌───────────────────────────────────┐
 │ MqttSink: window of 20,      │ ◀─acks, messages─│ Link: connect, paho's loop, wait  │──▶ broker
 │ retained values, accounting  │ ──Session.publish▶│ and again; one paho client each   │
 └──────────────────────────────┘                  └───────────────────────────────────┘
```

The queue is the spool's and never paho's: each connection has a paho client of its own, which is thrown away
with whatever it still holds, and what was not acknowledged is sent again from the spool. That is also why the
session at the broker is a clean one: there is nothing that the broker would have to remember for this node.

This package is the only one that imports paho.
"""

from edged.sinks.mqtt._discovery import Discovery
from edged.sinks.mqtt._orders import Command
from edged.sinks.mqtt._sink import MqttSink
from edged.sinks.mqtt._state import State

__all__ = ["Command", "Discovery", "MqttSink", "State"]
