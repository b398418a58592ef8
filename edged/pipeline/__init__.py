"""The rules of a pipeline, without a clock and without I/O: decision and gating."""
