"""Sinks: where events leave. MQTT (:mod:`edged.sinks.mqtt`) and JSON lines (:mod:`edged.sinks.jsonl`)."""
