"""Sources, sensors and tasks are read by the driver that their ``kind`` names; no list has to be edited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from edged.errors import DriverError

C = TypeVar("C", bound=BaseModel)


@dataclass(frozen=True)
class ByKind(Generic[C]):
    """Reads a block by its driver; describes it as one of all drivers.

    Attributes:
        noun: what a driver is, for messages.
        base: what each driver's ``Config`` is a subclass of.
        kinds: returns the names of all drivers.
        load: returns the module of one.
        default: the kind of a block that names none; empty: it must name one.
    """

    noun: str
    base: type[C]
    kinds: Callable[[], list[str]]
    load: Callable[[str], Any]
    default: str = ""

    def config(self, kind: str) -> type[C]:
        """Return the ``Config`` of the driver of that kind.

        Raises:
            DriverError: there is no such driver, or it cannot be loaded.
        """
        try:
            config = self.load(kind).Config
        except DriverError:
            raise
        except Exception as error:
            # A third-party driver may fail in any way; that must not end the daemon.
            what = f"the {self.noun} '{kind}' cannot be loaded"
            raise DriverError(f"{what}: {type(error).__name__}: {error}") from error
        if not (isinstance(config, type) and issubclass(config, self.base)):
            what = f"the {self.noun} '{kind}' is not a driver"
            raise DriverError(f"{what}: its Config is not a {self.base.__name__}")
        return config

    def meant(self, word: str) -> str:
        """Return the kind whose driver lists the word in ``ALSO_CALLED``; empty where none does."""
        for kind in self.kinds():
            try:
                if word.lower() in getattr(self.load(kind), "ALSO_CALLED", ()):
                    return kind
            except Exception:  # noqa: BLE001, S112 - a third party's driver may fail in any way
                continue
        return ""

    def keys(self, kind: str) -> set[str]:
        """Return the keys of a driver; none where it cannot be loaded."""
        try:
            return set(self.config(kind).model_fields)
        except DriverError:
            return set()

    def read(self, value: Any) -> C:
        """Return a block as its driver reads it.

        Raises:
            PydanticCustomError: it is not a block, or names no driver that there is.
            ValidationError: the driver refuses it.
        """
        if isinstance(value, self.base):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError("block_type", "must be a block of keys")
        kind = value.get("kind", self.default or None)
        if not isinstance(kind, str):
            state = "no_kind" if "kind" not in value else "bad_kind"
            raise PydanticCustomError(state, "kind must be the name of a driver", {"steps": ("kind",)})
        if kind not in (known := self.kinds()):
            context = {"steps": ("kind",), "kinds": known, "meant": self.meant(kind)}
            raise PydanticCustomError("unknown_kind", "there is no driver of that kind", context)
        try:
            config = self.config(kind)
        except DriverError as error:
            raise PydanticCustomError(
                "driver", "{error}", {"steps": ("kind",), "error": str(error)}
            ) from None
        # A driver's name is that of its module, whatever the default of its ``kind`` is, so that a copy of a
        # driver under another name works unchanged.
        keys = dict(value)
        if not config.model_fields["kind"].is_required():
            keys.pop("kind", None)
        read = config.model_validate(keys)
        return read if getattr(read, "kind", kind) == kind else read.model_copy(update={"kind": kind})

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> CoreSchema:
        """Return pydantic's schema: the driver validates the block."""
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.plain_serializer_function_ser_schema(_dump, info_arg=True),
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: Any) -> dict[str, Any]:
        """Return the schemas of all drivers, one of which holds."""
        return {"oneOf": [self._described(kind) for kind in self.kinds()]}

    def _described(self, kind: str) -> dict[str, Any]:
        """Return the driver's JSON schema with its definitions inlined: pydantic does not collect them."""
        whole = self.config(kind).model_json_schema()
        described: dict[str, Any] = _inlined(whole, whole.pop("$defs", {}))
        described["properties"]["kind"] = {"const": kind, "description": self._help(kind)}
        others = [key for key in described.get("required", []) if key != "kind"]
        described["required"] = others if kind == self.default else ["kind", *others]
        described["title"] = kind
        return described

    def _help(self, kind: str) -> str:
        lines = (self.load(kind).__doc__ or "").strip().splitlines()
        return lines[0] if lines else kind


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a part of a schema with what it refers to in place of the references."""
    if isinstance(part, list):
        return [_inlined(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        beside = {key: value for key, value in part.items() if key != "$ref"}
        part = {**definitions[part["$ref"].rpartition("/")[2]], **beside}
    return {key: _inlined(value, definitions) for key, value in part.items()}


def _dump(value: BaseModel, info: Any) -> Any:
    return value.model_dump(mode=info.mode)
