"""Matrix by a real Synapse: what a resident who follows the room reads, and whether the phone rings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from broadcaster.channel import Kind, Permanent, Receipt, Scope, Severity, Transient
from broadcaster.testing.notices import again, attempt, context, message, notice
from broadcaster.testing.rig import Rig
from broadcaster.testing.synapse import Account, SynapseServer
from channels.matrix import MatrixAdapter
from channels.matrix.arrangement import LIMIT
from channels.matrix.events import length

pytestmark = [pytest.mark.real("synapse"), pytest.mark.slow]


class Place:
    """A room of its own on the server: its keeper, who speaks, and a resident, who follows it."""

    made = 0

    def __init__(self, server: SynapseServer, **wishes: Any) -> None:
        Place.made += 1
        self.server, number = server, Place.made
        self.keeper: Account = server.account(f"ekbyn{number}")
        self.resident: Account = server.account(f"resident{number}")
        self.alias = f"#larm{number}:synapse.test"
        self.room = self.keeper.room(f"larm{number}", **wishes)
        self.resident.join(self.room)

    def adapter(self, **written: Any) -> MatrixAdapter:
        return MatrixAdapter(
            MatrixAdapter.Settings.model_validate(self.block(**written)), context()
        )

    def block(self, **written: Any) -> dict[str, Any]:
        usual = {"kind": "matrix", "url": self.server.url, "room": self.room}
        return {**usual, "token": self.keeper.token, **written}

    def read(self) -> list[str]:
        return self.resident.reads(self.room)

    def post(self, **said: Any) -> Receipt:
        return self.adapter().post(message(**said), attempt())

    def rings(self) -> tuple[int, int]:
        """How many messages the resident is told of, and how many of them ring."""
        unread = self.resident.call("GET", "/sync")["rooms"]["join"][self.room]
        counts = unread["unread_notifications"]
        return counts["notification_count"], counts["highlight_count"]

    def state(self, kind: str, content: dict[str, Any]) -> None:
        self.keeper.call("PUT", f"/rooms/{quote(self.room)}/state/{kind}/", content)


@pytest.fixture(scope="module")
def server() -> Iterator[SynapseServer]:
    with SynapseServer() as server:
        yield server


@pytest.fixture
def place(server: SynapseServer) -> Place:
    return Place(server)


# --------------------------------------------------------------------------------------------------- what is read
def test_a_resident_reads_what_was_previewed(place: Place) -> None:
    text = place.adapter().render(notice(), {}).texts[0].body
    receipt = place.post(body=text)
    [event] = place.resident.events(place.room)
    assert event["content"]["body"] == text
    assert event["content"]["formatted_body"].startswith("<p><strong>Ekbyns Energi: Strömavbrott")
    assert receipt.handle == f"{place.room}/{event['event_id']}"
    assert place.adapter().confirm(receipt, attempt(), message(body=text))


def test_an_answer_answers_the_post_before_it(place: Place) -> None:
    first = place.post(key="one")
    place.post(key="two", body="Nytt.", in_reply_to=first.handle)
    [before, after] = place.resident.events(place.room)
    answered = after["content"]["m.relates_to"]["m.in_reply_to"]["event_id"]
    assert answered == before["event_id"]


def test_an_address_leads_to_the_room(place: Place) -> None:
    adapter = place.adapter(room=place.alias)
    receipt = adapter.post(message(), attempt())
    assert receipt.handle.startswith(f"{place.room}/$")
    assert len(place.read()) == 1
    assert adapter.probe(attempt()).sentence == f"{place.keeper.me} may write in {place.alias}."


RINGING = [
    (Severity.MODERATE, Kind.REPORT, {}, 0),
    (Severity.SEVERE, Kind.REPORT, {}, 1),
    (Severity.EXTREME, Kind.RESTORED, {}, 0),
    (Severity.EXTREME, Kind.REPORT, {"ring": "never"}, 0),
]


@pytest.mark.parametrize(("severity", "kind", "written", "rings"), RINGING)
def test_what_is_severe_rings_and_the_rest_is_told_without_a_sound(
    place: Place, severity: Severity, kind: Kind, written: dict[str, Any], rings: int
) -> None:
    """A resident with the settings that every account begins with."""
    said = message(severity=severity, kind=kind, body=f"Till @room och {place.resident.me}.")
    place.adapter(**written).post(said, attempt())
    assert place.rings() == (1, rings)


# ------------------------------------------------------------------------------------------------------- only once
def test_a_post_tried_again_is_one_post_also_after_both_sides_were_restarted(place: Place) -> None:
    first = place.post()
    assert place.post().handle == first.handle
    place.server.stop()
    with pytest.raises(Transient):
        place.post()
    place.server.start()
    assert place.adapter().post(message(), again()).handle == first.handle
    assert len(place.read()) == 1


def test_a_new_token_of_the_same_device_repeats_nothing(place: Place) -> None:
    place.keeper.token = place.keeper.login("BROADCASTER")
    first = place.post()
    place.keeper.token = place.keeper.login("BROADCASTER")
    assert place.post().handle == first.handle
    assert len(place.read()) == 1


def test_a_token_without_a_device_is_refused_because_it_would_repeat(place: Place) -> None:
    keeper = place.server.account(f"admin{Place.made}", admin=True)
    path = f"/_synapse/admin/v1/users/{quote(place.keeper.me)}/login"
    bare = place.server.call("POST", path, {}, token=keeper.token)["access_token"]
    probe = place.adapter(token=bare).probe(attempt())
    assert not probe.good
    assert "belongs to no device" in probe.sentence
    place.adapter(token=bare).post(message(), attempt())
    place.server.stop()
    place.server.start()
    place.adapter(token=bare).post(message(), again())
    assert len(place.read()) == 2  # so it is


def test_one_key_may_stand_for_three_acts(place: Place) -> None:
    """Synapse knows a transaction by room and token: without the act in it the edit would be taken for the post."""
    adapter = place.adapter()
    said = message()
    receipt = adapter.post(said, attempt())
    adapter.amend(message(body="Rättat.", target=receipt.handle), attempt())
    assert place.read() == ["Rättat."]
    adapter.withdraw(message(target=receipt.handle), attempt())
    assert place.read() == []


# ------------------------------------------------------------------------------------------------ put right, taken back
def test_an_edited_message_reads_as_corrected_and_rings_nobody(place: Place) -> None:
    adapter = place.adapter()
    receipt = adapter.post(message(severity=Severity.EXTREME), attempt())
    before = place.rings()
    right = message(key="amend", body="Rättat.", target=receipt.handle, severity=Severity.EXTREME)
    assert adapter.amend(right, attempt()).handle == receipt.handle
    adapter.amend(right, again())
    assert place.read() == ["Rättat."]
    assert len(place.resident.events(place.room)) == 2
    assert place.rings() == before == (1, 1)
    assert adapter.confirm(receipt, attempt(), right)
    with pytest.raises(Permanent, match="does not say what was sent") as differs:
        adapter.confirm(receipt, attempt(), message())
    assert differs.value.scope is Scope.MESSAGE


def test_what_is_taken_back_is_read_no_more_whoever_took_it(place: Place) -> None:
    adapter = place.adapter()
    receipt = adapter.post(message(), attempt())
    adapter.withdraw(message(key="w1", target=receipt.handle), attempt())
    adapter.withdraw(message(key="w1", target=receipt.handle), again())
    adapter.withdraw(message(key="w2", target=receipt.handle), attempt())
    assert place.read() == []
    assert not adapter.confirm(receipt, attempt(), message())


def test_what_is_not_there_is_not_seen_and_taking_it_back_parks_nothing(place: Place) -> None:
    adapter = place.adapter()
    handle = f"{place.room}/${'A' * 43}"
    assert not adapter.confirm(Receipt(handle=handle), attempt(), message())
    assert adapter.withdraw(message(target=handle), attempt()).handle == handle


def test_a_message_of_another_that_may_not_be_taken_away_parks_nothing(place: Place) -> None:
    receipt = place.post()
    stranger = place.adapter(token=place.resident.token)
    with pytest.raises(Permanent, match="moderator") as refused:
        stranger.withdraw(message(target=receipt.handle), attempt())
    assert refused.value.scope is Scope.MESSAGE
    assert len(place.read()) == 1


# ------------------------------------------------------------------------------------------------------------ length
def test_the_longest_text_is_taken_and_so_is_its_correction(place: Place) -> None:
    longest = "å" * ((LIMIT - length("")) // 8)
    adapter = place.adapter()
    receipt = adapter.post(message(body=longest), attempt())
    right = "ä" * len(longest)
    adapter.amend(message(key="amend", body=right, target=receipt.handle), attempt())
    assert place.read() == [right]


def test_what_synapse_finds_too_long_is_refused_with_its_words(place: Place) -> None:
    with pytest.raises(Permanent, match="takes no message that long") as refused:
        place.post(body="å" * 20_000)
    assert refused.value.scope is Scope.MESSAGE
    assert place.read() == []


# ---------------------------------------------------------------------------------------------------- when it refuses
def test_the_wait_that_synapse_names_is_known(server: SynapseServer) -> None:
    """As it comes, Synapse takes ten messages at once from an account, then one each five seconds."""
    hasty = server.account("hasty", limited=True)
    settings = {"kind": "matrix", "url": server.url, "room": hasty.room(), "token": hasty.token}
    adapter = MatrixAdapter(MatrixAdapter.Settings.model_validate(settings), context())
    each = [message(key=f"key-{number}") for number in range(20)]
    with pytest.raises(Transient, match="asks us to wait") as refused:
        [adapter.post(said, attempt()) for said in each]
    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after <= 6


def test_a_token_that_was_ended_parks_the_channel(place: Place) -> None:
    adapter = place.adapter()
    place.keeper.call("POST", "/logout", {})
    for act in (lambda: adapter.post(message(), attempt()), lambda: adapter.probe(attempt())):
        with pytest.raises(Permanent, match="refuses our token") as refused:
            act()
        assert refused.value.scope is Scope.CHANNEL


def test_a_room_that_was_never_joined_is_seen_by_the_probe(place: Place) -> None:
    stranger = place.server.account(f"stranger{Place.made}")
    adapter = place.adapter(token=stranger.token)
    probe = adapter.probe(attempt())
    assert not probe.good
    assert "has not joined" in probe.sentence
    assert stranger.call("GET", "/joined_rooms")["joined_rooms"] == []
    with pytest.raises(Permanent, match="does not let this account") as refused:
        adapter.post(message(), attempt())
    assert refused.value.scope is Scope.CHANNEL


def test_an_account_without_power_is_seen_by_the_probe(place: Place) -> None:
    probe = place.adapter(token=place.resident.token).probe(attempt())
    assert probe.sentence == (
        f"{place.resident.me} has power 0 in {place.room} and speaking takes 50: raise it in the room's settings."
    )


def test_power_to_speak_and_none_to_ring_is_said(server: SynapseServer) -> None:
    place = Place(server, power_level_content_override={"events_default": 0})
    probe = place.adapter(token=place.resident.token).probe(attempt())
    assert probe.good
    assert "no silenced phone will ring" in probe.sentence
    place.resident, place.keeper = place.keeper, place.resident
    place.post(severity=Severity.EXTREME)
    assert place.rings() == (1, 0)  # so it is


@pytest.mark.parametrize("version", ["6", "10", "11", "12"])
def test_who_made_the_room_may_speak_in_it_whatever_its_version(
    server: SynapseServer, version: str
) -> None:
    place = Place(server, room_version=version)
    probe = place.adapter().probe(attempt())
    assert (probe.good, probe.sentence) == (True, f"{place.keeper.me} may write in {place.room}.")
    place.post()
    assert len(place.read()) == 1


def test_an_encrypted_room_is_refused_before_the_storm(place: Place) -> None:
    place.state("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    probe = place.adapter().probe(attempt())
    assert not probe.good
    assert "is encrypted" in probe.sentence


def test_a_room_that_was_replaced_names_the_new_one(place: Place) -> None:
    path = f"/rooms/{quote(place.room)}/upgrade"
    new = place.keeper.call("POST", path, {"new_version": "11"})["replacement_room"]
    probe = place.adapter().probe(attempt())
    assert not probe.good
    assert f"was replaced by {new}" in probe.sentence


def test_an_address_that_leads_nowhere_parks_the_channel(place: Place) -> None:
    adapter = place.adapter(room="#ingenstans:synapse.test")
    with pytest.raises(Permanent, match="knows no room #ingenstans:synapse") as refused:
        adapter.post(message(), attempt())
    assert refused.value.scope is Scope.CHANNEL


def test_a_probe_leaves_nothing_in_the_room(place: Place) -> None:
    before = place.resident.call("GET", f"/rooms/{quote(place.room)}/messages?dir=f&limit=500")
    assert place.adapter().probe(attempt()).good
    after = place.resident.call("GET", f"/rooms/{quote(place.room)}/messages?dir=f&limit=500")
    assert len(before["chunk"]) == len(after["chunk"])


# ----------------------------------------------------------------------------------------- by the whole broadcaster
@pytest.mark.parametrize("own_process", [False, True], ids=["in the daemon", "own process"])
def test_one_incident_from_report_to_all_clear(
    place: Place, tmp_path: Path, own_process: bool
) -> None:
    with Rig(tmp_path, {"room": place.block(own_process=own_process)}) as rig:
        rig.say("Montör är på väg.")
        rig.accepted("room")
        rig.say("Båda byarna.", kind=Kind.CORRECTION, incident="A1")
        rig.accepted("room", 2)
        assert len(place.read()) == 2  # the first as it reads now, and what was wrong with it
        assert all("Båda byarna." in text for text in place.read())
        rig.say("Åter.", kind=Kind.RESTORED)
        rig.accepted("room", 3)
        assert "Åter." in place.read()[-1]
        rig.say("Allt var fel.", kind=Kind.RETRACTION, incident="A1", whole=True)
        rig.accepted("room", 4)
        [left] = place.read()
        assert left.startswith("DEMO: ")
        assert "Allt var fel." in left


def test_a_server_that_is_killed_in_the_middle_costs_no_word_and_no_duplicate(
    place: Place, tmp_path: Path
) -> None:
    with Rig(tmp_path, {"room": place.block()}) as rig:
        place.server.stop()
        rig.say("Montör är på väg.")
        rig.until(lambda: "cannot be reached" in str(rig.delivery("room").get("detail")))
        place.server.start()
        rig.wake()
        rig.accepted("room")
        assert len(place.read()) == 1
