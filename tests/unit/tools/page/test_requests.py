"""Requests as browsers send them, and as others do."""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.tools.page import requests
from edged.tools.page.requests import Answer, Request, Unacceptable

POST = (
    b"POST /replay?x HTTP/1.1\r\nHost: localhost:8080\r\nContent-Type: application/json\r\n"
    b"Content-Length: 8\r\n\r\n"
)


def read(*parts: bytes) -> Request:
    async def run() -> Request:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            for part in parts:
                theirs.sendall(part)
            theirs.shutdown(socket.SHUT_WR)
            return await requests.read(ours)

    return asyncio.run(run())


def status(*parts: bytes) -> HTTPStatus:
    with pytest.raises(Unacceptable) as refused:
        read(*parts)
    return refused.value.status


def test_a_request_in_pieces() -> None:
    request = read(POST[:20], POST[20:], b'{"a"', b": 1}", b"more")
    assert (request.method, request.path, request.query) == ("POST", "/replay", "x")
    assert request.fields["host"] == "localhost:8080"
    assert request.json() == {"a": 1}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET http://evil/ HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"\x16\x03\x01\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n", HTTPStatus.METHOD_NOT_ALLOWED),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
        (b"POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (
            b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ),
    ],
)
def test_what_is_not_understood_is_refused(sent: bytes, expected: HTTPStatus) -> None:
    assert status(sent) == expected


def test_a_connection_that_ends_in_a_request() -> None:
    for sent in (b"", b"GET / HT", POST + b"{"):
        with pytest.raises(ConnectionResetError):
            read(sent)


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff", b"[" * 60_000])
def test_a_body_that_is_not_an_object(body: bytes) -> None:
    with pytest.raises(Unacceptable):
        Request("POST", "/", "", {"content-type": "application/json"}, body).json()


def test_a_form_of_another_site_is_no_json() -> None:
    """A form can be sent across sites without a question; application/json cannot."""
    with pytest.raises(Unacceptable) as refused:
        Request("POST", "/", "", {"content-type": "text/plain"}, b"{}").json()
    assert refused.value.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


@given(st.binary(max_size=200))
def test_any_head_is_parsed_or_refused(head: bytes) -> None:
    try:
        request = requests.parsed(b"GET /" + head)
    except Unacceptable:
        return
    assert request.method == "GET"


def test_an_answer_ends_its_connection_and_opens_nothing_to_other_sites() -> None:
    for answer in (
        Answer(b"x"),
        Answer(None),
        requests.of_json({}),
        requests.refusal(Unacceptable(HTTPStatus.GONE, "")),
    ):
        head = answer.head.decode()
        assert head.startswith("HTTP/1.1 ")
        assert head.endswith("\r\n\r\n")
        for line in ("Connection: close", "Cache-Control: no-store", "X-Content-Type-Options: nosniff"):
            assert f"\r\n{line}\r\n" in head
        assert "frame-ancestors 'none'" in head
        assert "Access-Control" not in head
    assert Answer(b"x").sent.endswith(b"Content-Length: 1\r\n\r\nx")
    assert b"Content-Length" not in Answer(None).sent
