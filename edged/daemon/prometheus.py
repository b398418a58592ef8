"""Health as a file for Prometheus: the textfile collector of its node exporter reads ``*.prom`` in a folder.

The file has figures and the names of pipelines, sensors and processes, and no decision: what a camera sees is
not for every user of the machine. It is replaced as a whole, and removed when the daemon ends.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from edged.config.root import Config

log = logging.getLogger(__name__)

MODE = 0o644  # the exporter is another user's
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass
class _Metric:
    """A metric: its type, a sentence, and its samples by labels."""

    kind: str
    about: str
    samples: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)


_METRICS = {
    "edged_info": ("gauge", "The version of edged, as a label."),
    "edged_problems": ("gauge", "Current problems; `edged status` names them."),
    "edged_status": ("gauge", "1 for the current one of ok, degraded and problem."),
    "edged_uptime_seconds": ("gauge", "Time since the daemon started."),
    "edged_clock_synced": ("gauge", "Whether the clock was set."),
    "edged_broker_connected": ("gauge", "Whether the broker is connected, or none is configured."),
    "edged_events_accepted_total": ("counter", "Events that were accepted."),
    "edged_events_acknowledged_total": ("counter", "Events that the broker acknowledged."),
    "edged_events_dropped_total": ("counter", "Events that were dropped, by reason."),
    "edged_events_queued": ("gauge", "Events that wait for the broker."),
    "edged_process_resident_memory_bytes": ("gauge", "Resident memory; shared pages count in each process."),
    "edged_pipeline_online": ("gauge", "Whether its camera and its model work."),
    "edged_pipeline_enabled": ("gauge", "Whether it is switched on."),
    "edged_pipeline_degraded": ("gauge", "Whether it runs otherwise than configured."),
    "edged_pipeline_frames_total": ("counter", "Frames classified since the start."),
    "edged_pipeline_frames_dropped_total": ("counter", "Frames not classified since the start, by reason."),
    "edged_pipeline_frames_still_total": ("counter", "Frames not classified because nothing moved."),
    "edged_pipeline_restarts_total": ("counter", "Restarts of its worker since the start."),
    "edged_pipeline_rate_hertz": ("gauge", "Recent classifications per second."),
    "edged_pipeline_inference_median_seconds": ("gauge", "Median time to run the model."),
    "edged_pipeline_inference_p95_seconds": ("gauge", "Time to run the model that 95 % stay below."),
    "edged_pipeline_capture_median_seconds": ("gauge", "Median time to read and prepare a frame."),
    "edged_sensor_online": ("gauge", "Whether it gives readings."),
    "edged_sensor_faults_total": ("counter", "Times that it went away, hung or failed."),
    "edged_sensor_value": ("gauge", "The newest good reading."),
}


def text(health: Mapping[str, Any]) -> str:
    """Return a health message in Prometheus's text format."""
    metrics = {name: _Metric(*described) for name, described in _METRICS.items()}
    for name, value, labels in (*_node(health), *_pipelines(health), *_sensors(health)):
        if value is not None:
            metrics[name].samples[tuple(labels.items())] = float(value)
    lines = []
    for name, metric in metrics.items():
        if metric.samples:
            lines += [f"# HELP {name} {metric.about}", f"# TYPE {name} {metric.kind}"]
            lines += [f"{name}{_labels(labels)} {value:.10g}" for labels, value in metric.samples.items()]
    return "\n".join(lines) + "\n"


_Sample = tuple[str, float | None, dict[str, str]]


def _node(health: Mapping[str, Any]) -> Iterator[_Sample]:
    events = health["events"]
    yield "edged_info", 1, {"version": health["version"]}
    yield "edged_problems", len(health["problems"]), {}
    for status in ("ok", "degraded", "problem"):
        yield "edged_status", health["status"] == status, {"status": status}
    yield "edged_uptime_seconds", health["uptime_s"], {}
    yield "edged_clock_synced", health["clock"] == "synced", {}
    yield "edged_broker_connected", health["broker"]["state"] in {"connected", "none"}, {}
    yield "edged_events_accepted_total", events["accepted"], {}
    yield "edged_events_acknowledged_total", events["acknowledged"], {}
    yield "edged_events_queued", health["queue"], {}
    for reason, count in events["dropped"].items():
        yield "edged_events_dropped_total", count, {"reason": reason}
    for name, process in health["processes"].items():
        yield "edged_process_resident_memory_bytes", process["rss_mb"] * 1e6, {"process": name}


def _pipelines(health: Mapping[str, Any]) -> Iterator[_Sample]:
    for name, pipeline in health["pipelines"].items():
        which = {"pipeline": name}
        for key in ("online", "enabled", "degraded"):
            yield f"edged_pipeline_{key}", pipeline[key], which
        yield "edged_pipeline_frames_total", pipeline["frames"], which
        yield "edged_pipeline_restarts_total", pipeline["restarts"], which
        yield "edged_pipeline_rate_hertz", pipeline["fps"], which
        yield "edged_pipeline_inference_median_seconds", _seconds(pipeline["invoke_ms"]["p50"]), which
        yield "edged_pipeline_inference_p95_seconds", _seconds(pipeline["invoke_ms"]["p95"]), which
        yield "edged_pipeline_capture_median_seconds", _seconds(pipeline["capture_ms"]), which
        for reason, count in pipeline["dropped"].items():
            yield "edged_pipeline_frames_dropped_total", count, which | {"reason": reason}
        if motion := pipeline.get("motion"):
            yield "edged_pipeline_frames_still_total", motion["skipped"], which


def _sensors(health: Mapping[str, Any]) -> Iterator[_Sample]:
    for name, sensor in health["sensors"].items():
        yield "edged_sensor_online", sensor["online"], {"sensor": name}
        yield "edged_sensor_faults_total", sensor["faults"], {"sensor": name}
        for reading in sensor.get("readings", ()):
            if reading["quality"] == "good":
                which = {"sensor": name, "channel": reading["channel"], "unit": reading["unit"]}
                yield "edged_sensor_value", reading["value"], which


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    inside = ",".join(f'{key}="{value.translate(_ESCAPES)}"' for key, value in labels)
    return f"{{{inside}}}" if inside else ""


def path_of(config: Config) -> Path | None:
    """Return the file that a configuration names; None: it names none."""
    name = config.health.prometheus
    return config.run_dir / name if name else None  # a name with a folder is absolute


class PrometheusFile:
    """Writes the file, whole or not at all.

    Args:
        path: the file; None: none is written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._failing = False  # the last file could not be written

    def write(self, health: Mapping[str, Any]) -> None:
        """Replace the file; one that cannot be written is logged once."""
        if self.path is None:
            return
        following = self._following(self.path)
        try:
            following.write_text(text(health), "utf-8")
            following.chmod(MODE)
            following.replace(self.path)
        except OSError as error:
            if not self._failing:
                why = (error.strerror or str(error)).lower()
                log.warning("cannot write %s: %s; Prometheus keeps the old figures", self.path, why)
            self._failing = True
        else:
            self._failing = False

    def close(self) -> None:
        """Remove the file: figures of a daemon that has ended would look like those of one that runs."""
        if self.path is not None:
            for path in (self.path, self._following(self.path)):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    @staticmethod
    def _following(path: Path) -> Path:
        return path.with_name(f".{path.name}.next")  # the exporter reads *.prom
