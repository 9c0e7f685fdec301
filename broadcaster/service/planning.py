"""Which channels carry an update, with which texts and in which steps; everything is rendered here, before it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from broadcaster.channel import CanAmend, CanWithdraw, Notice, Rendered
from broadcaster.domain.delivery import Shape, StepKind, Variant
from broadcaster.domain.incident import Audience, Kind, Update
from broadcaster.domain.plan import routed
from broadcaster.domain.text import plain
from broadcaster.registry import Adapter
from broadcaster.service.arranging import Unarranged, arranged
from broadcaster.service.commands import Command, Refused
from broadcaster.service.desk import Configuration
from broadcaster.service.drafting import OUR_OWN_WORDS, Draft
from broadcaster.service.notices import Saying
from broadcaster.service.preceding import CORRECTING, Preceding
from broadcaster.store.intents import NewAudience, NewDelivery, NewMessage, NewStep

_UNSAYABLE = "{channel}: {reason} Nothing was sent. Shorten the text, or leave the channel out with --channel."
_UNSAYABLE_ON_SEVERAL = (
    "{channel}: {reason} It cannot be said on {others} either. Nothing was sent. Shorten the text, or leave these "
    "channels out with --channel."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelText:
    """What one channel says in one language and variant, or why it cannot."""

    channel: str
    language: str
    variant: Variant
    rendered: Rendered | None
    error: str = ""


@dataclass(slots=True)
class Plan:
    """What is to be written: messages, deliveries, and the renderings they came from (for a preview).

    `left_out` are the channels whose adapters break over it: they say nothing, and no other is held up.
    """

    messages: list[NewMessage] = field(default_factory=list)
    deliveries: list[NewDelivery] = field(default_factory=list)
    texts: list[ChannelText] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def refuse_what_cannot_be_said(self) -> None:
        """Refuse the whole command when one channel cannot say it: half of an update is a false one."""
        wrong = [text for text in self.texts if text.error]
        if not wrong:
            return
        others = ", ".join(dict.fromkeys(t.channel for t in wrong if t.channel != wrong[0].channel))
        raise Refused(
            _UNSAYABLE_ON_SEVERAL if others else _UNSAYABLE,
            at="text",
            channel=wrong[0].channel,
            reason=wrong[0].error,
            others=others,
        )


def plan(
    command: Command,
    drafted: Draft,
    saying: Saying,
    configuration: Configuration,
    limits: Mapping[str, Mapping[str, Any]],
    preceding: Preceding,
) -> Plan:
    """Render and lay out an update.

    Args:
        limits: what each channel's last probe said.
        preceding: where the text that is corrected or retracted has been, and what each channel speaks.
    """
    later = command.at is not None
    planner = _Planner(drafted, saying, configuration, limits, preceding, command.plain, later)
    for name in channels_for(command, drafted, configuration, preceding):
        planner.add_or_leave_out(name)
    planner.add_stand_ins()
    if planner.plan.left_out and not planner.plan.deliveries:
        raise Refused("No channel can say this: their adapters break. Nothing was sent.")
    return planner.plan


def channels_for(
    command: Command, drafted: Draft, configuration: Configuration, preceding: Preceding
) -> tuple[str, ...]:
    """The channels that carry an update, in the order of the routes; its end goes wherever an outage was told of."""
    update, adapters = drafted.update, configuration.adapters
    unknown = [name for name in command.only if name not in adapters]
    if unknown:
        raise Refused(
            'There is no channel "{channel}". There are {channels}. Nothing was sent.',
            at="channel",
            channel=unknown[0][:80],
            channels=", ".join(adapters),
        )
    names = list(routed(configuration.routes, update.severity, (*update.areas, *update.ended)))
    if update.audience is Audience.STAFF:
        names = list(adapters)
    if update.kind in CORRECTING:
        # Every channel the wrong text used.
        names += preceding.sent.channels
    if update.ended:
        # It may have been graver when it began: who was woken by a siren is told that it is over.
        names += preceding.told
    chosen = [
        name
        for name in names
        if name in adapters and _wanted(adapters[name], update, command, name)
    ]
    if not chosen:
        raise Refused(
            "No channel carries this: look at routes in the configuration. Nothing was sent.",
            at="channel",
        )
    return tuple(dict.fromkeys(chosen))


def _may_hear(adapter: Adapter, update: Update) -> bool:
    return update.audience is Audience.PUBLIC or adapter.settings.audience is Audience.STAFF


def _wanted(adapter: Adapter, update: Update, command: Command, name: str) -> bool:
    if not _may_hear(adapter, update):
        return False  # also where a correction follows the wrong text, also where it was asked for by name
    if adapter.shape is Shape.BOARD:
        return update.audience is Audience.PUBLIC  # a board always shows the whole public record
    if command.quiet:
        return False
    if command.only and name not in command.only:
        return update.kind in CORRECTING  # what went out wrong everywhere is put right everywhere
    return True


@dataclass(slots=True)
class _Planner:
    drafted: Draft
    saying: Saying
    configuration: Configuration
    limits: Mapping[str, Mapping[str, Any]]
    preceding: Preceding
    plainly: bool
    later: bool
    plan: Plan = field(default_factory=Plan)
    notices: dict[tuple[str, Variant], Notice] = field(default_factory=dict)

    @property
    def update(self) -> Update:
        return self.drafted.update

    def add_or_leave_out(self, name: str) -> None:
        """Add one channel; one whose adapter breaks over it is left out whole."""
        try:
            self.add(name)
        except Unarranged:
            self._leave_out(name)

    def _leave_out(self, name: str) -> None:
        plan = self.plan
        plan.left_out.append(name)
        plan.messages = [message for message in plan.messages if message.channel != name]
        plan.texts = [text for text in plan.texts if text.channel != name]
        plan.deliveries = [
            replace(each, fallback=tuple(other for other in each.fallback if other != name))
            for each in plan.deliveries
        ]

    def add(self, name: str) -> None:
        """Add the delivery of one channel, and its texts."""
        adapters = self.configuration.adapters
        adapter = adapters[name]
        fallback = tuple(
            other
            for other in adapter.settings.fallback
            if other in adapters and _may_hear(adapters[other], self.update)
        )
        steps: list[NewStep] = []
        audiences: tuple[NewAudience, ...] = ()
        if adapter.shape is Shape.POST:
            if self._leaves_nothing and not self._puts_right(name):
                return  # who never had a word of it is told nothing
            steps = list(self._post_steps(name, adapter))
            if any(adapters[other].shape is Shape.LETTER for other in fallback):
                audiences = self._only_told(name, self._audiences())
        elif adapter.shape is Shape.LETTER:
            audiences = self._only_told(name, self._audiences())
            for variant in dict.fromkeys(group.variant for group in audiences):
                self._render_all(name, adapter, variant, self.configuration.languages)
            if not audiences:
                return
        self.plan.deliveries.append(
            NewDelivery(
                channel=name,
                shape=adapter.shape,
                life_safety=self.update.severity.at_least(
                    self.configuration.settings.resend_uncertain
                ),
                fallback=fallback,
                steps=tuple(steps),
                audiences=audiences,
            )
        )

    def add_stand_ins(self) -> None:
        """Add the texts of those that may take over; last, because whoever carries the word itself has its own."""
        deliveries = self.plan.deliveries
        for name in dict.fromkeys(other for each in deliveries for other in each.fallback):
            try:
                self._render_fallback(name)
            except Unarranged:
                self._leave_out(name)

    # ---------------------------------------------------------------------------------------------------------- posts
    def _puts_right(self, name: str) -> bool:
        """Whether a text that is corrected or retracted may stand in a channel when this goes out."""
        until_then = self.later and name in self.preceding.sent.channels
        return self.update.kind in CORRECTING and (
            bool(self.preceding.sent.posts(name)) or until_then
        )

    @property
    def _leaves_nothing(self) -> bool:
        """Whether all of the incident is retracted: then there is no news of it."""
        return self.drafted.whole and self.update.kind is Kind.RETRACTION

    def _post_steps(self, name: str, adapter: Adapter) -> Iterator[NewStep]:
        languages = self._post_languages(name)
        for variant in (Variant.CORRECTION, Variant.NEWS):
            for message in self._render_all(name, adapter, variant, languages[variant]):
                yield NewStep(kind=StepKind.POST, message=message.place)
        if self._puts_right(name):
            yield from self._put_right(name, adapter)

    def _post_languages(self, name: str) -> dict[Variant, tuple[str, ...]]:
        """Those to post in: where a wrong text may be read it is put right in its own languages.

        It is news in each other one the operator writes in now, and in each thread that is begun, which was told less.
        Where nobody may have the wrong text, all is news: in the default language, in each thread, and in each other one
        the operator wrote in: now, or before when there is no text now.
        """
        update, known = self.update, self.configuration.languages
        said = set() if update.kind in OUR_OWN_WORDS else set(update.texts)
        wrong = {language for _, language in self.preceding.sent.posts(name)} & set(known)
        threads = self.preceding.threads.get(name, frozenset())
        if self._puts_right(name) and wrong:
            # What a thread never had, it need not hear of when it is taken back: it tells already what holds again.
            told = said if update.kind is Kind.RETRACTION else said | threads
            return {
                Variant.CORRECTION: tuple(each for each in known if each in wrong),
                Variant.NEWS: tuple(each for each in known if each in told - wrong),
            }
        first, *others = known
        spoken = threads | (said or self.drafted.spoken)
        languages = (first, *(language for language in others if language in spoken))
        told_as = Variant.CORRECTION if self._puts_right(name) else Variant.NEWS
        return dict.fromkeys(Variant, ()) | {told_as: languages}

    def _put_right(self, name: str, adapter: Adapter) -> Iterator[NewStep]:
        """The wrong posts themselves: taken away when retracted, changed in place when corrected."""
        wrong = self.preceding.sent.posts(name)
        if self.update.kind is Kind.RETRACTION and isinstance(adapter, CanWithdraw):
            for step_id, _ in wrong:
                yield NewStep(kind=StepKind.WITHDRAW, target_step=step_id)
        elif isinstance(adapter, CanAmend) and wrong:
            yield from self._amended(name, adapter, wrong)

    def _amended(
        self, name: str, adapter: Adapter, wrong: tuple[tuple[int, str], ...]
    ) -> Iterator[NewStep]:
        """Each wrong post becomes the right text in its own language; of a thread, the first post alone."""
        languages = tuple(dict.fromkeys(language for _, language in wrong))
        amended = self._render_all(name, adapter, Variant.AMENDED, languages)
        first = {text.language: text for text in reversed(amended)}
        for step_id, language in wrong:
            if language in first:
                yield NewStep(
                    kind=StepKind.AMEND, target_step=step_id, message=first[language].place
                )

    # -------------------------------------------------------------------------------------------------------- letters
    def _only_told(self, name: str, groups: tuple[NewAudience, ...]) -> tuple[NewAudience, ...]:
        """Of a channel that only tells an end, those whom it told of the beginning; of any other, all."""
        update, told = self.update, self.preceding.told.get(name, frozenset())
        areas = (*update.areas, *update.ended)
        if not told or name in routed(self.configuration.routes, update.severity, areas):
            return groups
        # The last group are those for whom it ends.
        return (replace(groups[-1], areas=tuple(area for area in update.ended if area in told)),)

    def _audiences(self) -> tuple[NewAudience, ...]:
        """Who is written to, and what: see design.md §3 for corrections."""
        update = self.update
        if update.kind in CORRECTING:
            wrong = self.preceding.wrong
            had = NewAudience(variant=Variant.CORRECTION, areas=None, had=wrong)
            if update.kind is Kind.RETRACTION or not update.areas:
                return (had,)
            return (had, NewAudience(variant=Variant.NEWS, areas=update.areas, had_not=wrong))
        if update.kind is Kind.RESTORED:
            variant = Variant.ALL_CLEAR if update.areas else Variant.NEWS
            return (NewAudience(variant=variant, areas=update.ended),)
        if update.kind is Kind.NOTICE:
            # It is about no area, and only staff have it: whoever subscribes to the channel, wherever.
            return (NewAudience(variant=Variant.NEWS, areas=None),)
        groups = []
        if update.areas:
            groups.append(NewAudience(variant=Variant.NEWS, areas=update.areas))
        if update.ended:
            groups.append(NewAudience(variant=Variant.ALL_CLEAR, areas=update.ended))
        return tuple(groups)

    # ------------------------------------------------------------------------------------------------------ rendering
    def _render_fallback(self, name: str) -> None:
        adapter = self.configuration.adapters[name]
        if adapter.shape is Shape.BOARD or any(text.channel == name for text in self.plan.texts):
            return
        if adapter.shape is Shape.LETTER:
            for variant in sorted({group.variant for group in self._audiences()}):
                self._render_all(name, adapter, variant, self.configuration.languages)
            return
        languages = tuple(each for some in self._post_languages(name).values() for each in some)
        # A post that stands in takes the news. Where none is left, who had it elsewhere may look for it here.
        told_as = Variant.CORRECTION if self._leaves_nothing else Variant.NEWS
        self._render_all(name, adapter, Variant.NEWS, languages, told_as=told_as)

    def _render_all(
        self,
        name: str,
        adapter: Any,
        variant: Variant,
        languages: tuple[str, ...],
        *,
        told_as: Variant | None = None,
    ) -> list[NewMessage]:
        made: list[NewMessage] = []
        for language in languages:
            made += self._render(name, adapter, variant, self._notice(language, told_as or variant))
        self.plan.messages += made
        return made

    def _catching_up(self, name: str, variant: Variant, notice: Notice) -> Notice:
        """Name what a channel that was away will never say; of what goes out later nobody knows yet what it will be."""
        times = self.preceding.missed.get(name, ())
        if not times or self.later or variant is Variant.ALL_CLEAR:
            return notice
        return replace(notice, missed=self.saying.missed(notice.language, times))

    def _notice(self, language: str, variant: Variant) -> Notice:
        """Put into words once for all channels."""
        if (language, variant) not in self.notices:
            self.notices[language, variant] = self.saying.notice(language, variant)
        return self.notices[language, variant]

    def _render(
        self, name: str, adapter: Any, variant: Variant, notice: Notice
    ) -> list[NewMessage]:
        language = notice.language
        notice = self._catching_up(name, variant, notice)
        if self.plainly and adapter.shape is Shape.LETTER:
            # Only where a letter outside GSM 03.38 costs: everywhere else the operator's own signs stand.
            notice = replace(notice, text=plain(notice.text).text)
        try:
            rendered = arranged(name, adapter, notice, self.limits.get(name, {}))
        except ValueError as error:
            self.plan.texts.append(
                ChannelText(
                    channel=name,
                    language=language,
                    variant=variant,
                    rendered=None,
                    error=str(error),
                )
            )
            return []
        self.plan.texts.append(
            ChannelText(channel=name, language=language, variant=variant, rendered=rendered)
        )
        return [
            NewMessage(
                channel=name,
                language=language,
                variant=variant,
                position=position,
                body=text.body,
                subject=text.subject,
                payload=text.payload,
            )
            for position, text in enumerate(rendered.texts)
        ]
