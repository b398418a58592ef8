from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.system import addresses
from edged.system.addresses import parse, redact, shown


@pytest.mark.parametrize(
    ("text", "user", "password", "printed", "url"),
    [
        ("rtsp://10.0.0.7/h264", None, None, "rtsp://10.0.0.7", "rtsp://10.0.0.7/h264"),
        ("RTSP://cam:554/a?b=c", None, None, "rtsp://cam:554", "rtsp://cam:554/a?b=c"),
        ("rtsp://me@cam/1", "me", None, "rtsp://cam", "rtsp://me@cam/1"),
        ("rtsp://me:@cam/1", "me", "", "rtsp://cam", "rtsp://me:@cam/1"),
        ("rtsp://me:pw@cam:554/1", "me", "pw", "rtsp://cam:554", "rtsp://me:pw@cam:554/1"),
        ("rtsp://me:p%40ss@cam/1", "me", "p@ss", "rtsp://cam", "rtsp://me:p%40ss@cam/1"),
        ("rtsp://me:p@ss@cam/1", "me", "p@ss", "rtsp://cam", "rtsp://me:p%40ss@cam/1"),
        ("rtsp://me:100%sure@cam/1", "me", "100%sure", "rtsp://cam", "rtsp://me:100%25sure@cam/1"),
        ("rtsp://me:a:b@cam/1", "me", "a:b", "rtsp://cam", "rtsp://me:a%3Ab@cam/1"),
        ("rtsp://me:a#b/c?d@10.0.0.7/1", "me", "a#b/c?d", "rtsp://10.0.0.7", None),
        ("rtsp://me:pw#$@@10.0.0.7:554/live", "me", "pw#$@", "rtsp://10.0.0.7:554", None),
        ("rtsp://me:p@s/w@10.0.0.7/1", "me", "p@s/w", "rtsp://10.0.0.7", None),
        ("rtsp://me:pw@10.0.0.7/1@v2", "me", "pw", "rtsp://10.0.0.7", None),
        ("rtsp://me@cam/1?to=a@b", "me", None, "rtsp://cam", None),
        ("http://cam/video?user=me&pwd=hunter2", None, None, "http://cam", None),
        ("http://cam/video?m=hunter2@x", None, None, "http://cam", None),
        ("http://10.0.0.7:8080/@video", None, None, "http://10.0.0.7:8080", None),
        ("rtsp://[fe80::1%eth0]:554/a", None, None, "rtsp://[fe80::1%eth0]:554", None),
        ("rtsp://me:pw@[::1]/a", "me", "pw", "rtsp://[::1]", None),
        ("udp://239.0.0.1:1234", None, None, "udp://239.0.0.1:1234", "udp://239.0.0.1:1234"),
        ("http://cam/a b", None, None, "http://cam", "http://cam/a%20b"),
    ],
)
def test_an_address_is_taken_apart_as_it_was_meant(
    text: str, user: str | None, password: str | None, printed: str, url: str | None
) -> None:
    found = parse(text)
    assert (found.user, found.password, found.shown, shown(text)) == (user, password, printed, printed)
    if url is not None:
        assert found.url == url
    assert parse(found.url)[1:5] == found[1:5], "what a library gets means the same"


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("rtsp://me:12/34@cam/1", "write / as %2F in the password, or put the password into password_file"),
        ("rtsp://me:p@ss/w@cam/1", "write / as %2F, @ as %40 in the password"),
        ("rtsp://", "names no host"),
        ("rtsp://:554/1", "names no host"),
        ("rtsp://cam:99999/1", "its port is not a number"),
        ("rtsp://cam:port/1", "its port is not a number"),
    ],
)
def test_what_is_not_clear_is_named_and_nothing_of_it_shown(text: str, how: str) -> None:
    with pytest.raises(ValueError, match="it") as caught:
        parse(text)
    assert how in str(caught.value)
    assert shown(text) == "rtsp://…"


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_the_password_is_an_encoded_one_comes_back(user: str, password: str) -> None:
    found = addresses.Address("rtsp", user, password, "10.0.0.7", 554, "/1")
    assert parse(found.url)[1:5] == (user, password, "10.0.0.7", 554)


@given(st.text(max_size=60))
def test_any_text_gets_an_answer(text: str) -> None:
    assert shown("rtsp://" + text).startswith("rtsp://")
    redact(text)


@pytest.mark.parametrize(
    "text",
    ["/srv/door.mp4", "door@home.mp4", "file:///srv/door.mp4", "see https://github.com/a/b", "a@b"],
)
def test_what_is_not_a_camera_stays(text: str) -> None:
    assert redact(shown(text)) == text
