"""The TLS context. The broker's certificate and name are always verified; no key turns that off."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from edged.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from edged.config.outputs import Tls


def context(tls: Tls) -> ssl.SSLContext:
    """Build the context from its files.

    Raises:
        ConfigError: a file is missing, unreadable or not what it should be; the sentence names it.
    """
    for path in (tls.ca_file, tls.cert_file, tls.key_file):
        if path is not None:
            _readable(path)
    try:
        made = ssl.create_default_context(cafile=tls.ca_file)
    except ssl.SSLError as error:
        raise _wrong(tls.ca_file, "this is no PEM file with CA certificates") from error
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # From Python 3.13 the default also refuses home-made CAs over missing key identifiers; chain, dates and
    # name are verified either way.
    made.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    if tls.cert_file is not None and tls.key_file is not None:
        _load_pair(made, tls.cert_file, tls.key_file)
    return made


def _load_pair(made: ssl.SSLContext, cert: Path, key: Path) -> None:
    def no_passphrase() -> str:
        raise _wrong(key, "this key has a passphrase; a daemon cannot type it")

    try:
        made.load_cert_chain(cert, key, password=no_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _wrong(key, f"this key does not belong to {cert}") from error
        wrong = cert if b"-----BEGIN CERTIFICATE" not in cert.read_bytes() else key
        raise _wrong(wrong, "this is no PEM file of the expected kind") from error


def _readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from error


def _wrong(path: Path | None, what: str) -> ConfigError:
    return ConfigError([Problem(str(path), what)])
