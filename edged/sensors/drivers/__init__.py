"""The drivers of sensors: the name of a module is the ``kind`` in the configuration."""
