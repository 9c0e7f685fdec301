"""What every use case works with: the store, the clock, and the configuration in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from broadcaster.domain.plan import Route
from broadcaster.domain.redundancy import Way
from broadcaster.locale import residents
from broadcaster.locale.retelling import retell, tell
from broadcaster.registry import Adapter, ways
from broadcaster.service.commands import Operator, Refused, Role, Why
from broadcaster.settings.model import Settings
from broadcaster.store import Store
from broadcaster.store.writer import Rank, Work


@dataclass(frozen=True)
class Configuration:
    """A configuration in force. A reload replaces the whole of it, never a part.

    `broken` says of each channel that has no adapter, since that cannot be used, why. `blocks` names the block under whose
    `urls` a channel is written, of those that are written so.
    """

    settings: Settings
    adapters: Mapping[str, Adapter]
    digest: str
    broken: Mapping[str, str] = field(default_factory=dict)
    blocks: Mapping[str, str] = field(default_factory=dict)

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes as the domain reads them."""
        return tuple(
            Route(route.severity, route.channels, frozenset(route.areas) or None)
            for route in self.settings.routes
        )

    @cached_property
    def ways(self) -> Mapping[str, Way]:
        """The channels that residents read, each with the failure domains it lives by; looked at once."""
        return ways(self.settings, self.adapters)

    @property
    def languages(self) -> tuple[str, ...]:
        """The organisation's languages, the default first."""
        return self.settings.organisation.languages

    def spoken(self, language: str) -> Mapping[str, str]:
        """The phrases in which residents are spoken to in `language`; what it lacks is in the first of ours."""
        return residents(language, self.languages[0]).phrases

    def retell(self, sentence: str, language: str = "") -> str:
        """What adapter, engine or store wrote in English, in `language` or the organisation's first."""
        return retell(language or self.languages[0], sentence)

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which times are said."""
        return ZoneInfo(self.settings.organisation.timezone)


@dataclass(slots=True)
class Desk:
    """One for the whole daemon. `configuration` is read once at the start of a use case."""

    store: Store
    clock: Callable[[], datetime]
    configuration: Configuration

    def say(self, refused: Refused, language: str = "") -> str:
        """A refusal in the organisation's first language, or in `language`."""
        values = {name: str(value) for name, value in refused.values.items()}
        return tell(language or self.configuration.languages[0], refused.sentence, **values)

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which times are said."""
        return self.configuration.zone

    def follow_url_of(self, channel: str) -> str:
        """Where those who get letters by a channel change what they get, by the configuration in force; else ""."""
        return self.configuration.settings.follow_url_of(channel)

    def read(self, work: Work[Any]) -> Any:
        """Run a read."""
        return self.store.read(work)

    def write(self, work: Work[Any], rank: Rank = Rank.ACCEPT) -> Any:
        """Run a write and wait until it is durable."""
        return self.store.write(work, rank).result()


def permit(operator: Operator, needed: Role) -> None:
    """Refuse an operator whose role does not cover this."""
    if not operator.role.covers(needed):
        raise Refused(
            "{name} may not do this: it needs the role {needed}, and the token has {role}.",
            Why.FORBIDDEN,
            name=operator.name,
            needed=needed,
            role=operator.role,
        )


def permit_areas(operator: Operator, areas: tuple[str, ...]) -> None:
    """Refuse an operator who may not speak about all of these areas."""
    outside = [area for area in areas if operator.areas and area not in operator.areas]
    if outside:
        raise Refused(
            "{name} may not speak about {area}: the token is for {allowed}. Nothing was sent.",
            Why.FORBIDDEN,
            name=operator.name,
            area=", ".join(outside),
            allowed=", ".join(operator.areas),
        )
