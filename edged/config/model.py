"""The model of a pipeline: one .tflite file with its labels, and what it wants to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from edged.config.values import InstalledName, Sha256
from edged.drivers import ModelPath, Section, TaughtName, wrong
from edged.models import bundled
from edged.models.normalization import BGR, PRESETS, Normalization

if TYPE_CHECKING:
    from edged.models.normalization import Order

Mean = Annotated[float, Field(allow_inf_nan=False)]
Deviation = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Preset = Literal["-1..1", "0..1", "0..255", "imagenet", "caffe", "none"]
NO_NORMALIZATION = "none"  # pixels as they are


class Normalize(Section):
    """Scaling of pixels: (pixel - mean) / std."""

    mean: Mean | tuple[Mean, Mean, Mean] = Field(
        default=127.5,
        description="subtracted from each pixel's value, 0..255, or a list for red, green and blue …",
    )
    std: Deviation | tuple[Deviation, Deviation, Deviation] = Field(
        default=127.5, description="… and then the divisor, above 0, or a list"
    )


def _form(value: Any) -> str:
    return "[numbers]" if isinstance(value, dict | Normalize) else "[preset]"


PresetOrNumbers = Annotated[
    Annotated[Preset, Tag("[preset]")] | Annotated[Normalize, Tag("[numbers]")], Discriminator(_form)
]


def _numbers(value: float | tuple[float, ...]) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)


class ModelSection(Section):
    """One .tflite file with its labels."""

    file: ModelPath | None = Field(
        examples=["mobilenet_v2.tflite"],
        default=None,
        description="the .tflite file; default: the bundled classifier",
    )
    labels: ModelPath | None = Field(
        examples=["imagenet.txt"],
        default=None,
        description="label file, one label per line; default: the labels packed in the model",
    )
    sha256: Sha256 | None = Field(
        default=None, description="checksum of file, as sha256sum prints it; any other file is refused"
    )
    name: InstalledName | None = Field(
        examples=["mobilenet_v2_1.0_224_quant"],
        default=None,
        description="instead of file: the name of a model that edged models add installed, or replies, the "
        "bundled model of text; labels and checksum come with it",
    )
    taught: TaughtName | None = Field(
        examples=["garage"],
        default=None,
        description="instead of file and labels: the name of a model that edged teach made",
    )
    edgetpu_file: ModelPath | None = Field(
        examples=["mobilenet_v2_edgetpu.tflite"],
        default=None,
        description="the same model compiled for the Edge TPU",
    )
    edgetpu_sha256: Sha256 | None = Field(
        default=None, description="checksum of edgetpu_file; any other file is refused"
    )
    fit: Literal["stretch", "crop", "letterbox"] = Field(
        default="stretch", description="how to fit the picture to the model's input"
    )
    output: (
        Annotated[int, Field(ge=0, le=99)] | Annotated[str, Field(min_length=1, max_length=200)] | None
    ) = Field(
        examples=["scores"],
        default=None,
        description="the output with the scores, by name or number; for a model with several",
    )
    normalize: PresetOrNumbers | None = Field(
        examples=["0..1"],
        default=None,
        description="the values that the model wants for pixels, or a block with mean and std; "
        "default: what the model says, else -1..1",
    )
    channels: Literal["rgb", "bgr"] | None = Field(
        examples=["bgr"], default=None, description="the order of the colours; default: rgb, for caffe bgr"
    )
    threads: Annotated[int, Field(ge=1, le=64)] | None = Field(
        examples=[2], default=None, description="processor cores for the model; default: all, at most 4"
    )
    runtime: Literal["auto", "litert", "tflite-runtime"] = Field(
        default="auto", description="auto uses LiteRT if it is installed"
    )

    @property
    def installed(self) -> bool:
        """Whether it names an installed model, or ``replies``: loading makes its ``file`` of that."""
        return self.name is not None and self.name != bundled.MODEL.stem

    @property
    def normalization(self) -> Normalization | None:
        """The values that it gives for pixels, for red, green and blue; None: none."""
        given = self.normalize
        if given is None:
            return None
        if isinstance(given, str):
            return PRESETS["0..255" if given == NO_NORMALIZATION else given]
        return Normalization(_numbers(given.mean), _numbers(given.std))

    @property
    def order(self) -> Order | None:
        """The order of the colours; None where it leaves that to the model."""
        implied: Order | None = "bgr" if self.normalize in BGR else None
        return self.channels or implied

    @model_validator(mode="after")
    def _complete(self) -> ModelSection:
        if self.taught is not None:
            for key in ("file", "labels", "sha256", "name"):
                if getattr(self, key) is not None:
                    raise wrong(f"{key} does not go with taught, which has its own", key)
        elif self.name is not None and self.file is not None:
            raise wrong("file does not go with name, which has its own", "file")
        elif self.file is None and self.edgetpu_file is None and not self.installed:
            for key in ("labels", "sha256"):
                if getattr(self, key) is not None:
                    raise wrong(f"{key} needs a model: write file too", key)
        if self.edgetpu_file is None and self.edgetpu_sha256 is not None:
            raise wrong("edgetpu_sha256 needs edgetpu_file: write that too", "edgetpu_sha256")
        return self
