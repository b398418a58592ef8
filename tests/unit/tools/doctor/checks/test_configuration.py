from __future__ import annotations

from typing import TYPE_CHECKING

import probe_models
from probe_models import NAMES, Probe

from edged.tools.doctor.checks.configuration import configuration
from edged.tools.doctor.subject import Subject

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_assumed_of_a_model_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(probe_models.build(Probe()))
    (tmp_path / "l.txt").write_text("\n".join(NAMES))
    path = tmp_path / "edged.yaml"
    for keys, status in (("", "warning"), (", normalize: 0..1", "ok")):
        model = f"{{file: m.tflite, labels: l.txt{keys}}}"
        path.write_text(f"pipelines:\n  a:\n    source: {{kind: synthetic}}\n    model: {model}\n")
        found = configuration(Subject(path, given=True))
        assert found.status == status
        assert ("write model.normalize" in found.detail) == (status == "warning")
