"""Doubles of devices that behave: for edged's own tests and for those of a driver of your own."""
