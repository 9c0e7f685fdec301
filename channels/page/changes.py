"""What an update changed, in words of ours: it stays readable where the operator wrote nothing, or in another language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from broadcaster.channel import Kind
from broadcaster.domain.board import BoardIncident, BoardUpdate
from broadcaster.domain.listed import sentences
from broadcaster.domain.wording import Wording


@dataclass(frozen=True, slots=True)
class Fact:
    """One line under an update; `stands` is False when the update was struck and this is no longer so.

    `own` says that the words are the operator's, in the organisation's first language.
    """

    text: str
    stands: bool = True
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """An update beside the one `before` it and what stands in its place where it was struck (`by`), each None without.

    `over` are the areas that it tells to have it back; `text` is what the operator wrote in the page's language, `silent` says that there is no text in any; `names` turns
    areas' keys into names.
    """

    words: Wording
    headline: str
    names: Callable[[tuple[str, ...]], tuple[str, ...]]
    text: str
    silent: bool
    update: BoardUpdate
    before: BoardUpdate | None
    by: BoardUpdate | None
    over: tuple[str, ...] = ()

    @property
    def estimates_anew(self) -> bool:
        """Whether it gave another estimate; one that is withdrawn is none."""
        return self._moves_etr and self.update.etr is not None

    @property
    def is_still_over(self) -> bool:
        """Whether it tells of an end that what struck it did not take back."""
        update, by = self.update, self.by
        if by is None or by.kind is not Kind.CORRECTION:
            return False
        return update.kind is Kind.RESTORED and not set(update.ended) & set(by.areas)

    @property
    def _moves_etr(self) -> bool:
        return self.update.etr != self.update.etr_before and self.update.kind is not Kind.RESTORED

    def facts(self) -> Iterator[Fact]:
        """Say what it changed; where it says nothing at all, when the next word comes."""
        told = [*self._where(), *self._when(), *self._households()]
        if self.silent and not told:
            told = [*self._why()]
        promise = self.words.next_word_phrase(self.update.promise)
        if promise and (self.update.kind is Kind.HOLDING or (self.silent and not told)):
            told.append(Fact(promise, self.by is None or self.by.promise == self.update.promise))
        yield from told

    def _where(self) -> Iterator[Fact]:
        _ = self.words.say
        update, by = self.update, self.by
        if update.kind is Kind.RESTORED:
            still = self.words.still_affected(self.names(update.areas))
            if still:
                yield Fact(still, by is None or set(update.areas) <= set(by.areas))
            return
        if self.over:
            yield Fact(
                self.words.restored_title(self.headline, self.names(self.over)),
                self._off(self.over),
            )
        left = tuple(area for area in update.ended if area not in self.over)
        if left:
            yield Fact(self.words.no_longer(update.kind, self.names(left)), self._off(left))
        if self.before is None or update.kind is Kind.HOLDING:
            return
        known = self.before.areas
        added = tuple(area for area in update.areas if area not in known)
        if added:
            place = self._listing(added)
            told = (
                _("Also affected: {place}", place=place)
                if known
                else _("Affected now: {place}", place=place)
            )
            yield Fact(told, by is None or set(added) <= set(by.areas))

    def _off(self, areas: tuple[str, ...]) -> bool:
        """Whether what stands in its place leaves these areas out, too."""
        return self.by is None or not set(areas) & set(self.by.areas)

    def _when(self) -> Iterator[Fact]:
        _ = self.words.say
        update, by = self.update, self.by
        anew = self.before is None or self.before.planned != update.planned
        if update.planned and anew and self.words.to_come(update.planned):
            period = self.words.planned_phrase(update.planned)
            yield Fact(
                _("Planned: {period}", period=period), by is None or by.planned == update.planned
            )
        repeats = update.kind in (Kind.CORRECTION, Kind.RETRACTION)
        if (self._moves_etr or repeats) and not self._says_etr():
            before = update.etr_before if self._moves_etr else None
            said = self.words.etr_phrase(update.etr, before, headline=self.headline)
            if said:
                yield Fact(said, by is None or by.etr == update.etr)

    def _says_etr(self) -> bool:
        """Whether the operator's own words name the estimate already; struck words say nothing any more."""
        etr = self.update.etr
        return self.by is None and etr is not None and self.words.time(etr) in self.text

    def _households(self) -> Iterator[Fact]:
        number = self.update.affected
        if self.before and number is not None and number != self.before.affected:
            stands = self.by is None or self.by.affected == number
            yield Fact(households(self.words, number), stands)

    def _why(self) -> Iterator[Fact]:
        for name in ("cause", "instruction"):
            said, known = getattr(self.update, name), getattr(self.before, name, "")
            if said and said != known:
                stands = self.by is None or getattr(self.by, name) == said
                yield Fact(self.words.own(said), stands, own=said not in sentences())

    def _listing(self, areas: tuple[str, ...]) -> str:
        return self.words.listing(self.names(areas))


def households(words: Wording, number: int | None) -> str:
    """Say "cirka 1 200 hushåll"; "" when the number is not known."""
    _ = words.say
    if number is None:
        return ""
    return _("about {number} households", number=f"{number:,}".replace(",", _(",")))


def told_over(update: BoardUpdate, others: Mapping[int, BoardUpdate]) -> tuple[str, ...]:
    """The areas that it tells to be over: of a correction those that what it corrects had told to be."""
    if update.kind is Kind.RESTORED:
        return update.ended
    target = others.get(update.corrects or 0)
    if update.kind is not Kind.CORRECTION or target is None:
        return ()
    if not update.areas:  # it went on to be over everywhere
        return update.ended
    was = told_over(target, others)
    return tuple(area for area in update.ended if area in was)


def leaves(
    area: str, incident: BoardIncident, others: Mapping[int, BoardUpdate]
) -> BoardUpdate | None:
    """The newest word that stands by which an open incident concerns an area no more."""
    if area in incident.areas or area not in incident.areas_stated:
        return None
    for update in incident.updates:
        by = put_right(update, others)
        if area in update.ended and (by is None or by.kind is Kind.CORRECTION):
            return update
    return None


def put_right(update: BoardUpdate, others: Mapping[int, BoardUpdate]) -> BoardUpdate | None:
    """What stands in the place of what was struck: of what was corrected twice, the second correction."""
    by: BoardUpdate | None = None
    struck = update.struck
    while struck is not None and struck.by in others:
        by = others[struck.by]
        struck = by.struck
    return by
