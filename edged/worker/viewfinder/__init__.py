"""The pictures of ``edged aim``: what a model sees, measured, marked, and written to a terminal."""
