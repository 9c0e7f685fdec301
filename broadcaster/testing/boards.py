"""The public record in every state a resident can meet it in, for tests that draw, parse or judge what is shown.

The municipality is Ekbyn, the clock stands at Sunday 22 November 2026 15.05 in Stockholm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from broadcaster.channel import ChannelContext, Organisation
from broadcaster.domain.board import (
    ArchivePage,
    ArchiveVolume,
    Board,
    BoardArea,
    BoardIncident,
    BoardUpdate,
    Entry,
    EtrChange,
    IncidentLine,
    Struck,
)
from broadcaster.domain.incident import Kind, Mode, Planned, Revision, Severity
from broadcaster.domain.outline import Ring
from broadcaster.locale import phrases

NOW = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
"""15.05 in Stockholm, when the newest update of most states was released."""

RESTORED_AT = NOW + timedelta(minutes=215)
"""18.40 in Stockholm."""

AREAS = (
    BoardArea("norra-ekbyn", "Norra Ekbyn", {"scb": "0127"}),
    BoardArea("ostra-ekbyn", "Östra Ekbyn"),
    BoardArea("sjovik", "Sjövik", {"scb": "0128"}),
    BoardArea("centrum", "Centrum"),
)


def _quarter(*corners: tuple[int, int]) -> tuple[Ring, ...]:
    """A part of Ekbyn, by its corners in hundreds of metres from its south-western end, or nearly so."""
    points = [(59.2 + north / 1_000, 17.8 + east / 500) for east, north in corners]
    return ((*points, points[0]),)


MAPPED = (
    replace(
        AREAS[0],
        outline=_quarter((0, 60), (40, 50), (50, 62), (70, 55), (90, 75), (60, 110), (12, 95)),
    ),
    replace(
        AREAS[1], outline=_quarter((70, 55), (80, 20), (130, 30), (140, 90), (120, 105), (90, 75))
    ),
    replace(AREAS[2], outline=_quarter((0, 60), (40, 50), (35, 15), (0, 0), (-40, 30))),
    replace(AREAS[3], outline=_quarter((40, 50), (50, 62), (70, 55), (80, 20), (60, 5), (35, 15))),
)
"""The same areas, with their outlines."""


def context(mode: Mode = Mode.LIVE, **changes: Any) -> ChannelContext:
    """Return the configuration of Ekbyns Energi, Swedish first, with `changes` to its fields."""
    organisation = Organisation(
        "Ekbyns Energi", "SE", ("sv", "en"), "Europe/Stockholm", "0123-456 78"
    )
    made = ChannelContext(
        name="page",
        organisation=organisation,
        mode=mode,
        public_url="https://drift.ekbyn.example",
        public_directory="var/public",
        areas=AREAS,
        phrases={"sv": phrases("sv"), "en": phrases("en")},
    )
    return replace(made, **changes)


def minutes(count: float) -> datetime:
    """Return the time that many minutes after `NOW`."""
    return NOW + timedelta(minutes=count)


def update(number: int, kind: Kind, at: datetime, text: str = "", **facts: Any) -> BoardUpdate:
    """Return an update about Norra Ekbyn in Swedish, with `facts` for its other fields."""
    given: dict[str, Any] = {
        "areas": ("norra-ekbyn",),
        "changed_at": at,
        "revision": Revision(1, number),
        "texts": {"sv": text} if text else {},
    }
    return BoardUpdate(number=number, kind=kind, at=at, **(given | facts))


def incident(name: str, updates: Iterable[BoardUpdate], **facts: Any) -> BoardIncident:
    """Return an incident with its updates (newest first), with `facts` for its other fields."""
    told = tuple(updates)
    given: dict[str, Any] = {
        "mode": Mode.LIVE,
        "severity": Severity.MODERATE,
        "headline": "",
        "areas": told[0].areas,
        "areas_ever": told[0].areas,
        "opened_at": told[-1].at,
        "since": told[-1].since,
        "etr": told[0].etr,
        "promise": told[0].promise,
    }
    return BoardIncident(id=name, updates=told, **(given | facts))


def line(of: BoardIncident) -> IncidentLine:
    """Return the one line about an incident that lists show."""
    return IncidentLine(
        id=of.id,
        headline=of.headline,
        severity=of.severity,
        mode=of.mode,
        areas_ever=of.areas_ever,
        opened_at=of.opened_at,
        closed_at=of.closed_at,
        retracted=of.retracted,
        planned=of.planned,
        cause=of.cause,
        texts=next((each.texts for each in reversed(of.updates) if each.struck is None), {}),
    )


def board(*incidents: BoardIncident, **facts: Any) -> Board:
    """Return the board that holds these incidents, newest first, as when everything is written anew."""
    lines = tuple(line(each) for each in incidents)
    entries = sorted(
        (Entry(line(each), told) for each in incidents for told in each.updates),
        key=lambda entry: entry.update.at,
        reverse=True,
    )
    feeds = {
        area.key: tuple(e for e in entries if area.key in (*e.update.areas, *e.update.ended))
        for area in AREAS
    }
    over = tuple(each for each in reversed(lines) if each.closed_at)
    given: dict[str, Any] = {
        "revision": Revision(1, sum(len(each.updates) for each in incidents)),
        "since": None,
        "at": NOW,
        "mode": Mode.LIVE,
        "open": tuple(each for each in incidents if each.is_open),
        "recent": tuple(each for each in lines if each.closed_at),
        "changed": incidents,
        "feeds": {"": tuple(entries[:50]), **{key: held for key, held in feeds.items() if held}},
        "archive": (ArchivePage(1, False, lines),) if lines else (),
        "archive_pages": 1 if lines else 0,
        "volumes": (ArchiveVolume(1, False, over),) if over else (),
        "volumes_begin": (min(each.opened_at for each in lines),) if over else (),
    }
    return Board(**(given | facts))


# --------------------------------------------------------------------------------------------- what happened in Ekbyn
def power_cut(**facts: Any) -> BoardIncident:
    """Return A7: reported 14.12, estimated 17.00 at 14.40, put off to 19.00 at 15.05."""
    since = minutes(-60)
    said: dict[str, Any] = {"since": since}
    updates = (
        update(
            3,
            Kind.UPDATE,
            NOW,
            "Senast 19.00, inte 17.00: kabeln måste bytas, inte lagas.",
            etr=minutes(235),
            etr_before=minutes(115),
            promise=minutes(45),
            **said,
        ),
        update(
            2,
            Kind.UPDATE,
            minutes(-25),
            "Felet är hittat vid Kvarnvägen.",
            etr=minutes(115),
            promise=minutes(5),
            **said,
        ),
        update(
            1,
            Kind.REPORT,
            minutes(-53),
            "Strömmen är borta i Norra Ekbyn sedan 14.05. Orsaken är okänd, montör är på väg.",
            promise=minutes(-8),
            **said,
        ),
    )
    given: dict[str, Any] = {
        "etr_history": (
            EtrChange(minutes(-25), minutes(115), 2),
            EtrChange(NOW, minutes(235), 3),
        ),
        "affected": 430,
        "cause": "En jordkabel är avgrävd vid Kvarnvägen. Montörer är på plats.",
        "instruction": "Håll kyl och frys stängda. Ring 112 bara vid fara för liv. Rör aldrig en nedfallen "
        "ledning. Varmt vatten och laddning finns på biblioteket till 21.00.",
    }
    return incident("A7", updates, **(given | facts))


def water_leak() -> BoardIncident:
    """Return A8: another hazard than power, in another area, without an estimate, said in two languages."""
    texts = {
        "sv": "Vattenläcka på Storgatan. Vattnet kan vara avstängt i korta stunder.",
        "en": "Water leak in Storgatan. The water may be off for short periods.",
    }
    told = update(
        1, Kind.REPORT, minutes(-20), areas=("centrum",), texts=texts, promise=minutes(70)
    )
    return incident("A8", (told,), headline="Vattenläcka på Storgatan", severity=Severity.MINOR)


def planned_cut() -> BoardIncident:
    """Return A9: a planned cut of the coming night."""
    text = "Vi byter en transformator. Strömmen bryts i Sjövik under natten."
    period = Planned(minutes(8 * 60 - 5), minutes(12 * 60 - 5))
    told = update(1, Kind.REPORT, minutes(-120), text, areas=("sjovik",), planned=period)
    return incident("A9", (told,), planned=period, severity=Severity.MINOR)


def corrected_cut() -> BoardIncident:
    """Return A7 with the wrong areas named at 14.40 and put right at 14.52."""
    told = power_cut()
    newest, wrong, first = told.updates
    struck = replace(
        wrong,
        texts={
            "sv": "Felet är hittat vid Kvarnvägen. Norra och Östra Ekbyn har ström senast 17.00."
        },
        areas=("norra-ekbyn", "ostra-ekbyn"),
        changed_at=minutes(-13),
        struck=Struck(Kind.CORRECTION, minutes(-13), 3),
    )
    right = update(
        3,
        Kind.CORRECTION,
        minutes(-13),
        "Vi skrev Norra och Östra Ekbyn. Rätt är bara Norra Ekbyn: Östra Ekbyn har ström. Vi beklagar felet.",
        ended=("ostra-ekbyn",),
        etr=minutes(115),
        etr_before=minutes(115),
        promise=minutes(5),
        corrects=2,
        corrects_at=minutes(-25),
    )
    moved = (EtrChange(minutes(-25), minutes(115), 2), EtrChange(NOW, minutes(235), 4))
    return replace(
        told,
        updates=(replace(newest, number=4), right, struck, first),
        areas_ever=("norra-ekbyn", "ostra-ekbyn"),
        etr_history=moved,
    )


def retracted_cut() -> BoardIncident:
    """Return A7 retracted whole at 15.05: it never happened."""
    told = power_cut()
    struck = tuple(
        replace(each, changed_at=NOW, struck=Struck(Kind.RETRACTION, NOW, 3))
        for each in told.updates[1:]
    )
    gone = update(
        3,
        Kind.RETRACTION,
        NOW,
        "Beskeden var fel: Norra Ekbyn har ström. Vi beklagar felet.",
    )
    return replace(
        told,
        updates=(gone, *struck),
        areas=(),
        retracted=True,
        closed_at=NOW,
        etr=None,
        promise=None,
    )


def partly_restored_cut() -> BoardIncident:
    """Return A7 in two areas, over in one of them at 16.05."""
    told = power_cut()
    both = ("norra-ekbyn", "ostra-ekbyn")
    back = update(
        4,
        Kind.RESTORED,
        minutes(60),
        "Tack för tålamodet.",
        ended=("ostra-ekbyn",),
        etr=minutes(235),
        etr_before=minutes(235),
        promise=minutes(105),
    )
    before = (replace(each, areas=both) for each in told.updates)
    facts: dict[str, Any] = {"areas_ever": both, "promise": minutes(105)}
    return replace(told, updates=(back, *before), **facts)


def withdrawn_estimate() -> BoardIncident:
    """Return A7 with its estimate withdrawn at 15.20, without a word about why; by then more are without power."""
    told = power_cut(affected=770)
    unsure = update(
        4,
        Kind.UPDATE,
        minutes(15),
        areas=("norra-ekbyn", "ostra-ekbyn"),
        etr_before=minutes(235),
        promise=minutes(60),
        affected=770,
    )
    before = (replace(each, affected=430) for each in told.updates)
    gone = EtrChange(minutes(15), None, 4)
    return replace(
        told,
        updates=(unsure, *before),
        areas=unsure.areas,
        areas_ever=unsure.areas,
        etr=None,
        etr_history=(*told.etr_history, gone),
        promise=minutes(60),
    )


def restored_cut() -> BoardIncident:
    """Return A7 restored at 18.40, before its estimate."""
    told = power_cut()
    back = update(
        4,
        Kind.RESTORED,
        RESTORED_AT,
        "Strömmen är åter i Norra Ekbyn. Du behöver inte göra något. Tack för tålamodet.",
        areas=(),
        ended=("norra-ekbyn",),
        etr_before=minutes(235),
    )
    return replace(
        told,
        updates=(back, *told.updates),
        areas=(),
        closed_at=RESTORED_AT,
        etr=None,
        promise=None,
    )


def states() -> Mapping[str, Board]:
    """Return every state that the pages are drawn and judged in, by a name fit for a file."""
    drill = replace(power_cut(), mode=Mode.DRILL)
    return {
        "nothing-ever": board(),
        "nothing-known": board(restored_cut(), at=RESTORED_AT),
        "one": board(power_cut()),
        "three": board(power_cut(severity=Severity.SEVERE), water_leak(), planned_cut()),
        "two-in-one-place": board(power_cut(), replace(power_cut(), id="A8")),
        "overdue": board(power_cut(), at=minutes(50)),
        "three-overdue": board(power_cut(), water_leak(), planned_cut(), at=minutes(50)),
        "corrected": board(corrected_cut()),
        "retracted": board(retracted_cut()),
        "planned": board(planned_cut()),
        "partly-restored": board(partly_restored_cut(), at=minutes(60)),
        "withdrawn-estimate": board(withdrawn_estimate(), at=minutes(15)),
        "restored": board(restored_cut(), at=RESTORED_AT),
        "drill": board(drill, mode=Mode.DRILL),
    }
