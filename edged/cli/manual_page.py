"""The manual page, ``edged.1``, in the man macros that groff and mandoc read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import edged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edged.cli.shell_words import Option, Verb

_STATUSES = (
    ("0", "Done; the daemon was asked to stop."),
    ("1", "A check found something: an error, a wrong balance, a diff, nothing that fits."),
    ("64", "Wrong usage."),
    ("65", "A file has another form."),
    ("66", "No such photograph, video, model or log."),
    ("69", "Unavailable: no broker, no camera, no daemon."),
    ("70", "A defect of edged."),
    ("73", "A file cannot be created."),
    ("74", "Standard output cannot be written."),
    ("75", "Another edged is running."),
    ("77", "Not allowed to read the queue or the log."),
    ("78", "The configuration is wrong."),
    ("130", "Ctrl-C."),
)


def page(verbs: Sequence[Verb]) -> str:
    """Return the page, to be put into ``man1/edged.1``."""
    return "\n".join(_lines(verbs)) + "\n"


def _lines(verbs: Sequence[Verb]) -> Iterator[str]:
    yield '.\\" Made by `edged completion man`.'
    yield f'.TH EDGED 1 "" "edged {edged.__version__}" "User Commands"'
    yield ".SH NAME"
    yield "edged \\- run .tflite models on cameras and sensors, and publish short MQTT messages"
    yield ".SH SYNOPSIS"
    yield ".B edged"
    yield ".I VERB"
    yield "[options]"
    yield ".SH DESCRIPTION"
    yield "edged runs TensorFlow Lite models on camera frames, sound, text or sensor readings"
    yield "and publishes what they decide. Pictures never leave the board: the process that sees"
    yield "them has no network."
    yield ".SH VERBS"
    for verb in verbs:
        yield f".SS {_text(verb.name)}"
        yield _sentence(verb.help)
        yield ".PP"
        yield f".B {_text(verb.usage)}"
        for option in (*verb.arguments, *verb.options):
            yield ".TP"
            yield _head(option)
            yield _sentence(option.help) if option.help else "\\&"
    yield ".SH FILES"
    for path, what in (
        ("/etc/edged/edged.yaml", "The configuration."),
        ("/var/lib/edged", "The queue, models and the log of decisions."),
        ("/run/edged", "The status file."),
    ):
        yield ".TP"
        yield f".I {path}"
        yield what
    yield ".SH EXIT STATUS"
    for status, what in _STATUSES:
        yield ".TP"
        yield f".B {status}"
        yield what


def _head(option: Option) -> str:
    """Return the words of an option in bold and its value in italics."""
    words = ", ".join(f"\\fB{_text(word)}\\fR" for word in option.words)
    value = f"\\fI{_text(option.value)}\\fR" if option.value else ""
    return " ".join(filter(None, (words, value)))


def _sentence(text: str) -> str:
    text = _text(text[:1].upper() + text[1:])
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _text(text: str) -> str:
    """Escape what roff would read as its own."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    escaped = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in escaped)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
