"""The public record: every board agrees with a plain reading of all that was ever said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Connection, delete, event

from broadcaster.domain.board import (
    ArchivePage,
    ArchiveVolume,
    Board,
    BoardIncident,
    BoardUpdate,
    Entry,
    EtrChange,
    FeedArchive,
    FeedPage,
    IncidentLine,
    Struck,
)
from broadcaster.domain.incident import Audience, Kind, Mode, Planned, Revision, Severity, Update
from broadcaster.domain.kept import Kept
from broadcaster.store import Store, accepting, boards, releasing, tables as t
from broadcaster.testing.builders import an_acceptance, an_update, tell
from broadcaster.testing.clock import NOON

AREAS = ("norra-ekbyn", "ostra-ekbyn", "sjovik")
FEED, PAGE, RECENT, VOLUME = 4, 3, 2, 2


def minutes(count: int) -> datetime:
    return NOON + timedelta(minutes=count)


def board_of(
    store: Store, since: Revision | None = None, kept: Kept[BoardIncident] | None = None
) -> Board:
    return store.read(lambda connection: boards.board(connection, since, NOON, Mode.LIVE, kept))


def only(store: Store) -> BoardIncident:
    (incident,) = board_of(store).changed
    return incident


# ------------------------------------------------------------------------------------------- the plain reading of it all
FACTS_TOLD = (
    *("since", "etr", "planned", "affected", "cause", "instruction"),
    *("severity", "headline", "areas"),
)
NOTHING: dict[str, Any] = dict.fromkeys(FACTS_TOLD) | {"cause": "", "instruction": ""}


@dataclass
class Said:
    """One update of a script. It is public once it has a revision.

    `brought` remembers for each fact who had said what when this was written, oldest first, and last who said it so.
    """

    update: Update
    update_id: int
    incident_id: int
    whole: bool = False
    at: datetime = NOON
    revision: Revision | None = None
    brought: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)

    @property
    def etr(self) -> datetime | None:
        return self.update.etr if self.update.areas else None

    @property
    def ends(self) -> bool:
        """Whether nobody is concerned any more when this is said."""
        return self.update.kind in (Kind.RESTORED, Kind.RETRACTION) and not self.update.areas

    def remember(self, public: Sequence[Said]) -> None:
        """Set down, as this is written, what it takes over of what stands and what it says anew."""
        stands = _standing(public)
        for name in FACTS_TOLD:
            line = stands[-1].brought[name] if stands else []
            line = [(number, fact) for number, fact in line if not _gone(number, public)]
            fact = getattr(self.update, name)
            taken_over = line and line[-1][1] == fact
            self.brought[name] = line if taken_over else [*line, (self.update.number, fact)]

    def fact(self, name: str, public: Sequence[Said]) -> Any:
        """What of it stands: as last said by one whose word was not taken back."""
        kept = [fact for number, fact in self.brought[name] if not _gone(number, public)]
        never_blank = name in ("severity", "headline", "areas")
        return kept[-1] if kept else getattr(self.update, name) if never_blank else NOTHING[name]

    def as_it_stands(self, public: Sequence[Said]) -> Update:
        """What it says without what it took over from words that were retracted."""
        facts = {name: self.fact(name, public) for name in FACTS_TOLD}
        came_back = [area for area in facts["areas"] if area not in self.update.areas]
        ended = tuple(area for area in self.update.ended if area not in came_back)
        return replace(self.update, **facts, ended=ended)

    def tells_of_an_end(self, public: Sequence[Said]) -> bool:
        told = {each.update.number: each.update for each in public}
        root = self.update
        while root.kind is Kind.CORRECTION and root.corrects in told:
            root = told[root.corrects]
        return root.kind is Kind.RESTORED


@dataclass
class Memory:
    """Everything said in a script, and the whole board read off it with no regard for cost."""

    said: list[Said] = field(default_factory=list)

    def board(self, revision: Revision) -> Board:
        public = _in_order(self.said)
        names = list(dict.fromkeys(each.update.incident for each in public))
        incidents = [
            _incident([each for each in public if each.update.incident == name]) for name in names
        ]
        newest = sorted(incidents, key=lambda incident: incident.updates[0].revision, reverse=True)
        entries = [
            Entry(_line(incident), update) for incident in incidents for update in incident.updates
        ]
        entries.sort(key=lambda entry: entry.update.revision, reverse=True)
        # An entry keeps its place, also where it no longer names an area that it took over from a retracted word.
        places = {
            (each.update.incident, each.update.number): (*each.update.areas, *each.update.ended)
            for each in public
        }
        here = {
            area: tuple(e for e in entries if area in places[e.incident.id, e.update.number])[:FEED]
            for area in AREAS
        }
        every = {"": entries}
        for area in AREAS:
            every[area] = [e for e in entries if area in places[e.incident.id, e.update.number]]
        closed = [incident for incident in incidents if incident.closed_at]
        closed.sort(key=lambda incident: (incident.closed_at, int(incident.id[1:])), reverse=True)
        pages = [incidents[start : start + PAGE] for start in range(0, len(incidents), PAGE)]
        volumes = [
            incidents[start : start + PAGE * VOLUME]
            for start in range(0, len(incidents), PAGE * VOLUME)
        ]
        return Board(
            revision=revision,
            since=None,
            at=NOON,
            mode=Mode.LIVE,
            open=tuple(incident for incident in newest if not incident.closed_at),
            recent=tuple(_line(incident) for incident in closed[:RECENT]),
            changed=tuple(newest),
            feeds={"": tuple(entries[:FEED])} | {a: held for a, held in here.items() if held},
            archive=tuple(
                ArchivePage(number, len(page) == PAGE, tuple(map(_line, page)))
                for number, page in enumerate(pages, 1)
            ),
            archive_pages=len(pages),
            feed_archives={key: _archive(held) for key, held in every.items() if len(held) >= FEED},
            volumes=tuple(
                ArchiveVolume(
                    number,
                    len(volume) == PAGE * VOLUME and all(each.closed_at for each in volume),
                    tuple(_line(each) for each in volume if each.closed_at),
                )
                for number, volume in enumerate(volumes, 1)
            ),
            volumes_begin=tuple(volume[0].opened_at for volume in volumes),
        )


def _archive(newest: Sequence[Entry]) -> FeedArchive:
    """Every full page of a feed, and what of it the newest have struck."""
    oldest, full = newest[::-1], len(newest) // FEED
    striking = [(e.incident.id, e.update.number) for e in newest[:FEED]]
    return FeedArchive(
        full,
        tuple(
            FeedPage(number, tuple(oldest[(number - 1) * FEED : number * FEED][::-1]))
            for number in range(1, full + 1)
        ),
        tuple(
            older
            for by in striking
            for older in newest[FEED:]
            if older.update.struck and (older.incident.id, older.update.struck.by) == by
        )[:FEED],
    )


def _in_order(said: Sequence[Said]) -> list[Said]:
    """What is public of it, in the order it went out."""
    public = [each for each in said if each.revision]
    return sorted(public, key=lambda each: each.revision or Revision(0, 0))


def _incident(said: Sequence[Said]) -> BoardIncident:
    closed_at: datetime | None = None
    for each in said:
        if each.whole or each.ends:
            closed_at = each.at
        elif each.update.areas:
            closed_at = None
    stands = _standing(said)
    told = stands or [each for each in said if each.update.kind is not Kind.RETRACTION] or said
    newest = told[-1].update
    remembered = ("severity", "headline", "planned")
    facts = NOTHING | {name: getattr(newest, name) for name in remembered}
    if stands:
        facts = {name: stands[-1].fact(name, said) for name in FACTS_TOLD}
    if not stands or closed_at:
        facts |= {"areas": (), "etr": None}
    if not facts["areas"]:
        facts |= {"etr": None}
    if stands and closed_at:
        facts |= {"since": _first_began(stands, said)}
    ever: list[str] = []
    for each in said:
        for area in (*each.update.areas, *each.update.ended):
            ever += [] if area in ever else [area]
    speaks = [each for each in said if each.update.kind is not Kind.RETRACTION]
    kept = [each for each in speaks if not _gone(each.update.number, said)]
    was = {area for each in kept for area in each.fact("areas", said)}
    told_over = [each.update.ended for each in stands if each.tells_of_an_end(said)]
    stated = {area for each in stands for area in each.fact("areas", said)}
    stated |= {area for ended in told_over for area in ended if area in was}
    ends = [place for place, each in enumerate(stands) if not each.fact("areas", said)]
    over = [end for end in ends if end < len(stands) - 1 and end + 1 not in ends]
    lately = stands[over[-1] + 1 :] if over else stands
    etrs = [(each, each.fact("etr", said)) for each in lately if each.fact("areas", said)]
    history = [
        EtrChange(each.at, etr, each.update.number)
        for before, (each, etr) in zip([None, *(etr for _, etr in etrs)], etrs, strict=False)
        if etr != before
    ]
    return BoardIncident(
        id=newest.incident,
        mode=newest.mode,
        areas_ever=tuple(ever),
        areas_stated=tuple(area for area in ever if area in stated) or tuple(ever),
        opened_at=said[0].at,
        closed_at=closed_at,
        retracted=not stands,
        etr_history=tuple(history),
        promise=said[-1].update.promise if stands and not closed_at else None,
        updates=tuple(_update(said, place) for place in reversed(range(len(said)))),
        **facts,
    )


def _first_began(stands: Sequence[Said], said: Sequence[Said]) -> datetime | None:
    """When it began as known when it first was over, of what was opened again; else as known last."""
    for place, each in enumerate(stands[1:]):
        over = stands[place]
        if each.fact("areas", said) and not over.fact("areas", said):
            since: datetime | None = over.fact("since", said)
            planned = over.fact("planned", said)
            return since or (planned.start if planned else None)
    last: datetime | None = stands[-1].fact("since", said)
    return last


def _standing(said: Sequence[Said]) -> list[Said]:
    """What was said of the situation and neither corrected nor retracted, in the order it went out."""
    speaks = [each for each in said if each.update.kind is not Kind.RETRACTION]
    return [each for each in speaks if _struck(each, said) is None]


def _gone(number: int, said: Sequence[Said]) -> bool:
    """Whether a word was retracted, or corrected by one that is gone: then nothing that it brought is so."""
    (word,) = (each for each in said if each.update.number == number)
    struck = _struck(word, said)
    return struck is not None and (struck.kind is Kind.RETRACTION or _gone(struck.by, said))


def _struck(wrong: Said, said: Sequence[Said]) -> Struck | None:
    for by in said:
        named = by.update.corrects == wrong.update.number
        after = said.index(by) > said.index(wrong)
        if named or (by.whole and after):
            return Struck(by.update.kind, by.at, by.update.number)
    return None


def _update(said: Sequence[Said], place: int) -> BoardUpdate:
    each, update = said[place], said[place].update
    struck = _struck(each, said)
    etr_before = said[place - 1].etr if place else None
    changed_at = struck.at if struck else each.at
    if struck is None and update.kind is not Kind.RETRACTION:
        update = each.as_it_stands(said)
    if update != each.update:
        stood = [one.as_it_stands(said) for one in said[:place] if one in _standing(said)]
        etr_before = stood[-1].etr if stood and stood[-1].areas else None
        retracted = [one.at for one in said if one.update.kind is Kind.RETRACTION]
        changed_at = max([each.at, *retracted])
    corrected = [other.at for other in said if other.update.number == update.corrects]
    assert each.revision is not None
    return BoardUpdate(
        number=update.number,
        kind=update.kind,
        at=each.at,
        changed_at=changed_at,
        revision=each.revision,
        areas=update.areas,
        ended=update.ended,
        texts=update.texts,
        since=update.since,
        etr=update.etr if update.areas else None,
        etr_before=etr_before,
        promise=update.promise,
        planned=update.planned,
        affected=update.affected,
        cause=update.cause,
        instruction=update.instruction,
        corrects=update.corrects,
        corrects_at=corrected[0] if corrected else None,
        struck=struck,
    )


def _line(incident: BoardIncident) -> IncidentLine:
    kept = (
        "id",
        "headline",
        "severity",
        "mode",
        "opened_at",
        "closed_at",
        "retracted",
        "planned",
        "cause",
    )
    unstruck = [update for update in incident.updates if not update.struck]
    texts = unstruck[-1].texts if unstruck else {}
    named = {name: getattr(incident, name) for name in kept}
    return IncidentLine(areas_ever=incident.areas_stated, texts=texts, **named)


# --------------------------------------------------------------------------------------------------- scripts of it all
@dataclass(frozen=True)
class Act:
    """One step of a script; its numbers choose among what there is by then."""

    verb: str
    incident: int
    number: int
    facts: dict[str, Any]
    quiet: bool


VERBS = (
    *("report", "update", "correct", "retract", "retract all", "restore", "restore part"),
    *("retract the reopening", "holding", "schedule", "release", "cancel"),
    *("staff report", "tell staff", "tell staff of the end", "correct to staff"),
)
TIMES = st.none() | st.integers(1, 9).map(minutes)
FACTS = st.fixed_dictionaries(
    {
        "areas": st.lists(st.sampled_from(AREAS), min_size=1, unique=True).map(tuple),
        "severity": st.sampled_from(Severity),
        "headline": st.sampled_from(["", "Strömavbrott", "Vattenläcka"]),
        "etr": TIMES,
        "promise": TIMES,
        "since": TIMES,
        "planned": st.none() | st.just(Planned(minutes(60), minutes(90))),
        "affected": st.none() | st.integers(0, 500),
        "cause": st.sampled_from(["", "Kabelfel."]),
        "instruction": st.sampled_from(["", "Håll kylen stängd."]),
    }
)
ACTS = st.builds(
    Act,
    verb=st.sampled_from(VERBS),
    incident=st.integers(0, 5),
    number=st.integers(0, 5),
    facts=FACTS,
    quiet=st.booleans(),
)


class Script:
    """Plays acts through accept and release, in the transaction of `connection`, and remembers them."""

    def __init__(self, connection: Connection, memory: Memory) -> None:
        self.connection, self.memory = connection, memory

    def play(self, act: Act) -> None:
        now = minutes(len(self.memory.said))
        if act.verb in {"release", "cancel"}:
            self._settle(act, now)
            return
        history = self._history(act)
        if act.verb in {"report", "staff report"} or not history:
            audience = Audience.STAFF if act.verb == "staff report" else Audience.PUBLIC
            self._say(act, [], now, kind=Kind.REPORT, audience=audience)
        else:
            self._go_on(act, history, now)

    def _history(self, act: Act) -> list[Said]:
        names = list(dict.fromkeys(each.update.incident for each in self.memory.said))
        if not names:
            return []
        name = names[act.incident % len(names)]
        return [each for each in self.memory.said if each.update.incident == name]

    def _go_on(self, act: Act, history: list[Said], now: datetime) -> None:
        areas = act.facts["areas"]
        over = {"areas": (), "ended": areas}
        staff = {"audience": Audience.STAFF}
        ways: dict[str, dict[str, Any]] = {
            "update": {
                "kind": Kind.UPDATE,
                "ended": tuple(area for area in AREAS if area not in areas)[:1],
            },
            "schedule": {"kind": Kind.UPDATE, "held": True},
            "holding": {"kind": Kind.HOLDING},
            "restore": {"kind": Kind.RESTORED} | over,
            "restore part": {"kind": Kind.RESTORED, "ended": AREAS[:1]},
            "retract all": {"kind": Kind.RETRACTION, "whole": True} | over,
            "tell staff": {"kind": Kind.UPDATE} | staff,
            "tell staff of the end": {"kind": Kind.RESTORED} | over | staff,
            "correct to staff": {"kind": Kind.CORRECTION, "corrects": 1} | staff,
        }
        if act.verb in ways:
            self._say(act, history, now, **ways[act.verb])
            return
        kind = Kind.CORRECTION if act.verb == "correct" else Kind.RETRACTION
        wrong = [each for each in history if each.revision and _struck(each, history) is None]
        if wrong:
            number = wrong[act.number % len(wrong)].update.number
            after = over if act.verb == "retract the reopening" else {}
            self._say(act, history, now, kind=kind, corrects=number, **after)

    def _say(
        self,
        act: Act,
        history: list[Said],
        now: datetime,
        *,
        whole: bool = False,
        held: bool = False,
        **said: Any,
    ) -> None:
        number = len(history) + 1
        incident_id = (
            history[0].incident_id if history else accepting.next_incident_id(self.connection)
        )
        update = an_update(f"A{incident_id}", number, now=now, **(act.facts | said))
        rest = {"hold": "scheduled", "release_at": minutes(900)} if held else {}
        accepted = accepting.accept(
            self.connection,
            an_acceptance(
                update,
                incident_id=incident_id if history else None,
                corrects_all=whole,
                quiet=act.quiet,
                **rest,
            ),
            now,
        )
        revision = Revision.parse(accepted.revision) if accepted.revision else None
        told = Said(update, accepted.update_id, incident_id, whole, now, revision)
        told.remember(_in_order(history))
        self.memory.said.append(told)

    def _settle(self, act: Act, now: datetime) -> None:
        held = [
            each
            for each in self.memory.said
            if not each.revision and each.update.audience is Audience.PUBLIC
        ]
        if not held:
            return
        each = held[act.number % len(held)]
        if act.verb == "cancel":
            releasing.cancel(self.connection, each.update_id, now, "Kim")
            self.memory.said.remove(each)
            self.memory.said.append(Said(_of_staff(each.update), each.update_id, each.incident_id))
        else:
            each.revision = Revision.parse(releasing.release(self.connection, each.update_id, now))
            each.at = now


def _of_staff(update: Update) -> Update:
    """What is cancelled still counts as a number, and is as little public as a word to staff."""
    return Update(
        **{name: getattr(update, name) for name in Update.__slots__} | {"audience": Audience.STAFF}
    )


def forget(connection: Connection) -> None:
    """Make a store that was used as new, which is quicker than a new one."""
    for table in reversed(t.metadata.sorted_tables):
        if table is not t.meta:
            connection.execute(delete(table))
    for name, value in (("next_incident", "1"), ("revision", "0"), ("epoch", "1")):
        connection.execute(t.meta.update().where(t.meta.c.name == name).values(value=value))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short feeds and pages, so that a short script fills them."""
    monkeypatch.setattr(boards, "FEED_LENGTH", FEED)
    monkeypatch.setattr(boards, "ARCHIVE_PAGE_LENGTH", PAGE)
    monkeypatch.setattr(boards, "RECENT_LENGTH", RECENT)
    monkeypatch.setattr(boards, "VOLUME_LENGTH", VOLUME)


@dataclass
class Shown:
    """What a board adapter has standing: each show replaces what it is given and leaves the rest."""

    incidents: dict[str, BoardIncident] = field(default_factory=dict)
    feeds: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    archive: dict[int, ArchivePage] = field(default_factory=dict)
    feed_pages: dict[str, dict[int, list[tuple[str, BoardUpdate]]]] = field(default_factory=dict)
    again: dict[str, tuple[int, tuple[Entry, ...]]] = field(default_factory=dict)
    volumes: dict[int, ArchiveVolume] = field(default_factory=dict)
    begin: tuple[datetime, ...] = ()
    beside: tuple[Any, ...] = ()

    def show(self, board: Board) -> Shown:
        kept = Shown() if board.since is None else self
        return Shown(
            kept.incidents | {incident.id: incident for incident in board.changed},
            kept.feeds | dict(board.feeds),
            kept.archive | {page.number: page for page in board.archive},
            # A page tells of its incidents what was so when it was written: it is not written again for that.
            kept.feed_pages
            | {
                key: kept.feed_pages.get(key, {})
                | {
                    page.number: [(entry.incident.id, entry.update) for entry in page.entries]
                    for page in archive.changed
                }
                for key, archive in board.feed_archives.items()
            },
            kept.again
            | {key: (each.pages, each.again) for key, each in board.feed_archives.items()},
            kept.volumes | {volume.number: volume for volume in board.volumes},
            board.volumes_begin or kept.begin,
            (board.revision, board.open, board.recent, board.archive_pages),
        )


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(parts=st.lists(st.lists(ACTS, min_size=1, max_size=14), min_size=1, max_size=4))
def test_whatever_is_said_a_board_kept_up_to_date_is_the_plain_reading_of_it_all(
    store: Store, short: None, parts: list[list[Act]]
) -> None:
    store.write(forget).result()
    memory, shown = Memory(), Shown()
    kept: Kept[BoardIncident] = Kept(boards.ROOM)
    since: Revision | None = None
    for part in parts:

        def play(connection: Connection, part: list[Act] = part) -> None:
            script = Script(connection, memory)
            for act in part:
                script.play(act)

        store.write(play).result()
        whole, newer = board_of(store), board_of(store, since, kept)
        assert board_of(store, None, kept) == whole
        assert whole == memory.board(whole.revision)
        shown = shown.show(newer)
        assert shown == Shown().show(whole)
        assert {incident.id for incident in newer.changed} == {
            each.update.incident
            for each in memory.said
            if each.revision and (since is None or each.revision > since)
        }
        since = newer.revision


# ------------------------------------------------------------------------------------------------ promises one by one
def test_after_a_retraction_the_facts_are_those_of_the_update_before(store: Store) -> None:
    first = tell(store, etr=minutes(60), cause="Okänd.")
    wrong = tell(store, after=first, now=minutes(5), etr=minutes(90), cause="Kabelfel.")
    facts: dict[str, Any] = {
        "kind": Kind.RETRACTION,
        "corrects": 2,
        "etr": minutes(60),
        "cause": "Fel.",
    }
    tell(store, after=wrong, now=minutes(9), **facts)
    incident = only(store)
    assert (incident.etr, incident.cause) == (minutes(60), "Okänd.")
    assert incident.etr_history == (EtrChange(NOON, minutes(60), 1),)
    gone, struck, standing = incident.updates
    assert struck.struck == Struck(Kind.RETRACTION, minutes(9), 3)
    assert struck.changed_at == minutes(9)
    assert standing.struck is None
    assert gone.corrects_at == minutes(5)
    assert (gone.etr_before, gone.etr) == (minutes(90), minutes(60))


def test_a_retracted_incident_keeps_its_name_and_nothing_it_said(store: Store) -> None:
    first = tell(store, headline="Vattenläcka", etr=minutes(60), cause="Rörbrott.")
    gone: dict[str, Any] = {
        "kind": Kind.RETRACTION,
        "areas": (),
        "ended": ("norra-ekbyn",),
        "headline": "",
    }
    tell(store, after=first, now=minutes(9), rest={"corrects_all": True}, **gone)
    incident = only(store)
    assert (incident.retracted, incident.closed_at) == (True, minutes(9))
    assert incident.headline == "Vattenläcka"
    assert (incident.etr, incident.cause, incident.etr_history) == (None, "", ())
    assert incident.areas_ever == ("norra-ekbyn",)


def test_a_page_of_an_archive_is_told_anew_when_a_word_on_it_reads_otherwise(
    store: Store, short: None
) -> None:
    after = None
    for count in range(9):
        cause = "Fel." if count else "Åska."
        after = tell(store, after=after, now=minutes(count), cause=cause)
    since = board_of(store).revision
    tell(store, after=after, now=minutes(9), kind=Kind.RETRACTION, corrects=2, cause="Åska.")
    # The second is struck; all after it had their cause from it.
    for archive in board_of(store, since).feed_archives.values():
        first, second = archive.changed
        assert [entry.update.number for entry in first.entries] == [4, 3, 2, 1]
        assert first.entries[2].update.struck == Struck(Kind.RETRACTION, minutes(9), 10)
        assert [entry.update.number for entry in second.entries] == [8, 7, 6, 5]
        assert {entry.update.cause for entry in second.entries} == {"Åska."}
        assert [entry.update.number for entry in archive.again] == [2]
    assert board_of(store, board_of(store).revision).feed_archives[""].changed == ()


def test_what_is_for_staff_or_not_released_yet_is_on_no_board(store: Store) -> None:
    tell(store, audience=Audience.STAFF)
    tell(store, audience=Audience.STAFF, rest={"staff_log": True})
    held = tell(store, rest={"hold": "scheduled", "release_at": minutes(60)})
    empty = board_of(store)
    assert (empty.revision, empty.changed, empty.open) == (Revision(1, 0), (), ())
    assert (dict(empty.feeds), empty.archive_pages) == ({"": ()}, 0)
    tell(store, after=held, audience=Audience.STAFF)
    store.write(lambda c: releasing.release(c, held.update_id, minutes(60))).result()
    incident = only(store)
    assert [update.number for update in incident.updates] == [1]
    assert incident.opened_at == minutes(60)


def test_a_board_of_another_epoch_is_given_everything(store: Store) -> None:
    tell(store)
    ahead = Revision(1, 99)
    assert board_of(store, ahead).changed == ()

    def restore(connection: Connection) -> None:
        releasing.set_meta(connection, "epoch", "2")

    store.write(restore).result()
    board = board_of(store, ahead)
    assert board.since is None
    assert board.revision == Revision(2, 1)
    assert [incident.id for incident in board.changed] == ["A1"]
    tell(store)
    assert [incident.id for incident in board_of(store, board.revision).changed] == ["A2"]
    assert [entry.incident.id for entry in board_of(store).feeds[""]] == ["A2", "A1"]


def test_a_board_that_is_up_to_date_is_given_nothing_to_change(store: Store) -> None:
    tell(store)
    board = board_of(store, board_of(store).revision)
    assert (board.changed, board.archive, list(board.feeds)) == ((), (), [""])
    assert [incident.id for incident in board.open] == ["A1"]


def tell_all(store: Store, *words: dict[str, Any]) -> BoardIncident:
    """Say them one after another, a minute apart, about one incident."""
    after = None
    for count, said in enumerate(words):
        after = tell(store, after=after, now=minutes(count), **said)
    return only(store)


RETRACTED: dict[str, Any] = {"kind": Kind.RETRACTION, "corrects": 1}


def test_what_was_only_taken_over_from_a_retracted_word_no_longer_stands(store: Store) -> None:
    facts: dict[str, Any] = {"cause": "Åska.", "instruction": "Koka vattnet.", "affected": 340}
    told = tell_all(store, facts, facts, facts | RETRACTED)
    assert (told.cause, told.instruction, told.affected) == ("", "", None)


def test_nothing_that_a_later_word_took_over_from_a_retracted_one_stands(store: Store) -> None:
    true: dict[str, Any] = {"severity": Severity.MINOR, "headline": "", "etr": minutes(60)}
    wrong: dict[str, Any] = {
        "severity": Severity.EXTREME,
        "headline": "Vattenläcka",
        "etr": minutes(90),
        "since": minutes(-90),
        "areas": ("norra-ekbyn", "sjovik"),
        "planned": Planned(minutes(60), minutes(90)),
    }
    told = tell_all(store, true, wrong, wrong, true | RETRACTED | {"corrects": 2})
    assert (told.severity, told.headline, told.etr) == (Severity.MINOR, "", minutes(60))
    assert (told.since, told.planned, told.areas) == (None, None, ("norra-ekbyn",))
    assert told.etr_history == (EtrChange(NOON, minutes(60), 1),)


def test_what_was_said_before_a_retracted_word_stands_again(store: Store) -> None:
    true, wrong = {"cause": "Åska."}, {"cause": "Kabelfel."}
    told = tell_all(store, true, wrong, wrong, true | RETRACTED | {"corrects": 2})
    assert told.cause == "Åska."


def test_what_a_retraction_told_of_the_next_word_is_the_promise(store: Store) -> None:
    retracted = RETRACTED | {"corrects": 2, "promise": minutes(50)}
    told = tell_all(store, {"promise": minutes(1)}, {"promise": minutes(40)}, retracted)
    assert told.promise == minutes(50)


def test_a_retraction_of_all_at_its_time_strikes_what_was_said_meanwhile(store: Store) -> None:
    first = tell(store)
    gone: dict[str, Any] = {"kind": Kind.RETRACTION, "areas": (), "ended": ("norra-ekbyn",)}
    later = {"corrects_all": True, "hold": "scheduled", "release_at": minutes(30)}
    waits = tell(store, after=first, now=minutes(1), rest=later, **gone)
    tell(store, after=waits, now=minutes(2))
    store.write(lambda c: releasing.release(c, waits.update_id, minutes(30))).result()
    assert only(store).retracted
    assert {update.number for update in only(store).updates if update.struck} == {1, 3}


def test_what_is_said_again_after_a_retraction_stands(store: Store) -> None:
    facts = {"cause": "Åska."}
    assert tell_all(store, facts, facts, RETRACTED, facts).cause == "Åska."


def test_what_a_later_word_brought_stands_though_the_first_is_retracted(store: Store) -> None:
    assert tell_all(store, {}, {"cause": "Åska."}, RETRACTED).cause == "Åska."


def test_fifty_incidents_fill_an_archive_page_and_fifty_entries_a_feed(store: Store) -> None:
    told = [tell(store, now=minutes(count)) for count in range(51)]
    board = board_of(store)
    assert [(page.number, page.full, len(page.lines)) for page in board.archive] == [
        (1, True, 50),
        (2, False, 1),
    ]
    assert [line.id for line in board.archive[0].lines[:2]] == ["A1", "A2"]
    names = [entry.incident.id for entry in board.feeds["norra-ekbyn"]]
    assert names == [f"A{number}" for number in range(51, 1, -1)]
    tell(
        store, after=told[2], now=minutes(60), kind=Kind.RESTORED, areas=(), ended=("norra-ekbyn",)
    )
    newer = board_of(store, board.revision)
    assert [page.number for page in newer.archive] == [1]
    assert newer.archive[0].lines[2].closed_at == minutes(60)
    assert [line.id for line in newer.recent] == ["A3"]


def test_a_feed_is_touched_where_the_incident_ever_was(store: Store) -> None:
    first = tell(store, areas=("norra-ekbyn", "sjovik"))
    tell(store, areas=("ostra-ekbyn",))
    since = board_of(store).revision
    tell(store, after=first, areas=("norra-ekbyn",), ended=("sjovik",))
    last = tell(store, areas=("ostra-ekbyn",))
    assert set(board_of(store, since).feeds) == {"", "norra-ekbyn", "sjovik", "ostra-ekbyn"}
    tell(store, after=last, areas=("ostra-ekbyn",))
    assert set(board_of(store, Revision(1, last.number + 3)).feeds) == {"", "ostra-ekbyn"}


def test_what_is_released_while_a_board_is_read_waits_for_the_next(store: Store) -> None:
    first = tell(store)
    before = board_of(store)

    def read(connection: Connection) -> Board:
        @event.listens_for(connection, "after_cursor_execute")
        def release_another(_: Any, __: Any, statement: str, *___: Any) -> None:
            if "FROM meta" in statement:
                tell(store, after=first, kind=Kind.RESTORED, areas=(), ended=("norra-ekbyn",))

        return boards.board(connection, None, NOON, Mode.LIVE)

    assert store.read(read) == before
    assert only(store).closed_at == NOON


def test_the_end_of_an_incident_is_no_change_of_its_estimate(store: Store) -> None:
    first = tell(store, etr=minutes(60))
    end: dict[str, Any] = {"kind": Kind.RESTORED, "areas": (), "ended": ("norra-ekbyn",)}
    over = tell(store, after=first, now=minutes(50), etr=minutes(60), **end)
    incident = only(store)
    assert incident.etr_history == (EtrChange(NOON, minutes(60), 1),)
    assert (incident.etr, incident.updates[0].etr, incident.updates[0].etr_before) == (
        None,
        None,
        minutes(60),
    )
    tell(store, after=over, now=minutes(55), etr=minutes(60))
    assert only(store).updates[0].etr_before is None


def test_what_was_closed_last_is_the_first_of_the_recent(store: Store) -> None:
    told = [tell(store, now=minutes(count)) for count in range(12)]
    end: dict[str, Any] = {"kind": Kind.RESTORED, "areas": (), "ended": ("norra-ekbyn",)}
    for place, each in enumerate(reversed(told)):
        tell(store, after=each, now=minutes(60 + place), **end)
    assert [line.id for line in board_of(store).recent] == [f"A{count}" for count in range(1, 11)]


def test_an_incident_that_did_not_change_is_not_read_anew(store: Store) -> None:
    first = tell(store)
    tell(store)
    kept: Kept[BoardIncident] = Kept(boards.ROOM)
    before = {told.id: told for told in board_of(store, None, kept).open}
    tell(store, after=first, now=minutes(5), cause="Kabelfel.")
    after = {told.id: told for told in board_of(store, None, kept).open}
    assert after["A2"] is before["A2"]
    assert after["A1"].cause == "Kabelfel."
