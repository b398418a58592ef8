"""The daemon: the process that has the network, and never a pixel."""
