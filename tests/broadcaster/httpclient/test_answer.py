from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from broadcaster.channel import Permanent, Scope
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


@pytest.mark.parametrize("secret", ["token", "fuse", "resume", "http"])
def test_a_secret_that_is_a_word_of_ours_blots_no_sentence_of_ours(secret: str) -> None:
    sentence = "social.example refuses the token (HTTP 401): renew it, then resume the channel."
    said = Redaction([secret]).failure(Permanent(sentence, reply=f"no such {secret}"))
    assert said.sentence == sentence
    assert said.reply == "no such [secret]"


@pytest.mark.parametrize("secret", ["token", "hunter", "a-token-of-ours", "p&ss word"])
@pytest.mark.parametrize(
    "outside",
    ["https://far.example/bot{}/send", '"{}"', "key={}", "x{}x", "{}@far.example", "--{}"],
)
def test_a_secret_is_said_by_no_sentence_in_which_something_from_outside_stands(
    secret: str, outside: str
) -> None:
    said = Redaction([secret]).failure(
        Permanent(f"The far side said {outside.format(secret)} to us.")
    )
    assert secret not in said.sentence
    assert "[secret]" in said.sentence


def test_an_answer_can_be_read_also_when_a_field_is_called_as_a_secret() -> None:
    redacted = Redaction(["token"]).answer(
        Answer(200, {}, b'{"token": "a token", "access_token" : "xtokenx", "token-type": 1}')
    )
    assert redacted.fields() == {
        "token": "a [secret]",
        "access_token": "x[secret]x",
        "token-type": 1,
    }


def test_a_secret_that_is_no_word_of_ours_is_nowhere_in_an_answer() -> None:
    answer = Answer(200, {"X-Echo": "hunter"}, b'{"hunter": "hunter"}')
    redacted = Redaction(["hunter"]).answer(answer)
    assert b"hunter" not in redacted.body
    assert "hunter" not in redacted.headers.values()


def test_a_secret_of_digits_breaks_no_number_that_happens_to_hold_it() -> None:
    redacted = Redaction(["1234"]).answer(
        Answer(
            200,
            {},
            b'{"id": 8812345678, "to": "+46701234567", "error": "bad PIN 1234, a=%201234&"}',
        )
    )
    assert redacted.fields() == {
        "id": 8812345678,
        "to": "+46701234567",
        "error": "bad PIN [secret], a=%20[secret]&",
    }


def test_an_address_that_is_gone_stays_gone_when_secrets_are_taken_out() -> None:
    gone = Permanent("No such mailbox.", scope=Scope.ADDRESS, gone=True)
    assert Redaction(["a-secret-of-ours"]).failure(gone).gone
