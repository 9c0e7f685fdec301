"""What an update changed, in words of ours: it stays readable where the operator wrote nothing, or in another language."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from broadcaster.channel import Kind
from broadcaster.domain.board import BoardUpdate
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

    `text` is what the operator wrote in the page's language, `silent` says that there is no text in any; `names` turns
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
        if update.ended:
            stands = by is None or not set(update.ended) & set(by.areas)
            yield Fact(self.words.no_longer(update.kind, self.names(update.ended)), stands)
        known = self.before.areas if self.before else ()
        added = tuple(area for area in update.areas if area not in known)
        if known and added and update.kind is not Kind.HOLDING:
            stands = by is None or set(added) <= set(by.areas)
            yield Fact(_("Also affected: {place}", place=self._listing(added)), stands)

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
                yield Fact(said, stands, own=True)

    def _listing(self, areas: tuple[str, ...]) -> str:
        return self.words.listing(self.names(areas))


def households(words: Wording, number: int | None) -> str:
    """Say "cirka 1 200 hushåll"; "" when the number is not known."""
    _ = words.say
    if number is None:
        return ""
    return _("about {number} households", number=f"{number:,}".replace(",", _(",")))
