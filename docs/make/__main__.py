"""Writes what is generated in docs/, config/ and the AsyncAPI document: ``python docs/make``.

To be run after a change of the configuration, of a schema or of docs/topics.md.

``--picture`` also makes docs/images/try.svg again, from a real run of ``edged try``; ``--sessions`` makes
docs/terminal.md again, from a real run of each verb.
"""

from __future__ import annotations

import sys
from pathlib import Path

import asyncapi
import configuration
import payloads
import picture
import sessions

from edged.config import reference

DOCS = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> int:
    """Write the files; those that are the same already stay untouched."""
    topics = DOCS / "topics.md"
    _write(DOCS / "configuration.md", configuration.page())
    _write(topics, payloads.fill(topics.read_text("utf-8")))
    _write(asyncapi.TARGET, asyncapi.document(topics.read_text("utf-8")))
    _write(DOCS.parent / "config" / "reference.yaml", reference.reference())
    if "--sessions" in arguments:
        _write(DOCS / "terminal.md", sessions.wrapped(sessions.page()))
    if "--picture" in arguments:
        _write(DOCS / "images" / "try.svg", picture.svg(picture.run(count=picture.COUNT)))
    return 0


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")
        print(f"wrote {path.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
