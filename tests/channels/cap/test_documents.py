"""What a document says: by the standard, by Google's profile, and in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from lxml import etree

from broadcaster.channel import Kind, Mode, Severity
from broadcaster.domain.board import BoardArea, BoardIncident
from broadcaster.domain.incident import Planned
from broadcaster.testing.boards import (
    NOW,
    context,
    corrected_cut,
    minutes,
    partly_restored_cut,
    planned_cut,
    power_cut,
    restored_cut,
    retracted_cut,
    update,
    water_leak,
    withdrawn_estimate,
)
from broadcaster.testing.outage import OUTAGE, agrees, told_until
from channels.cap import documents
from channels.cap.checks import objections
from channels.cap.telling import LONGEST_HEADLINE, Teller, stamp

Read = Callable[[bytes], Any]
GOLDEN = Path(__file__).parent / "golden"
NS = documents.CAP


def roots(incident: BoardIncident, **changes: Any) -> list[etree._Element]:
    """The documents of an incident, oldest first."""
    made = context(incident.mode, **changes)
    teller = Teller(made, "drift.ekbyn.example")
    organisation = made.organisation
    return [
        documents.element(alert, "Infra", organisation.name, organisation.phone)
        for alert in teller.alerts(incident)
    ]


def told(message: Read, incident: BoardIncident, **changes: Any) -> list[Any]:
    found = [message(documents.written(root)) for root in roots(incident, **changes)]
    assert [objections(each.root) for each in found] == [[] for _ in found]
    return found


def newest(message: Read, incident: BoardIncident, **changes: Any) -> Any:
    return told(message, incident, **changes)[-1]


# ------------------------------------------------------------------------------------------------- the kinds of message
STORY = {
    "first": (replace(power_cut(), updates=power_cut().updates[2:]), "Alert", 0),
    "new-estimate": (power_cut(), "Update", 2),
    "withdrawn-estimate": (withdrawn_estimate(), "Update", 3),
    "correction": (
        replace(corrected_cut(), updates=corrected_cut().updates[1:]),
        "Update",
        2,
    ),
    "partly-restored": (partly_restored_cut(), "Update", 3),
    "restored": (restored_cut(), "Update", 3),
    "all-retracted": (retracted_cut(), "Cancel", 2),
    "planned": (planned_cut(), "Alert", 0),
    "another-hazard": (water_leak(), "Alert", 0),
    "drill": (replace(power_cut(), mode=Mode.DRILL), "Update", 2),
}


@pytest.mark.parametrize("name", STORY)
def test_every_kind_of_update_is_the_kind_of_message_that_the_standard_has_for_it(
    message: Read, name: str
) -> None:
    incident, kind, replaced = STORY[name]
    found = newest(message, incident)
    assert found.text("msgType") == kind
    assert len(found.references) == replaced
    assert found.references == [each.name for each in told(message, incident)[:-1]]


@pytest.mark.parametrize("name", STORY)
def test_a_document_reads_as_it_always_did(message: Read, name: str) -> None:
    """Golden: what stands here is what others' programs are built on."""
    root = newest(message, STORY[name][0]).root
    etree.indent(root)
    agrees(GOLDEN / f"{name}.xml", etree.tostring(root, encoding="unicode"))


@pytest.mark.parametrize("name", OUTAGE)
def test_a_word_of_the_outage_reads_as_it_always_did(message: Read, name: str) -> None:
    root = newest(message, told_until(name)).root
    etree.indent(root)
    agrees(GOLDEN / "outage" / f"{name}.xml", etree.tostring(root, encoding="unicode"))


@pytest.mark.parametrize(
    ("name", "response", "urgency", "severity", "certainty"),
    [
        ("first", "Monitor", "Expected", "Moderate", "Observed"),
        ("correction", "Monitor", "Expected", "Moderate", "Observed"),
        ("partly-restored", "Monitor", "Expected", "Moderate", "Observed"),
        ("planned", "Prepare", "Future", "Minor", "Likely"),
        ("restored", "AllClear", "Past", "Minor", "Observed"),
        ("all-retracted", "None", "Past", "Minor", "Unlikely"),
    ],
)
def test_what_to_do_how_soon_how_bad_and_how_sure(
    message: Read, name: str, response: str, urgency: str, severity: str, certainty: str
) -> None:
    found = newest(message, STORY[name][0])
    for tag, value in {
        "responseType": response,
        "urgency": urgency,
        "severity": severity,
        "certainty": certainty,
        "category": "Infra",
    }.items():
        assert set(found.texts(tag)) == {value}


def test_where_it_goes_on_is_said_before_where_it_is_over(message: Read) -> None:
    found = newest(message, partly_restored_cut())
    assert found.texts("headline") == [
        "Strömavbrott i Norra Ekbyn · Strömmen är åter i Östra Ekbyn",
        "Power cut in Norra Ekbyn · The power is back in Östra Ekbyn",
    ]
    assert set(found.texts("areaDesc")) == {"Norra Ekbyn"}


@pytest.mark.parametrize(
    ("severity", "urgency"),
    [
        (Severity.MINOR, "Expected"),
        (Severity.MODERATE, "Expected"),
        (Severity.SEVERE, "Immediate"),
        (Severity.EXTREME, "Immediate"),
    ],
)
def test_only_what_is_grave_asks_to_act_at_once(
    message: Read, severity: Severity, urgency: str
) -> None:
    found = newest(message, power_cut(severity=severity))
    assert set(found.texts("severity")) == {severity.value.capitalize()}
    assert set(found.texts("urgency")) == {urgency}


@pytest.mark.parametrize(
    ("mode", "status", "word"),
    [(Mode.LIVE, "Actual", ""), (Mode.DRILL, "Exercise", "ÖVNING"), (Mode.DEMO, "Test", "DEMO")],
)
def test_nobody_takes_a_drill_for_the_truth(
    message: Read, mode: Mode, status: str, word: str
) -> None:
    found = newest(message, replace(power_cut(), mode=mode))
    assert found.text("status") == status
    swedish, _english = found.texts("headline")
    description, _ = found.texts("description")
    assert swedish.startswith(f"{word}: Ny bedömning" if word else "Ny bedömning")
    assert ("inget av detta har hänt" in description) is bool(word)
    assert found.text("note") == ("A7" if mode is Mode.DRILL else "")


def test_the_event_is_one_of_the_terms_of_oasis_and_never_a_vma(message: Read) -> None:
    cut, leak = newest(message, power_cut()), newest(message, water_leak())
    assert cut.texts("event") == ["Strömavbrott", "Power cut"]
    assert cut.texts("eventCode/cap:value") == ["OET-145", "OET-145"]
    assert leak.texts("event") == ["Vattenläcka på Storgatan"] * 2
    assert leak.texts("eventCode") == []
    assert all(b"VMA" not in documents.written(root).upper() for root in roots(power_cut()))


# --------------------------------------------------------------------------------------------- corrected and taken back
def test_a_retraction_of_one_update_says_what_holds_and_replaces_all_before(message: Read) -> None:
    back = update(
        4,
        Kind.RETRACTION,
        minutes(10),
        "Beskedet 15.05 gäller inte.",
        etr=minutes(115),
        promise=minutes(60),
        corrects=3,
        corrects_at=NOW,
    )
    found = newest(message, replace(power_cut(), updates=(back, *power_cut().updates)))
    assert (found.text("msgType"), len(found.references)) == ("Update", 3)
    assert found.texts("headline")[0].startswith("Återtagande av 15.05: Strömavbrott")
    assert "De flesta har ström senast 17.00" in found.texts("description")[0]
    assert found.texts("areaDesc")[0] == "Norra Ekbyn"


def test_the_only_word_taken_back_cancels_and_what_follows_is_a_new_alert(message: Read) -> None:
    first = power_cut().updates[2]
    gone = update(
        2, Kind.RETRACTION, minutes(-40), "Fel.", areas=(), ended=("norra-ekbyn",), corrects=1
    )
    again = update(3, Kind.UPDATE, minutes(-30), "Nu är strömmen borta.", promise=NOW)
    alert, cancel, anew = told(message, replace(power_cut(), updates=(again, gone, first)))
    assert [each.text("msgType") for each in (alert, cancel, anew)] == ["Alert", "Cancel", "Alert"]
    assert cancel.references == [alert.name]
    assert cancel.texts("areaDesc") == ["Norra Ekbyn", "Norra Ekbyn"]


def test_a_retraction_after_the_end_is_no_cancel_for_it_is_still_over(message: Read) -> None:
    over = update(
        2, Kind.RESTORED, minutes(-40), "Strömmen är åter.", areas=(), ended=("norra-ekbyn",)
    )
    back = update(3, Kind.RETRACTION, minutes(-30), "Fel.", areas=(), corrects=2)
    incident = replace(power_cut(), updates=(back, over, power_cut().updates[2]))
    found = newest(message, incident)
    assert (found.text("msgType"), found.texts("responseType")) == ("Update", ["AllClear"] * 2)
    assert found.texts("areaDesc")[0] == "Norra Ekbyn"


def test_what_was_taken_back_before_it_was_shown_is_told_to_nobody(message: Read) -> None:
    struck = told(message, corrected_cut())[1]
    assert struck.texts("description") == ["Rättat 14.52, se A7-3.", "Corrected 14:52, see A7-3."]
    assert "Felet" not in struck.body.decode()
    assert set(struck.texts("urgency")) == {"Past"}


def test_a_long_story_names_the_last_hundred_it_replaces(message: Read) -> None:
    updates = tuple(
        update(n, Kind.UPDATE, minutes(n), f"Besked {n}.", promise=minutes(n + 45))
        for n in range(160, 0, -1)
    )
    found = newest(message, replace(power_cut(), updates=updates))
    assert len(found.references) == 100
    assert found.references[-1].split(",")[1] == "drift.ekbyn.example-A7-159-1.159"


# --------------------------------------------------------------------------------------------------------------- times
@pytest.mark.parametrize(
    ("zone", "written"),
    [
        ("Europe/Stockholm", "2026-11-22T15:05:00+01:00"),
        ("Europe/London", "2026-11-22T14:05:00-00:00"),
        ("America/St_Johns", "2026-11-22T10:35:00-03:30"),
    ],
)
def test_a_time_has_its_offset_and_never_a_z(message: Read, zone: str, written: str) -> None:
    organisation = replace(context().organisation, timezone=zone)
    told_late = replace(power_cut().updates[0], at=NOW + timedelta(microseconds=987_654))
    incident = replace(power_cut(), updates=(told_late, *power_cut().updates[1:]))
    found = newest(message, incident, organisation=organisation)
    assert found.text("sent") == written


def test_utc_is_minus_zero() -> None:
    assert stamp(datetime(2026, 7, 1, 12, 0, 0, 5, tzinfo=UTC)) == "2026-07-01T12:00:00-00:00"


@pytest.mark.parametrize(
    ("facts", "expires"),
    [
        ({"promise": minutes(45)}, minutes(165)),
        ({"promise": None}, minutes(720)),
        ({"promise": minutes(-5)}, minutes(720)),
        ({"planned": Planned(minutes(60), minutes(300)), "promise": minutes(45)}, minutes(300)),
        ({"planned": Planned(minutes(-60), minutes(-10)), "promise": minutes(45)}, minutes(165)),
        ({"areas": (), "ended": ("norra-ekbyn",), "kind": Kind.RESTORED}, minutes(120)),
    ],
)
def test_a_reader_that_hears_nothing_more_forgets_it(
    message: Read, facts: dict[str, Any], expires: datetime
) -> None:
    said = update(1, Kind.REPORT, NOW, "Strömmen är borta.")
    found = newest(message, replace(power_cut(), updates=(replace(said, **facts),)))
    assert {datetime.fromisoformat(text) for text in found.texts("expires")} == {expires}


# --------------------------------------------------------------------------------------------------------------- where
SQUARE = ((59.1, 18.1), (59.1, 18.25), (59.2, 18.25), (59.1, 18.1))


def test_an_area_is_told_by_name_outline_and_the_codes_that_others_know_it_by(
    message: Read,
) -> None:
    areas = (
        BoardArea("norra-ekbyn", "Norra Ekbyn", {"scb": "0127"}, (SQUARE, SQUARE[::-1])),
        BoardArea("ostra-ekbyn", "Lenet", {"scb": "12", "ssb": "0301"}),
    )
    said = update(1, Kind.REPORT, NOW, "Borta.", areas=("norra-ekbyn", "ostra-ekbyn"))
    found = newest(message, replace(power_cut(), updates=(said,)), areas=areas)
    area, other = found.root.findall(f"{{{NS}}}info[1]/{{{NS}}}area")
    polygons = [each.text for each in area.findall(f"{{{NS}}}polygon")]
    there = "59.100000,18.100000 59.100000,18.250000 59.200000,18.250000 59.100000,18.100000"
    assert polygons == [there, " ".join(reversed(there.split()))]

    def codes(node: etree._Element) -> list[tuple[str | None, str | None]]:
        pairs = node.findall(f"{{{NS}}}geocode")
        return [
            (pair.findtext(f"{{{NS}}}valueName"), pair.findtext(f"{{{NS}}}value")) for pair in pairs
        ]

    assert codes(area) == [("SCB", "0127"), ("Kommun", "0127")]
    assert codes(other) == [
        ("SCB", "12"),
        ("Län", "12"),
        ("SSB", "0301"),
        ("municipalityId", "0301"),
    ]


def test_an_area_that_is_gone_from_the_configuration_keeps_its_key_as_name(message: Read) -> None:
    assert set(newest(message, power_cut(), areas=()).texts("areaDesc")) == {"norra-ekbyn"}


# --------------------------------------------------------------------------------------------------------------- words
def test_each_language_has_its_own_info_and_no_text_is_copied_into_another(message: Read) -> None:
    said = replace(power_cut().updates[0], cause="Avgrävd kabel.", instruction="Håll kylen stängd.")
    found = newest(message, replace(power_cut(), updates=(said,)))
    assert found.texts("language") == ["sv", "en"]
    swedish, english = found.texts("description")
    assert "kabeln måste bytas" in swedish
    assert "Avgrävd kabel." in swedish
    assert "kabel" not in english
    assert "Most have power by 19:00, not 17:00" in english
    assert found.texts("instruction") == ["Håll kylen stängd."]
    assert found.texts("web") == [
        "https://drift.ekbyn.example/incidents/a7/",
        "https://drift.ekbyn.example/en/incidents/a7/",
    ]


def test_a_text_in_both_languages_is_told_in_both(message: Read) -> None:
    swedish, english = newest(message, water_leak()).texts("description")
    assert swedish.startswith("Vattenläcka på Storgatan. Vattnet")
    assert english.startswith("Water leak in Storgatan.")


@pytest.mark.parametrize("name", OUTAGE)
def test_the_operators_words_stand_first_and_whole(message: Read, name: str) -> None:
    words = OUTAGE[name].sms
    said = update(2, OUTAGE[name].notice.kind, NOW, words, corrects=1)
    found = newest(message, replace(power_cut(), updates=(said, power_cut().updates[2])))
    assert found.texts("description")[0].split("\n\n")[0] == words


def test_a_long_headline_is_cut_and_the_description_keeps_it_whole(message: Read) -> None:
    headline = "Vattenläcka på " + ", ".join(f"Gata {n}" for n in range(60))
    found = newest(message, replace(water_leak(), headline=headline))
    assert [len(text) <= LONGEST_HEADLINE for text in found.texts("headline")] == [True, True]
    assert found.texts("headline")[0].endswith("…")
    assert headline in found.texts("description")[0]


HOSTILE = {
    "markup": "</description><area/>&lt;script&gt;<!-- ]]> <![CDATA[",
    "control characters": "\x00\x01\x1b[31m\x7f\x85 borta \ufffe \ud800",
    "right to left": "\u202eNORRA\u202c الكهرباء مقطوعة",
    "ten kilobytes": "Strömmen är borta. " * 540,
    "only blanks": "  \n ",
    "an entity": "&xxe; %pe; <!DOCTYPE a SYSTEM 'file:///etc/passwd'>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_breaks_a_document_or_becomes_markup(message: Read, name: str) -> None:
    text = HOSTILE[name]
    said = update(1, Kind.REPORT, NOW, text, cause=text, instruction=text)
    areas = (BoardArea("norra-ekbyn", text.strip()[:100] or "x"),)
    organisation = replace(context().organisation, name=text.strip()[:100] or "x")
    incident = replace(power_cut(headline=text.strip()), updates=(said,))
    found = newest(message, incident, areas=areas, organisation=organisation)
    allowed = {child.tag for root in roots(power_cut()) for child in root.iter()}
    allowed |= {f"{{{NS}}}instruction"}
    assert {child.tag for child in found.root.iter()} <= allowed
    if name in {"markup", "ten kilobytes", "right to left"}:
        assert text.strip() in found.texts("description")[0]


@pytest.mark.slow
@given(
    st.text(st.characters(codec=None) | st.sampled_from("<>&]\x00\ud800"), min_size=1),
    st.sampled_from(Kind),
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_written_the_document_is_valid(message: Read, text: str, kind: Kind) -> None:
    said = update(2, kind, NOW, text, cause=text, instruction=text, corrects=1)
    headline = text if text.strip() else ""
    incident = replace(power_cut(headline=headline), updates=(said, power_cut().updates[2]))
    for root in roots(incident):
        wrong = [each for each in objections(root) if not each.startswith(("event", "headline"))]
        assert wrong == []
        message(documents.written(root))


# ------------------------------------------------------------------------------------- what the schema does not object to
def _set(path: str, text: str) -> Callable[[etree._Element], None]:
    def change(root: etree._Element) -> None:
        node = root.find(path, {"cap": NS})
        assert node is not None
        node.text = text

    return change


def _drop(path: str) -> Callable[[etree._Element], None]:
    def change(root: etree._Element) -> None:
        node = root.find(path, {"cap": NS})
        assert node is not None
        parent = node.getparent()
        assert parent is not None
        parent.remove(node)

    return change


def _both(*changes: Callable[[etree._Element], None]) -> Callable[[etree._Element], None]:
    def change(root: etree._Element) -> None:
        for each in changes:
            each(root)

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_set("cap:identifier", "a b"), "identifier"),
        (_set("cap:identifier", "a,b"), "identifier"),
        (_set("cap:identifier", "a<b"), "identifier"),
        (_set("cap:sender", ""), "sender"),
        (_set("cap:sender", "a&b"), "sender"),
        (_set("cap:sent", "2026-11-22T14:05:00+00:00"), "sent"),
        (_set("cap:info/cap:onset", "2026-11-22T14:05:00+00:00"), "onset"),
        (_set("cap:info/cap:expires", "2020-11-22T14:05:00+01:00"), "not after sent"),
        (_drop("cap:references"), "references: 0 in a message of type Update"),
        (_set("cap:msgType", "Alert"), "references: 2 in a message of type Alert"),
        (_set("cap:references", "drift.ekbyn.example,A7"), "not sender,identifier,sent"),
        (_set(".//cap:polygon", "59,18 59,19 60,19 60,18"), "is not closed"),
        (_set(".//cap:polygon", "59,18 59,19 59,18"), "fewer than four"),
        (_set(".//cap:polygon", "59,18 59,19 60 59,18"), "is not latitude,longitude"),
        (_set(".//cap:polygon", "59,18 95,19 60,19 59,18"), "nowhere on Earth"),
        (_set("cap:info/cap:language", "en"), "not one for each language"),
        (_both(_drop("cap:info"), _drop("cap:info")), "not one for each language"),
        (_set("cap:info/cap:headline", " "), "headline: is empty"),
    ],
)
def test_what_the_schema_lets_pass_is_objected_to(
    schema: etree.XMLSchema, change: Callable[[etree._Element], None], says: str
) -> None:
    areas = (replace(context().areas[0], outline=(SQUARE,)),)
    root = roots(power_cut(), areas=areas)[-1]
    assert objections(root) == []
    change(root)
    assert schema.validate(root), str(schema.error_log)
    (why,) = objections(root)
    assert says in why


def test_a_message_that_names_itself_is_objected_to() -> None:
    root = roots(power_cut())[-1]
    own = ",".join(root.findtext(f"{{{NS}}}{tag}", "") for tag in ("sender", "identifier", "sent"))
    _set("cap:references", own)(root)
    assert objections(root) == ["references: it names itself"]
