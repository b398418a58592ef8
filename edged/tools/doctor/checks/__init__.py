"""The checks of ``edged doctor``, one subject a module."""
