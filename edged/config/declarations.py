"""Finds the declaration of a place in the file: type, range and description."""

from __future__ import annotations

from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edged.config.sensor import SENSORS
from edged.config.source import CAMERAS, SOURCES
from edged.config.task import TASKS
from edged.drivers import FileMark
from edged.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.config.driver_sections import ByKind


@dataclass(frozen=True)
class Declared:
    """The declaration of one key or item in the models.

    Attributes:
        types: the allowed types, without None.
        optional: whether the value may be empty.
        limits: the constraints on the value.
        description: its description in the models; may be empty.
    """

    types: tuple[Any, ...]
    optional: bool = False
    limits: tuple[Any, ...] = ()
    description: str = ""

    @property
    def model(self) -> type[BaseModel] | None:
        """The model of a block."""
        return next((t for t in self.types if isinstance(t, type) and issubclass(t, BaseModel)), None)

    @property
    def choices(self) -> list[str]:
        """The allowed texts of a choice."""
        found = [str(choice) for t in self.types if get_origin(t) is Literal for choice in get_args(t)]
        return ["true", "false", *found] if found and bool in self.types else found

    @property
    def file_mark(self) -> FileMark | None:
        """The role of the file that the value names; None for a plain path or a value that is not a file."""
        return next((limit for limit in self.limits if isinstance(limit, FileMark)), None)

    @property
    def has_keys(self) -> bool:
        """Return whether the value may be a block."""
        return self.model is not None or any(get_origin(t) is dict for t in self.types)

    def has(self, *types: type) -> bool:
        """Return whether the value may have one of these types."""
        return any(t in types for t in self.types)

    def limit(self, name: str) -> Any:
        """Return the constraint ``ge``, ``le``, ``pattern`` … or None."""
        return next((v for part in _flat(self.limits) if (v := getattr(part, name, None)) is not None), None)


def _flat(limits: tuple[Any, ...]) -> Iterator[Any]:
    for limit in limits:
        yield limit
        if isinstance(limit, FieldInfo):
            yield from _flat(tuple(limit.metadata))


def declared(annotation: Any, limits: tuple[Any, ...] = (), description: str = "") -> Declared:
    """Take an annotation apart."""
    types, more, optional = [], list(limits), False
    for part, metadata in _parts(annotation):
        more.extend(metadata)
        if part is type(None):
            optional = True
        else:
            types.append(part)
    return Declared(tuple(types), optional, tuple(more), description)


def _parts(annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    if get_origin(annotation) is Annotated:
        yield from _parts(annotation.__origin__, (*metadata, *annotation.__metadata__))
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _parts(part, metadata)
    else:
        yield annotation, metadata


def of_field(info: FieldInfo) -> Declared:
    """Return the declaration of a model's field."""
    return declared(info.annotation, tuple(info.metadata), info.description or "")


def child(parent: Declared, kind: str | None, key: str | int) -> Declared | None:
    """Return the declaration of a key of a block or an item of a list, or None if there is none.

    Args:
        parent: the declaration of the block or the list.
        kind: the block's ``kind`` in the file, which selects the driver and with it the allowed keys.
        key: the key, or the index of the item.
    """
    model = block(parent, kind)
    if model is not None:
        info = model.model_fields.get(str(key))
        return of_field(info) if info is not None else None
    for t in parent.types:
        origin, arguments = get_origin(t), get_args(t)
        if origin is dict:
            return declared(arguments[1], description=parent.description)
        if origin in (list, tuple, set, frozenset) and isinstance(key, int) and arguments:
            open_ended = origin is not tuple or arguments[-1] is Ellipsis
            if open_ended or key < len(arguments):
                return declared(arguments[0 if open_ended else key], description=parent.description)
    return None


def block(parent: Declared, kind: str | None) -> type[BaseModel] | None:
    """Return the model of a block; for a source, a sensor and a task that of its driver."""
    drivers = drivers_of(parent)
    kind = kind or (drivers.default if drivers is not None else None)
    if drivers is None or not kind:
        return parent.model
    try:
        return drivers.config(kind)
    except DriverError:
        return parent.model


def drivers_of(parent: Declared) -> ByKind[Any] | None:
    """Return the drivers one of which reads a block; None for a block that no driver reads."""
    return next(
        (drivers for drivers in (SOURCES, CAMERAS, SENSORS, TASKS) if drivers.base is parent.model), None
    )


def kinds_with(parent: Declared, name: str) -> list[str]:
    """Return the kinds of driver that have a key; none where no driver reads the block."""
    drivers = drivers_of(parent)
    return [] if drivers is None else [kind for kind in drivers.kinds() if name in drivers.keys(kind)]


def key(parent: Declared) -> Declared | None:
    """Return the declaration of the keys themselves where users choose them, as under ``pipelines``."""
    for t in parent.types:
        if get_origin(t) is dict:
            return declared(get_args(t)[0])
    return None
