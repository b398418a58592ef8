"""The terms of a connection: what a refusal settles, and a broker that closes without an answer does not."""

from __future__ import annotations

import pytest

from edged.sinks.mqtt.terms import NO_QOS, NO_RETAIN, NOT_AUTHORIZED, PROTOCOL, Negotiation, Terms, Will

BEST = Terms(mqtt5=True, will=Will.RETAINED)
OLD = Terms(mqtt5=False, will=Will.RETAINED)


def auto() -> Negotiation:
    return Negotiation(mqtt5=None, will=True, retain=True)


def test_the_best_terms_come_first_and_stay() -> None:
    negotiation = auto()
    assert negotiation.terms == BEST
    assert negotiation.accepted()
    assert not negotiation.closed()
    assert negotiation.terms == BEST  # once it took them, it is away
    for version, terms in ((True, True), (False, False)):
        assert Negotiation(mqtt5=version, will=True, retain=True).terms.mqtt5 is terms
    assert Negotiation(mqtt5=None, will=True, retain=False).terms.will is Will.SHORT_LIVED
    assert Negotiation(mqtt5=None, will=False, retain=True).terms.will is Will.NONE


def test_a_refused_version_is_settled_at_once() -> None:
    negotiation = auto()
    assert negotiation.refused(PROTOCOL)
    assert negotiation.terms == OLD
    assert negotiation.accepted()
    assert not negotiation.refused(PROTOCOL)
    assert not Negotiation(mqtt5=True, will=True, retain=True).refused(PROTOCOL)


@pytest.mark.parametrize(
    ("code", "terms"),
    [(NO_RETAIN, BEST._replace(will=Will.SHORT_LIVED)), (NO_QOS, BEST._replace(will_qos=0))],
)
def test_a_refused_will_is_sent_as_the_broker_takes_it(code: int, terms: Terms) -> None:
    negotiation = auto()
    assert negotiation.refused(code)
    assert negotiation.terms == terms
    assert not negotiation.refused(code)


def test_a_login_is_refused_for_its_will_where_it_is_accepted_without_one() -> None:
    negotiation = auto()
    assert negotiation.refused(NOT_AUTHORIZED)
    assert negotiation.terms == BEST._replace(will=Will.NONE)
    assert negotiation.accepted()
    assert negotiation.terms.will is Will.NONE


def test_a_login_that_is_refused_anyway_keeps_its_will() -> None:
    negotiation = auto()
    assert negotiation.refused(NOT_AUTHORIZED)
    assert not negotiation.refused(NOT_AUTHORIZED)
    assert negotiation.terms == BEST
    assert not negotiation.refused(NOT_AUTHORIZED)


def test_a_broker_that_closes_without_an_answer_gets_the_best_terms_once_more() -> None:
    negotiation = auto()
    assert not negotiation.closed()
    assert negotiation.terms == OLD
    assert not negotiation.accepted()  # the best may work by now
    assert negotiation.terms == BEST
    assert negotiation.closed()  # they do not
    assert negotiation.terms == OLD
    assert negotiation.accepted()
    negotiation.closed()
    assert negotiation.terms == OLD  # remembered


def test_a_broker_that_was_away_behind_a_balancer_keeps_the_best_terms() -> None:
    negotiation = auto()
    for _ in range(4):
        negotiation.closed()
    assert negotiation.terms.will is Will.NONE
    assert not negotiation.accepted()
    assert negotiation.terms == BEST
    assert negotiation.accepted()


def test_every_combination_is_tried() -> None:
    negotiation = auto()
    tried = set()
    for _ in range(6):
        tried.add(negotiation.terms)
        negotiation.closed()
    assert len(tried) == 6
    assert negotiation.terms == BEST
