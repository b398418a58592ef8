"""What crosses the pipe between a worker and main: small JSON messages, one a datagram, at most 8 KiB.

```
 main ──orders──▶ worker    {"t": "enable", "pipeline": …, "on": bool}   {"t": "stop"}
 main ◀─reports── worker    stage · ready · beat · decision · result · fault   (below)
```

The pipe is a SOCK_SEQPACKET socket pair, so a message is a datagram and there is no framing to get wrong. A worker
is not trusted: whatever it sends is parsed here, bounded and typed, or refused with :class:`WireError`; it can at
worst lie about its own labels.
"""
