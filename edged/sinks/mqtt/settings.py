"""Settings of a connection: the address, the login and TLS, from the section ``mqtt`` of the configuration.

The broker's certificate and name are always verified; no key turns that off.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.errors import ConfigError, Problem
from edged.sinks import KeyProblem
from edged.sinks.mqtt.endpoints import Endpoint
from edged.system.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from edged.config.outputs import Mqtt, Tls

MAX_PEM = 1 << 20  # bytes of a file with certificates or a key


@dataclass(frozen=True)
class Settings:
    """Settings of a connection.

    Attributes:
        addresses: of the broker, or of the nodes of one cluster; the first is preferred.
        mqtt5: the version; None: 5, and 3.1.1 where the broker does not speak that.
        retain: whether to have the broker retain messages.
        will_topic: where the broker publishes ``offline`` when this client is gone; empty: nowhere.
        password, tls: called for each connection, so that what was renewed on disk is used.
        files: the files that these two read; a change of one is worth an attempt.
    """

    addresses: Sequence[Endpoint]
    client_id: str
    mqtt5: bool | None
    keepalive_s: int
    will_topic: str
    retain: bool = True
    username: str | None = None
    password: Callable[[], str | None] = lambda: None
    tls: Callable[[], ssl.SSLContext] | None = None
    files: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        return " or ".join(map(str, self.addresses))

    @classmethod
    def of(
        cls, config: Mqtt, *, client_id: str, will_topic: str, password: str | Callable[[], str] | None
    ) -> Settings:
        """Return the settings for a section ``mqtt``.

        Raises:
            ConfigError: a TLS file is missing or wrong.
        """
        tls = config.tls
        if tls is not None:
            tls_context(tls)  # a wrong file is an error of the configuration, to be reported now
        files = (
            config.password_file,
            *((tls.ca_file, tls.cert_file, tls.key_file) if tls is not None else ()),
        )
        return cls(
            addresses=[Endpoint(*address) for address in config.addresses],
            client_id=client_id,
            mqtt5=None if config.protocol == "auto" else config.protocol == "5",
            retain=config.retain,
            keepalive_s=config.keepalive_s,
            will_topic=will_topic,
            username=config.username,
            password=password if callable(password) else lambda: password,
            tls=None if tls is None else lambda: tls_context(tls),
            files=tuple(path for path in files if path is not None),
        )


class FileChanges:
    """Notices that a file was replaced, so that a renewed password or certificate is tried at once.

    It compares inode, size and time of change, which is cheap enough for every second.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(paths)
        self._known = self._fingerprints()

    def mark(self) -> None:
        """Take the files as they are now for known."""
        self._known = self._fingerprints()

    @property
    def happened(self) -> bool:
        """Return whether one of them changed since the mark."""
        return self._fingerprints() != self._known

    def _fingerprints(self) -> list[tuple[int, int, int] | None]:
        return [_fingerprint(path) for path in self._paths]


def _fingerprint(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Return a TLS context made from its files.

    Raises:
        ConfigError: files are missing, unreadable or not what they should be; each sentence names one.
    """
    context, problems = load_tls(tls)
    if problems:
        raise ConfigError([Problem(f"tls.{key}", what, hint) for key, what, hint in problems])
    return context


def load_tls(tls: Tls) -> tuple[ssl.SSLContext, list[KeyProblem]]:
    """Return a TLS context, and what is wrong with its files; with a problem, the context is of no use."""
    files = {"ca_file": tls.ca_file, "cert_file": tls.cert_file, "key_file": tls.key_file}
    problems: list[KeyProblem] = []
    readable: dict[str, Path] = {}
    for name, file in files.items():
        if file is not None:
            try:
                read_regular(file, MAX_PEM)
                readable[name] = file
            except ConfigError as error:
                problems += [KeyProblem(name, f"{p.where}: {p.what}", p.hint) for p in error.problems]
    ca, cert, key = (readable.get(name) for name in files)
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ValueError):
        problems.append(KeyProblem("ca_file", f"{ca} does not hold a certificate", "it must be PEM"))
        context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # From Python 3.13 the default also refuses home-made CAs over missing key identifiers; chain, dates and
    # name are verified either way.
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    if cert is not None and key is not None:
        problems += _load_pair(context, cert, key)
    return context, problems


def _load_pair(context: ssl.SSLContext, cert: Path, key: Path) -> list[KeyProblem]:
    asked = []

    def passphrase() -> str:
        asked.append(True)  # and not on the terminal, where OpenSSL would ask
        return ""

    try:
        context.load_cert_chain(cert, key, password=passphrase)
    except (OSError, ValueError) as error:
        if asked:
            hint = "write the key without one: a daemon cannot type it"
            return [KeyProblem("key_file", f"{key} has a passphrase", hint)]
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            hint = "name the key from which the certificate was made"
            return [KeyProblem("key_file", f"{key} does not belong to {cert}", hint)]
        if b"-----BEGIN CERTIFICATE" not in cert.read_bytes():
            return [KeyProblem("cert_file", f"{cert} does not hold a certificate", "it must be PEM")]
        return [KeyProblem("key_file", f"{key} does not hold a private key", "it must be PEM")]
    return []
