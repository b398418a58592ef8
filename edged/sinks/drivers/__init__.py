"""The kinds of sinks: each module is one, and its name is its ``kind``."""
