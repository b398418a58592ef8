"""Health in Prometheus's text format: each line is what its exporter takes, and none is a decision."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from edged.config.loader import loads
from edged.daemon import prometheus
from edged.daemon.prometheus import PrometheusFile

if TYPE_CHECKING:
    from pathlib import Path

HEALTH: dict[str, Any] = {
    "version": "0.2.0",
    "status": "degraded",
    "problems": ["porch: runs on cpu, not as configured"],
    "uptime_s": 41,
    "clock": "synced",
    "broker": {"state": "connected", "detail": ""},
    "queue": 3,
    "events": {"accepted": 1_234_567_890, "acknowledged": 7, "queued": 3, "dropped": {"expired": 2}},
    "processes": {"main": {"pid": 1, "rss_mb": 44.1}},
    "pipelines": {
        "porch": {
            "online": True,
            "enabled": True,
            "degraded": True,
            "frames": 900,
            "restarts": 1,
            "fps": None,
            "invoke_ms": {"p50": 5.3, "p95": 7.0},
            "capture_ms": 1.5,
            "dropped": {"stale": 4},
            "motion": {"moves": True, "skipped": 70},
            "decision": {"label": "Egyptian cat", "since": ""},
        }
    },
    "sensors": {
        "attic": {
            "online": True,
            "faults": 0,
            "readings": [
                {"channel": "", "value": 21.4, "unit": "°C", "quality": "good"},
                {"channel": "door", "value": True, "unit": "", "quality": "good"},
                {"channel": "old", "value": 3.0, "unit": "", "quality": "stale"},
            ],
        }
    },
}
LINE = re.compile(r'[a-z_0-9]+(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? [-+0-9.e]+')


def test_figures_have_units_and_names() -> None:
    lines = prometheus.text(HEALTH).splitlines()
    assert 'edged_pipeline_inference_median_seconds{pipeline="porch"} 0.0053' in lines
    assert 'edged_process_resident_memory_bytes{process="main"} 44100000' in lines
    assert "edged_events_accepted_total 1234567890" in lines
    assert 'edged_status{status="degraded"} 1' in lines
    assert 'edged_pipeline_frames_still_total{pipeline="porch"} 70' in lines
    assert not [line for line in lines if "moves" in line], "not for every user of the machine"
    assert 'edged_sensor_value{sensor="attic",channel="",unit="°C"} 21.4' in lines
    assert 'edged_sensor_value{sensor="attic",channel="door",unit=""} 1' in lines
    assert not [line for line in lines if "old" in line or "rate_hertz" in line], "what is not known"
    assert [line for line in lines if not line.startswith("#") and not LINE.fullmatch(line)] == []


def test_what_a_camera_sees_is_not_in_it() -> None:
    assert "cat" not in prometheus.text(HEALTH)


def test_promtool_finds_nothing() -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed; apt has it in the package prometheus")
    done = subprocess.run(
        [program, "check", "metrics"],
        input=prometheus.text(HEALTH),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_label_cannot_begin_a_line() -> None:
    status = {**HEALTH, "version": 'a"\nb\\'}
    assert 'edged_info{version="a\\"\\nb\\\\"} 1' in prometheus.text(status).splitlines()


def test_the_file_is_replaced_as_a_whole_and_removed(tmp_path: Path) -> None:
    file = PrometheusFile(tmp_path / "edged.prom")
    file.write(HEALTH)
    file.write(HEALTH)
    assert [path.name for path in tmp_path.iterdir()] == ["edged.prom"]
    assert (tmp_path / "edged.prom").stat().st_mode & 0o777 == 0o644
    file.close()
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = PrometheusFile(tmp_path / "away" / "edged.prom")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            file.write(HEALTH)
    assert len(caplog.records) == 1
    assert "no such file or directory" in caplog.text


def test_a_name_without_a_folder_is_in_the_run_directory(tmp_path: Path) -> None:
    for name, path in (("edged.prom", "/run/x/edged.prom"), ("/var/lib/a/b.prom", "/var/lib/a/b.prom")):
        config = loads(
            f"run_dir: /run/x\nhealth: {{prometheus: {name}}}\nsensors: {{a: {{kind: thermal}}}}",
            "f",
            tmp_path,
        )
        assert str(prometheus.path_of(config)) == path
    assert prometheus.path_of(loads("sensors: {a: {kind: thermal}}", "f", tmp_path)) is None
