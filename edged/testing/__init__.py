"""Doubles of devices that behave like the hardware, for edged's tests and those of your own drivers."""
