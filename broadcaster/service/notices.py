"""An update in words, in one language, for one kind of reader: what `render` of every adapter is given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broadcaster.channel import Notice
from broadcaster.domain.addresses import incident_path, language_folder
from broadcaster.domain.delivery import Variant
from broadcaster.domain.incident import Kind, Planned, Update
from broadcaster.domain.listed import sentences
from broadcaster.domain.wording import Wording, power_cuts, spoken
from broadcaster.locale import primary_of, residents
from broadcaster.service.desk import Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """What is needed besides the update itself: what it corrects, and the estimate and plan that stood before.

    `began_at`: when the first word went out of an incident of which all is retracted.
    `restores`: it corrects a restoration, so whoever was told that power is back is told so still, in better words.
    `over`: nobody is concerned by what stands after it. `on_page`: the incident has a page that anybody can read.
    """

    update: Update
    configuration: Configuration
    corrects_at: datetime | None = None
    began_at: datetime | None = None
    etr_before: datetime | None = None
    planned_before: Planned | None = None
    restores: bool = False
    over: bool = False
    on_page: bool = True

    def notice(self, language: str, variant: Variant) -> Notice:
        """The update as a notice in one language."""
        update, settings = self.update, self.configuration.settings
        words = self._wording(language)
        text, text_language = self._text(language)
        restored = self._tells_of_an_end(variant)
        spared = variant is Variant.ALL_CLEAR
        over = restored or spared
        names = self._names(language, update.ended if over or not update.areas else update.areas)
        return Notice(
            incident=update.incident,
            number=update.number,
            kind=update.kind,
            variant=variant,
            mode=update.mode,
            severity=update.severity,
            language=language,
            text_language=text_language,
            organisation=settings.organisation.name,
            phone=settings.organisation.phone,
            mode_label=words.mode_label(update.mode),
            label=self._label(words, variant),
            headline=words.restored_title(update.headline, names)
            if restored
            else self._headline(words, variant, names),
            areas=names,
            text=text
            if (restored or not over) and not self._is_news_of_a_retraction(variant)
            else "",
            since="" if over else self._when(words),
            etr="" if over or not update.areas else self._etr(words, variant),
            still_affected=self._still_affected(words, language) if restored and not spared else "",
            no_longer="" if over or not update.areas else self._no_longer(words, language, variant),
            planned="" if over else words.planned_work(update.planned, headline=update.headline),
            next_word="" if spared else words.next_word_phrase(update.promise),
            cause="" if over else self._own(words, language, update.cause),
            instruction="" if over else self._own(words, language, update.instruction),
            link=self.link(language),
            over=restored and not update.areas,
            facts=self.facts(variant),
        )

    def missed(self, language: str, times: tuple[datetime, ...]) -> str:
        """Name the words, by when they were released, that never reached a channel's readers."""
        return self._wording(language).missed(times)

    def _tells_of_an_end(self, variant: Variant) -> bool:
        told_before = variant in (Variant.CORRECTION, Variant.AMENDED)
        if self.over and (variant is Variant.NEWS or self.update.kind is Kind.RETRACTION):
            return True
        return self.update.kind is Kind.RESTORED or (self.restores and told_before)

    def _is_news_of_a_retraction(self, variant: Variant) -> bool:
        """Whether its readers never had what is retracted: they are told how it stands, and nothing of what was wrong."""
        return self.update.kind is Kind.RETRACTION and variant is Variant.NEWS

    def _wording(self, language: str) -> Wording:
        near = self.update.released_at or self.update.accepted_at
        languages = self.configuration.languages
        said = {tag: residents(tag, languages[0]).phrases for tag in {*languages, language}}
        return Wording(said[language], self.configuration.zone, near, power_cuts(said.values()))

    def _names(self, language: str, keys: tuple[str, ...]) -> tuple[str, ...]:
        areas = self.configuration.settings.areas
        return tuple(areas[key].called(language) for key in keys if key in areas)

    def _own(self, words: Wording, language: str, text: str) -> str:
        """A cause or advice: what is listed is said in this language, other words are marked where they are in another."""
        said, first = words.own(text), self.configuration.languages[0]
        if said != text or not text or primary_of(first) == primary_of(language):
            return said
        return said if text in sentences() else f"[{first}] {said}"

    def _headline(self, words: Wording, variant: Variant, names: tuple[str, ...]) -> str:
        update = self.update
        if update.kind is Kind.NOTICE:
            return self._label(words, variant)
        planned = update.planned if update.areas else update.planned or self.planned_before
        title = words.title(update.headline, names, to_come=words.to_come(planned))
        return f"{self._label(words, variant)}: {title}" if self._leaves_nothing(variant) else title

    def _leaves_nothing(self, variant: Variant) -> bool:
        """Whether nothing stands of what its readers were told: as a sentence of its own the headline would say it anew."""
        told_before = variant in (Variant.CORRECTION, Variant.AMENDED)
        return self.update.kind is Kind.RETRACTION and told_before and not self.update.areas

    def _when(self, words: Wording) -> str:
        update = self.update
        return words.when_phrase(update.since, update.planned, headline=update.headline)

    def _still_affected(self, words: Wording, language: str) -> str:
        """Where it is not over yet: for whom the next word is."""
        return words.still_affected(self._names(language, self.update.areas))

    def _no_longer(self, words: Wording, language: str, variant: Variant) -> str:
        """Where it was said to be and is not: readers there look for the name of their area."""
        if self._is_news_of_a_retraction(variant):
            return ""
        return words.no_longer(self.update.kind, self._names(language, self.update.ended))

    def _label(self, words: Wording, variant: Variant) -> str:
        update = self.update
        if variant is Variant.AMENDED:
            return words.struck_label(update.kind, update.accepted_at)
        kind = update.kind
        if variant is Variant.NEWS and kind in (Kind.CORRECTION, Kind.RETRACTION):
            # Who never had the wrong text is told how it stands, not what was wrong.
            kind = Kind.RESTORED if self.over else Kind.UPDATE
        return words.label(
            kind,
            headline=update.headline,
            corrects_at=self.corrects_at,
            began_at=self.began_at,
            variant=variant,
            to_come=words.to_come(update.planned),
        )

    def _etr(self, words: Wording, variant: Variant) -> str:
        update = self.update
        if words.to_come(update.planned):
            return ""  # its end stands beside its start already
        before = self.etr_before if self.etr_before != update.etr else None
        if self._is_news_of_a_retraction(variant):
            before = None  # they never heard of it
        return words.etr_phrase(update.etr, before, headline=update.headline)

    def _text(self, language: str) -> tuple[str, str]:
        """The operator's words, and the language they are in when that is another."""
        text, spoken_in = spoken(self.update.texts, language, *self.configuration.languages)
        same = not spoken_in or primary_of(spoken_in) == primary_of(language)
        return text, language if same else spoken_in

    def link(self, language: str) -> str:
        """The incident's page in this language; "" for what only staff know, which has none."""
        if self.update.kind is Kind.NOTICE or not self.on_page:
            return ""
        base = self.configuration.settings.public.url
        folder = language_folder(self.configuration.languages, language)
        return f"{base}/{folder}{incident_path(self.update.incident.lower())}"

    def facts(self, variant: Variant) -> dict[str, Any]:
        """The update as the public JSON has it: what a machine is told."""
        update = self.update
        return {
            "incident": update.incident,
            "update": update.number,
            "kind": str(update.kind),
            "variant": str(variant),
            "mode": str(update.mode),
            "severity": str(update.severity),
            "audience": str(update.audience),
            "organisation": self.configuration.settings.organisation.name,
            "headline": update.headline,
            "areas": list(update.areas),
            "ended": list(update.ended),
            "text": dict(update.texts),
            "since": iso(update.since),
            "etr": iso(update.etr),
            "next": iso(update.promise),
            "planned": {"start": iso(update.planned.start), "end": iso(update.planned.end)}
            if update.planned
            else None,
            "affected": update.affected,
            "cause": update.cause,
            "instruction": update.instruction,
            "corrects": update.corrects,
            "accepted_at": iso(update.accepted_at),
            "url": self.link(self.configuration.languages[0]),
        }


def iso(when: datetime | None) -> str | None:
    """ISO 8601 with offset, or None."""
    return when.isoformat() if when else None
