"""``accelerator:`` of a pipeline: the hardware that runs its model."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from edged.config.values import DEVICE, NODE
from edged.drivers import Section, wrong


class Accelerator(Section):
    """The hardware that runs the model: an Edge TPU, or what another library drives."""

    policy: Literal["cpu", "prefer", "require"] = Field(
        default="cpu", description="prefer falls back to the CPU; require does not"
    )
    device: Annotated[str, StringConstraints(pattern=DEVICE)] | None = Field(
        examples=["usb"],
        default=None,
        description="the Edge TPU: usb (default), pci, one by its number in the order of the ports, "
        "such as usb:0, or by its port, such as usb@2-1",
    )
    library: str = Field(
        default="libedgetpu.so.1",
        description="the Edge TPU runtime library; without device, any external delegate of TFLite",
    )
    options: dict[str, bool | int | float | str] = Field(
        examples=[{"Performance": "High"}],
        default_factory=dict,
        description="options of the library, by name",
    )
    nodes: tuple[Annotated[str, StringConstraints(pattern=NODE)], ...] = Field(
        examples=[["/dev/galcore"]],
        default=(),
        description="device nodes that an external delegate opens; default: those of NPUs and GPUs",
    )

    @property
    def kind(self) -> Literal["cpu", "edgetpu", "external"]:
        """Return what runs the model, as events name it."""
        if self.policy == "cpu":
            return "cpu"
        named = PurePath(self.library).name.startswith("libedgetpu")
        return "edgetpu" if named or self.device is not None else "external"

    @property
    def port(self) -> str:
        """Return the device of an Edge TPU."""
        return self.device or "usb"

    @model_validator(mode="after")
    def _nodes_of_others(self) -> Accelerator:
        if self.nodes and self.kind == "edgetpu":
            raise wrong("nodes are for other accelerators: the Edge TPU's are known", "nodes")
        return self

    def contradicts(self, other: Accelerator) -> bool:
        """Return whether both may mean the same device but name it differently."""
        if {self.kind, other.kind} != {"edgetpu"}:
            return False
        if self.port == other.port:
            return self.library != other.library or self.options != other.options
        (kind, _, number), (other_kind, _, other_number) = (
            device.partition(":") for device in (self.port, other.port)
        )
        if self.port.startswith("usb@") or other.port.startswith("usb@"):
            # Which number a port has depends on what is plugged in.
            return not (self.port[:4] == other.port[:4] or "pci" in {kind, other_kind})
        if kind == other_kind:
            return "" in {number, other_number}
        return "" in {kind, other_kind}  # :0 is the first of any kind
