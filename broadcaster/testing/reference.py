"""What the broadcaster promises, as plain rules over lists: the reference that the state machine compares with.

It shares the vocabulary of commands and kinds with the product and none of its rules: each is written a second time,
slow and short. Where it says otherwise than the product, one of the two is wrong. What a command becomes is in
`reference_commands`, what stands after it in `reference_standing`; here is what goes out when.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from broadcaster.domain.incident import Audience, Kind
from broadcaster.service.commands import Command, Why
from broadcaster.testing.reference_commands import STALE, Refuses, draft, refuse_if
from broadcaster.testing.reference_standing import GRACE, Incident, Word, overtakes

__all__ = ["Incident", "Reference", "Refuses", "Word", "overtakes"]


class Reference:
    """All incidents, and the clock's own acts."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}

    def say(self, command: Command, now: datetime) -> tuple[Incident, Word]:
        """Accept a command, and let it go unless it has to wait. Raises Refuses."""
        refuse_if(command.incident and command.incident not in self.incidents, Why.NOT_FOUND)
        name = command.incident or f"A{len(self.incidents) + 1}"
        incident = self.incidents.get(name) or Incident(name)
        word = draft(incident, command, now)
        self.incidents[name] = incident
        incident.words.append(word)
        if not command.at:
            incident.release(word, now)
        return incident, word

    def tick(self, now: datetime) -> None:
        """Do what is due: held words go out or are cancelled, and who was promised a word gets the honest one."""
        while True:
            due = sorted(self._due(now), key=lambda each: each[0])
            if not due:
                return
            for _, incident, what in due:
                self._act(incident, what, now)

    def _due(self, now: datetime) -> Iterator[tuple[datetime, Incident, Word | str]]:
        for incident in self.incidents.values():
            for word in incident.words:
                if word.waits and word.release_at and word.release_at <= now:
                    yield word.release_at, incident, word
            reached = [(at, what) for at, what in incident.due if at <= now]
            if reached:
                incident.due = [each for each in incident.due if each not in reached]
                yield reached[0][0], incident, reached[-1][1]

    def _act(self, incident: Incident, what: Word | str, now: datetime) -> None:
        if isinstance(what, Word):
            late = what.not_after <= now
            if what.waits and (late or incident.is_outdated(what)):
                incident.cancel(what)
            elif what.waits:
                incident.release(what, now)
            return
        newest = incident.newest(Audience.PUBLIC)
        promise = incident.promise(Audience.PUBLIC) if newest and not incident.closed else None
        # Whoever was away for hours knows nothing of how it stands.
        if what == "grace" and promise and promise + GRACE <= now < promise + STALE:
            try:
                self.say(Command(kind=Kind.HOLDING, incident=incident.name), now)
            except Refuses:
                return
