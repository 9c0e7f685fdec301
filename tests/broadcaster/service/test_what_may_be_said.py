"""What may be said of an incident that is over or taken back, and of which areas a correction is.

The rig's engine stands still.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from broadcaster.domain.board import BoardIncident
from broadcaster.domain.incident import Kind, Mode, Update
from broadcaster.service import scheduling, status
from broadcaster.service.commands import Refused
from broadcaster.store import boards, incidents
from broadcaster.testing.rig import OPERATOR, Rig

NORTH, SOUTH = "norra-ekbyn", "sodra-ekbyn"
BOTH = (NORTH, SOUTH)


def newest(town: Rig) -> Update:
    record = town.store.read(lambda connection: incidents.load(connection, 1))
    assert record is not None
    return record.updates[-1].said


def public(town: Rig) -> BoardIncident:
    (told,) = town.store.read(lambda c: boards.board(c, None, town.clock(), Mode.LIVE)).changed
    return told


def shown(town: Rig) -> dict[str, Any]:
    return status.show(town.desk, OPERATOR, "A1")


# ----------------------------------------------------------------------------------------- when all was taken back
def test_what_was_wholly_taken_back_is_not_restored(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.RETRACTION)
    with pytest.raises(Refused, match="Nothing of A1 stands any more"):
        town.say("Strömmen är tillbaka.", Kind.RESTORED)
    assert public(town).retracted


def test_what_was_wholly_taken_back_goes_on_only_where_the_operator_says(town: Rig) -> None:
    town.say("Strömmen är borta.", since=town.clock() - timedelta(hours=5))
    town.say(kind=Kind.RETRACTION)
    with pytest.raises(Refused, match=r"Nothing of A1 stands any more. .* update A1 --area KEY"):
        town.say("Nu är den borta.", Kind.UPDATE)
    town.say("Nu är den borta.", Kind.UPDATE, area=(SOUTH,))
    told = public(town)
    assert (told.is_open, told.retracted, told.areas) == (True, False, (SOUTH,))
    assert told.since == newest(town).accepted_at


@pytest.mark.parametrize("area", [(), (NORTH,)])
def test_of_what_was_wholly_taken_back_nothing_new_is_not_news(
    town: Rig, area: tuple[str, ...]
) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.RETRACTION, whole=True)
    with pytest.raises(Refused, match="Nothing of A1 stands any more"):
        town.say(kind=Kind.HOLDING, area=area)
    assert public(town).retracted


def test_all_is_taken_back_once(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.RETRACTION, whole=True)
    with pytest.raises(Refused, match="Nothing of A1 stands any more"):
        town.say(kind=Kind.RETRACTION, whole=True)
    assert newest(town).number == 2


def test_what_was_cancelled_before_it_went_out_is_not_taken_back_publicly(town: Rig) -> None:
    town.say("Vi bryter strömmen i kväll.", at=town.clock() + timedelta(hours=1))
    scheduling.cancel(town.desk, OPERATOR, "A1-1")
    with pytest.raises(Refused, match="Nothing of A1 stands any more"):
        town.say(kind=Kind.RETRACTION, whole=True)
    board = town.store.read(lambda c: boards.board(c, None, town.clock(), Mode.LIVE))
    assert board.changed == ()


def test_who_takes_every_area_away_is_told_how_to_say_that_it_is_over(town: Rig) -> None:
    town.say("Strömmen är borta.")
    with pytest.raises(Refused, match=r"No area is left then. .* broadcaster restored A1"):
        town.say("Nu.", Kind.UPDATE, without_area=(NORTH,))


# ---------------------------------------------------------------------------------------------------- retractions
@pytest.mark.parametrize("kind", [Kind.RETRACTION, Kind.CORRECTION])
def test_a_retraction_is_neither_retracted_nor_corrected(town: Rig, kind: Kind) -> None:
    town.say("Strömmen är borta.")
    town.say("Det var åskan.", Kind.UPDATE)
    town.say(kind=Kind.RETRACTION, number=2)
    with pytest.raises(Refused, match=r"A1-3 is a retraction: .* broadcaster update A1"):
        town.say("Fel.", kind, number=3)


def three_words(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say("Montör är på väg.", Kind.UPDATE)
    town.say("Montör är på plats.", Kind.UPDATE)


def test_retract_typed_twice_takes_back_one_word(town: Rig) -> None:
    three_words(town)
    town.say(kind=Kind.RETRACTION)
    with pytest.raises(Refused, match=r"A1-3 was retracted .* broadcaster retract A1-2\."):
        town.say(kind=Kind.RETRACTION)
    town.say(kind=Kind.RETRACTION, number=2)
    assert newest(town).corrects == 2


def test_retract_means_the_newest_word_when_something_was_said_since(town: Rig) -> None:
    three_words(town)
    town.say(kind=Kind.RETRACTION)
    town.say("Åskan tog ledningen.", Kind.UPDATE)
    town.say(kind=Kind.RETRACTION)
    assert newest(town).corrects == 5


def test_retract_means_the_newest_word_when_ten_minutes_have_passed(town: Rig) -> None:
    three_words(town)
    town.say(kind=Kind.RETRACTION)
    town.clock.shift += timedelta(minutes=11)
    town.say(kind=Kind.RETRACTION)
    assert newest(town).corrects == 2


# ----------------------------------------------------------------------------------- corrections of a restoration
def test_a_correction_of_the_end_leaves_it_over(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH, etr=town.clock() + timedelta(hours=2))
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    town.say("Den kom åter redan 20.15.", Kind.CORRECTION)
    said, told = newest(town), public(town)
    assert (said.areas, said.ended, said.promise) == ((), BOTH, None)
    assert (told.is_open, told.areas, told.etr, told.updates[0].etr) == (False, (), None, None)
    assert (shown(town)["closed_at"] is None, shown(town)["etr"]) == (False, None)


def test_a_correction_of_a_partial_end_is_about_where_it_is_over(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    town.say("Åter i norr.", Kind.RESTORED, area=(NORTH,))
    town.say("Åter i norr, utom på Storgatan.", Kind.CORRECTION)
    assert (newest(town).areas, newest(town).ended) == ((SOUTH,), (NORTH,))
    town.say("Åter i norr, utom på Storgatan 1–9.", Kind.CORRECTION)
    assert (newest(town).areas, newest(town).ended) == ((SOUTH,), (NORTH,))


def test_a_correction_of_an_end_that_names_where_opens_it_there_again(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    town.say("Åter i norr.", Kind.RESTORED, area=(NORTH,))
    town.say("Norr är ännu utan ström.", Kind.CORRECTION, area=(NORTH,))
    assert (newest(town).areas, newest(town).ended) == ((SOUTH, NORTH), ())
    town.say("Åter överallt.", Kind.RESTORED)
    town.say("Inte i söder.", Kind.CORRECTION, area=(SOUTH,))
    assert (newest(town).areas, public(town).is_open) == ((SOUTH,), True)


def test_an_outage_that_was_over_opens_again_where_it_was_also_after_a_correction(
    town: Rig,
) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    town.say("Den kom åter redan 20.15.", Kind.CORRECTION)
    town.say("Borta igen.", Kind.UPDATE)
    assert (newest(town).areas, public(town).is_open) == (BOTH, True)


@pytest.mark.parametrize("kind", [Kind.UPDATE, Kind.CORRECTION])
def test_no_area_is_taken_away_from_what_is_over(town: Rig, kind: Kind) -> None:
    town.say("Strömmen är borta.")
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    with pytest.raises(Refused, match="A1 does not concern Norra Ekbyn now"):
        town.say("Borta igen.", kind, without_area=(NORTH,))


# ------------------------------------------------------------------------------------------------- what is known
def test_what_is_over_has_no_estimate_on_page_nor_for_operators(town: Rig) -> None:
    town.say("Strömmen är borta.", etr=town.clock() + timedelta(hours=2))
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    listed = status.listing(town.desk, OPERATOR, only_open=False, limit=5, cursor="")["items"]
    told = [shown(town)["etr"], shown(town)["updates"][-1]["etr"], listed[0]["etr"]]
    assert (told, public(town).etr) == ([None] * 3, None)


def test_the_revision_is_that_of_the_newest_public_word(town: Rig) -> None:
    town.say("Strömmen är borta.")
    told = newest(town)
    town.say("Kvällens läge.", Kind.UPDATE, at=town.clock() + timedelta(minutes=30))
    assert shown(town)["revision"] == str(told.revision)
    assert shown(town)["accepted_at"] == told.accepted_at.isoformat()


def test_what_is_over_names_no_area_that_only_a_retracted_word_named(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say("Även i söder.", Kind.UPDATE, area=(SOUTH,))
    town.say(kind=Kind.RETRACTION)
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    board = town.store.read(lambda c: boards.board(c, None, town.clock(), Mode.LIVE))
    assert board.changed[0].areas_stated == (NORTH,)
    assert [line.areas_ever for line in board.recent] == [(NORTH,)]
    assert board.changed[0].areas_ever == BOTH  # their pages and feeds are told that it is gone


def where_it_was(town: Rig) -> list[tuple[str, ...]]:
    """The areas that page, lists of pages and the operator's status name of what is over."""
    board = town.store.read(lambda c: boards.board(c, None, town.clock(), Mode.LIVE))
    listed = [line.areas_ever for line in board.recent]
    return [board.changed[0].areas_stated, *listed, tuple(shown(town)["ended"])]


def test_what_is_over_names_where_it_was_when_its_report_is_corrected(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    town.say("Det var vattnet.", Kind.CORRECTION, number=1)
    assert where_it_was(town) == [(NORTH,)] * 3


def test_what_was_over_first_is_still_named_when_the_report_is_corrected(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    town.say("Åter i norr.", Kind.RESTORED, area=(NORTH,))
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    town.say("Det var vattnet.", Kind.CORRECTION, number=1)
    assert [set(areas) for areas in where_it_was(town)] == [set(BOTH)] * 3


def test_an_area_that_a_word_says_was_never_concerned_is_not_named(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    town.say("Inte i söder.", Kind.CORRECTION, without_area=(SOUTH,))
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    assert where_it_was(town) == [(NORTH,)] * 3


def test_an_end_names_no_area_that_only_a_word_retracted_since_named(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say("Även i söder.", Kind.UPDATE, area=(SOUTH,))
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    town.say(kind=Kind.RETRACTION, number=2)
    assert where_it_was(town) == [(NORTH,)] * 3


def test_what_is_over_began_when_its_first_outage_did(town: Rig) -> None:
    first = (town.clock() - timedelta(hours=2)).replace(microsecond=0)
    town.say("Strömmen är borta.", since=first)
    town.say("Strömmen är tillbaka.", Kind.RESTORED)
    town.say("Borta igen.", Kind.UPDATE)
    again = newest(town)
    assert public(town).since == again.since != first
    town.say("Åter.", Kind.RESTORED)
    assert public(town).since == first
