"""What stands of an incident, and what a word that goes out does to those before it: plain rules over lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from broadcaster.domain.incident import Audience, Kind, Severity

FACTS = ("severity", "areas", "etr", "cause", "since")
BLANK: Mapping[str, Any] = {
    "severity": Severity.MODERATE,
    "areas": (),
    "etr": None,
    "cause": "",
    "since": None,
}
CORRECTING = (Kind.CORRECTION, Kind.RETRACTION)
REMIND, GRACE = timedelta(minutes=10), timedelta(minutes=5)


@dataclass(kw_only=True, eq=False)
class Word:
    """One thing said: its facts, and from which word each was taken over (`source`; its own number where it was not)."""

    number: int
    kind: Kind
    audience: Audience
    facts: dict[str, Any]
    source: dict[str, int]
    before: int | None
    ended: tuple[str, ...]
    promise: datetime | None
    not_after: datetime
    corrects: int | None
    whole: bool
    release_at: datetime | None
    out_at: datetime | None = None
    struck_by: int | None = None
    cancelled: bool = False
    needless: bool = False

    @property
    def waits(self) -> bool:
        return self.out_at is None and not self.cancelled

    @property
    def reach(self) -> set[str]:
        return {*self.facts["areas"], *self.ended}

    def is_for(self, audience: Audience) -> bool:
        """Staff hear what the public hears, too."""
        return audience is Audience.STAFF or self.audience is Audience.PUBLIC


@dataclass(eq=False)
class Incident:
    """The words of one incident by number from 1, those that went out in that order, and what is due."""

    name: str
    words: list[Word] = field(default_factory=list)
    out: list[Word] = field(default_factory=list)
    closed: bool = False
    due: list[tuple[datetime, str]] = field(default_factory=list)

    @property
    def public(self) -> list[Word]:
        return [word for word in self.out if word.audience is Audience.PUBLIC]

    # A word is gone when it was retracted, or corrected by a word that is gone: then it was as if never said.
    def gone(self, word: Word, without: int | None = None) -> bool:
        if word.number == without:
            return True
        if word.struck_by is None:
            return False
        striker = self.words[word.struck_by - 1]
        return striker.kind is Kind.RETRACTION or self.gone(striker, without)

    def newest(self, audience: Audience, without: int | None = None) -> Word | None:
        stand = (w for w in reversed(self.out) if w.kind is not Kind.RETRACTION)
        heard = (w for w in stand if w.is_for(audience) and not w.struck_by)
        return next((w for w in heard if not self.gone(w, without)), None)

    def origin(self, word: Word | None, name: str, without: int | None = None) -> Word | None:
        """Who said this fact of a word; when that is gone, who said what held before it."""
        while word is not None:
            said_by = self.words[word.source[name] - 1]
            if not self.gone(said_by, without):
                return said_by
            word = self.words[said_by.before - 1] if said_by.before else None
        return None

    def facts(self, word: Word, without: int | None = None) -> dict[str, Any]:
        said = {name: self.origin(word, name, without) for name in FACTS}
        own = {"severity": word.facts["severity"], "areas": word.facts["areas"]}
        return {
            name: by.facts[name] if by else own.get(name, BLANK[name]) for name, by in said.items()
        }

    def promise(self, audience: Audience, without: int | None = None) -> datetime | None:
        """What readers were told last of when the next word comes."""
        heard = [w for w in self.out if w.is_for(audience) and w.number != without]
        return heard[-1].promise if heard else None

    def tells_an_end(self, word: Word) -> bool:
        while word.kind is Kind.CORRECTION and word.corrects:
            word = self.words[word.corrects - 1]
        return word.kind is Kind.RESTORED

    def audience(self) -> Audience:
        staff = self.words and all(w.audience is Audience.STAFF for w in self.words)
        return Audience.STAFF if staff else Audience.PUBLIC

    # ---------------------------------------------------------------------------------------------------- going out
    def release(self, word: Word, now: datetime) -> None:
        for old in self.out:
            hit = word.whole or old.number == word.corrects
            heard = word.audience is Audience.PUBLIC or old.audience is Audience.STAFF
            if hit and heard and old.struck_by is None:
                old.struck_by = word.number
            old.needless = old.needless or overtakes(word, old)
        word.out_at = now
        self.out.append(word)
        is_public = word.audience is Audience.PUBLIC
        over = word.whole or (
            word.kind in (Kind.RESTORED, Kind.RETRACTION) and not word.facts["areas"]
        )
        if is_public or not self.public:
            self.closed = over or (self.closed and not word.facts["areas"])
        if word.whole or (over and is_public):
            for held in self.words[: word.number - 1]:
                if held.waits:
                    self.cancel(held)
        if is_public:
            at = word.promise
            stages = (("remind", -REMIND), ("due", timedelta()), ("grace", GRACE))
            self.due = [(at + span, what) for what, span in stages] if at else []

    def cancel(self, word: Word) -> None:
        word.cancelled = True
        self.closed = self.closed or all(w.cancelled for w in self.words)

    def is_outdated(self, held: Word) -> bool:
        """Whether a word that waited says what was corrected or retracted since, or puts right what was."""
        newest = self.newest(held.audience)
        stands = self.facts(newest) if newest else {}
        for name, number in held.source.items():
            by = self.words[number - 1]
            if by is not held and by.struck_by and stands.get(name) != held.facts[name]:
                return True
        return bool(held.corrects and self.words[held.corrects - 1].struck_by)


def overtakes(new: Word, old: Word) -> bool:
    """Whether `new` tells the whole situation, of all that `old` was about, to the same readers."""
    situation = new.kind in (Kind.REPORT, Kind.UPDATE, Kind.RESTORED)
    again = new.kind is Kind.HOLDING and old.kind is Kind.HOLDING
    grave = new.kind is Kind.RESTORED or new.facts["severity"].at_least(old.facts["severity"])
    covers = new.audience is old.audience and grave and old.reach <= new.reach
    return (situation or again) and covers and old.kind not in CORRECTING
