"""What was written down in English is told in the operator's language, values and all."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from broadcaster.domain.delivery import State
from broadcaster.locale import catalogue, retelling
from broadcaster.locale.retelling import LONGEST, retell, tell
from broadcaster.service import looking, status
from broadcaster.service.commands import Refused
from broadcaster.testing.rig import OPERATOR, Rig, webhook
from broadcaster.testing.servers import WebhookReceiver, answers

NOT_FOUND = "The name {} was not found: nothing was sent."
INTE_FUNNET = "Namnet {} hittades inte: inget skickades."
SENTENCES = sorted(catalogue("sv", "failures"))


def sv(sentence: str) -> str:
    return retell("sv", sentence)


@pytest.mark.parametrize(
    ("english", "swedish"),
    [
        ("nobody to write to", "ingen att skriva till"),
        (NOT_FOUND.format("gw.example"), INTE_FUNNET.format("gw.example")),
        ("taken over by email", "övertaget av email"),
        ("social.example asks us to wait (429).", "social.example ber oss vänta (429)."),
    ],
)
def test_a_known_sentence_keeps_its_values(english: str, swedish: str) -> None:
    assert sv(english) == swedish


def test_a_value_that_is_a_sentence_is_retold_too() -> None:
    because = NOT_FOUND.format("gw.example")
    assert (
        sv(f"in place of sms: {because}")
        == f"i stället för sms: {INTE_FUNNET.format('gw.example')}"
    )
    assert sv("h cannot be reached in 5 s: nothing was sent.") == (
        "h kan inte nås inom 5 s: inget skickades."
    )


def test_sentences_in_a_row_are_each_retold() -> None:
    said = f"elks: {NOT_FOUND.format('a.example')} twilio: {NOT_FOUND.format('b.example')}"
    told = f"elks: {INTE_FUNNET.format('a.example')} twilio: {INTE_FUNNET.format('b.example')}"
    assert sv(said) == told


def test_the_platforms_own_words_stay_as_they_are() -> None:
    told = sv('h.example refuses this text. It says: "Bad. Too: bad".')
    assert told == "h.example godtar inte den här texten. Den säger: ”Bad. Too: bad”."


@pytest.mark.parametrize(
    "unknown", ["", "May", "Update", "good", "Something else: went wrong. Look.", "Åäö {x}"]
)
def test_what_is_not_ours_stays_as_it_is(unknown: str) -> None:
    assert sv(unknown) == unknown


@pytest.mark.parametrize("known", [NOT_FOUND.format("a.example"), "a.example answered 200."])
def test_one_unknown_sentence_among_known_ones_mixes_no_languages(known: str) -> None:
    assert sv(known) != known
    assert sv(f"Who knows. {known}") == f"Who knows. {known}"


def test_a_value_with_braces_is_said_as_it_is() -> None:
    assert sv("taken over by {target}{0!r}") == "övertaget av {target}{0!r}"


def test_a_value_said_twice_must_be_the_same_both_times() -> None:
    said = "{0} is stopped: not answering Mend it, then: broadcaster channels resume {1}"
    assert sv(said.format("sms", "sms")).startswith("sms är stoppad: svarar inte")
    assert sv(said.format("sms", "email")) == said.format("sms", "email")


def test_only_between_quotation_marks_can_a_value_be_nothing() -> None:
    said = retell("sv", 'unknown key "": delete it', part="settings")
    assert said == 'okänd nyckel "": ta bort den'
    assert retell("sv", "must be at most ", part="settings") == "must be at most "


def test_braces_in_a_sentence_are_no_blank() -> None:
    problem = "expected ',' or '}', but got '<scalar>'"
    assert retell("sv", problem, part="settings") == "komma eller } väntades, men '<scalar>' kom"


def test_what_is_wrong_with_a_configuration_is_looked_for_in_its_own_part() -> None:
    assert retell("sv", "delete it") == "delete it"
    assert retell("sv", "nobody to write to", part="settings") == "nobody to write to"


def test_english_stays_english_and_a_regional_tag_reads_its_language() -> None:
    assert retell("en", "nobody to write to") == "nobody to write to"
    assert retell("sv-FI", "nobody to write to") == "ingen att skriva till"


def test_a_language_nobody_speaks_is_refused_by_name() -> None:
    with pytest.raises(LookupError, match='"xx"'):
        retell("xx", "nobody to write to")


@pytest.mark.parametrize("sentence", SENTENCES)
def test_every_sentence_of_the_catalogue_finds_its_own_translation(sentence: str) -> None:
    said = catalogue("sv", "failures")[sentence]
    values = Values()
    assert sv(sentence.format_map(values)) == said.format_map(values)


@pytest.mark.parametrize("part", ["service", "notice"])
def test_no_sentence_of_another_part_is_half_told(part: str) -> None:
    """Probes and notices hold sentences from there: "It did not answer in time." is no host called It."""
    values, half = Values(), []
    for sentence, said in catalogue("sv", part).items():
        if sentence.startswith(
            "{"
        ):  # then a name is what it begins with, and its end is said by us
            continue
        filled = sentence.format_map(values)
        if sv(filled) not in (filled, said.format_map(values)):
            half.append(f"{filled} -> {sv(filled)}")
    assert half == []


def test_what_a_channel_did_not_answer_in_time_is_told_whole() -> None:
    assert sv("It did not answer in time.") == "Den svarade inte i tid."


class Values(dict[str, str]):
    """Every blank is filled with its own name, marked so that it is like no other."""

    def __missing__(self, name: str) -> str:
        return f"<{name}>"


pieces = st.sampled_from([part for sentence in SENTENCES for part in sentence.split("{")])
hostile = st.lists(pieces | st.text(max_size=20) | st.just(". "), max_size=200).map("".join)


@given(hostile | st.text(max_size=LONGEST + 10))
def test_no_input_makes_it_fail(text: str) -> None:
    assert isinstance(sv(text), str)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each text was held against a sentence of ours."""
    counted: Counter[str] = Counter()
    values = retelling._Template.values

    def counting(template: retelling._Template, text: str) -> dict[str, str] | None:
        counted[text] += 1
        return values(template, text)

    monkeypatch.setattr(retelling._Template, "values", counting)
    return counted


UNITS = [": ", ". ", "a: b. ", ' It says: "a. ', "in place of a: ", "x answered 1. ", "as {"]
FEW = 48  # looks through all sentences; linear each, a backtracking search would take hours


@pytest.mark.parametrize("unit", [*UNITS, "a: in place of x: b answered 1. "])
@pytest.mark.parametrize("length", [1_400, LONGEST])
def test_no_made_up_input_is_looked_at_more_than_a_few_times(
    unit: str, length: int, compared: Counter[str]
) -> None:
    sv((unit * length)[:length])
    ours = len(retelling._known("sv", "failures").templates)
    assert compared.total() <= FEW * ours
    # The same words are part of many parts: once strictly, once not.
    assert max(compared.values()) <= 2 * ours


@pytest.mark.parametrize(
    "sentence", [one for one in SENTENCES if one.startswith("{host}") and one.endswith(".")]
)
def test_what_three_gateways_say_after_each_other_is_told_in_those_few_looks(sentence: str) -> None:
    said = sentence.format_map(Values())
    row = "in place of sms: " + " ".join(f"g{number}: {said}" for number in range(3))
    told = " ".join(f"g{number}: {sv(said)}" for number in range(3))
    assert sv(row) == f"i stället för sms: {told}"


def test_a_sentence_is_said_with_its_values_retold_and_its_numbers_as_they_are() -> None:
    said = tell(
        "sv",
        "{channel} does not answer since {seconds} s: {because}",
        channel="sms",
        seconds=20,
        because=NOT_FOUND.format("gw.example"),
    )
    assert said == f"sms svarar inte sedan 20 s: {INTE_FUNNET.format('gw.example')}"


def test_an_operator_reads_in_his_language_why_a_channel_is_stopped(tmp_path: Path) -> None:
    with WebhookReceiver() as far:
        far.next(answers(401, ""), method="POST")
        with Rig(tmp_path, {"hook": webhook(far)}) as engine:
            engine.say("Strömmen är borta.")
            engine.until(lambda: engine.is_parked("hook"))
            engine.reached(State.WAITING, channel="hook")
            swedish = looking.incident(engine.desk, OPERATOR, "A1", "sv")
            english = looking.incident(engine.desk, OPERATOR, "A1", "en")
            unasked = status.show(engine.desk, OPERATOR, "A1")
    because = "127.0.0.1 godtar inte vår signatur (401): se till att båda sidor"
    assert swedish["channels"][0]["parked_because"].startswith(because)
    assert swedish["advice"][0].startswith(f"hook är stoppad: {because}")
    assert swedish["deliveries"][0]["detail"].startswith(because)
    assert english["deliveries"][0]["detail"].startswith("127.0.0.1 refuses our signature")
    assert unasked["deliveries"] == swedish["deliveries"]


def test_a_refusal_retells_the_reason_in_it(tmp_path: Path) -> None:
    reason = "The text needs 9 posts and at most 4 are sent for one update. Shorten it."
    refused = Refused("{channel}: {reason}", channel="hook", reason=reason)
    with WebhookReceiver() as far, Rig(tmp_path, {"hook": webhook(far)}) as engine:
        assert engine.desk.say(refused).endswith(sv(reason))
        assert engine.desk.say(refused, "en").endswith(reason)
    assert sv(reason) != reason
