"""The implementation of the verbs other than ``run``: check, audit, fleet, bench, doctor and try."""
