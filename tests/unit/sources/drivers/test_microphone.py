"""The microphone, over a program that keeps time, stalls and dies; and over the real one where it is."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edged.errors import DeviceBusy, Reason, Unavailable
from edged.sources import Hint, Viewing, discovery, sound_cards
from edged.sources.drivers import microphone
from edged.sources.drivers.microphone import Config, Microphone
from edged.testing.arecord import FakeRecorder
from unit.sources.wav_files import tone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edged.sources import Window

DEADLINE_S = 20.0
STEPS = 1600


@pytest.fixture
def fake(tmp_path: Path) -> FakeRecorder:
    return FakeRecorder(tmp_path)


@pytest.fixture
def opened() -> Iterator[Any]:
    made: list[Microphone] = []

    def make(program: Path, *, patience_s: float = 5.0, **keys: Any) -> Microphone:
        config = Config(device="plughw:1", program=str(program), **keys)
        made.append(Microphone(config, Hint(steps=STEPS, patience_s=patience_s)))
        made[-1].open()
        return made[-1]

    yield make
    for source in made:
        source.close()


def given(source: Microphone, count: int = 1) -> list[Window]:
    found: list[Window] = []
    end = time.monotonic() + DEADLINE_S
    while len(found) < count and time.monotonic() < end:
        if (window := source.read(0.02)) is not None:
            found.append(window)
    assert len(found) == count
    return found


def fault(source: Microphone) -> Unavailable:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        try:
            source.read(0.02)
        except Unavailable as error:
            return error
    raise AssertionError("no fault")


def until(source: Microphone, what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not source.dropped[what]:
        source.read(0.02)
        assert time.monotonic() < end


def strongest_hz(window: Window) -> float:
    spectrum = np.abs(np.fft.rfft(window.values[:, 0]))
    return float(spectrum.argmax() * 16000 / STEPS)


def test_it_gives_windows_of_what_it_hears(fake: FakeRecorder, opened: Any) -> None:
    source = opened(fake.path)
    assert not source.begun
    found = given(source, 3)
    assert source.begun
    assert [window.number for window in found] == [0, 1, 2]
    assert {window.level_dbfs for window in found} == {-23.0}
    assert strongest_hz(found[0]) == 440
    assert abs(found[-1].captured_at - time.time()) < 5
    assert found[0].begins


def test_half_a_sample_waits_for_its_other_half(fake: FakeRecorder, opened: Any) -> None:
    fake.does("half 440 0.1")
    assert given(opened(fake.path), 2)[0].values.shape == (STEPS, 1)


def test_a_stall_is_reported_and_healed(fake: FakeRecorder, opened: Any) -> None:
    source = opened(fake.path, patience_s=0.3)
    given(source)
    fake.does("stall")
    stalled = fault(source)
    assert (stalled.reason, source.begun) == (Reason.TIMEOUT, False)
    assert "no sound for 0.3 s; starting it again" in str(stalled)
    fake.does("tone 3100 0.1")
    end = time.monotonic() + DEADLINE_S
    while not source.begun and time.monotonic() < end:
        with contextlib.suppress(Unavailable):
            source.read(0.02)
    window = given(source)[0]
    assert window.begins
    assert strongest_hz(window) == 3100


@pytest.mark.parametrize(
    ("does", "reason", "why"),
    [
        ("unplug", Reason.LOST, "plughw:1 was unplugged"),
        ("die", Reason.LOST, "was ended by signal 9"),
    ],
)
def test_what_ends_it_is_told(fake: FakeRecorder, opened: Any, does: str, reason: Reason, why: str) -> None:
    source = opened(fake.path)
    given(source)
    fake.does(does)
    ended = fault(source)
    assert ended.reason is reason
    assert why in str(ended)


@pytest.mark.parametrize(
    ("does", "reason", "why"),
    [
        ("unplug", Reason.ABSENT, "plughw:1: there is no such card: plug it in"),
        ("busy", Reason.BUSY, "another program records from it"),
        ("deny", Reason.DENIED, "sudo usermod -aG audio"),
        ("forbid", Reason.DENIED, r"write DeviceAllow=char-alsa rw below"),
    ],
)
def test_what_keeps_it_from_opening_is_told(
    fake: FakeRecorder, opened: Any, does: str, reason: Reason, why: str
) -> None:
    fake.does(does)
    ended = fault(opened(fake.path))
    assert ended.reason is reason
    assert why in str(ended)
    assert isinstance(ended, DeviceBusy) is (does == "busy")


def test_an_overrun_is_counted_and_no_window_spans_it(fake: FakeRecorder, opened: Any) -> None:
    source = opened(fake.path)
    given(source)
    fake.does("lose 440 0.1")
    until(source, "overrun")
    assert source.dropped == {"overrun": 1}
    assert given(source)[0].begins


def test_a_rate_that_the_card_reports_is_converted(
    fake: FakeRecorder, opened: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fake.does("rate 440 0.1 48000")
    source = opened(fake.path)
    assert strongest_hz(given(source, 4)[-1]) == 440
    assert "records at 48000 Hz though 16000 were requested" in caplog.text


def test_a_rate_that_the_card_keeps_to_itself_is_measured(
    fake: FakeRecorder, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microphone, "_MEASURED_S", 0.4)
    monkeypatch.setattr(microphone, "_NEAR", 1.4)  # this machine may be busy
    fake.does("quick 440 0.1 48000")
    source = opened(fake.path)
    assert strongest_hz(given(source)[0]) < 200, "three times too slow"
    end = time.monotonic() + DEADLINE_S
    while strongest_hz(given(source)[0]) != 440:
        assert time.monotonic() < end


def test_a_rate_that_no_card_has_is_a_fault() -> None:
    meter = microphone._RateMeter(16000)
    assert meter.add(500, 0.0) == 0
    with pytest.raises(Unavailable, match="3500 samples a second come from the microphone, not 16000"):
        meter.add(17500, 5.0)
    meter = microphone._RateMeter(16000)
    assert [meter.add(count, at) for count, at in ((0, 0.0), (70000, 4.9), (8000, 5.0))] == [0, 0, 0]


def test_it_drops_what_is_out_of_date(fake: FakeRecorder) -> None:
    later = [0.0]
    config = Config(device="plughw:1", program=str(fake.path))
    source = Microphone(config, Hint(steps=STEPS), monotonic=lambda: time.monotonic() + later[0])
    source.open()
    try:
        given(source)
        end = time.monotonic() + DEADLINE_S
        while not source._waiting and time.monotonic() < end:
            source.idle(None)
        later[0] = 2.0
        source.idle(None)
        assert source.dropped["skipped"] > 0
        source.idle(0)
        assert source.read(0.0) is None
    finally:
        source.close()


def test_a_program_that_is_missing_is_named(opened: Any, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"there is no program .*sudo apt install alsa-utils") as caught:
        opened(tmp_path / "arecord")
    assert caught.value.reason is Reason.ABSENT


def test_closing_ends_the_program(fake: FakeRecorder, opened: Any) -> None:
    source = opened(fake.path)
    given(source)
    pid = source._recorder._process.pid
    source.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """The real arecord over a file, by ALSA's plugin ``file``."""
    program = shutil.which("arecord")
    if program is None:
        pytest.skip("arecord is not installed (apt install alsa-utils)")
    samples = np.round(tone(3100, 30) * 32767).astype("<i2")
    (tmp_path / "sound.raw").write_bytes(samples.tobytes())
    (tmp_path / "asound.conf").write_text(
        "</usr/share/alsa/alsa.conf>\n"
        'pcm.wavmic { type file slave.pcm null file /dev/null infile "'
        f'{tmp_path}/sound.raw" format raw }}\n'
    )
    script = tmp_path / "arecord.sh"
    script.write_text(f'#!/bin/sh\nALSA_CONFIG_PATH={tmp_path}/asound.conf exec {program} "$@"\n')
    script.chmod(0o755)
    return script


def test_the_real_program_gives_the_same_samples(real: Path) -> None:
    source = Microphone(Config(device="wavmic", program=str(real)), Hint(steps=STEPS))
    source.open()
    try:
        window = given(source)[0]
    finally:
        source.close()
    assert window.level_dbfs == -9.0
    assert strongest_hz(window) == 3100


def test_the_real_programs_words_are_understood(real: Path) -> None:
    for device, why in (("hw:7", "there is no such card"), ("nonsense", "ALSA has no device of that name")):
        source = Microphone(Config(device=device, program=str(real)), Hint(steps=STEPS))
        source.open()
        ended = fault(source)
        source.close()
        assert ended.reason is Reason.ABSENT
        assert why in str(ended)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The files of a machine with a card that only plays, one on a HAT, and a USB microphone."""
    (tmp_path / "proc/asound").mkdir(parents=True)
    (tmp_path / "proc/asound/cards").write_text(
        " 0 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones\n"
        "                      bcm2835 Headphones\n"
        " 1 [sndrpigooglevoi]: RPi-simple - snd_rpi_googlevoicehat_soundcar\n"
        "                      snd_rpi_googlevoicehat_soundcard\n"
        " 2 [Device         ]: USB-Audio - USB PnP Sound Device\n"
        "                      C-Media at usb-3f980000.usb-1.2, full speed\n"
    )
    (tmp_path / "proc/asound/pcm").write_text(
        "00-00: bcm2835 Headphones : bcm2835 Headphones : playback 8\n"
        "01-00: Google voiceHAT SoundCard HiFi : : playback 1 : capture 1\n"
        "02-00: USB Audio : USB Audio : playback 1 : capture 1\n"
    )
    by_id = tmp_path / "dev/snd/by-id"
    by_id.mkdir(parents=True)
    (tmp_path / "dev/snd/controlC2").touch()
    (by_id / "usb-C-Media_USB_PnP-00").symlink_to("../controlC2")
    return tmp_path


def test_microphones_are_found_by_stable_names(machine: Path) -> None:
    usb, hat = microphone.find(machine)
    assert (usb.keys, usb.name) == (
        {"device": "/dev/snd/by-id/usb-C-Media_USB_PnP-00"},
        "USB PnP Sound Device",
    )
    assert "plughw:CARD=Device" in usb.aliases
    assert hat.keys == {"device": "plughw:CARD=sndrpigooglevoi"}
    assert sound_cards.resolved("auto", machine) == "plughw:2"
    assert sound_cards.resolved("/dev/snd/by-id/usb-C-Media_USB_PnP-00", machine) == "plughw:2"
    assert sound_cards.resolved("dsnoop:1", machine) == "dsnoop:1"
    for device, why in (("/dev/snd/by-id/gone", "there is no microphone /dev/snd/by-id/gone"),):
        with pytest.raises(Unavailable, match=why):
            sound_cards.resolved(device, machine)
    with pytest.raises(Unavailable, match="no microphone was found"):
        sound_cards.resolved("auto", machine / "dev")


def test_a_card_that_may_not_be_opened_is_told(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not sound_cards.denied(machine)
    (machine / "dev/snd/pcmC2D0c").touch()
    assert not sound_cards.denied(machine)
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert sound_cards.denied(machine)


def test_a_person_names_a_microphone() -> None:
    for text, keys in (("microphone", {}), ("plughw:1", {"device": "plughw:1"})):
        offer = discovery.recognise(text, Viewing())
        assert offer is not None
        assert offer.keys == {"kind": "microphone", **keys}
