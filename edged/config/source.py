"""``source:`` is checked by the driver that its ``kind`` names; a new driver needs no list to be edited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from edged import sources
from edged.errors import DriverError
from edged.sources import SourceConfig


def driver_config(kind: str) -> type[SourceConfig]:
    """Return the ``Config`` of the driver of that kind.

    Raises:
        DriverError: there is no such driver, or it cannot be loaded.
    """
    try:
        config = sources.load(kind).Config
    except DriverError:
        raise
    except Exception as error:
        # A driver that somebody else installed may fail in any way; it must not take the daemon along.
        raise DriverError(f"the source '{kind}' cannot be loaded: {type(error).__name__}: {error}") from error
    if not (isinstance(config, type) and issubclass(config, SourceConfig)):
        raise DriverError(f"the source '{kind}' is no driver: its Config is no SourceConfig")
    return config


def _read(value: Any) -> SourceConfig:
    if isinstance(value, SourceConfig):
        return value
    if not isinstance(value, Mapping):
        raise PydanticCustomError("block_type", "must be a block of keys")
    kind = value.get("kind")
    if not isinstance(kind, str):
        state = "no_kind" if "kind" not in value else "bad_kind"
        raise PydanticCustomError(state, "kind must be the name of a driver", {"steps": ("kind",)})
    if kind not in sources.kinds():
        raise PydanticCustomError("unknown_kind", "there is no source of that kind", {"steps": ("kind",)})
    try:
        config = driver_config(kind)
    except DriverError as error:
        raise PydanticCustomError("driver", "{error}", {"steps": ("kind",), "error": str(error)}) from None
    return config.model_validate(value)


class _ByKind:
    """Reads a source by its driver; describes it as one of all drivers."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _read,
            serialization=core_schema.plain_serializer_function_ser_schema(_dump, info_arg=True),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: Any) -> dict[str, Any]:
        return {"oneOf": [_described(kind) for kind in sources.kinds()]}


def _dump(value: SourceConfig, info: Any) -> Any:
    return value.model_dump(mode=info.mode)


def _described(kind: str) -> dict[str, Any]:
    """Return the driver's JSON schema. Its definitions are lifted to the top by ``schema``."""
    config = driver_config(kind)
    described = config.model_json_schema(ref_template=f"#/$defs/{kind}.{{model}}")
    described["$defs"] = {f"{kind}.{name}": part for name, part in described.pop("$defs", {}).items()}
    described["properties"]["kind"] = {"const": kind, "description": _help(kind)}
    described["required"] = ["kind", *(key for key in described.get("required", []) if key != "kind")]
    described["title"] = kind
    return described


def _help(kind: str) -> str:
    lines = (sources.load(kind).__doc__ or "").strip().splitlines()
    return lines[0] if lines else kind


AnySource = Annotated[SourceConfig, _ByKind]
