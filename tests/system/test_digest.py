"""The digest by which the role of the broker knows whether passwords changed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

DIGEST = Path(__file__).resolve().parents[2] / "deploy/roles/edged_broker/files/digest.py"


def digest(path: Path, verb: str, passwords: str) -> str:
    done = subprocess.run(
        [sys.executable, "-I", str(DIGEST), str(path), verb],
        input=passwords,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()


def test_tells_whether_passwords_changed(tmp_path: Path) -> None:
    path = tmp_path / "digest"
    assert digest(path, "compare", "a") == "other"
    assert digest(path, "write", "a") == "other"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [digest(path, "compare", each) for each in ("a", "b", "")] == ["same", "other", "other"]
    before = path.read_bytes()
    assert digest(path, "write", "a") == "same"
    assert path.read_bytes() == before


def test_a_digest_does_not_help_to_guess(tmp_path: Path) -> None:
    """A fast digest without a salt would tell a guessed password at once, on each board the same."""
    files = [tmp_path / name for name in ("one", "two")]
    for path in files:
        digest(path, "write", "correct horse")
    one, two = (path.read_bytes() for path in files)
    assert one != two, "a salt of its own"
    assert hashlib.sha256(b"correct horse").digest() not in one
    spent = time.process_time()
    hashlib.scrypt(b"guess", salt=one[:16], n=1 << 15, r=8, p=1, maxmem=1 << 26)
    assert one[16:] == hashlib.scrypt(b"correct horse", salt=one[:16], n=1 << 15, r=8, p=1, maxmem=1 << 26)
    assert time.process_time() - spent > 0.02, "a guess costs time"
