"""``edged page``: what one pipeline sees and decides, in a browser, while a person runs it.

::

    browser ──▶ main: the page, decisions, what other thresholds would have done
            ──▶ main ── the accepted connection ──▶ worker: pictures

Main listens on a unix socket or on 127.0.0.1, checks each request, and never has a picture: it hands the
connection of a request for pictures to the worker, which cannot make one of its own
(:mod:`edged.worker.picture_streams`). Nothing is published, nothing is written, and all ends with Ctrl-C.
"""

from edged.tools.page.address import Address, socket_path
from edged.tools.page.session import serve
from edged.tools.page.subject import Subject, of_configuration, of_options

__all__ = ["Address", "Subject", "of_configuration", "of_options", "serve", "socket_path"]
