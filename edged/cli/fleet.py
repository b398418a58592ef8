"""``edged fleet``: all nodes that have published to the broker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edged.cli import broker_login, terminal
from edged.cli.fitting_table import Column, fitting_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import RenderableType

    from edged.config.outputs import Mqtt
    from edged.tools.fleet import Fleet, Row

NAME = "fleet"
HELP = "list all nodes seen on the broker"
WIDTH = 160
_COLUMNS = (
    Column("node", shrinks=True),
    Column("age", order=1, right=True),
    Column("state", colours={"ok": "green", "degraded": "yellow"}),
    Column("fps", order=3, right=True),
    Column("accelerator", order=4),
    Column("queue", order=2, right=True),
    Column("version", order=5),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    terminal.add_config_option(
        parser,
        "a file whose section `mqtt` holds the login of a user who may read all nodes; other sections "
        f"are not read (default {terminal.DEFAULT_CONFIG})",
    )
    broker_login.configure(parser, "the broker, instead of a file")
    parser.add_argument(
        "--wait", type=float, default=3.0, metavar="S", help="listen for this many seconds (default 3)"
    )
    parser.add_argument("--live", action="store_true", help="keep the list up to date until Ctrl-C")
    parser.add_argument(
        "--json", action="store_true", help="print the list as JSON; with --live one line per message"
    )


def run(arguments: argparse.Namespace) -> int:
    """Listen and show the nodes; return 1 where one of them does not work or there is none."""
    from edged.config.secrets import read_secret
    from edged.tools import fleet

    mqtt = _broker(arguments)
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


def _broker(arguments: argparse.Namespace) -> Mqtt:
    """Return the broker that the command line names, or the file."""
    from edged.config import loader
    from edged.errors import ConfigError, Problem

    named = broker_login.section(arguments)
    if named is not None:
        return named
    mqtt = loader.broker(arguments.config)
    if mqtt is None:
        problem = Problem(str(arguments.config), "it does not name a broker", "write mqtt: {host: …}")
        raise ConfigError([problem])
    return mqtt


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

    console = terminal.console()
    with Live(_shown([], console.width), console=console, auto_refresh=False) as live:
        watch(
            mqtt,
            password,
            topics,
            take,
            seconds=seconds,
            beat=lambda: live.update(_shown(seen.rows(time.time()), console.width), refresh=True),
        )


def _show(rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        terminal.print_json([row.data() for row in rows])
        return
    console = terminal.console(WIDTH)
    console.print(_shown(rows, console.width) if rows else "no node has published to the broker")


def _shown(rows: Sequence[Row], width: int) -> RenderableType:
    """Return the table of nodes, with their problems below it."""
    from rich.console import Group
    from rich.text import Text

    cells = [
        {
            "node": row.node,
            "age": "" if row.age_s is None else f"{row.age_s:.0f} s",
            "state": row.state,
            "fps": "" if row.fps is None else f"{row.fps:.1f}",
            "accelerator": row.accelerator,
            "queue": "" if row.queue is None else row.queue,
            "version": row.version,
        }
        for row in rows
    ]
    problems = [
        Text.from_markup(f"[yellow]![/] {terminal.escape(f'{row.node}: {problem}')}")
        for row in rows
        for problem in row.problems
    ]
    return Group(fitting_table(_COLUMNS, cells, width), *problems)
