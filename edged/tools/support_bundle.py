"""``edged support-bundle``: what another person needs to find a fault, without what is the owner's own.

Each file is made of data that this module picks, and passes the redaction of ``edged doctor --report``. Of
the configuration the keys, the numbers and the words of edged stay, and every other text becomes ``…``; a
label becomes ``LABEL``. Nothing is sent anywhere: the bundle is a file.
"""

from __future__ import annotations

import functools
import io
import json
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.config import loader, root, yaml_tree
from edged.config.schema import schema
from edged.config.secrets import is_secret_key
from edged.daemon import status_file
from edged.errors import ConfigError
from edged.text import printable_lines
from edged.tools.audit import audit
from edged.tools.check import examine
from edged.tools.doctor import report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edged.tools.doctor import Check

MODE = 0o600
LINES = 500  # of the journal
HIDDEN = "…"
_UNITS = ("edged", "edged-workers", "edged-workers-network")
_JOURNAL_S = 20
_MOST_BYTES = 1_000_000  # of a file that others wrote
_NUMBER = re.compile(r"[-+]?\d{0,9}\.?\d{1,9}(?:e[-+]?\d+)?|true|false", re.IGNORECASE)  # and no address
_NEVER = frozenset({"node", "host", "username"})  # keys whose value is the owner's, also where it is a number
_QUOTED = re.compile(r"'([^'\n]*)'")
# Blocks whose keys are names that the owner chose, and what takes the place of each.
_NAMED = {"pipelines": "pipeline", "sensors": "sensor", "cameras": "camera", "zones": "zone"}
_OF_NAMES = frozenset({*_NAMED, "processes"})  # blocks of the status with such names
_PUBLIC = frozenset(
    {"sha256", "ts", "since", "at"}
)  # keys of the status; the digest is of the model, and cut
# Keys of the configuration and of the status whose texts are labels, alone, in a list or as keys.
_OF_LABELS = frozenset({"label", "labels", "ignore", "previous"})


@dataclass(frozen=True)
class Part:
    """A file of the bundle.

    Attributes:
        name: its name there.
        about: a phrase for the list.
        text: its content.
    """

    name: str
    about: str
    text: str


def collect(config: Path, checks: Sequence[Check], root_dir: Path = Path("/")) -> list[Part]:
    """Return the files of a bundle.

    Args:
        config: the configuration; it may be wrong or missing.
        checks: what ``edged doctor`` found.
        root_dir: the machine's root, for tests.
    """
    private = {**report.private_words(config, root_dir), **_owned(config)}
    run_dir, state_dir, max_mb = _directories(config)
    parts = [
        Part("machine.json", "hardware by product, software by version", _json(report.machine(root_dir))),
        Part("doctor.json", "what edged doctor found", _json(report.checked(checks, private))),
        Part("configuration.json", "keys and numbers; texts are left out", shape(config, private)),
        Part("check.txt", "what edged check says of it", _problems(config, private)),
        Part("status.json", "the state of the daemon", _status(run_dir, private)),
        Part(
            "audit.json", "how many events were accepted, sent, dropped", _account(state_dir, max_mb, private)
        ),
        Part("journal.txt", f"the last {LINES} lines of the services", _journal(private)),
    ]
    return [part for part in parts if part.text]


def pack(parts: Sequence[Part]) -> bytes:
    """Return the bundle: a compressed tar archive, which names no user, group or time."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for part in parts:
            data = part.text.encode()
            info = tarfile.TarInfo(f"edged-support/{part.name}")
            info.size, info.mode = len(data), MODE
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


def shape(config: Path, private: Mapping[str, str]) -> str:
    """Return a configuration with its keys and numbers, as JSON; "" where it cannot be parsed."""
    tree = _tree(config)
    return "" if tree is None else _json(_redacted(yaml_tree.data(tree), private, _words()))


def _redacted(value: Any, private: Mapping[str, str], words: frozenset[str], key: str = "") -> Any:
    match value:
        case dict():
            return {
                _key(name, key, private, words, number): _redacted(below, private, words, name)
                for number, (name, below) in enumerate(value.items(), 1)
            }
        case list():
            return [_redacted(entry, private, words, key) for entry in value]
        case None:
            return None
    if is_secret_key(key) or key in _NEVER or not _is_plain(value, words):
        return HIDDEN
    return value if value in words else _number(value)


def _key(name: str, block: str, private: Mapping[str, str], words: frozenset[str], number: int) -> str:
    if block in _NAMED:
        return private.get(name, f"{_NAMED[block]}-{number}")
    if block in _OF_LABELS:
        return f"LABEL-{number}"
    return name if name in words else f"key-{number}"


def _number(text: str) -> float | bool | str:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:  # such as the version 3.1.1
        return text


def _is_plain(text: str, words: frozenset[str]) -> bool:
    return text in words or _NUMBER.fullmatch(text) is not None


@functools.cache
def _words() -> frozenset[str]:
    """Return the words of edged: every key of the configuration, and every value that it names."""
    return frozenset(_named_in(schema()))


def _named_in(described: object) -> Iterator[str]:
    match described:
        case dict():
            for key, below in described.items():
                if key == "properties" and isinstance(below, dict):
                    yield from below
                elif key in {"const", "enum"}:
                    yield from (str(word) for word in (below if isinstance(below, list) else [below]))
                yield from _named_in(below)
        case list():
            for below in described:
                yield from _named_in(below)


def _tree(config: Path) -> yaml_tree.Mapping | None:
    try:
        text = config.read_bytes()[: loader.MAX_BYTES].decode("utf-8", "replace")
    except OSError:
        return None
    return yaml_tree.parse(text, "")[0]


def _owned(config: Path) -> dict[str, str]:
    """Return the names and labels that a configuration chooses, also where it is wrong."""
    tree = _tree(config)
    if tree is None:
        return {}
    words = _words()
    found: dict[str, str] = {}
    for key, value in _blocks(yaml_tree.data(tree)):
        if key in _NAMED and isinstance(value, dict):
            found |= {name: f"{_NAMED[key]}-{number}" for number, name in enumerate(value, 1)}
        elif key in _OF_LABELS:
            found |= dict.fromkeys(_texts(value, words), "LABEL")
        elif key not in {"kind", "unit"}:
            found |= dict.fromkeys(_texts(value, words), HIDDEN)
    return {name: by for name, by in found.items() if len(name) > 1}


def _blocks(data: object) -> Iterator[tuple[str, Any]]:
    match data:
        case dict():
            for key, value in data.items():
                yield str(key), value
                yield from _blocks(value)
        case list():
            for value in data:
                yield from _blocks(value)


def _texts(value: object, words: frozenset[str]) -> Iterator[str]:
    """Give the texts of a value that are not edged's own words."""
    match value:
        case str() if not _is_plain(value, words) and not value.startswith("/dev/"):
            yield value
        case list():
            for entry in value:
                yield from _texts(entry, words)
        case dict():
            yield from (str(key) for key in value if str(key) not in words)


def _directories(config: Path) -> tuple[Path, Path, float]:
    """Return run_dir, state_dir and the spool's bound, by default where the configuration is wrong."""
    try:
        loaded, _ = loader.examine(config)
    except ConfigError:
        loaded = None
    if loaded is None:
        return root.run_dir(), root.state_dir(), 0
    return loaded.config.run_dir, loaded.config.state_dir, loaded.config.spool.max_mb


def _problems(config: Path, private: Mapping[str, str]) -> str:
    words = _words()
    found = examine(str(config))
    lines = [str(problem).replace(str(config), "edged.yaml") for problem in found.problems]
    lines += [f"warning: {warning}".replace(str(config), "edged.yaml") for warning in found.warnings]
    text = "\n".join(lines or ["good"])
    text = _QUOTED.sub(lambda quoted: quoted[0] if _is_plain(quoted[1], words) else f"'{HIDDEN}'", text)
    return _cleaned(text, private)


def _status(run_dir: Path, private: Mapping[str, str]) -> str:
    found = status_file.read(run_dir)
    if not found.data:
        return _cleaned(found.trouble, private)
    return _json(_anonymous({**found.data, "trouble": found.trouble}, private))


def _anonymous(value: Any, private: Mapping[str, str], key: str = "") -> Any:
    match value:
        case dict():
            names = private if key in _OF_NAMES else {}
            return {names.get(name, name): _anonymous(below, private, name) for name, below in value.items()}
        case list():
            return [_anonymous(entry, private, key) for entry in value]
        case str() if key in _OF_LABELS and value != "unknown":
            return "LABEL"
        case str() if key not in _PUBLIC:
            return report.clean(value, private)
    return value


def _account(state_dir: Path, max_mb: float, private: Mapping[str, str]) -> str:
    found = audit(state_dir, max_mb)
    return _json(_anonymous({key: found[key] for key in found if key not in {"node", "epoch"}}, private))


def _journal(private: Mapping[str, str]) -> str:
    """Return the last lines of the services; "" where there is no journal."""
    which = [word for unit in _UNITS for word in ("--unit", unit)]
    command = [
        "journalctl",
        *which,
        "--lines",
        str(LINES),
        "--no-pager",
        "--output",
        "short-iso",
        "--no-hostname",
    ]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_JOURNAL_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return _cleaned(done.stdout[-_MOST_BYTES:].decode("utf-8", "replace"), private)


def _cleaned(text: str, private: Mapping[str, str]) -> str:
    lines = printable_lines(text).splitlines()
    return "".join(f"{report.clean(line, private)}\n" for line in lines)


def _json(data: object) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
