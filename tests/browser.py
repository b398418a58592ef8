"""A real Chromium without a window, driven through chromedriver's WebDriver interface."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 30.0
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element by the WebDriver standard
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


class Browser:
    """One window.

    Args:
        driver: the address of the session at chromedriver.
    """

    def __init__(self, driver: str) -> None:
        self._driver = driver

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the value of an answer of chromedriver."""
        return _call(method, f"{self._driver}{path}", body)

    def open(self, address: str) -> None:
        """Open a page, afresh."""
        self.call("POST", "/url", {"url": "about:blank"})
        self.complaints()  # those of the page before
        self.call("POST", "/url", {"url": address})

    def run(self, script: str, *arguments: object) -> Any:
        """Return what a function body returns in the page."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector: str) -> str:
        """Return the text of the first element that matches."""
        return str(self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector))

    def until(self, script: str, *arguments: object) -> Any:
        """Wait until a function body returns something true in the page, and return it."""
        end = time.monotonic() + PATIENCE_S
        while not (found := self.run(script, *arguments)):
            assert time.monotonic() < end, (script, self.run("return document.body.innerText"))
            time.sleep(0.1)
        return found

    def click(self, selector: str) -> None:
        """Click an element."""
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{found[_ELEMENT]}/click", {})

    def mouse(self, selector: str, *steps: tuple[str, float, float]) -> None:
        """Move the mouse over an element.

        Args:
            selector: the element.
            steps: each ``move``, ``down`` or ``up``, at parts of its width and height.
        """
        script = "const b = document.querySelector(arguments[0]).getBoundingClientRect();"
        left, top, width, height = self.run(script + "return [b.left, b.top, b.width, b.height]", selector)
        actions: list[dict[str, object]] = []
        for kind, x, y in steps:
            place = {"x": round(left + x * width), "y": round(top + y * height), "duration": 20}
            actions.append({"type": "pointerMove", **place})
            if kind != "move":
                actions.append({"type": f"pointer{kind.title()}", "button": 0})
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}
        self.call("POST", "/actions", {"actions": [mouse]})

    def complaints(self) -> list[str]:
        """Return what the console has: errors of the script, and what the policy has refused."""
        entries = self.call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] != "WARNING"]

    def picture(self, path: Path) -> None:
        """Write what the window shows as a PNG."""
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))


@contextlib.contextmanager
def chromium(folder: Path, width: int = 1400, height: int = 1400) -> Iterator[Browser]:
    """Start it, or skip the test where there is none."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("there is no Chromium: apt install chromium chromium-driver")
    port_file = folder / "chromedriver.log"
    with port_file.open("w") as log:
        process = subprocess.Popen(
            [driver, "--port=0"], stdout=log, stderr=subprocess.STDOUT, env=os.environ | {"HOME": str(folder)}
        )
    try:
        service = f"http://127.0.0.1:{_port(port_file)}"
        options = {"binary": program, "args": [*_ARGUMENTS, f"--window-size={width},{height}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = _call("POST", f"{service}/session", {"capabilities": {"alwaysMatch": wanted}})
        browser = Browser(f"{service}/session/{session['sessionId']}")
        try:
            yield browser
        finally:
            browser.call("DELETE", "")
    finally:
        process.terminate()
        process.wait(20)


def _port(log: Path) -> int:
    """Return the port that chromedriver has chosen."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        _, found, rest = log.read_text().partition("started successfully on port ")
        if found and "." in rest:
            return int(rest.split(".")[0])
        time.sleep(0.05)
    raise AssertionError(f"chromedriver did not start: {log.read_text()}")


def _call(method: str, address: str, body: object) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - always http
        address, data, {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the same
        return json.loads(answer.read())["value"]
