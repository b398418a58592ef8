"""The configuration of lessons over MQTT: who may label the last picture of a pipeline."""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import Field, model_validator

from edged.drivers import SecretFile, Section, wrong


class TeachSection(Section):
    """Lessons over MQTT: ``cmd/teach`` gives the last picture a label."""

    allow: Literal["local", "signed"] = Field(
        default="local",
        description="whose lessons count: local: any, from a broker on this machine; signed: those that are "
        "signed with the secret",
    )
    secret_file: SecretFile | None = Field(
        examples=["teach-secret"], default=None, description="for signed: the file with the shared secret"
    )

    @model_validator(mode="after")
    def _fits(self) -> TeachSection:
        if (self.allow == "signed") != (self.secret_file is not None):
            need = "signed needs secret_file" if self.secret_file is None else "secret_file is for signed"
            raise wrong(need, "secret_file" if self.secret_file is not None else "allow")
        return self


def is_here(host: str) -> bool:
    """Return whether a broker's host is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in {"localhost", "localhost.localdomain", "ip6-localhost"}
