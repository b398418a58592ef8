"""Tell whether passwords changed, without keeping anything that would find them out quickly.

Standard input: the passwords. Arguments: the file of the digest, and "compare" or
"write". It prints "same" or "other".
"""

import hashlib
import hmac
import os
import sys
from pathlib import Path

SALT = 16  # bytes


def digest(salt: bytes, passwords: bytes) -> bytes:
    """Return a salted digest that takes some 0.1 s to make."""
    return hashlib.scrypt(passwords, salt=salt, n=1 << 15, r=8, p=1, maxmem=1 << 26)


def main() -> None:
    """Compare, and write the digest where that is wanted."""
    path, verb = Path(sys.argv[1]), sys.argv[2]
    passwords = sys.stdin.buffer.read()
    try:
        known = path.read_bytes()
    except FileNotFoundError:
        known = b""
    same = len(known) > SALT and hmac.compare_digest(digest(known[:SALT], passwords), known[SALT:])
    if verb == "write" and not same:
        salt = os.urandom(SALT)
        path.touch(0o600)
        path.chmod(0o600)
        path.write_bytes(salt + digest(salt, passwords))
    print("same" if same else "other")


main()
