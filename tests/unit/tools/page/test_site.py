"""Who gets an answer, and which."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edged.config.loader import loads
from edged.config.root import PipelineSection
from edged.events import Detection, Finding, Present
from edged.testing.supervisor import outcome, status
from edged.tools.page import site as sites
from edged.tools.page.requests import Request, Unacceptable
from edged.tools.page.site import Site
from edged.tools.page.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.ipc.worker_messages import Outcome

TOKEN = "f8Yl"  # noqa: S105 - that of this test
FIELDS = {"host": "localhost:8080", "authorization": f"Bearer {TOKEN}"}


def site(**keys: Any) -> Site:
    section = PipelineSection.model_validate({"source": {"kind": "synthetic"}, **keys})
    return Site(Subject("porch", section, "the porch", Path("/run/edged")), TOKEN)


def request(path: str, body: object = None, **fields: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    path, _, query = path.partition("?")
    if body is None:
        return Request("GET", path, query, FIELDS | named)
    return Request(
        "POST", path, query, FIELDS | {"content-type": "application/json"} | named, json.dumps(body).encode()
    )


def answer(page: Site, path: str, body: object = None) -> Mapping[str, Any]:
    found = json.loads(page.answer(request(path, body)).body or b"")
    assert isinstance(found, dict)
    return found


def refused(asked: Request) -> HTTPStatus:
    with pytest.raises(Unacceptable) as error:
        site().answer(asked)
    return error.value.status


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "localhost:8080.evil.example", "169.254.1.1"]
)
def test_another_name_for_this_machine_is_refused(host: str) -> None:
    """DNS rebinding: a site's own name suddenly means 127.0.0.1, and its script reads what is here."""
    for path in ("/", "/setup", "/picture"):
        assert refused(request(path, host=host)) == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:65535", "[::1]:8080"])
def test_the_names_of_this_machine(host: str) -> None:
    assert site().answer(request("/setup", host=host)).status == HTTPStatus.OK


@pytest.mark.parametrize("path", ["/setup", "/news", "/picture"])
@pytest.mark.parametrize(
    "given", ["", "Bearer ", f"Bearer {TOKEN}x", "Bearer x", f"Basic {TOKEN}x", "Bearer \xff"]
)
def test_without_the_token_there_is_nothing(path: str, given: str) -> None:
    assert refused(request(path, authorization=given)) == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(
    "fields",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_another_sites_page_is_refused_even_with_the_token(fields: dict[str, str]) -> None:
    assert refused(request("/news", **fields)) == HTTPStatus.FORBIDDEN
    assert refused(request("/replay", {}, **fields)) == HTTPStatus.FORBIDDEN


def test_the_page_itself_is_not_a_secret_and_runs_its_own_script_alone() -> None:
    found = site().answer(Request("GET", "/", "", {"host": "127.0.0.1:8080"}))
    assert found.kind == "text/html; charset=utf-8"
    for rule in ("default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "connect-src 'self'"):
        assert rule in found.policy
    assert "unsafe" not in found.policy
    document = (found.body or b"").decode()
    assert TOKEN not in document
    assert not re.search(r"(?i)https?://|innerHTML|\bon[a-z]+=|style=|<link|<img|eval\(", document)


def test_nothing_else_is_there() -> None:
    for asked in (
        request("/source"),
        request("/replay"),
        request("/setup", {}),
        request("/../setup"),
        request("/x"),
    ):
        assert refused(asked) == HTTPStatus.NOT_FOUND


def test_a_request_for_pictures_gets_a_head_alone() -> None:
    found = site().answer(request("/picture"))
    assert (found.body, found.kind) == (None, "application/octet-stream")
    assert "sandbox" in found.policy


def test_news() -> None:
    page = site()
    assert answer(page, "/news")["state"] == "starting"
    for number in range(3):
        page.outcome(outcome(kind="result", decided_at=100.0 + number), status())
    page.outcome(outcome(kind="start", label="cat"), status(fps=2.04))
    page.outcome(outcome(kind="heartbeat"), status(fps=2.04))
    news = answer(page, "/news?1.0")
    assert [result[:2] for result in news["results"]] == [[2, 101.0], [3, 102.0]]
    assert news["results"][0][2] == [["cat", 0.75], ["dog", 0.1]]
    assert [(one["number"], one["type"], one["label"]) for one in news["decisions"]] == [(1, "start", "cat")]
    assert answer(page, "/news?3.1")["decisions"] == []
    assert (news["state"], news["fault"]) == ("running", "")
    page.changed(replace(status(), fault="source", last_error="the camera is away", state="waiting"))
    assert answer(page, "/news?x.y")["fault"] == "the camera is away"


def test_what_other_thresholds_would_have_decided() -> None:
    page = site(decision={"threshold": 0.5})
    for at, score in enumerate((0.2, 0.6, 0.9, 0.6, 0.2)):
        page.outcome(outcome(kind="result", decided_at=float(at), top=(Finding("cat", score),)), status())
    found = answer(page, "/replay", {"decision": {"threshold": 0.8, "exit_threshold": 0.7}})
    assert [(one["at"], one["type"]) for one in found["before"]["changes"]] == [(1, "start"), (4, "end")]
    assert [(one["at"], one["type"]) for one in found["after"]["changes"]] == [(2, "start"), (3, "end")]
    assert found["yaml"] == "decision:\n  threshold: 0.8\n  exit_threshold: 0.7\n"


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [
        ({"threshold": 2}, "decision.threshold: "),
        ({"threshold": 0.3, "exit_threshold": 0.5}, "exit_threshold (0.5) is above threshold (0.3)"),
        ({"votes": 3, "window": 2}, "3 votes cannot come from a window of 2"),
        ({"volume": 11}, "decision.volume: "),
        (None, "decision: "),
    ],
)
def test_a_decision_that_is_not_possible(decision: object, sentence: str) -> None:
    assert sentence in answer(site(), "/replay", {"decision": decision})["problem"]


def test_what_was_drawn_is_written_down() -> None:
    mask = [[[0, 0.125], [0.5, 0], [0.25, 1]], [[0.5, 0.5], [1, 1], [0.5, 1]]]
    assert answer(site(), "/source", {"crop": [1, 2, 30, 40], "mask": mask}) == {
        "yaml": "source:\n  crop: [1, 2, 30, 40]\n  mask:\n    - [[0, 0.125], [0.5, 0], [0.25, 1]]\n"
        "    - [[0.5, 0.5], [1, 1], [0.5, 1]]\n"
    }
    assert answer(site(), "/source", {"crop": None, "mask": []})["yaml"].startswith("#")
    assert "crop" in answer(site(), "/source", {"crop": [1, 2]})["problem"]
    assert "at least 3 points" in answer(site(), "/source", {"mask": [[[0, 0], [1, 1]]]})["problem"]
    assert "problem" in answer(site(), "/source", {"mask": {"a": 1}})


DETECT = {"task": {"kind": "detect", "zones": {"door": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}}}


def seen(at: float, *objects: tuple[str, float, float]) -> Outcome:
    """Return the result for objects: label, score, and where they begin from the left."""
    found = tuple(Detection(label, score, (x, 0.2, x + 0.2, 0.6)) for label, score, x in objects)
    best = found[0]
    return outcome(kind="result", label=best.label, count=1, decided_at=at, top=(), found=found)


def test_other_thresholds_and_zones_of_a_detector() -> None:
    page = site(**DETECT, decision={"threshold": 0.5})
    page.outcome(seen(1.0, ("cat", 0.9, 0.1), ("cat", 0.6, 0.3), ("dog", 0.7, 0.8)), status())
    page.outcome(seen(2.0, ("cat", 0.8, 0.7)), status())
    setup = answer(page, "/setup")
    assert (setup["by_label"], list(setup["zones"])) == (True, ["door"])
    assert answer(page, "/news?1.0")["results"][0][2] == [["cat", 0.8, [0.7, 0.2, pytest.approx(0.9), 0.6]]]
    decision = {"threshold": 0.65, "exit_threshold": 0.5}
    found = answer(
        page, "/replay", {"decision": decision, "zones": {"all": [[0, 0], [1, 0], [1, 1], [0, 1]]}}
    )
    told = {
        run: [
            (one["at"], one["type"], one["label"], one["count"], one["zone"]) for one in found[run]["changes"]
        ]
        for run in ("before", "after")
    }
    assert told["before"] == [(1.0, "start", "cat", 2, "door"), (2.0, "end", "unknown", 0, "door")]
    assert told["after"] == [
        (1.0, "start", "cat", 1, "all"),
        (1.0, "start", "dog", 1, "all"),
        (2.0, "end", "unknown", 0, "all"),
    ]


def test_a_zone_is_written_down_with_its_task() -> None:
    page = site(**DETECT)
    zones = {"gate": [[0, 0.5], [1, 0.5], [1, 1]]}
    assert answer(page, "/source", {"zones": zones})["yaml"] == (
        "task:\n  kind: detect\n  zones:\n    gate: [[0, 0.5], [1, 0.5], [1, 1]]\n"
    )
    assert "at least 3 corners" in answer(page, "/source", {"zones": {"gate": [[0, 0]]}})["problem"]
    assert "problem" in answer(page, "/source", {"zones": {"No Name": zones["gate"]}})
    assert answer(page, "/source", {"zones": {}})["yaml"].startswith("#")
    assert answer(site(), "/setup")["zones"] is None


def test_what_is_there_now() -> None:
    page = site(**DETECT)
    page.changed(status(present=(Present("cat", "door", 2, 0.8, 1.0),)))
    assert answer(page, "/news")["present"] == [["cat", "door", 2]]


def test_a_mask_belongs_to_the_camera_that_pipelines_share() -> None:
    text = "cameras: {yard: {kind: synthetic}}\npipelines: {porch: {camera: yard, crop: [0, 0, 64, 64]}}"
    section = loads(text, "edged.yaml", Path("/")).pipelines["porch"]
    page = Site(Subject("porch", section, "the porch", Path("/run/edged")), TOKEN)
    assert answer(page, "/setup")["crop"] == [0, 0, 64, 64]
    mask = [[[0, 0], [1, 0], [1, 1]]]
    written = answer(page, "/source", {"crop": [1, 2, 30, 40], "mask": mask})["yaml"]
    assert written == (
        "cameras:\n  yard:\n    mask:\n      - [[0, 0], [1, 0], [1, 1]]\n"
        "pipelines:\n  porch:\n    crop: [1, 2, 30, 40]\n"
    )
    assert answer(page, "/source", {"crop": None, "mask": mask})["yaml"].startswith("cameras:")
    assert "problem" not in answer(page, "/replay", {"decision": {"threshold": 0.7}})
    turned = section.model_copy(update={"rotate": "90"})
    page = Site(Subject("porch", turned, "the porch", Path("/run/edged")), TOKEN)
    assert "without a rotate of its own" in answer(page, "/source", {"mask": mask})["problem"]


def test_the_setup_shows_the_decision_as_it_is_configured() -> None:
    rules = {"threshold": 0.6, "labels": {"cat": {"threshold": 0.4}}, "ignore": ["dog"]}
    found = answer(site(decision=rules), "/setup")["decision"]
    assert (found["threshold"], found["ignore"]) == (0.6, ["dog"])
    assert found["exit_threshold"] == pytest.approx(0.42)
    assert found["labels"]["cat"] == {"threshold": 0.4, "exit_threshold": pytest.approx(0.28)}
    assert "problem" not in answer(site(decision=rules), "/replay", {"decision": found})


def test_the_policy_names_each_script_and_style_by_its_digest() -> None:
    policy = sites.policy("<style>a</style><script>b</script>")
    assert "style-src 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs='" in policy
    assert "script-src 'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0='" in policy
