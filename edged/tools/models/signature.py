"""Verifies Ed25519 signatures with the openssl program, which Debian's ca-certificates brings along."""

from __future__ import annotations

import base64
import binascii
import os
import subprocess
import tempfile
from pathlib import Path

from edged.errors import Refused

BYTES = 64  # of a signature
_DER = bytes.fromhex("302a300506032b6570032100")  # what precedes the key's 32 bytes (RFC 8410)
_PATIENCE_S = 30.0


def verified(content: bytes, signature: bytes, key: str) -> bool:
    """Return whether the holder of a key signed this content.

    Args:
        content: what was signed.
        signature: the signature in base64.
        key: the public key, 32 bytes in base64.

    Raises:
        Refused: openssl is missing, or older than 3.0.
    """
    try:
        raw = base64.b64decode(signature.strip(), validate=True)
    except binascii.Error:
        return False
    if len(raw) != BYTES:
        return False
    with tempfile.TemporaryDirectory() as folder:
        files = {"key": _DER + base64.b64decode(key), "sig": raw, "content": content}
        for name, data in files.items():
            Path(folder, name).write_bytes(data)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key", "-rawin"]
        try:
            done = subprocess.run(
                [*command, "-in", "content", "-sigfile", "sig"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_PATIENCE_S,
                check=False,
            )
        except FileNotFoundError:
            raise Refused("openssl is missing: sudo apt install openssl", os.EX_UNAVAILABLE) from None
        except subprocess.TimeoutExpired:
            raise Refused("openssl hung while it verified a signature", os.EX_TEMPFAIL) from None
    if "rawin" in done.stderr or "-rawin" in done.stdout:
        raise Refused("signed catalogues need openssl 3.0 or newer", os.EX_UNAVAILABLE)
    return done.returncode == 0 and "Signature Verified Successfully" in done.stdout
