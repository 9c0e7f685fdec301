"""What the broadcaster promises, written a second time as plain rules over lists: one of the two is wrong where they differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from broadcaster.domain.incident import Audience, Kind, Severity
from broadcaster.service.commands import Command, Refused, Why

BLANK = {"severity": Severity.MODERATE, "areas": (), "etr": None, "cause": "", "since": None}
CORRECTING, NO_NEWS = (Kind.CORRECTION, Kind.RETRACTION), (Kind.RETRACTION, Kind.HOLDING)
NEXT, REMIND, GRACE = timedelta(minutes=45), timedelta(minutes=10), timedelta(minutes=5)
TYPED_TWICE, STALE, DAY = timedelta(minutes=10), timedelta(hours=2), timedelta(hours=12)


def _refuse_if(wrong: object, why: Why = Why.CONFLICT) -> None:
    if wrong:
        raise Refused("The rules refuse it.", why)


@dataclass(eq=False)
class Word:
    """One thing said, on boards and `by` which channels (None: all): what stood `before`, its `facts`, `taken` from whom."""

    number: int
    kind: Kind
    audience: Audience
    at: datetime
    not_after: datetime
    corrects: Word | None
    whole: bool = False
    by: tuple[str, ...] | None = None
    tells_an_end: bool = False
    before: Word | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    taken: dict[str, Word] = field(default_factory=dict)
    ended: tuple[str, ...] = ()
    promise: datetime | None = None
    state: Literal["waits", "out", "cancelled"] = "waits"
    struck_by: Word | None = None

    def is_gone(self) -> bool:
        """Retracted, or corrected by a word that is gone: as if it had never been said."""
        return (by := self.struck_by) is not None and (by.kind is Kind.RETRACTION or by.is_gone())

    def givers(self) -> dict[str, Word]:
        """Who gave each fact that holds by this word."""
        before = self.before.givers() if self.before else {}
        own = {name: self for name in BLANK if name not in self.taken}
        return before if self.is_gone() else before | own

    def holds(self) -> dict[str, Any]:
        """The facts that hold; without severity and areas it would be another incident."""
        own = {name: self.facts[name] for name in ("severity", "areas")}
        return BLANK | own | {name: by.facts[name] for name, by in self.givers().items()}

    def overtakes(self, old: Word, channel: str) -> bool:
        """Whether it tells the readers of a channel the whole situation, of all that `old` was about."""
        situation = self.kind not in CORRECTING and old.kind not in CORRECTING
        news = self.kind is not Kind.HOLDING or old.kind is Kind.HOLDING
        grave = self.facts["severity"].at_least(old.facts["severity"]) or self.kind is Kind.RESTORED
        left = {*old.facts["areas"], *old.ended} - {*self.facts["areas"], *self.ended}
        heard = self.by is None or channel in self.by or self.kind is Kind.RESTORED
        return situation and news and grave and heard and not left and self.audience is old.audience


class Incident:
    """The words of one incident by number, those that went out in that order, and at what time which word is looked at."""

    def __init__(self, name: str) -> None:
        self.name, self.closed = name, False
        self.words, self.out, self.due = list[Word](), list[Word](), list[tuple[datetime, int]]()

    def heard(self, audience: Audience) -> list[Word]:
        """What an audience was told; staff hear what the public hears, too."""
        return [w for w in self.out if audience is Audience.STAFF or w.audience is audience]

    def newest(self, to: Audience = Audience.STAFF, but: Any = CORRECTING[1:]) -> Word | None:
        """The last word that stands."""
        stand = [w for w in self.heard(to) if w.kind not in but]
        return next((w for w in reversed(stand) if not w.struck_by), None)

    def say(self, command: Command, now: datetime) -> None:
        """What a command becomes; it goes out unless it has to wait. Raises Refused."""
        kind, at, count = command.kind, command.at or now, len(self.words)
        _refuse_if(kind is not Kind.RETRACTION and command.expected not in (None, count), Why.STALE)
        target = self._target(command, now) if kind in CORRECTING else None
        staff_only = {w.audience for w in self.words} == {Audience.STAFF}
        usual = Audience.STAFF if staff_only else Audience.PUBLIC
        audience = target.audience if target else command.audience or usual
        word = Word(count + 1, kind, audience, at, at + DAY, target)
        word.by = None if kind in CORRECTING else () if command.quiet else command.only or None
        if target and kind is Kind.RETRACTION:
            target.struck_by = word  # it is written as if its target had never been said
        news = kind is not Kind.RETRACTION or self.newest(audience, NO_NEWS)
        base = word.before = self.newest(audience) if news and not command.whole else None
        word.whole = kind is Kind.RETRACTION and not base
        word.tells_an_end = target.tells_an_end if target else kind is Kind.RESTORED
        held: dict[str, Any] = base.holds() if base else dict(BLANK)
        if kind is Kind.UPDATE and not held["areas"]:  # it has begun again
            held |= {"etr": None, "cause": "", "since": at}
        areas, word.ended = self._areas(command, word, held["areas"])
        said = {"severity": command.severity, "etr": command.etr, "cause": command.cause}
        facts = held | {n: v for n, v in said.items() if v is not None} | {"areas": areas}
        word.facts = facts | ({"etr": None} if command.drop_etr else {})
        givers = base.givers() if base else {}
        word.taken = {n: by for n, by in givers.items() if by.facts[n] == word.facts[n]}
        word.promise = by = self._promise(command, word)
        _refuse_if(audience is Audience.STAFF and word.by not in (None, ("crew",)), Why.INVALID)
        word.not_after = min(command.until or (by + STALE if by else at + DAY), at + DAY)
        self.words.append(word)
        if command.at:
            self.due.append((at, word.number))
        else:
            self.release(word)

    def _target(self, command: Command, now: datetime) -> Word | None:
        """Which word a correction or retraction is about; None for the whole incident."""
        number = command.number or 0
        _refuse_if(number > len(self.words), Why.NOT_FOUND)
        old = self.words[number - 1] if number else self.newest(but=NO_NEWS) or self.newest()
        _refuse_if(not old or old.state != "out" or old.kind is Kind.RETRACTION or old.struck_by)
        last = [w for w in self.out if w.kind is not Kind.HOLDING][-1]
        twice = command.kind is last.kind is Kind.RETRACTION and now - last.at < TYPED_TWICE
        _refuse_if(twice and not number and not command.whole)
        return None if command.whole else old

    def _areas(self, command: Command, word: Word, here: tuple[str, ...]) -> Any:
        """Where it is after the word, and where it ceases to be by it."""
        kind, named, target = word.kind, command.area, word.corrects
        if kind is Kind.RETRACTION:
            about = self.words if word.whole or not target else [target]
            wrong = dict.fromkeys(area for each in about for area in each.facts["areas"])
            return here, tuple(area for area in wrong if area not in here)
        over = word.before if not here else None  # the word by which it is over everywhere
        leaves = (named or here) if kind is Kind.RESTORED else command.without_area
        _refuse_if(set(leaves) - set(here) or (kind is Kind.RESTORED and not leaves))
        joins = named or (over.ended if over and kind is Kind.UPDATE else ())
        areas = tuple(dict.fromkeys(a for a in (*here, *joins) if a not in leaves))
        may_be_none = kind is Kind.RESTORED or (over and kind is Kind.CORRECTION)
        lost = leaves or (over and kind is Kind.HOLDING) or (self.words and not self.newest())
        _refuse_if(not areas and not may_be_none, Why.CONFLICT if lost else Why.INVALID)
        ends = target.ended if target and target.tells_an_end else ()
        ends = (*leaves, *ends) if not over else () if areas else (*ends, *over.ended)
        return areas, tuple(dict.fromkeys(a for a in ends if a not in areas))

    def _promise(self, command: Command, word: Word) -> datetime | None:
        """As written, else as it was (of a retraction or a partial end), else in 45 minutes; never past the estimate."""
        at, etr, since = word.at, word.facts["etr"], word.facts["since"] or word.at
        _refuse_if(any(t and t <= at for t in (command.next, command.until)), Why.INVALID)
        _refuse_if(command.etr and command.etr <= max(at, since), Why.INVALID)
        _refuse_if(command.next and etr and at < etr < command.next, Why.INVALID)
        by = min(at + NEXT, etr) if etr and etr > at else at + NEXT
        told = [w.promise for w in self.heard(word.audience) if not w.is_gone()]
        if word.kind in (Kind.RETRACTION, Kind.RESTORED) and told and told[-1] and told[-1] > at:
            by = told[-1]
        return (command.next or by) if word.facts["areas"] else None

    def release(self, word: Word) -> None:
        """It goes out: what it corrects is struck, and what waits to be said of what is over never is."""
        public = word.audience is Audience.PUBLIC
        for old in self.out:
            hit = word.whole or old is word.corrects
            if hit and not old.struck_by and (public or old.audience is Audience.STAFF):
                old.struck_by = word
        self.out.append(word)
        word.state = "out"
        ends = word.kind in (Kind.RESTORED, Kind.RETRACTION) and not word.facts["areas"]
        if public or not self.heard(Audience.PUBLIC):
            self.closed = ends or (self.closed and not word.facts["areas"])
        for held in self.words[: word.number - 1]:
            if held.state == "waits" and ends and (public or word.whole):
                held.state = "cancelled"
        if by := word.promise:
            self.due += [(at, word.number) for at in (by - REMIND, by, by + GRACE)]

    def cancel(self, word: Word) -> None:
        word.state = "cancelled"
        self.closed = self.closed or all(w.state == "cancelled" for w in self.words)

    def tick(self, now: datetime) -> None:
        """Do what is due: held words go out or are cancelled; for a promise that was broken not long ago, the honest word."""
        while due := sorted(each for each in self.due if each[0] <= now):
            self.due = [each for each in self.due if each[0] > now]
            for word in (self.words[number - 1] for _, number in due):
                last = self.heard(Audience.PUBLIC)[-1:]
                if word.state == "waits":
                    late = word.not_after <= now or self._is_outdated(word)
                    (self.cancel if late else self.release)(word)
                elif word in last and (by := word.promise) and by + GRACE <= now < by + STALE:
                    self.say(Command(kind=Kind.HOLDING), now)

    def _is_outdated(self, held: Word) -> bool:
        """Whether a word that waited says what was corrected or retracted since, or puts right what was."""
        stands = newest.holds() if (newest := self.newest(held.audience)) else {}
        struck = [held.facts[n] != stands.get(n) for n, by in held.taken.items() if by.struck_by]
        return any(struck) or bool(held.corrects and held.corrects.struck_by)
