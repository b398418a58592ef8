"""The terms on which one broker accepts a connection: the version of MQTT, and what becomes of the will.

Brokers refuse what they do not have in two ways. A reason code names it, and settles it for this process.
Others close the connection without an answer, which may as well be a balancer whose broker is away. So other
terms are tried then, and once some are accepted, the best are tried once more before they are given up.
"""

from __future__ import annotations

import enum
import itertools
from typing import NamedTuple

PROTOCOL, NOT_AUTHORIZED, NO_RETAIN, NO_QOS = 0x84, 0x87, 0x9A, 0x9B  # reason codes of CONNACK


class Will(enum.Enum):
    """The form of the message that the broker publishes when this client is gone."""

    RETAINED = enum.auto()
    SHORT_LIVED = enum.auto()  # without retention
    NONE = enum.auto()


class Terms(NamedTuple):
    """Terms of a connection."""

    mqtt5: bool
    will: Will
    will_qos: int = 1


class Negotiation:
    """Chooses the terms of the next attempt.

    Args:
        mqtt5: the version; None: 5, else 3.1.1.
        will: whether there is a will at all.
        retain: whether the broker is to retain messages.
    """

    def __init__(self, *, mqtt5: bool | None, will: bool, retain: bool) -> None:
        versions = (True, False) if mqtt5 is None else (mqtt5,)
        wills = (*((Will.RETAINED,) if retain else ()), Will.SHORT_LIVED, Will.NONE) if will else (Will.NONE,)
        self._ladder = [Terms(version, each) for each, version in itertools.product(wills, versions)]
        self._at = 0
        self._settled = False  # no silence changes the terms any more
        self._found: int | None = None  # accepted; the best terms are tried once more
        self._suspected = False  # the will, of being why the login is refused
        self._before: int | None = None  # the terms before that

    @property
    def terms(self) -> Terms:
        """The terms to try next."""
        return self._ladder[self._at]

    def accepted(self) -> bool:
        """Note that the broker accepted; return False where better terms are to be tried once more first."""
        if self._found is not None or self._at == 0:
            self._found = None
        elif not self._settled and self._before is None:
            self._found, self._at = self._at, 0
            return False
        self._settled, self._before = True, None
        return True

    def closed(self) -> bool:
        """Note that the broker closed the connection without an answer.

        Returns:
            Whether to try again at once: on terms that it accepted a moment ago.
        """
        if self._before is not None:
            self._at, self._before = self._before, None
        elif self._found is not None:
            self._at, self._found, self._settled = self._found, None, True
            return True
        elif not self._settled:
            self._at = (self._at + 1) % len(self._ladder)
        return False

    def refused(self, code: int) -> bool:
        """Note that the broker refused with a reason; return whether to try again at once, on other terms."""
        now = self.terms
        if code == PROTOCOL:
            return self._keep([terms for terms in self._ladder if not terms.mqtt5])
        if code == NO_RETAIN:
            return self._keep([terms for terms in self._ladder if terms.will is not Will.RETAINED])
        if code == NO_QOS and now.will_qos:
            return self._keep([terms._replace(will_qos=0) for terms in self._ladder])
        if self._before is not None:
            self._at, self._before = self._before, None
        elif code == NOT_AUTHORIZED and now.will is not Will.NONE and not self._suspected:
            self._suspected, self._before = True, self._at
            self._at = self._ladder.index(now._replace(will=Will.NONE))
            return True
        return False

    def _keep(self, ladder: list[Terms]) -> bool:
        if not ladder or ladder == self._ladder:
            return False
        self._ladder, self._at, self._found, self._before = ladder, 0, None, None
        return True
