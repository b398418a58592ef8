"""The commands that arrive on ``cmd/<verb>``, and their results.

``infer`` fires the triggers of pipelines; ``arm`` and ``disarm`` switch the gates that can be armed. The
payload names pipelines, separated by commas; an empty one means all that take the command. ``teach`` has a
payload of its own: see :mod:`edged.daemon.lessons`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

VERBS = ("infer", "arm", "disarm")
TEACH = "teach"
_CANNOT = {
    "infer": "it has no trigger that takes commands, or its worker is not running",
    "arm": "it has no gate that can be armed",
    "disarm": "it has no gate that can be armed",
}


def answer(verb: str, payload: bytes, pipelines: Collection[str], do: Callable[[str, str], bool]) -> bytes:
    """Carry out a command; return the result as JSON: ``done``, ``refused`` and the number of unknown names.

    Nothing that the sender wrote is repeated in it: the sender may also choose the topic of the result.

    Args:
        verb: the last part of the topic.
        payload: the message's payload, not trusted.
        pipelines: the names of all pipelines.
        do: carries out the command for one pipeline; returns False where that is not possible.
    """
    if verb not in VERBS:
        return _json({"error": f"no such verb; there are {', '.join((*VERBS, TEACH))}"})
    text = payload.decode("utf-8", "replace").strip()
    if not text:
        return _json({"verb": verb, "done": [name for name in pipelines if do(name, verb)], "refused": {}})
    names = dict.fromkeys(part.strip() for part in text.split(","))
    known = [name for name in names if name in pipelines]
    done = [name for name in known if do(name, verb)]
    refused = {name: _CANNOT[verb] for name in known if name not in done}
    unknown = {"unknown": len(names) - len(known)} if len(known) < len(names) else {}
    return _json({"verb": verb, "done": done, "refused": refused, **unknown})


def _json(data: dict[str, object]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
