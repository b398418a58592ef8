"""Taught models: what a device learned from a few examples, on disk. No runtime, no numpy."""
