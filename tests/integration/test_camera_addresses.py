"""Addresses as cameras have them: nothing of one is logged, shown or published but scheme, host and port."""

from __future__ import annotations

import json
import socketserver
import threading
from typing import TYPE_CHECKING

import pytest
from broker import Broker
from daemon import Daemon, wait_for
from node import Subscriber

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mosquitto

# Where makers put what nobody else should read: login, path, query. "Hush" is in every secret part.
FORMS = {
    "hikvision": "rtsp://HushU:HushP@HOST/Streaming/Channels/HushC",
    "dahua": "rtsp://HushU:HushP@HOST/cam/realmonitor?channel=1&subtype=0&k=Hush",
    "special": "rtsp://HushU:Hush#P/w?@HOST/HushPath",
    "encoded": "rtsp://HushU:Hush%40P%23@HOST/HushPath",
    "unifi": "rtsps://HOST/HushToken?enableSrtp",
    "foscam": "http://HOST/videostream.cgi?user=HushU&pwd=HushP",
    "snapshot": "http://HushU:HushP@HOST/cgi-bin/snapshot.cgi?HushQ",
    "rtmp": "rtmp://HOST/live/HushKey",
    "nobody": "rtsp://HushU:HushP@nosuch.invalid/1",
}


class Refusing(socketserver.StreamRequestHandler):
    """A camera that accepts no login, in RTSP and in HTTP."""

    def handle(self) -> None:
        line = self.rfile.readline()
        if not line.strip().endswith((b"RTSP/1.0", b"HTTP/1.1")):
            return
        while (header := self.rfile.readline()).strip():
            if header.lower().startswith(b"cseq"):
                self.wfile.write(b"RTSP/1.0 401 Unauthorized\r\n" + header + b"\r\n")
                return
        self.wfile.write(b"HTTP/1.0 401 Unauthorized\r\n\r\n")


@pytest.mark.slow
def test_nothing_of_an_address_gets_out_but_scheme_host_and_port(tmp_path: Path) -> None:
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusing) as server,
    ):
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        host = f"127.0.0.1:{server.server_address[1]}"
        pipelines = "".join(
            f"  {name}: {{source: {{kind: video, timeout_s: 1, url: {json.dumps(url)}}}}}\n"
            for name, url in ((name, url.replace("HOST", host)) for name, url in FORMS.items())
        )
        text = (
            f"node: n\nstate_dir: {tmp_path}/state\nrun_dir: {tmp_path}/run\n"
            f"mqtt: {{host: 127.0.0.1, port: {broker.port}}}\npipelines:\n{pipelines}"
        )
        with Daemon(tmp_path, text) as daemon:

            def told() -> bool:
                found = daemon.health()["pipelines"]
                return all(found[name].get("error") or found[name].get("last_error") for name in FORMS)

            wait_for(told, "a fault of each camera", 40)
            wait_for(lambda: all(f"{name}: " in daemon.log for name in FORMS), "a line for each camera")
            status = (tmp_path / "run" / "status.json").read_text()
            daemon.stop()
        server.shutdown()
        published = "\n".join(f"{seen.topic} {seen.payload!r}" for seen in other.seen)
    for what in (daemon.log, status, published):
        assert "Hush" not in what
    for name, url in FORMS.items():
        lines = [line for line in daemon.log.splitlines() if f"{name}: " in line]
        assert any(url.split("://")[0] + "://" in line for line in lines), (name, lines)
    assert "tcp @" not in daemon.log, "FFmpeg's own words"
    assert "WARN:" not in daemon.log, "OpenCV's own words"
    assert daemon.log.count("(401)") >= 5
    assert "no host of this name is known" in daemon.log
