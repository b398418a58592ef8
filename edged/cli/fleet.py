"""``edged fleet``: all nodes that have published to the broker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edged.cli import terminal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.table import Table

    from edged.config.outputs import Mqtt
    from edged.tools.fleet import Fleet, Row

NAME = "fleet"
HELP = "list all nodes seen on the broker"
WIDTH = 160
_COLOURS = {"ok": "green", "degraded": "yellow"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default=terminal.DEFAULT_CONFIG,
        help="a file whose section `mqtt` holds the login of a user who may read all nodes "
        f"(default {terminal.DEFAULT_CONFIG})",
    )
    parser.add_argument(
        "--wait", type=float, default=3.0, metavar="S", help="listen for this many seconds (default 3)"
    )
    parser.add_argument("--live", action="store_true", help="keep the list up to date until Ctrl-C")
    parser.add_argument(
        "--json", action="store_true", help="print the list as JSON; with --live one line per message"
    )


def run(arguments: argparse.Namespace) -> int:
    """Listen and show the nodes; return 1 where one of them does not work or there is none."""
    from edged.config import loader
    from edged.config.secrets import read_secret
    from edged.errors import ConfigError, Problem
    from edged.tools import fleet

    mqtt = loader.load(arguments.config).mqtt
    if mqtt is None:
        problem = Problem(str(arguments.config), "it does not name a broker", "write mqtt: {host: …}")
        raise ConfigError([problem])
    password = None if mqtt.password_file is None else read_secret(mqtt.password_file).reveal()
    seen = fleet.Fleet(mqtt.prefix)
    try:
        _listen(seen, mqtt, password, arguments)
    except KeyboardInterrupt:
        if not arguments.live:
            raise
    rows = seen.rows(time.time())
    if not arguments.live:
        _show(rows, as_json=arguments.json)
    return 0 if fleet.all_working(rows) else 1


def _listen(seen: Fleet, mqtt: Mqtt, password: str | None, arguments: argparse.Namespace) -> None:
    from edged.sinks.mqtt.listen import watch

    def take(topic: str, payload: bytes) -> None:
        now = time.time()
        node = seen.take(topic, payload, now)
        if arguments.live and arguments.json:
            terminal.print_json(seen.row(node, now).data())

    seconds = None if arguments.live else arguments.wait
    topics = seen.topics(mqtt.prefix)
    if not arguments.live or arguments.json:
        watch(mqtt, password, topics, take, seconds=seconds)
        return
    from rich.live import Live

    with Live(_table([]), console=terminal.console(), auto_refresh=False) as live:
        watch(
            mqtt,
            password,
            topics,
            take,
            seconds=seconds,
            beat=lambda: live.update(_table(seen.rows(time.time())), refresh=True),
        )


def _show(rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        terminal.print_json([row.data() for row in rows])
        return
    console = terminal.console(WIDTH)
    console.print(_table(rows) if rows else "no node has published to the broker")


def _table(rows: Sequence[Row]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("node", "age", "state", "fps", "accelerator", "queue", "version"):
        table.add_column(name, no_wrap=True, justify="right" if name in {"age", "fps", "queue"} else "left")
    table.add_column("problems", overflow="ellipsis", no_wrap=True)
    for row in rows:
        table.add_row(
            terminal.escape(row.node),
            "" if row.age_s is None else f"{row.age_s:.0f} s",
            f"[{_COLOURS.get(row.state, 'red')}]{terminal.escape(row.state)}[/]",
            "" if row.fps is None else f"{row.fps:.1f}",
            terminal.escape(row.accelerator),
            "" if row.queue is None else terminal.escape(row.queue),
            terminal.escape(row.version),
            terminal.escape("; ".join(row.problems)),
        )
    return table
