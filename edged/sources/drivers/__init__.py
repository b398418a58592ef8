"""The drivers of sources: the name of a module is the ``kind`` in the configuration."""
