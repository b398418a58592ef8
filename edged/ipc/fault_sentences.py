"""Sentences about a worker's fault that may leave this machine: one of main's for each kind and reason.

A worker's own sentence stays in the local log and the local status file: it may run an attacker's code, and
a sentence of 400 characters that others can read would be a way out.
"""

from __future__ import annotations

from edged.errors import Reason

PICTURE = {
    "frozen": "the camera gives the same picture again and again",
    "black": "the picture is black; check the lens cap and the exposure",
    "shape": "what the camera gives is not a picture (wrong shape); try another size or pixel format",
}
# Why a sample was not classified; other words are not published.
DROPS = frozenset(
    {*Reason, *PICTURE, "missing", "input", "invalid", "skipped", "gap", "overrun", "late", "still"}
)
_SOURCE = {
    "absent": "its source is not there",
    "busy": "another program uses its source",
    "denied": "its source may not be opened",
    "timeout": "its source does not answer",
    "lost": "its source went away",
    "kept": "its source could not be given back; another worker opens it",
    "network": "its source cannot be reached over the network",
    "host": "the host of its source is unknown",
    "refused": "the host of its source refuses the connection",
    "login": "its source does not accept user and password",
    "not-found": "its source has nothing at that address",
    "no-video": "its source answers with something that is not a video",
}
_OTHERS = {
    ("accelerator", "absent"): "its accelerator is not there",
    ("accelerator", "busy"): "another program uses its accelerator",
    ("accelerator", "denied"): "its accelerator may not be opened",
    ("picture", "fatal"): "a photograph ended the worker that decoded it, and is left out",
    ("model", "file"): "its model or labels cannot be used",
    ("model", "input"): "its model does not take what the source gives",
    ("model", "invoke"): "its model cannot be run",
    ("model", "invalid"): "its model's scores are not numbers",
    ("driver", "missing"): "a package that it needs is missing",
    ("isolation", "none"): "its worker cannot be isolated",
    ("defect", "ended"): "its worker ended",
    ("defect", "crashed"): "its worker crashed",
    ("defect", "hung"): "its worker hung",
    ("defect", "memory"): "its worker took too much memory",
    ("defect", "files"): "its worker had too many files open",
    ("defect", "nonsense"): "its worker sent what no worker in order sends",
    ("defect", "photograph"): "a photograph ended its worker, and is left out from now on",
}
_KINDS = {
    "source": "its source does not work",
    "picture": "the pictures cannot be classified",
    "model": "its model cannot be used",
    "driver": "a driver cannot be used",
    "accelerator": "its accelerator failed",
    "isolation": "its worker is not isolated",
}
_DEFECT = "its worker failed"
SENTENCES = len(_SOURCE) + len(PICTURE) + len(_OTHERS) + len(_KINDS) + 1  # at most, all different
_DETAILS = "; edged status on the device shows details"
_NOTES = {
    "input-values": "its model does not say which values it wants for pixels, so some are assumed: if "
    f"answers are wrong, write model.normalize{_DETAILS}",
    "no-effect": "model.normalize has no effect on its model, which is quantised for other values",
    "labels": "names of its model's labels are not clear; edged check names them",
}
NOTES = len(_NOTES)


def note(reason: str) -> str:
    """Return what a note says, in words of edged alone; empty for a reason that edged does not have."""
    return _NOTES.get(reason, "")


def sentence(kind: str, reason: str) -> str:
    """Return the sentence about a fault, in words of edged alone."""
    if kind == "source" and reason in _SOURCE:
        return _SOURCE[reason] + _DETAILS
    if kind == "picture" and reason in PICTURE:
        return PICTURE[reason]
    return _OTHERS.get((kind, reason), _KINDS.get(kind, _DEFECT)) + _DETAILS
