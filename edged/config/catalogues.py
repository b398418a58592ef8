"""The configuration of signed catalogues of models."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from edged.config.values import ADDRESS, ED25519
from edged.drivers import Section


class CatalogueSection(Section):
    """A list of models that a publisher signs."""

    url: Annotated[str, StringConstraints(pattern=ADDRESS)] = Field(
        examples=["https://models.example.org/catalogue.json"],
        description="address of the list; its signature is at the same address with .sig",
    )
    key: Annotated[str, StringConstraints(pattern=ED25519)] = Field(
        examples=["11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
        description="the publisher's public key for Ed25519, in base64",
    )
