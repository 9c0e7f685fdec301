"""Summaries: who was not told because it was quiet, or wants all at once, gets one letter that says how it stands now.

Nothing is told of what he slept through but its end: each incident is said as it stands, from the words that were said of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from broadcaster.channel import medium_of
from broadcaster.domain.choices import next_time
from broadcaster.domain.delivery import Variant
from broadcaster.domain.incident import Audience
from broadcaster.domain.standing import what_stands
from broadcaster.domain.text import measure_sms
from broadcaster.domain.wording import Wording, power_cuts
from broadcaster.service.desk import Configuration, Desk
from broadcaster.service.notices import Saying
from broadcaster.store import Connection, Rank, StoreKeyWrong, dues, incidents, personal, summing
from broadcaster.store.dues import Due
from broadcaster.store.incidents import IncidentRecord
from broadcaster.store.summing import Waiting

PAGE = 100
PAGES = 5
"""So many at a time: what else is due comes in between, and the next turn goes on."""
LONG_OVER = timedelta(hours=48)
"""Longer than anybody waits for the time of his summary, and then for the end of his quiet hours."""
LIFE = timedelta(hours=6)
"""A summary that could not leave by then says what is no longer so."""
MOST_PARTS = 2
MOST_INCIDENTS = 20


def acts(desk: Desk) -> Mapping[str, Callable[[Due], str]]:
    """What to do when summaries are due."""
    return {dues.SUMMARY: lambda _: _send_due(desk)}


def _send_due(desk: Desk) -> str:
    sent, now = 0, desk.clock()
    for _ in range(PAGES):
        written, taken = desk.write(partial(_send_page, desk, now), Rank.OUTCOME)
        sent += written
        if taken < PAGE:
            break
    desk.write(summing.plan_next, Rank.OUTCOME)
    return f"{sent} summaries"


def _send_page(desk: Desk, now: datetime, connection: Connection) -> tuple[int, int]:
    """Write to some who wait, in the write that forgets that they do: a crash sends none of them two, and none nothing."""
    waiting, taken = summing.take_due(connection, now, PAGE, desk.configuration.zone)
    about = sorted({incident for each in waiting for incident in each.incidents})
    records = {record.id: record for record in incidents.load_many(connection, about)}
    configuration, sent = desk.configuration, 0
    composing = Composing(configuration, records, now)
    for each in waiting:
        letter = composing.letter(each)
        if letter is None:
            continue
        try:
            address = desk.store.vault.open(each.channel, each.address)
        except StoreKeyWrong:
            continue  # as of any letter: this one cannot be written to
        personal.queue(
            connection,
            desk.store.vault,
            channel=each.channel,
            what="summary",
            address=address,
            subject=letter.subject,
            body=letter.body,
            language=letter.language,
            now=now,
            not_after=_not_after(each, now, configuration),
        )
        sent += 1
    return sent, taken


def _not_after(waiting: Waiting, now: datetime, configuration: Configuration) -> datetime:
    """Not in his next quiet hours, and not when it is old."""
    if waiting.quiet is None:
        return now + LIFE
    return min(now + LIFE, next_time(waiting.quiet.start, now, configuration.zone))


@dataclass(frozen=True, slots=True)
class Summary:
    """One letter in one language."""

    subject: str
    body: str
    language: str


@dataclass(frozen=True, slots=True)
class _Line:
    """How one incident stands: as a heading, in a sentence or more, and where to read on; `over` where nobody is concerned."""

    title: str
    rest: str
    link: str
    over: bool


class Composing:
    """What is said to those of one page: the same incidents in the same language and medium are put in words once."""

    def __init__(
        self, configuration: Configuration, records: Mapping[int, IncidentRecord], now: datetime
    ) -> None:
        self._configuration, self._records, self._now = configuration, records, now
        self._lines: dict[tuple[int, str], _Line] = {}
        self._letters: dict[tuple[tuple[int, ...], str, str], Summary | None] = {}

    def letter(self, waiting: Waiting) -> Summary | None:
        """The summary of one subscriber; None where there is nothing to tell, or his channel is no more."""
        adapter = self._configuration.adapters.get(waiting.channel)
        if adapter is None:
            return None
        known = self._configuration.languages
        language = waiting.language if waiting.language in known else known[0]
        wanted = (waiting.incidents, language, medium_of(adapter))
        if wanted not in self._letters:
            self._letters[wanted] = self._compose(*wanted)
        return self._letters[wanted]

    def _compose(self, about: Sequence[int], language: str, medium: str) -> Summary | None:
        records = [self._records[each] for each in about if each in self._records]
        told = [record for record in records if not record.staff and not self._is_long_over(record)]
        if not told:
            return None
        lines = [self._line(record, language) for record in told]
        # What goes on before what is over, else as they came.
        lines.sort(key=lambda line: line.over)
        words = self._wording(language)
        mode = words.mode_label(told[0].mode)
        if medium == "email":
            return self._long(lines, words, mode, language)
        return Summary("", self._short(lines, words, mode, language), language)

    def _is_long_over(self, record: IncidentRecord) -> bool:
        return record.closed_at is not None and record.closed_at <= self._now - LONG_OVER

    def _long(self, lines: Sequence[_Line], words: Wording, mode: str, language: str) -> Summary:
        _, organisation = words.say, self._configuration.settings.organisation.name
        subject = lines[0].title
        if len(lines) > 1:
            subject = _("{title}, and {count} more", title=subject, count=len(lines) - 1)
        heading = _("How it stands {time}", time=words.moment(self._now))
        blocks = [f"{heading}: {organisation}"]
        for line in lines[:MOST_INCIDENTS]:
            block = line.title if line.over else f"{line.title}\n{line.rest}".strip()
            blocks.append(f"{block}\n{line.link}".strip())
        if len(lines) > MOST_INCIDENTS:
            left = len(lines) - MOST_INCIDENTS
            blocks.append(_("{count} more: {link}", count=left, link=self._front(language)))
        label = f"{mode} · " if mode else ""
        return Summary(f"{label}{subject}", f"{label}" + "\n\n".join(blocks) + "\n", language)

    def _short(self, lines: Sequence[_Line], words: Wording, mode: str, language: str) -> str:
        """How it stands, as far as there is room: nothing is cut in the middle. Of several: how many, and the newest."""
        _, newest = words.say, lines[0]
        organisation = self._configuration.settings.organisation.name
        opening = f"{mode} · {organisation}" if mode else organisation
        opening = f"{opening} {words.clock(self._now)}:"
        told = (f"{newest.title}. {newest.rest}", f"{newest.title}.", "")
        if len(lines) == 1:
            texts = [f"{opening} {each} {_bare(newest.link)}" for each in told]
        else:
            over = sum(line.over for line in lines)
            counts = [
                _("{count} going on", count=len(lines) - over) if over < len(lines) else "",
                _("{count} over", count=over) if over else "",
            ]
            head = f"{opening} {', '.join(filter(None, counts))}. {_bare(self._front(language))}"
            texts = [f"{head} {each}" for each in told]
        # A middle dot is no letter of GSM-7: it alone would make three parts of one.
        short = [" ".join(each.split()).replace(" · ", ", ") for each in texts]
        return next((each for each in short if measure_sms(each).parts <= MOST_PARTS), short[-1])

    # ------------------------------------------------------------------------------------------------ of one incident
    def _line(self, record: IncidentRecord, language: str) -> _Line:
        key = (record.id, language)
        if key not in self._lines:
            self._lines[key] = self._tell(record, language)
        return self._lines[key]

    def _tell(self, record: IncidentRecord, language: str) -> _Line:
        words = self._wording(language)
        stands = what_stands(record.updates, Audience.PUBLIC)
        if stands is None:
            return self._taken_back(record, words, language)
        # Dated now: what was "14.05" when it was said is "mån 23 nov 14.05" the next morning.
        # A promise that was not kept is staff's to answer for; as the next word it would be untrue.
        ahead = stands.promise if stands.promise and stands.promise > self._now else None
        said = replace(stands, released_at=self._now, promise=ahead)
        over = record.closed_at is not None
        saying = Saying(update=said, configuration=self._configuration, over=over)
        notice = saying.notice(language, Variant.NEWS)
        if over:
            return _Line(notice.headline, "", notice.link, over=True)
        text = notice.text
        if text and notice.text_language != language:
            text = f"[{notice.text_language}] {text}"
        facts = (notice.since, notice.planned, notice.etr, text, notice.cause)
        sentences = (*facts, notice.instruction, notice.still_affected, notice.next_word)
        rest = " ".join(_sentence(each) for each in sentences if each)
        return _Line(notice.headline, rest, notice.link, over=False)

    def _taken_back(self, record: IncidentRecord, words: Wording, language: str) -> _Line:
        """Nothing of it stands: that is said in one line, and nothing of what was wrong."""
        _ = words.say
        last = record.updates[-1].said
        areas = self._configuration.settings.areas
        names = [areas[key].called(language) for key in (last.areas or last.ended) if key in areas]
        saying = Saying(update=last, configuration=self._configuration)
        title = _("Retracted: {title}", title=words.title(last.headline, names))
        return _Line(title, "", saying.link(language), over=True)

    def _front(self, language: str) -> str:
        base = self._configuration.settings.public.url
        first = language == self._configuration.languages[0]
        return f"{base}/" if first else f"{base}/{language}/"

    def _wording(self, language: str) -> Wording:
        known = power_cuts(map(self._configuration.spoken, self._configuration.languages))
        return Wording(
            self._configuration.spoken(language), self._configuration.zone, self._now, known
        )


def _sentence(phrase: str) -> str:
    stripped = phrase.strip()
    return (
        stripped if stripped.endswith((".", "!", "?")) else f"{stripped[:1].upper()}{stripped[1:]}."
    )


def _bare(link: str) -> str:
    """Telephones make a link of an address without https:// too."""
    return link.removeprefix("https://").rstrip("/")
