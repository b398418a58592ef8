"""``edged page`` in a real Chromium: what a person sees, drags and draws, and what the page may not do."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import detector_model
import pytest
import yaml
from browser import Browser, chromium
from page_client import page

from edged.models import bundled

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

SIZE = (800, 600)
# The size of what the canvas shows, once that is not of one colour.
PIXELS = """
    const c = document.getElementById("picture");
    const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
    let low = 255, high = 0;
    for (let n = 0; n < d.length; n += 400) { low = Math.min(low, d[n]); high = Math.max(high, d[n]); }
    return high - low > 50 && [c.width, c.height];
"""
SLIDE = """
    const input = document.querySelector(`#sliders input[name="${arguments[0]}"]`);
    input.value = arguments[1];
    input.dispatchEvent(new Event("input", {bubbles: true}));
"""
# What a script in the page could try, if somebody's words had become one.
ATTEMPTS = (
    "return fetch('http://127.0.0.1:1/').then(() => 'out', error => error.name)",
    "try { document.body.innerHTML = '<b>x</b>'; return 'out' } catch (error) { return error.name }",
    """
        try { document.createElement("script").text = "alert()"; return "out" }
        catch (error) { return error.name }
    """,
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture
def porch(tmp_path: Path) -> Path:
    """Return a configuration that shows the bundled photographs in one size, as a camera does."""
    for path in sorted(bundled.PHOTOS.glob("*.jpg")):
        picture = cv2.imread(str(path))
        assert picture is not None
        cv2.imwrite(str(tmp_path / path.name), cv2.resize(picture, SIZE))
    config = tmp_path / "edged.yaml"
    config.write_text(
        f"""
run_dir: {tmp_path}
isolation: optional
pipelines:
  porch:
    source: {{kind: folder, path: {tmp_path}, loop: true, interval_s: 0.4}}
    decision: {{threshold: 0.5, exit_threshold: 0.35}}
"""
    )
    return config


def test_a_person_looks_slides_and_draws(browser: Browser, porch: Path, tmp_path: Path) -> None:
    with page("-c", str(porch)) as shown:
        browser.open(shown.address)
        assert min(browser.until(PIXELS)) > 100
        browser.until("return document.querySelectorAll('#top meter').length === 3")
        assert "running" in browser.text("#state")
        assert "seccomp" in browser.text("#walls")
        assert browser.text("#source") == "porch of edged.yaml"

        browser.until(
            "return /as configured: [1-9]\\d* changes/.test(document.querySelector('#summary').textContent)"
        )
        assert "with these settings: the same" in browser.text("#summary")
        browser.run(SLIDE, "threshold", 0.99)
        browser.until(
            "return document.querySelector('#summary').textContent.includes('with these settings: 0 changes')"
        )
        block = yaml.safe_load(browser.text("#decision"))["decision"]
        assert block["threshold"] == 0.99
        assert browser.run("return document.querySelectorAll('#changes .less').length") > 0
        browser.run(SLIDE, "threshold", 0.85)  # the cat, with 0.77, is no longer seen
        browser.until("return /settings: [1-9]/.test(document.querySelector('#summary').textContent)")

        browser.click("[data-tool=crop]")
        browser.mouse("#picture", ("down", 0.25, 0.25), ("move", 0.6, 0.5), ("up", 0.75, 0.875))
        browser.until("return document.querySelector('#shapes').textContent.includes('crop')")
        width, height = SIZE
        assert browser.run("return whole") == [width, height]
        x, y, w, h = yaml.safe_load(browser.text("#shapes"))["source"]["crop"]
        assert (x, y, w, h) == pytest.approx(
            (width / 4, height / 4, width / 2, height * 0.625), abs=width / 100
        )
        browser.click("[data-tool=mask]")
        corners = [(0.02, 0.02), (0.3, 0.05), (0.2, 0.4)]
        browser.mouse("#picture", *((do, a, b) for a, b in (*corners, corners[0]) for do in ("down", "up")))
        browser.until("return document.querySelector('#shapes').textContent.includes('mask')")
        drawn = yaml.safe_load(browser.text("#shapes"))["source"]["mask"]
        assert [point for polygon in drawn for point in polygon] == [
            pytest.approx(corner, abs=0.01) for corner in corners
        ]
        browser.picture(Path(os.environ.get("EDGED_PAGE_PICTURE", tmp_path / "page.png")))
        browser.click("#clear")
        assert browser.run("return [shapes.crop, shapes.mask]") == [None, []]
        assert browser.complaints() == []

        shown.end(signal.SIGINT)
        browser.until("return document.querySelector('#fault').textContent === 'edged page has ended'")


def test_a_detector_shows_boxes_and_what_other_zones_would_do(browser: Browser, tmp_path: Path) -> None:
    model, labels = detector_model.write(tmp_path)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, things in enumerate(([("red", 1, 1)], [("red", 1, 1), ("red", 6, 4), ("blue", 4, 6)])):
        made = detector_model.picture(things, width=480, height=480)
        cv2.imwrite(str(folder / f"{number}.png"), made[:, :, ::-1])
    config = tmp_path / "edged.yaml"
    config.write_text(
        f"""
run_dir: {tmp_path}
isolation: optional
pipelines:
  yard:
    source: {{kind: folder, path: {folder}, loop: true, interval_s: 0.4}}
    model: {{file: {model}, labels: {labels}}}
    task: {{kind: detect, zones: {{left: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}}}}
"""
    )
    with page("-c", str(config)) as shown:
        browser.open(shown.address)
        browser.until(PIXELS)
        browser.until("return document.querySelector('#label').textContent === 'red in left'")
        browser.until(
            "return results.some(result => result[2].length === 3 && result[2].every(one => one[2]))"
        )
        box = browser.run("return results.at(-1)[2].find(([label]) => label === 'red')[2]")
        assert box == pytest.approx([0.125, 0.125, 0.25, 0.25], abs=0.02)
        matched = (
            "return results.findLast(one => Math.abs(one[3] - taken) < .001)?.[2].length === arguments[0]"
        )
        for count in (1, 3):  # boxes are drawn on the picture that they are of
            browser.until(matched, count)
        browser.until("return document.querySelector('#summary').textContent.includes('settings: the same')")
        browser.click("[data-tool=zone]")
        corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98)]
        browser.mouse("#picture", *((do, a, b) for a, b in (*corners, corners[0]) for do in ("down", "up")))
        browser.until("return /settings: [1-9]/.test(document.querySelector('#summary').textContent)")
        browser.until(
            "return document.querySelector('#changes .more')?.textContent.includes('red in zone-1')"
        )
        task = yaml.safe_load(browser.text("#shapes"))["task"]
        assert list(task["zones"]) == ["left", "zone-1"]
        assert browser.run("return document.querySelector('#zone').value") == "zone-2"
        browser.picture(tmp_path / "page.png")
        assert browser.complaints() == []


def test_without_the_token_the_page_is_empty(browser: Browser) -> None:
    with page("--source", "photos") as shown:
        browser.open(f"http://localhost:{shown.port}/#guessed")
        sentence = "this is not the address that edged page printed"
        browser.until("return document.querySelector('#fault').textContent === arguments[0]", sentence)
        assert not browser.run(PIXELS)


def test_words_of_others_are_text_and_the_page_reaches_nobody(browser: Browser, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"<img src=x onerror=document.title='taken'> {n}\n" for n in range(1000)))
    with page("--source", "photos", "--model", str(bundled.MODEL), "--labels", str(labels)) as shown:
        browser.open(shown.address)
        browser.until("return document.querySelector('#top').textContent.includes('<img src=x')")
        browser.until("return document.querySelector('#label').textContent.includes('<img src=x')")
        assert browser.run("return document.querySelectorAll('img').length") == 0
        assert browser.run("return document.title") != "taken"
        assert browser.complaints() == []
        for attempt in ATTEMPTS:
            assert browser.run(attempt) == "TypeError"
        browser.run("location.href = '/picture'")
        assert re.search(r"not the address", browser.run("return document.body.innerText"))
