"""Tasks: what a model's output means; each is one file with ``Config``, ``create`` and a pure ``decode``."""
