"""Settings of a connection: the address, the login and TLS, from the section ``mqtt`` of the configuration.

The broker's certificate and name are always verified; no key turns that off.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from edged.config.outputs import Mqtt, Tls


@dataclass(frozen=True)
class Settings:
    """Settings of a connection.

    Attributes:
        will_topic: where the broker publishes ``offline`` when this client is gone; empty: nowhere.
        password, tls: called for each connection, so that what was renewed on disk is used.
        files: the files that these two read; a change of one is worth an attempt.
    """

    host: str
    port: int
    client_id: str
    mqtt5: bool
    keepalive_s: int
    will_topic: str
    username: str | None = None
    password: Callable[[], str | None] = lambda: None
    tls: Callable[[], ssl.SSLContext] | None = None
    files: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        return f"{self.host}:{self.port}"

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
            host=config.host,
            port=config.port_number,
            client_id=client_id,
            mqtt5=config.protocol == "5",
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
        """Whether one of them changed since the mark."""
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
        ConfigError: a file is missing, unreadable or not what it should be; the sentence names it.
    """
    for path in (tls.ca_file, tls.cert_file, tls.key_file):
        if path is not None:
            _must_be_readable(path)
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except ssl.SSLError as error:
        raise _wrong(tls.ca_file, "this is not a PEM file with CA certificates") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # From Python 3.13 the default also refuses home-made CAs over missing key identifiers; chain, dates and
    # name are verified either way.
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    if tls.cert_file is not None and tls.key_file is not None:
        _load_pair(context, tls.cert_file, tls.key_file)
    return context


def _load_pair(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    def no_passphrase() -> str:
        raise _wrong(key, "this key has a passphrase; a daemon cannot type it")

    try:
        context.load_cert_chain(cert, key, password=no_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _wrong(key, f"this key does not belong to {cert}") from error
        wrong = cert if b"-----BEGIN CERTIFICATE" not in cert.read_bytes() else key
        raise _wrong(wrong, "this is not a PEM file of the expected kind") from error


def _must_be_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from error


def _wrong(path: Path | None, what: str) -> ConfigError:
    return ConfigError([Problem(str(path), what)])
