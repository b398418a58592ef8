"""The checks of ``edged doctor``, one subject per module."""
