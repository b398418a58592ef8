from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from edged.config.catalogues import CatalogueSection
from edged.errors import Refused
from edged.models import catalogue
from edged.tools.models.publishers import Publishers
from edged.tools.models.signature import verified
from unit.tools.models.http_server import Server
from unit.tools.models.test_download import Heard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

MODEL = {"name": "garden", "url": "https://models.example.org/garden.tflite", "bytes": 9, "sha256": "ab" * 32}
# RFC 8032, section 7.1, test 2
KEY = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


class Publisher:
    """Signs lists with a key of its own, as docs/models.md says."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._run("genpkey", "-algorithm", "ed25519", "-out", "key.pem")
        self._run("pkey", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "key.der")
        self.key = base64.b64encode((folder / "key.der").read_bytes()[-32:]).decode()

    def sign(self, content: bytes) -> bytes:
        (self._folder / "list").write_bytes(content)
        self._run("pkeyutl", "-sign", "-inkey", "key.pem", "-rawin", "-in", "list", "-out", "sig")
        return base64.encodebytes((self._folder / "sig").read_bytes())

    def _run(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self._folder, check=True, capture_output=True)


class Site:
    """A publisher's server with its newest list."""

    def __init__(self, server: Server, publisher: Publisher, state: Path) -> None:
        self._server, self._publisher = server, publisher
        self.state = state
        self.section = CatalogueSection(url=f"{server.url}/list.json", key=publisher.key)

    def offer(self, version: object, *models: dict[str, Any], by: Publisher | None = None) -> None:
        content = json.dumps({"version": version, "models": models or [MODEL]}).encode()
        self.offer_bytes(content, (by or self._publisher).sign(content))

    def offer_bytes(self, content: bytes, signature: bytes) -> None:
        self._server.others = {"/m.tflite/list.json": content, "/m.tflite/list.json.sig": signature}

    def publishers(self, **others: CatalogueSection) -> Publishers:
        return Publishers({"own": self.section, **others}, self.state, 0.5)

    def update(self) -> int:
        return self.publishers().update(Heard())["own"].version


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Server(b"") as server:
        yield Site(server, Publisher(tmp_path / "publisher"), tmp_path / "state")


def test_signatures_are_those_of_the_standard() -> None:
    key, signature = (base64.b64encode(bytes.fromhex(text)) for text in (KEY, SIGNATURE))
    assert verified(b"r", signature, key.decode())
    assert not verified(b"s", signature, key.decode())
    for damaged in (b"", b"!", signature[:-4], base64.b64encode(bytes(64)), signature[4:] + signature[:4]):
        assert not verified(b"r", damaged, key.decode())


def test_a_signed_list_comes_before_edged_s_own(site: Site) -> None:
    own = next(iter(catalogue.entries()))
    site.offer(1, {**MODEL, "top1": 90.5, "about": "flowers", "later": "key"}, {**MODEL, "name": own})
    assert site.publishers().entries() == catalogue.entries()
    assert site.update() == 1
    found = site.publishers().entries()
    assert (found["garden"].sha256, found["garden"].top1, found["garden"].task) == (
        "ab" * 32,
        90.5,
        "classify",
    )
    assert found[own].url == MODEL["url"]
    assert len(found) == len(catalogue.entries()) + 1
    assert [path.name for path in (site.state / "models/catalogues").iterdir()] == ["own"]


def test_versions_only_go_forward(site: Site) -> None:
    site.offer(2)
    assert site.update() == site.update() == 2
    for version in (1, 2):
        site.offer(version, {**MODEL, "name": "other"})
        with pytest.raises(
            Refused, match=rf"version {version} of .* does not follow version 2; the list before"
        ):
            site.update()
        assert "garden" in site.publishers().entries()
    site.offer(3, {**MODEL, "name": "other"})
    assert site.update() == 3
    assert "garden" not in site.publishers().entries()


def test_a_list_that_the_key_has_not_signed_is_refused(site: Site, tmp_path: Path) -> None:
    site.offer(1)
    site.update()
    site.offer(2, by=Publisher(tmp_path / "other"))
    with pytest.raises(Refused, match="not signed with the key of the configuration") as caught:
        site.update()
    assert caught.value.status == os.EX_NOPERM
    site.offer_bytes(b"x" * 100, b"")
    with pytest.raises(Refused, match="not signed"):
        site.update()
    assert "garden" in site.publishers().entries()


def test_what_was_altered_on_the_disk_is_not_believed(site: Site) -> None:
    site.offer(5)
    site.update()
    file = site.state / "models/catalogues/own"
    file.write_bytes(file.read_bytes().replace(b"garden", b"gordon"))
    assert site.publishers().read("own") is None
    assert site.publishers().entries() == catalogue.entries()


@pytest.mark.parametrize(
    ("version", "model"),
    [
        (0, MODEL),
        ("1", MODEL),
        (True, MODEL),
        (1, {**MODEL, "name": "../up"}),
        (1, {**MODEL, "sha256": "12"}),
        (1, {**MODEL, "url": "file:///etc/passwd"}),
        (1, {**MODEL, "bytes": "9"}),
        (1, {**MODEL, "about": 1}),
        (1, {**MODEL, "top1": "best"}),
        (1, {"name": "garden"}),
        (1, "garden"),
    ],
)
def test_a_malformed_list_is_refused_although_it_is_signed(site: Site, version: object, model: Any) -> None:
    site.offer(version, model)
    with pytest.raises(Refused, match="own: the list is malformed"):
        site.update()
    assert site.publishers().entries() == catalogue.entries()


def test_a_publisher_cannot_fill_the_disk_or_be_absent_unnoticed(site: Site) -> None:
    site.offer_bytes(b"x" * (4 << 20) + b"y", b"")
    with pytest.raises(Refused, match="longer than"):
        site.update()
    site.offer(1)
    site._server.others.popitem()
    site._server.ways = ["status 404"]
    with pytest.raises(Refused, match="the server answers 404"):
        site.update()
    assert list((site.state / "models/catalogues").iterdir()) == []
