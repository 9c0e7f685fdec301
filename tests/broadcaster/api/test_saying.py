"""Reports and updates over HTTP: accepted once, refused with a sentence, never half done."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from starlette.requests import Request

from broadcaster.api import problems
from broadcaster.api.door import MOST_FIELDS
from broadcaster.testing.clock import NOON
from broadcaster.testing.operators import Daemonless

REPORT = {"text": "Strömmen är borta i Norra Ekbyn.", "area": ["norra-ekbyn"]}


def report(desk: Daemonless, **more: Any) -> Any:
    answer = desk.ask("POST", "/api/v1/incidents", REPORT | more)
    assert answer.status == 201, answer.content
    return answer


def incidents(desk: Daemonless) -> int:
    return len(desk.ask("GET", "/api/v1/incidents").json["items"])


def test_a_report_is_accepted_and_says_where_it_is(desk: Daemonless) -> None:
    answer = report(desk)
    assert answer.headers["location"] == "/api/v1/incidents/A1"
    assert answer.headers["etag"] == '"1"'
    assert answer.json["mode"] == "demo"
    assert {one["channel"] for one in answer.json["deliveries"]} == {"page", "hook", "sms"}
    shown = desk.ask("GET", answer.headers["location"])
    assert shown.headers["etag"] == '"1"'
    assert shown.json["updates"][0]["text"] == {"sv": REPORT["text"]}
    assert {one["channel"] for one in shown.json["channels"]} == {"page", "hook", "sms"}


FIRST = ("incident", "update", "revision", "accepted_at")


def test_an_incident_shown_has_what_the_answer_to_its_newest_update_had(desk: Daemonless) -> None:
    report(desk)
    said = desk.ask("POST", "/api/v1/incidents/A1/updates", {"text": "Montör är på plats."}).json
    shown = desk.ask("GET", "/api/v1/incidents/A1").json
    assert (shown["update"], shown["revision"]) == (2, "1.2")
    assert {name: shown[name] for name in FIRST} == {name: said[name] for name in FIRST}
    assert shown["deliveries"] == said["deliveries"]
    assert {one["update"] for one in shown["deliveries"]} == {2}
    for one in shown["deliveries"]:
        assert {"channel", "state", "attempts", "detail", "counts"} <= set(one)


def test_while_a_word_waits_the_deliveries_are_those_of_what_went_out(desk: Daemonless) -> None:
    report(desk)
    later = {"text": "Kvällens läge.", "at": (NOON + timedelta(hours=1)).isoformat()}
    desk.ask("POST", "/api/v1/scheduled", later | {"incident": "A1"})
    shown = desk.ask("GET", "/api/v1/incidents/A1").json
    assert (shown["update"], shown["revision"]) == (2, "1.1")
    assert {one["update"] for one in shown["deliveries"]} == {1}


def test_times_are_taken_with_their_offset_and_given_with_one(desk: Daemonless) -> None:
    answer = report(desk, etr="2026-11-22T19:00:00+01:00", since="2026-11-22T12:55:00+01:00")
    assert answer.json["etr"] == "2026-11-22T18:00:00+00:00"


def test_an_estimate_can_be_withdrawn(desk: Daemonless) -> None:
    report(desk, etr="2026-11-22T19:00:00+01:00")
    body = {"text": "Det tar längre tid.", "etr": "none"}
    assert desk.ask("POST", "/api/v1/incidents/A1/updates", body).json["etr"] is None


def test_lists_page_by_cursor(desk: Daemonless) -> None:
    for number in range(3):
        report(desk, text=f"Avbrott {number}.")
    first = desk.ask("GET", "/api/v1/incidents?limit=2").json
    rest = desk.ask("GET", f"/api/v1/incidents?limit=2&cursor={first['next']}").json
    names = [one["incident"] for one in first["items"] + rest["items"]]
    assert names == ["A3", "A2", "A1"]
    assert rest["next"] == ""


# ------------------------------------------------------------------------------------------------ once, and upon what
def test_the_same_request_twice_is_done_once_and_answered_alike(desk: Daemonless) -> None:
    first = desk.ask("POST", "/api/v1/incidents", REPORT, idempotency_key="k1")
    turned = dict(reversed(REPORT.items()))  # the same JSON, its keys in another order
    second = desk.ask("POST", "/api/v1/incidents", turned, idempotency_key="k1")
    assert (first.status, second.status) == (201, 201)
    assert first.json == second.json
    assert incidents(desk) == 1


def test_a_key_with_another_body_is_refused(desk: Daemonless) -> None:
    report(desk)
    desk.ask("POST", "/api/v1/incidents", REPORT | {"text": "Ett."}, idempotency_key="k1")
    other = desk.ask("POST", "/api/v1/incidents", REPORT | {"text": "Två."}, idempotency_key="k1")
    assert other.status == 409
    assert incidents(desk) == 2


def test_a_key_belongs_to_its_token_and_path(desk: Daemonless) -> None:
    first = desk.ask("POST", "/api/v1/incidents", REPORT, idempotency_key="k1")
    body = {"text": "Montör på plats."}
    further = desk.ask("POST", "/api/v1/incidents/A1/updates", body, idempotency_key="k1")
    assert (first.status, further.status) == (201, 201)
    elsewhere = desk.ask(
        "POST", "/api/v1/incidents", REPORT, token=desk.token(), idempotency_key="k1"
    )
    assert elsewhere.status == 409  # not the answer to another's request, but the same report again


def test_a_retraction_sent_again_gets_its_answer_and_no_conflict(desk: Daemonless) -> None:
    report(desk)
    body = {"kind": "retraction"}
    answers = [
        desk.ask("POST", "/api/v1/incidents/A1/updates", body, idempotency_key="r1")
        for _ in range(2)
    ]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].json == answers[1].json


def test_the_same_request_from_many_at_once_is_done_once(desk: Daemonless) -> None:
    answers = []

    def ask() -> None:
        answers.append(desk.ask("POST", "/api/v1/incidents", REPORT, idempotency_key="k1"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in answers} == {201}
    assert {answer.json["incident"] for answer in answers} == {"A1"}
    assert incidents(desk) == 1


@pytest.mark.parametrize("key", ["", " ", "å", "x" * 201])
def test_a_key_that_cannot_be_kept_is_refused(idle_desk: Daemonless, key: str) -> None:
    answer = idle_desk.ask("POST", "/api/v1/incidents", REPORT, idempotency_key=key)
    assert answer.status == 422
    assert incidents(idle_desk) == 0


def test_the_same_report_twice_is_refused_with_the_name_of_the_first(desk: Daemonless) -> None:
    report(desk)
    again = desk.ask("POST", "/api/v1/incidents", REPORT)
    assert again.status == 409
    assert "A1-1" in again.detail
    desk.clock.pass_by(minutes=11)
    assert desk.ask("POST", "/api/v1/incidents", REPORT).status == 201


def test_who_speaks_upon_an_old_state_is_told_what_came_meanwhile(desk: Daemonless) -> None:
    report(desk)
    body = {"text": "Montör på plats."}
    assert desk.ask("POST", "/api/v1/incidents/A1/updates", body, if_match='"1"').status == 201
    stale = desk.ask("POST", "/api/v1/incidents/A1/updates", {"text": "Nu."}, if_match='"1"')
    assert stale.status == 412
    assert "A1-2" in stale.detail
    assert "Eva" in stale.detail


def test_a_retraction_needs_no_newest_state(desk: Daemonless) -> None:
    report(desk)
    desk.ask("POST", "/api/v1/incidents/A1/updates", {"text": "Montör på plats."})
    body = {"kind": "retraction", "all": True}
    assert desk.ask("POST", "/api/v1/incidents/A1/updates", body, if_match='"1"').status == 201


@pytest.mark.parametrize("mark", ["1", 'W/"1"', '"x"', '"1", "2"'])
def test_a_state_that_cannot_be_read_is_refused(desk: Daemonless, mark: str) -> None:
    report(desk)
    answer = desk.ask("POST", "/api/v1/incidents/A1/updates", {"text": "Nu."}, if_match=mark)
    assert answer.status == 422


# ------------------------------------------------------------------------------------------------------- bad input
SOON = (NOON + timedelta(hours=1)).isoformat()
BEFORE = (NOON - timedelta(hours=1)).isoformat()
BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "no text": ({"text": None}, 422, "text"),
    "empty text": ({"text": " \n "}, 422, "text"),
    "unknown area": ({"area": ["nora-ekbyn"]}, 422, "norra-ekbyn"),
    "no area": ({"area": []}, 422, "area"),
    "unknown channel": ({"channel": ["smoke"]}, 422, "smoke"),
    "unknown field": ({"tekst": "x"}, 422, "tekst"),
    "unknown language": ({"texts": {"xx": "x"}}, 422, "xx"),
    "estimate in the past": ({"etr": BEFORE}, 422, "etr"),
    "promise after the estimate": ({"etr": SOON, "next": "2026-11-22T15:00:00Z"}, 422, "next"),
    "estimate before the start": (
        {"since": NOON.isoformat(), "etr": BEFORE},
        422,
        "etr",
    ),
    "a time without an offset": ({"etr": "2026-11-22T19:00:00"}, 422, "offset"),
    "a number for a time": ({"etr": 1700000000}, 422, "etr"),
    "a time no calendar holds": ({"etr": "0001-01-01T00:00:00+14:00"}, 422, "etr"),
    "control characters": ({"text": "a\x00b"}, 422, "U+0000"),
    "half a character": ({"text": "a\ud800b"}, 422, "U+D800"),
    "half a character as a language": ({"texts": {"\ud800": "x"}}, 422, "detail"),
    "half a character as a field": ({"\ud800": "x"}, 422, "detail"),
    "turned text": ({"text": "a\u202eb"}, 422, "U+202E"),
    "too much text": ({"text": "x" * 1_000_000}, 422, "1000000"),
    "a megabyte more": ({"text": "x" * 1_100_000}, 413, "detail"),
    "a truth for a number": ({"affected": True}, 422, "affected"),
    "a negative number": ({"affected": -1}, 422, "affected"),
    "a notice": ({"kind": "notice"}, 422, "kind"),
    "a thousand areas too many": ({"area": ["norra-ekbyn"] * 2_000}, 422, "area"),
    "a million areas": ({"area": ["norra-ekbyn"] * 50_000}, 422, "fler f\\u00e4lt"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_gets_its_place_and_a_sentence_and_nothing_is_stored(
    idle_desk: Daemonless, what: str
) -> None:
    change, status, said = BAD[what]
    answer = idle_desk.ask("POST", "/api/v1/incidents", REPORT | change)
    assert answer.status == status, answer.content[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.content.decode()
    assert len(answer.content) < 5_000
    assert incidents(idle_desk) == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[" * 500_000, b'{"text":' * 100_000, b"null", b"[]", b"NaN"],
    ids=["nothing", "broken", "no text", "deep", "deep objects", "null", "list", "nan"],
)
def test_what_is_no_json_object_is_refused(idle_desk: Daemonless, content: bytes) -> None:
    answer = idle_desk.ask("POST", "/api/v1/incidents", content, idempotency_key="k1")
    assert answer.status in (400, 422), answer.content
    assert answer.headers["content-type"] == "application/problem+json"
    assert incidents(idle_desk) == 0


def test_what_no_body_of_ours_holds_meets_neither_parser_nor_model(
    idle_desk: Daemonless, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So whoever asks how the daemon is does not wait for it: a mebibyte of fields took a model most of a second."""
    met: list[str] = []

    async def parsed(request: Request) -> Any:
        met.append("parser")
        return json.loads(await request.body())

    monkeypatch.setattr(Request, "json", parsed)
    monkeypatch.setattr(problems, "_reason", lambda *_: met.append("model"))
    for number, expected in ((50_000, []), (MOST_FIELDS + 1, ["parser"])):
        fields = {f"k{n}": 0 for n in range(number)}
        for body in (fields, REPORT | {"texts": fields}, [fields]):
            answer = idle_desk.ask("POST", "/api/v1/preview", body, accept_language="en")
            assert answer.detail.startswith("The request has more fields or levels than")
            assert (answer.status, met) == (422, expected)
            met.clear()


def test_of_many_mistakes_twenty_are_told_and_the_rest_counted(idle_desk: Daemonless) -> None:
    fields = {f"k{n}": 0 for n in range(MOST_FIELDS)}
    answer = idle_desk.ask("POST", "/api/v1/incidents", fields, accept_language="en")
    told = answer.json["errors"]
    assert len(told) == 21
    assert told[0]["reason"] == "there is no such field"
    assert told[-1] == {"at": "", "reason": f"and {MOST_FIELDS - 20} more"}
    few = idle_desk.ask("POST", "/api/v1/incidents", {"k": 0, "l": 0})
    assert len(few.json["errors"]) == 2


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"text": "\x00"}', b"[" * 1_000])
def test_what_is_no_json_is_said_in_our_own_words(idle_desk: Daemonless, body: bytes) -> None:
    answer = idle_desk.ask("POST", "/api/v1/incidents", body)
    assert answer.status == 400
    assert answer.detail == (
        "Begäran är inte läsbar JSON: skicka ett objekt i UTF-8, inom klammerparenteser, med namn och texter inom "
        "citattecken. Inget gjordes."
    )


PLANNED = {"start": "2026-11-23T22:00:00+01:00", "end": "2026-11-24T04:00:00+01:00"}


@pytest.mark.parametrize("between", ["/", " / "])
def test_planned_work_is_taken_as_the_option_has_it_too(desk: Daemonless, between: str) -> None:
    as_option = between.join(PLANNED.values())
    (told,) = [desk.ask("POST", "/api/v1/preview", REPORT | {"planned": as_option})]
    assert told.status == 200, told.content
    assert told.json["planned"] is not None
    as_object = desk.ask("POST", "/api/v1/preview", REPORT | {"planned": PLANNED})
    assert told.json["planned"] == as_object.json["planned"]


@pytest.mark.parametrize("written", ["", "x", "a/b/c", PLANNED["start"], 5, [], True])
def test_planned_work_that_cannot_be_read_says_how_to_write_it(
    idle_desk: Daemonless, written: object
) -> None:
    answer = idle_desk.ask("POST", "/api/v1/preview", REPORT | {"planned": written})
    assert (answer.status, answer.json["at"]) == (422, "planned")
    assert "skriv BÖRJAN/SLUT, såsom 2026-" in answer.detail


@pytest.mark.parametrize(
    ("written", "at", "said"),
    [
        ("a/b", "planned.start", "ISO 8601"),
        (PLANNED["start"] + "/04:00", "planned.end", "ISO 8601"),
        ("2026-11-23T22:00/" + PLANNED["end"], "planned.start", "offset"),
        ({"start": PLANNED["start"]}, "planned.end", "det saknas"),
        (PLANNED | {"stop": 1}, "planned.stop", "det finns inget sådant fält"),
    ],
)
def test_of_planned_work_the_half_that_is_wrong_is_named(
    idle_desk: Daemonless, written: object, at: str, said: str
) -> None:
    answer = idle_desk.ask("POST", "/api/v1/preview", REPORT | {"planned": written})
    assert (answer.status, answer.json["at"]) == (422, at)
    assert said in answer.detail


def test_a_form_is_refused_so_that_no_page_can_post_one(idle_desk: Daemonless) -> None:
    answer = idle_desk.ask(
        "POST", "/api/v1/incidents", json.dumps(REPORT).encode(), content_type="text/plain"
    )
    assert answer.status in (415, 422)
    assert incidents(idle_desk) == 0


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "]]>", "{0.__class__}", "%s %(x)s"])
def test_signs_that_mean_something_elsewhere_are_kept_as_they_are(
    desk: Daemonless, text: str
) -> None:
    report(desk, text=text)
    assert desk.ask("GET", "/api/v1/incidents/A1").json["updates"][0]["text"]["sv"] == text


def test_a_further_word_needs_its_incident(desk: Daemonless) -> None:
    for name in ("A9", "nix", "A" + "9" * 30, "%F0%9F", "S1"):
        answer = desk.ask("POST", f"/api/v1/incidents/{name}/updates", {"text": "Nu."})
        assert answer.status in (404, 422), (name, answer.content)


def test_a_report_is_no_update(desk: Daemonless) -> None:
    report(desk)
    body = {"kind": "report", "text": "Nu."}
    assert desk.ask("POST", "/api/v1/incidents/A1/updates", body).status == 422


def test_sentences_come_in_the_language_asked_for_else_in_the_organisations(
    desk: Daemonless,
) -> None:
    body = REPORT | {"text": ""}
    swedish = desk.ask("POST", "/api/v1/incidents", body).detail
    english = desk.ask("POST", "/api/v1/incidents", body, accept_language="en;q=0.8, fi").detail
    unknown = desk.ask("POST", "/api/v1/incidents", body, accept_language="fi, xx;q=q").detail
    assert swedish == unknown
    assert english.startswith("The text is empty.")
    assert swedish.startswith("Texten är tom.")
