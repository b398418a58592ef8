"""Answers the requests of the page's one document: what is new, what if, and how to write it down.

A request is answered only if its ``Host`` is this machine's loopback name, so that no other site's name can
be pointed here (DNS rebinding), and if it has the token. No answer allows another site to read it, and none
changes anything: Ctrl-C in the terminal is the only switch.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections import deque
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edged.events import Detection
from edged.tools.page import drawing
from edged.tools.page.history import History, shown
from edged.tools.page.requests import Answer, Request, Unacceptable, of_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.config.root import PipelineSection
    from edged.events import Finding
    from edged.ipc.worker_messages import Outcome
    from edged.sources import SourceConfig
    from edged.supervisor import PipelineStatus
    from edged.tools.page.subject import Subject

DOCUMENT = Path(__file__).with_name("page.html")
PICTURE = "/picture"  # answered with a head alone; the rest is for the worker
MOST_DECISIONS = 100  # that the page shows
_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
_OWN = frozenset({"", "same-origin", "none"})  # of Sec-Fetch-Site; older browsers send none
_SCRIPTS = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


class Site:
    """What the page shows now.

    Args:
        subject: the pipeline.
        token: the secret of the page's address.
    """

    def __init__(self, subject: Subject, token: str) -> None:
        self._subject = subject
        self._token = token
        self._section: PipelineSection = subject.section
        self._history = History()
        self._decisions: deque[dict[str, Any]] = deque(maxlen=MOST_DECISIONS)
        self._count = 0  # of decisions
        self._status: PipelineStatus | None = None
        text = DOCUMENT.read_text("utf-8")
        self._document = Answer(text.encode(), "text/html; charset=utf-8", policy=policy(text))

    def outcome(self, outcome: Outcome, status: PipelineStatus) -> None:
        """Take news of the pipeline."""
        self._status = status
        if outcome.type == "result":
            self._history.add(outcome)
        elif outcome.type != "heartbeat":
            self._count += 1
            self._decisions.append({"number": self._count, "at": outcome.decided_at} | shown(outcome))

    def changed(self, status: PipelineStatus) -> None:
        """Take the state of the pipeline."""
        self._status = status

    def answer(self, request: Request) -> Answer:
        """Return the answer; one without a body is for :data:`PICTURE`.

        Raises:
            Unacceptable: the request is refused.
        """
        if not _HOST.fullmatch(request.fields.get("host", "")):
            raise Unacceptable(HTTPStatus.FORBIDDEN, "this page is open to localhost and 127.0.0.1 only")
        match request.method, request.path:
            case "GET", "/":
                return self._document
            case ("GET", "/setup" | "/news" | "/picture") | ("POST", "/replay" | "/source"):
                self._admit(request)
            case _:
                raise Unacceptable(HTTPStatus.NOT_FOUND, "there is nothing here")
        match request.path:
            case "/setup":
                return of_json(self._setup())
            case "/news":
                return of_json(self._news(request.query))
            case "/replay":
                return of_json(self._replay(request.json()))
            case "/source":
                return of_json(self._source(request.json()))
        return Answer(None, "application/octet-stream")

    def _admit(self, request: Request) -> None:
        """Refuse who does not have the token, and what another site's page sends."""
        given = request.fields.get("authorization", "").removeprefix("Bearer ")
        origin = request.fields.get("origin", "")
        own = origin in {"", f"http://{request.fields['host']}"}
        if not own or request.fields.get("sec-fetch-site", "") not in _OWN:
            raise Unacceptable(HTTPStatus.FORBIDDEN, "another site's page asked for this")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            raise Unacceptable(HTTPStatus.UNAUTHORIZED, "this is not the address that edged page printed")

    def _setup(self) -> dict[str, Any]:
        section = self._section
        source = cast("SourceConfig", section.source)
        enter, leave = section.thresholds()
        return {
            "name": self._subject.name,
            "source": self._subject.source,
            "left_out": list(self._subject.left_out),
            "decision": {
                "threshold": enter,
                "exit_threshold": leave,
                "votes": section.decision.votes,
                "window": section.decision.window,
                "min_dwell_s": section.decision.min_dwell_s,
                "cooldown_s": section.decision.cooldown_s,
                "labels": {
                    label: dict(zip(("threshold", "exit_threshold"), section.thresholds(label), strict=True))
                    for label in section.decision.labels
                },
                "ignore": list(section.decision.ignore),
            },
            "crop": source.crop,
            "mask": source.mask,
            "by_label": section.task.by_label,
            "zones": section.task.scope.zones if section.task.counts else None,
        }

    def _news(self, query: str) -> dict[str, Any]:
        """Return results and decisions after the ones that the query names: ``results.decisions``."""
        results, _, decisions = query.partition(".")
        status = self._status
        return {
            "results": [
                [result.number, round(result.at, 3), [_listed(one) for one in result.top], result.captured_at]
                for result in self._history.since(number_of(results))
            ],
            "decisions": [one for one in self._decisions if one["number"] > number_of(decisions)],
            "present": _present(status),
            "still": status is not None and status.moves is False,
            "state": status.state if status is not None else "starting",
            "fault": status.last_error if status is not None and status.fault else "",
            "fps": round(status.fps, 2) if status is not None else 0,
            "model": status.model.name if status is not None and status.model is not None else "",
            "isolation": list(status.isolation) if status is not None else [],
            "network": status is not None and status.network,
        }

    def _replay(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        try:
            other = drawing.decided(self._section, wanted.get("decision"), wanted.get("zones"))
        except drawing.Wrong as error:
            return {"problem": str(error)}
        before, after = self._history.replay(self._section, other)
        return {
            "before": before,
            "after": after,
            "yaml": drawing.decision_block(other.decision),
        }

    def _source(self, shapes: Mapping[str, Any]) -> dict[str, Any]:
        try:
            other = drawing.drawn(self._section, shapes)
        except drawing.Wrong as error:
            return {"problem": str(error)}
        return {"yaml": drawing.source_block(self._subject.name, other)}


def _listed(finding: Finding) -> list[Any]:
    """Return a finding as a list, with its box if it has one."""
    box = [finding.box] if isinstance(finding, Detection) else []
    return [finding.label, finding.score, *box]


def _present(status: PipelineStatus | None) -> list[list[Any]]:
    """Return what is there by the decision: label, zone and count."""
    there = status.present if status is not None else None
    return [[each.label, each.zone, each.count] for each in there or ()]


def policy(document: str) -> str:
    """Return the policy of a document: its own script and style run, and nothing else does or is loaded."""
    digests = [
        (kind, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode())
        for kind, text in _SCRIPTS.findall(document)
    ]
    inline = [f"{kind}-src 'sha256-{digest}'" for kind, digest in digests]
    others = ("connect-src 'self'", "base-uri 'none'", "form-action 'none'")
    trusted = ("require-trusted-types-for 'script'", "trusted-types 'none'")
    return "; ".join(("default-src 'none'", *inline, *others, *trusted))


def number_of(text: str) -> int:
    """Return a number that a request names; 0 for nonsense."""
    return int(text) if text.isdecimal() and len(text) < 16 else 0
