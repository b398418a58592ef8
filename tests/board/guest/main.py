"""What the virtual board shows, in order. Runs in it as root, once."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path

import camera
import chips
import walls
from report import Report
from service import Service
from system import run, wait

import edged

WALLS = "service: code in a worker finds no way out"


def kernel() -> str:
    up_s = float(Path("/proc/uptime").read_text().split()[0])
    begun_s = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf(
        "SC_CLK_TCK"
    )
    init_s = int(run("systemctl", "show", "-P", "UserspaceTimestampMonotonic")) / 1e6
    return (
        f"Linux {platform.release()}, Python {platform.python_version()}, edged {edged.__version__}; "
        f"after power on: systemd {init_s:.0f} s, this program {begun_s:.0f} s, imported {up_s:.0f} s"
    )


def sensors(report: Report) -> chips.Bus | None:
    made: list[chips.Bus] = []

    def add() -> str:
        bus = chips.Bus()
        made.append(bus)
        bus.heat(chips.THERMOMETER, 20)
        bus.add("lm75", chips.THERMOMETER)
        bus.calibrate()
        bus.add("bmp280", chips.BAROMETER)
        lm75 = wait("the driver takes the lm75", lambda: chips.monitor("lm75"), 15)
        bmp280 = wait("the driver takes the bmp280", lambda: chips.industrial("bmp280"), 15)
        return f"lm75 is {lm75}, bmp280 is {bmp280}, on i2c-{bus.number}"

    report.show("the chips' drivers", add)
    return made[0] if made else None


def main() -> None:
    report = Report()
    report.show("kernel", kernel)
    bus = sensors(report)
    if "edged.just=walls" in Path("/proc/cmdline").read_text().split():
        report.show("the camera's driver", camera.load)
        report.show(WALLS, walls.attempted)
    else:
        everything(report, bus)
    report.end()
    os.sync()
    time.sleep(1)  # the console drains


def everything(report: Report, bus: chips.Bus | None) -> None:
    if report.show("the camera's driver", camera.load):
        camera.plain_bars()
        report.show("v4l2: the camera and its formats", camera.listed)
        report.show("v4l2: colours", camera.colours)
        report.show("v4l2: formats that are refused", camera.refused)
        report.show("v4l2: compressed formats", camera.compressed)
        report.show("v4l2: what it chooses by itself", camera.by_itself)
        report.show("v4l2: a camera in use", camera.busy)
        camera.usual()
    if bus is not None:
        service = Service(bus)
        if report.show("service: starts", service.start):
            report.show("service: events from the camera at the broker", service.classifies)
            report.show("service: sandbox", service.sandbox)
            report.show("service: two pipelines share the camera", service.shares)
            report.show("hwmon: readings follow the chip", service.thermometer)
            report.show("iio: readings follow the chip", service.barometer)
            report.show("hwmon: the chip pulled out and back", service.chip_pulled_out)
            report.show("service: the camera pulled out and back", service.camera_pulled_out)
            report.show("service: stops", service.stop)
            report.show(WALLS, walls.attempted)
        subprocess.run(["journalctl", "-u", "edged", "-o", "cat", "-n", "40", "--no-pager"], check=False)


if __name__ == "__main__":
    main()
