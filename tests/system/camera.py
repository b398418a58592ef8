"""A network camera: one photograph as MJPEG over HTTP, with some noise. Arguments: a file, a port."""

from __future__ import annotations

import http.server
import itertools
import sys
import time
from pathlib import Path

PICTURE = Path(sys.argv[1]).read_bytes()
TABLE = (
    PICTURE.index(b"\xff\xdb") + 5
)  # the first numbers of the quantisation: scales of the coarsest patterns


def picture(number: int) -> bytes:
    """Return one of sixteen pictures: one that never changes would be that of a camera that hangs."""
    scales = bytes(PICTURE[TABLE + bit] + (number >> bit & 1) for bit in range(4))
    return PICTURE[:TABLE] + scales + PICTURE[TABLE + 4 :]


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends pictures until the other side hangs up."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in itertools.count():
            data = picture(number)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")
            time.sleep(0.05)

    def log_message(self, *_: object) -> None:
        pass


http.server.ThreadingHTTPServer(("", int(sys.argv[2])), Handler).serve_forever()
