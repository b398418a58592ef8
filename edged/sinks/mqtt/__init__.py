"""MQTT: events, retained topics and commands over one connection that is rebuilt for as long as it takes.

```
 main thread                                              thread "mqtt"
 ┌─────────────────────────────────┐                     ┌────────────────────────────────────┐
 │ MqttSink                        │ ◀── up, down, acks, │ Connection: connect, paho's loop,  │
 │  Delivery: the rows of the      │      messages ───── │   wait, and again; one paho client │──▶ broker
 │   spool that go next, Refusals  │      (Inbox)        │   for each connection              │
 │  InFlight: not answered yet     │                     │  FileChanges: password and         │
 │  RetainedTopics: latest values  │ ─ Session.publish ─▶│   certificates on disk             │
 └─────────────────────────────────┘                     └────────────────────────────────────┘
```

The queue is the spool's and never paho's: each connection has a paho client of its own, which is thrown away
with whatever it still holds, and what was not acknowledged is sent again from the spool. That is also why the
session at the broker is a clean one: there is nothing that the broker would have to remember for this node.

A row leaves the spool when its PUBACK reports success or, with ``confirm``, when a consumer confirms on
``<prefix>/<node>/ack`` that it has everything up to that row. The application calls ``MqttSink.check`` each
second: it replaces a thread that died or is stuck, and ends a connection on which acknowledgements stopped.

No other package imports paho. The parts are imported from their modules (``sink``, ``listen``, ``state``), so
that settings can be checked without it.
"""
