"""A channel's surroundings, a notice, a message and an attempt, ready to be varied in a test."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from broadcaster.channel import (
    Attempt,
    ChannelContext,
    Kind,
    Message,
    Mode,
    Notice,
    Organisation,
    Severity,
    Variant,
)

NOW = datetime.now(UTC).replace(microsecond=0)


def context(mode: Mode = Mode.LIVE, allowed_hosts: tuple[str, ...] | None = None) -> ChannelContext:
    """The surroundings of a channel called "tried" in Ekbyn."""
    organisation = Organisation(
        name="Ekbyns Energi",
        country="SE",
        languages=("sv", "en"),
        timezone="Europe/Stockholm",
        phone="0123-456 78",
    )
    return ChannelContext(
        name="tried",
        organisation=organisation,
        mode=mode,
        public_url="https://drift.ekbyn.example",
        public_directory="var/public",
        allowed_hosts=allowed_hosts,
    )


def notice(**changes: Any) -> Notice:
    """A power cut in Norra Ekbyn, told in Swedish."""
    usual = Notice(
        incident="A7",
        number=1,
        kind=Kind.REPORT,
        variant=Variant.NEWS,
        mode=Mode.LIVE,
        severity=Severity.MODERATE,
        language="sv",
        text_language="sv",
        organisation="Ekbyns Energi",
        phone="0123-456 78",
        mode_label="",
        label="Strömavbrott",
        headline="Strömavbrott i Norra Ekbyn",
        areas=("Norra Ekbyn",),
        text="Orsaken är okänd, montör är på väg.",
        since="sedan 14.05",
        etr="De flesta har ström senast 19.00",
        next_word="Nästa besked senast 15.50",
        cause="",
        instruction="Ring inte 112 om avbrottet.",
        link="https://drift.ekbyn.example/incidents/a7/",
        facts={"incident": "A7", "update": 1, "text": "Orsaken är okänd, montör är på väg."},
    )
    return replace(usual, **changes)


def message(**changes: Any) -> Message:
    """One rendered text of that update."""
    usual = Message(
        incident="A7",
        number=1,
        kind=Kind.REPORT,
        severity=Severity.MODERATE,
        language="sv",
        key="msg_a7_1_tried_1",
        body="Strömavbrott i Norra Ekbyn sedan 14.05. https://drift.ekbyn.example/incidents/a7/",
        payload='{"incident":"A7"}',
    )
    return replace(usual, **changes)


def attempt(**changes: Any) -> Attempt:
    """A first attempt made now, with five seconds for the call."""
    usual = Attempt(number=1, at=NOW, not_after=NOW + timedelta(hours=2), deadline=5.0)
    return replace(usual, **changes)


def again(**changes: Any) -> Attempt:
    """A second attempt."""
    return attempt(number=2, first_tried_at=NOW, **changes)
