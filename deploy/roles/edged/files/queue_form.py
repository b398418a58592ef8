"""Prints the form in which a release stores its queue; its Python runs this."""

try:
    from edged.spool.store import VERSION
except ImportError:  # 0.1.0 keeps the number in another module
    from edged.spool._store import VERSION
print(VERSION)
