"""``edged models``: lists, adds, verifies and removes models that pipelines use by name."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.cli import terminal
from edged.cli.progress import Bar, Notes
from edged.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.models.installed import Installed, Store
    from edged.tools.models import Installer
    from edged.tools.models.publishers import Listed

NAME = "models"
HELP = "list public models, and install them or your own by name"
WIDTH = 200
NARROW = 120  # columns: a narrower terminal gets fewer
_DO = ("list", "info", "add", "update", "verify", "rollback", "remove")
_ONE = frozenset({"info", "add", "rollback", "remove"})  # need a name or a file
_OF_ADD = ("name", "sha256", "labels", "trust_first_use", "other_labels", "budget_ms")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "do",
        metavar="|".join(_DO),
        choices=_DO,
        nargs="?",
        default="list",
        help="default: list; verify reads what is installed and compares its checksums, update fetches the "
        "signed catalogues of the configuration",
    )
    parser.add_argument(
        "what",
        metavar="NAME",
        nargs="?",
        help="a model of the list; for info and add also a .tflite file, for add an https address",
    )
    parser.add_argument("--sha256", metavar="H", type=_sha256, help="add: the checksum that it must have")
    parser.add_argument("--name", metavar="NAME", help="add: install it under this name")
    parser.add_argument(
        "--labels", metavar="F", type=Path, help="add: its label file (default: packed in it)"
    )
    parser.add_argument(
        "--trust-first-use",
        action="store_true",
        help="add: take what comes where the checksum is not known, and keep its checksum",
    )
    parser.add_argument(
        "--other-labels", action="store_true", help="add: accept that labels of the version before are gone"
    )
    parser.add_argument(
        "--budget-ms", metavar="N", type=_budget, help="add: refuse it if its self-test takes longer (median)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document")
    terminal.add_config_option(
        parser,
        f"where state_dir is written (default {terminal.DEFAULT_CONFIG}, if it exists)",
        default=None,
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line says; return 1 where verify finds damage."""
    from edged.tools import models

    _check(arguments)
    config, given = Path(arguments.config or terminal.DEFAULT_CONFIG), arguments.config is not None
    state_dir = models.state_dir(config, given=given)
    publishers = models.publishers(config, state_dir, given=given)
    if arguments.do == "list":
        return _list(models.listing(state_dir, publishers.entries(), terminal.print_error), arguments)
    if arguments.do == "info":
        _info(models.describe(arguments.what, state_dir, publishers.entries()), as_json=arguments.json)
        return 0
    with _watcher() as watcher:
        if arguments.do == "update":
            return _update(publishers.update(watcher), arguments)
        if arguments.do == "add":
            installer = models.Installer(state_dir, watcher, publishers.entries())
            return _add(installer, config, arguments)
    return _change(models.Installer(state_dir, watcher).store, config, arguments)


def _add(installer: Installer, config: Path, arguments: argparse.Namespace) -> int:
    from edged.tools import models

    given = {key: getattr(arguments, key) for key in _OF_ADD if getattr(arguments, key) is not None}
    before_s = time.time()
    used = installer.add(models.Wish(arguments.what, **given))
    users = models.in_use(config, installer.store.folder(used.name))
    _show(used, users, as_json=arguments.json, changed=used.about.added >= before_s)
    return 0


def _update(found: Mapping[str, Listed], arguments: argparse.Namespace) -> int:
    if arguments.json:
        terminal.print_json(
            {name: {"version": one.version, "models": len(one.entries)} for name, one in found.items()}
        )
    elif not found:
        terminal.print_line("the configuration names no catalogues; edged's own comes with each release")
    else:
        for name, one in found.items():
            terminal.print_line(f"{name}: version {one.version}, {len(one.entries)} models")
    return 0


def _change(store: Store, config: Path, arguments: argparse.Namespace) -> int:
    """Carry out ``verify``, ``rollback`` or ``remove``."""
    from edged.tools import models

    if arguments.do == "verify":
        names = [arguments.what] if arguments.what else store.names()
        return _verify({name: _damage(store.read(name), name) for name in names}, arguments)
    users = models.in_use(config, store.folder(arguments.what))
    if arguments.do == "rollback":
        _show(store.rollback(arguments.what), users, as_json=arguments.json)
        return 0
    if users:
        what = f"{arguments.what} is used by {', '.join(users)} ({config})"
        raise Refused(f"{what}: change that first", os.EX_DATAERR)
    store.remove(arguments.what)
    terminal.print_line(f"{arguments.what} is removed")
    return 0


def _sha256(text: str) -> str:
    if len(text) != 64 or set(text.lower()) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError(
            f"{text}: write 64 characters of 0-9 and a-f, as sha256sum prints them"
        )
    return text.lower()


def _budget(text: str) -> float:
    try:
        budget = float(text)
    except ValueError:
        budget = 0.0
    if not 0 < budget < 1e6:
        raise argparse.ArgumentTypeError(f"{text}: write a number of milliseconds above 0")
    return budget


def _check(arguments: argparse.Namespace) -> None:
    """Refuse words and options that have nothing to do with what is to be done."""
    if arguments.do in _ONE and not arguments.what:
        raise Refused(f"edged models {arguments.do} needs a name", os.EX_USAGE)
    if arguments.do in {"list", "update"} and arguments.what:
        hint = f"write edged models info {arguments.what}"
        raise Refused(f"edged models {arguments.do} takes no name; {hint}", os.EX_USAGE)
    for key in _OF_ADD:
        if arguments.do != "add" and getattr(arguments, key):
            raise Refused(f"--{key.replace('_', '-')} is an option of add", os.EX_USAGE)


def _list(rows: Sequence[Mapping[str, Any]], arguments: argparse.Namespace) -> int:
    if arguments.json:
        terminal.print_json(rows)
        return 0
    from rich.table import Table

    console = terminal.console(WIDTH)
    wide = console.width >= NARROW
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", overflow="fold")
    table.add_column("task", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("top-1", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("about", "licence") if wide else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        size = f"{row['bytes'] / 1e6:.2f} MB" if row["bytes"] else ""
        top1 = f"{row['top1']:.1f} %" if row["top1"] is not None else ""
        more = [row["about"], row["licence"]] if wide else []
        task = row["task"] if row["runs"] else f"({row['task']})"
        table.add_row(*map(terminal.escape, (row["name"], task, size, top1, row["state"], *more)))
    console.print(table)
    terminal.print_line(
        "top-1: published for ImageNet (edged models info NAME has the source). Tasks in brackets: no "
        "pipeline runs them (embed: for edged teach --model). Unpinned: needs --sha256 or --trust-first-use."
    )
    return 0


def _info(found: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(found)
        return
    width = max(map(len, found)) + 2
    for key, value in found.items():
        if text := _text(value):
            terminal.print_line(f"{key.replace('_', ' '):{width}}{text}")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items() if part not in {"", None})
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _show(used: Installed, users: Sequence[str], *, as_json: bool, changed: bool = True) -> None:
    """Show the version that is used now."""
    if as_json:
        data = {"name": used.name, "version": used.version, "changed": changed, "sha256": used.about.sha256}
        terminal.print_json(data | {"file": str(used.file), "latency_ms": used.about.latency_ms})
        return
    terminal.print_line(f"{used.name}: version {used.version}, {used.about.latency_ms:.2f} ms on this board")
    if users:
        terminal.print_line(f"{', '.join(users)} will use it after: sudo systemctl reload edged")
    else:
        terminal.print_line(f"a pipeline uses it with model: {{name: {used.name}}}")


def _damage(used: Installed | None, name: str) -> str:
    if used is None:
        raise Refused(f"{name} is not installed", os.EX_NOINPUT)
    return used.damage()


def _verify(found: Mapping[str, str], arguments: argparse.Namespace) -> int:
    if arguments.json:
        terminal.print_json({name: damage or "ok" for name, damage in found.items()})
    else:
        for name, damage in found.items():
            if damage:
                terminal.print_error(f"{damage}; edged models rollback {name}, or remove and add it again")
            else:
                terminal.print_line(f"{name}: ok")
        if not found:
            terminal.print_line("no model is installed: edged models add NAME")
    return int(any(found.values()))


class Quiet(Notes):
    """Progress where nobody watches: prints only notes."""

    def received(self, done: int, total: int | None) -> None:
        """Print nothing."""


class Bytes(Bar):
    """A progress bar over what was downloaded, on a terminal."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, DownloadColumn, TransferSpeedColumn

        super().__init__(BarColumn(bar_width=20), DownloadColumn(), TransferSpeedColumn())

    def received(self, done: int, total: int | None) -> None:
        """Show how much is there."""
        self._progress.update(self._task, completed=done, total=total)


def _watcher() -> Quiet | Bytes:
    return Bytes() if sys.stderr.isatty() else Quiet()
