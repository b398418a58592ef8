"""``edged teach``: teaches a model from a few examples of each label, on this device, in seconds."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.cli import terminal
from edged.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from edged.tools.teach import Examples, Setting, Teacher

NAME = "teach"
HELP = "teach a model your own labels, from a few photographs or sentences each"
WIDTH = 160
MOST_PICTURES, MOST_SECONDS = 200, 3600.0
_DO = ("list", "forget", "remove")
_SHOWN = 12  # labels of a confusion matrix


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="the taught model; list: all of them")
    parser.add_argument(
        "do", metavar="list | forget LABEL | remove", nargs="*", help="show, shrink or delete the model"
    )
    parser.add_argument("--label", metavar="L", help="what the examples show; other: none of the labels")
    parser.add_argument(
        "--images", metavar="DIR", type=Path, help="photographs of the label; without --label DIR/LABEL/*.jpg"
    )
    parser.add_argument(
        "--text",
        metavar="FILE",
        type=Path,
        help="sentences of the label, one a line; or a folder of LABEL.txt",
    )
    parser.add_argument(
        "--source", metavar="S", help="take pictures: camera, /dev/videoN, rtsp://…, a video or a folder"
    )
    parser.add_argument(
        "-n", dest="count", metavar="N", type=_count, default=10, help="pictures to take (default 10)"
    )
    parser.add_argument(
        "--every", metavar="S", type=_seconds, default=1.0, help="seconds between two pictures (default 1)"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep the pictures that the camera takes, beside the model and for its owner alone",
    )
    parser.add_argument(
        "--model",
        metavar="F.tflite",
        type=Path,
        help="where a new model gets its features, or the name of an installed model (default: bundled)",
    )
    parser.add_argument("--evaluate", action="store_true", help="examine the model, and teach nothing")
    parser.add_argument("--undo", action="store_true", help="take the last lesson back")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document")
    terminal.add_config_option(
        parser,
        "where state_dir is written, and the camera of the pipeline that uses the model "
        f"(default {terminal.DEFAULT_CONFIG}, if it exists)",
        default=None,
    )


def run(arguments: argparse.Namespace) -> int:
    """Carry out the command line; return 0."""
    from edged.tools import teach

    config = Path(arguments.config or terminal.DEFAULT_CONFIG)
    name = None if arguments.name == "list" else arguments.name
    setting = teach.setting(config, name, given=arguments.config is not None)
    watcher = Progress(quiet=arguments.json)
    teacher = teach.Teacher(setting.state_dir, watcher, fit=setting.fit, values=setting.values)
    if name is None:
        _only(arguments, ())
        return _list(teacher, as_json=arguments.json)
    if arguments.do:
        return _change(teacher, arguments)
    if arguments.undo:
        _only(arguments, ("undo",))
        head = teacher.store.undo(arguments.name)
        terminal.print_line(f"{arguments.name}: back at version {head.version}, {_labels(head.counts)}")
        return 0
    if arguments.keep and not arguments.source:
        raise Refused("--keep goes with --source: it keeps what a camera shows", os.EX_USAGE)
    given = _examples(arguments, setting)
    if arguments.evaluate:
        report = teacher.examine(arguments.name, given)
        _show_examination(arguments.name, report, as_json=arguments.json)
        return 0
    if given is None:
        return _show(teacher, arguments.name, as_json=arguments.json)
    for label in given.labels:
        teach.checked(label)
    if given.camera is not None:
        kept = "they are kept" if given.keep else "none is kept"
        watcher.note(
            f"{arguments.count} pictures of {arguments.label}, and {kept}: turn it and move it between them"
        )
    report = teacher.teach(arguments.name, given, _network(arguments.model, setting.state_dir))
    _show_lesson(arguments.name, report, as_json=arguments.json)
    return 0


def _network(model: Path | None, state_dir: Path) -> Path:
    """Return the file that a new model gets its features from: it may be named as an installed model."""
    from edged.tools import teach
    from edged.tools.try_ import choice

    if model is None:
        return teach.BUNDLED
    used = choice.installed(model, state_dir)
    return model if used is None else used.file


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST_PICTURES):
        raise argparse.ArgumentTypeError(f"{text}: write a number from 1 to {MOST_PICTURES}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text}: write a number of seconds, at most {MOST_SECONDS:g}")
    return seconds


def _only(arguments: argparse.Namespace, allowed: Sequence[str]) -> None:
    """Refuse options that have nothing to do with what is to be done."""
    for key in ("label", "images", "text", "source", "evaluate", "undo"):
        if getattr(arguments, key) and key not in allowed:
            raise Refused(f"--{key} does not go with this", os.EX_USAGE)


def _examples(arguments: argparse.Namespace, setting: Setting) -> Examples | None:
    """Return the examples that the command line names; None where it names none."""
    from edged.tools import teach

    ways = [key for key in ("images", "text", "source") if getattr(arguments, key)]
    if len(ways) > 1:
        raise Refused(f"write --{ways[0]} or --{ways[1]}, not both", os.EX_USAGE)
    if not ways:
        if arguments.label:
            raise Refused(
                f"--label {arguments.label}: of what? Write --images, --text or --source", os.EX_USAGE
            )
        return None
    if arguments.images:
        if arguments.evaluate and arguments.label:
            raise Refused("--evaluate takes the labels from the folders: leave --label out", os.EX_USAGE)
        return teach.photographs(arguments.images, arguments.label)
    if arguments.text:
        if arguments.evaluate and arguments.label:
            raise Refused("--evaluate takes the labels from the files: leave --label out", os.EX_USAGE)
        return teach.texts(arguments.text, arguments.label)
    if arguments.evaluate:
        raise Refused("--evaluate judges files: write --images or --text", os.EX_USAGE)
    if not arguments.label:
        raise Refused("--source needs --label: what does it show?", os.EX_USAGE)
    return teach.Examples(
        "picture",
        camera=setting.camera(arguments.source),
        label=arguments.label,
        count=arguments.count,
        interval_s=arguments.every,
        keep=arguments.keep,
    )


def _change(teacher: Teacher, arguments: argparse.Namespace) -> int:
    """Carry out ``list``, ``forget LABEL`` or ``remove``."""
    _only(arguments, ())
    what, *rest = arguments.do
    if what not in _DO or len(rest) != int(what == "forget"):
        raise Refused(f"{' '.join(arguments.do)}: write list, forget LABEL or remove", os.EX_USAGE)
    if what == "list":
        return _show(teacher, arguments.name, as_json=arguments.json)
    if what == "remove":
        teacher.store.remove(arguments.name)
        terminal.print_line(f"{arguments.name} is removed, with everything that it was taught")
        return 0
    _show_lesson(arguments.name, teacher.forget(arguments.name, rest[0]), as_json=arguments.json)
    return 0


class Progress:
    """Shows how it goes, on standard error.

    Args:
        quiet: print only notes.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not quiet

    def progress(self, done: int, total: int) -> None:
        """Show how many examples were looked at, on a terminal."""
        if self._live:
            terminal.print_line(f"{done} of {total}", stderr=True)

    def taken(self, number: int, total: int) -> None:
        """Count the pictures down."""
        if not self._quiet:
            left = total - number
            terminal.print_line(
                f"picture {number} taken, {left} left" if left else "the last picture is taken"
            )

    def note(self, sentence: str) -> None:
        """Print a note to standard error."""
        if not self._quiet or "WARNING" in sentence or "left out" in sentence:
            terminal.print_error(sentence)


def _list(teacher: Teacher, *, as_json: bool) -> int:
    names = teacher.store.names()
    heads = {name: teacher.store.read(name) for name in names}
    if as_json:
        terminal.print_json({name: head.counts for name, head in heads.items() if head is not None})
    elif not names:
        terminal.print_line("no model was taught here: edged teach NAME --label LABEL --images DIR")
    else:
        for name, head in heads.items():
            if head is not None:
                terminal.print_line(f"{name}: {_labels(head.counts)}, version {head.version}")
    return 0


def _show(teacher: Teacher, name: str, *, as_json: bool) -> int:
    """Show what a model was taught."""
    head = teacher.store.read(name)
    if head is None:
        what = f"there is no taught model {name}: edged teach {name} --label LABEL --images DIR"
        raise Refused(what, os.EX_NOINPUT)
    if as_json:
        terminal.print_json(
            {
                "name": name,
                "version": head.version,
                "gives": head.gives,
                "embedder": head.embedder,
                "labels": head.counts,
                "history": [[lesson.at, lesson.what, lesson.label, lesson.count] for lesson in head.history],
            }
        )
        return 0
    terminal.print_line(f"{name}, version {head.version}: {_labels(head.counts)}")
    for lesson in head.history[-10:]:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(lesson.at))
        terminal.print_line(f"  {when}  {lesson.what} {lesson.label} ({lesson.count})")
    return 0


def _labels(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{label} ({count})" for label, count in counts.items())


def _show_lesson(name: str, report: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(report)
        return
    terminal.print_line(f"{name}, version {report['version']}: {_labels(report['examples'])}")
    terminal.print_line(f"{_left_out(report)}; {report['seconds']:.1f} s")
    terminal.print_line(f"a pipeline uses it with model: {{taught: {name}}}")


def _left_out(report: Mapping[str, Any]) -> str:
    share = report["leave_one_out"]
    if share is None:
        return "too few examples to judge it: three of each label at least"
    return f"of the examples, each left out in turn, {100 * share:.1f} % are recognised"


def _show_examination(name: str, report: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(report)
        return
    if report["top1"] is not None:
        tried = sum(row["n"] for row in report["labels"].values())
        terminal.print_line(f"{name}: {100 * report['top1']:.1f} % of {tried} are right")
    terminal.print_line(_left_out(report))
    unknown = report["unknown"]
    if unknown["kept"] is not None:
        kept, right = 100 * unknown["kept"], 100 * (unknown["right_among_kept"] or 0)
        terminal.print_line(
            f"{kept:.1f} % of them are known rather than unknown, {right:.1f} % of those right"
        )
    if unknown.get("n"):
        terminal.print_line(
            f"of {unknown['n']} of other things {unknown['rejected']} are unknown, as they should"
        )
    if 1 < len(report["confusion"]) <= _SHOWN:
        terminal.console(WIDTH).print(_matrix(report["confusion"]))
    for sentence in report["next"]:
        terminal.print_line(f"next: {sentence}")


def _matrix(confusion: Mapping[str, Mapping[str, int]]) -> Table:
    """Return the confusion matrix: a row for each label, a column for what it was taken for."""
    from rich.table import Table

    columns = list(dict.fromkeys((*confusion, *(named for row in confusion.values() for named in row))))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("is \\ named")
    for column in columns:
        table.add_column(terminal.escape(column), justify="right")
    for label, row in confusion.items():
        table.add_row(terminal.escape(label), *(str(row.get(column, "")) for column in columns))
    return table
