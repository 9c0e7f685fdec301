from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from broadcaster.httpclient import (
    Answer,
    Redaction,
    parse_json,
    printable,
    retry_after,
    seconds_until,
)

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 41 + b"]" * 41,
        b"[" * 60_000,
        b"NaN",
        b'{"a": -Infinity}',
        b"1e999",
        b"",
        b"{",
        b"\xff\xfe",
        b"9" * 5000,
    ],
)
def test_json_that_bites_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(body)


def test_brackets_inside_strings_are_no_depth() -> None:
    assert parse_json(b'{"a": "' + b"[" * 100 + b'\\"{{", "b": [1.5]}')["b"] == [1.5]


def test_a_body_that_was_cut_is_no_json() -> None:
    with pytest.raises(ValueError, match="longer"):
        Answer(200, {}, b"{}", whole=False).json()
    assert Answer(200, {}, b"[1]").fields() == {}


def test_a_date_is_measured_by_the_clock_of_who_sent_it() -> None:
    headers = {
        "date": "Sun, 22 Nov 2020 14:00:00 GMT",
        "retry-after": "Sun, 22 Nov 2020 14:02:00 GMT",
    }
    assert retry_after(headers, now=NOW) == 120.0


def test_a_date_without_any_clock_is_ignored() -> None:
    headers = {"retry-after": "Sun, 22 Nov 2026 14:02:00 GMT"}
    assert retry_after(headers) is None
    assert retry_after(headers, now=NOW) == 120.0


def test_a_wait_is_never_negative_nor_endless() -> None:
    assert seconds_until(NOW - timedelta(days=1), {}, now=NOW) == 0.0
    assert seconds_until(NOW + timedelta(days=900), {}, now=NOW) == 3600.0


def test_a_far_sides_words_stay_on_one_line() -> None:
    assert printable("bad\r\n\x1b[31mred\x00 text") == "bad ?[31mred? text"
    assert len(printable("x" * 1000)) == 200


def test_a_secret_is_hidden_also_as_it_stands_in_an_address() -> None:
    redaction = Redaction(["p&ss word", "abc"])
    assert redaction.text("?password=p%26ss%20word and p&ss word, abc") == (
        "?password=[secret] and [secret], abc"
    )
