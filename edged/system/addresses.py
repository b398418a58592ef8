"""Addresses of cameras as people write them: taken apart, written anew for a library, shown without secrets.

A password may hold the characters that separate the parts of an address. Where it is clear what is meant, the
address is taken apart as meant, and the characters are encoded for the library that gets it. Of an address
nothing is shown but scheme, host and port: its path and its query may hold a password or a key, too.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*)://(.*)$", re.DOTALL)
_HOST = re.compile(r"^(\[[0-9a-fA-F:.]+(?:%[\w.-]+)?\]|[^\s\[\]:/?#@\"'<>]+)(?::(\d{1,5}))?$")
_CLEAR_HOST = re.compile(r"^(\[.*\]|localhost|[^:]*\.[^:]*)(:\d+)?$")
_PORT = re.compile(r"\d{1,5}(?=[/?#]|$)")
_SEPARATORS = re.compile(r"[/?#]")
_ENCODED = {"/": "%2F", "?": "%3F", "#": "%23", "@": "%40", ":": "%3A"}
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935, "rtmps": 443}

# An address in a text: a camera's with whatever follows, and any other that has a user or a query.
_IN_TEXT = re.compile(
    r"\b(?:(?:rtsps?|rtmps?|rtp|srt|udp|tcp|mms)://[^\s\"'<>]*|(?<=\b)[a-zA-Z][a-zA-Z0-9+.-]*://"
    r"(?:[^\s\"']*@[^\s\"'<>]*|[^\s\"'<>?]*\?[^\s\"'<>]*))",
    re.IGNORECASE,
)


class Address(NamedTuple):
    """An address with a host.

    Attributes:
        scheme: in lower case.
        user, password: decoded; None where there is none.
        host: as it was written; with brackets for IPv6.
        port: None: the scheme's.
        rest: path, query and fragment, as they were written.
    """

    scheme: str
    user: str | None
    password: str | None
    host: str
    port: int | None
    rest: str

    @property
    def shown(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def url(self) -> str:
        """The address for a library: special characters of user and password are encoded."""
        return self._url(self.user, self.password)

    @property
    def bare_url(self) -> str:
        """The address without user and password, for a library."""
        return self._url(None, None)

    def _url(self, user: str | None, password: str | None) -> str:
        login = "" if user is None else quote(user, safe="")
        login += "" if password is None else ":" + quote(password, safe="")
        port = f":{self.port}" if self.port is not None else ""
        return f"{self.scheme}://{login}{'@' if login else ''}{self.host}{port}{quote(self.rest, safe=_SAFE)}"


_SAFE = "".join(chr(code) for code in range(33, 127))


def has_scheme(text: str) -> bool:
    """Return whether the text begins as an address does."""
    return _SCHEME.match(text) is not None


def parse(text: str) -> Address:
    """Take an address apart.

    Raises:
        ValueError: it is not clear where its host is, or there is none. The sentence quotes nothing of it.
    """
    found = _SCHEME.match(text.strip())
    if found is None:
        raise ValueError("it does not begin with a scheme such as rtsp://")
    scheme, after = found[1].lower(), found[2]
    at = _end_of_login(after)
    login, rest = (after[:at], after[at + 1 :]) if at >= 0 else (None, after)
    cut = _SEPARATORS.search(rest)
    authority, rest = (rest[: cut.start()], rest[cut.start() :]) if cut else (rest, "")
    host = _HOST.match(authority)
    if host is None or int(host[2] or 0) > 65535:
        raise ValueError("it names no host, or its port is not a number; write rtsp://USER@HOST:PORT/PATH")
    user, colon, password = login.partition(":") if login is not None else ("", "", "")
    return Address(
        scheme,
        unquote(user) if login is not None else None,
        unquote(password) if colon else None,
        host[1],
        int(host[2]) if host[2] else None,
        rest,
    )


def shown(text: str) -> str:
    """Return what may be shown of an address: scheme, host and port. The path of a file is not changed."""
    found = _SCHEME.match(text)
    if found is None or found[1].lower() == "file":
        return text
    try:
        return parse(text).shown
    except ValueError:
        return f"{found[1].lower()}://…"


def redact(text: str) -> str:
    """Return the text with each address of a camera, or with a login or a query, as it may be shown."""
    return _IN_TEXT.sub(lambda found: shown(found[0]), text)


def _end_of_login(after: str) -> int:
    """Return where the @ is that ends user and password; -1: there are none.

    Raises:
        ValueError: it is not clear.
    """
    first = re.search(r"[/?#@:]", after)
    if first is None or first[0] in "/?#" or (first[0] == ":" and "@" not in after):
        return -1  # a host without a login
    places = [found.start() for found in re.finditer("@", after)]
    end = _SEPARATORS.search(after)
    inside = [at for at in places if end is None or at < end.start()]
    hosts = {at: _SEPARATORS.split(after[at + 1 :], maxsplit=1)[0] for at in places}
    if not inside:
        if _PORT.match(after, first.end()):
            if _CLEAR_HOST.match(after[: first.start()]):
                return -1  # 10.0.0.7:554/…@…
            raise ValueError(_unclear(after))  # a host and its port, or a user and the begin of a password
        inside = places
    elif not _CLEAR_HOST.match(hosts[inside[-1]]) and inside[-1] != places[-1] and first[0] == ":":
        # user:p@ss/word@host.lan: the standard would make a host of "ss".
        inside = [at for at in places if at > inside[-1] and _CLEAR_HOST.match(hosts[at])]
    good = [at for at in inside if _HOST.match(hosts[at])]
    if not good:
        raise ValueError(_unclear(after))
    return good[-1]


def _unclear(after: str) -> str:
    special = sorted({character for character in after.rpartition("@")[0] if character in "/?#@"})
    how = ", ".join(f"{character} as {_ENCODED[character]}" for character in special)
    return (
        "it is not clear where its password ends and its host begins: "
        + (f"write {how} in the password, or " if how else "")
        + "put the password into password_file"
    )
