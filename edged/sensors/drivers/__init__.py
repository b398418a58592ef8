"""The sensor drivers. A module's name is the ``kind`` in the configuration."""
