"""Options of the verbs that let a person look: at a configuration's pipeline, or as ``edged try`` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edged.cli import model_options, terminal

if TYPE_CHECKING:
    import argparse

    from edged.tools.page import Subject

_OWN = ("source", "model", "labels")  # the options that a configuration has keys for


def configure(parser: argparse.ArgumentParser, looked_at: str) -> None:
    """Add the options.

    Args:
        parser: that of a verb.
        looked_at: what the verb does with a configuration.
    """
    parser.add_argument(
        "--source", metavar="SOURCE", help="without -c: as for edged try, such as camera or /dev/videoN"
    )
    terminal.add_config_option(parser, looked_at, default=None)
    parser.add_argument("--pipeline", metavar="P", help="with -c: which one (default: the only one)")
    parser.add_argument(
        "--model", metavar="F.tflite", type=Path, help="without -c: as for edged try (default: bundled)"
    )
    parser.add_argument("--labels", metavar="F.txt", type=Path, help="without -c: one label a line")
    model_options.configure(parser)


def subject(arguments: argparse.Namespace) -> Subject:
    """Return the pipeline that the options name.

    Raises:
        Refused: they do not go together, or name nothing that can be looked at.
        ConfigError: the configuration is wrong.
    """
    from edged.errors import Refused
    from edged.tools import page, try_

    if arguments.config is not None:
        for key in _OWN:
            if getattr(arguments, key) is not None:
                raise Refused(f"--{key} does not go with -c, whose pipeline has its own", terminal.USAGE)
        return page.of_configuration(Path(arguments.config), arguments.pipeline)
    if arguments.pipeline is not None:
        raise Refused("--pipeline is one of a configuration: write -c too", terminal.USAGE)
    return page.of_options(
        try_.Options(
            source=arguments.source,
            model=arguments.model,
            labels=arguments.labels,
            model_keys=model_options.keys(arguments),
            live=True,
            repeat=True,
        )
    )
