"""Accepted updates and subscribers for tests, each made by one call with only what matters to the test spelt out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert

from broadcaster.domain.delivery import Shape, StepKind, Variant
from broadcaster.domain.incident import Audience, Kind, Mode, Severity, Update
from broadcaster.store import Rank, Store, tables as t
from broadcaster.store.accepting import accept, incident_name, next_incident_id
from broadcaster.store.intents import (
    Acceptance,
    Accepted,
    NewAudience,
    NewDelivery,
    NewMessage,
    NewStep,
)
from broadcaster.testing.clock import NOON

KEY = bytes(range(32))
"""A store key that seals nothing worth sealing."""


def an_update(
    incident: str = "A1", number: int = 1, *, now: datetime = NOON, **said: Any
) -> Update:
    """An update as the service would plan it; `said` overrides any field."""
    fields: dict[str, Any] = {
        "kind": Kind.REPORT if number == 1 else Kind.UPDATE,
        "audience": Audience.PUBLIC,
        "severity": Severity.MODERATE,
        "mode": Mode.LIVE,
        "areas": ("norra-ekbyn",),
        "texts": {"sv": f"Strömmen är borta i Norra Ekbyn ({number})."},
        "headline": "Strömavbrott",
        "author": "Kim",
        "accepted_at": now,
        "not_after": now + timedelta(hours=2),
    }
    return Update(incident=incident, number=number, **(fields | said))


def board(channel: str) -> NewDelivery:
    """A board to be shown."""
    return NewDelivery(
        channel=channel, shape=Shape.BOARD, life_safety=False, steps=(NewStep(kind=StepKind.SHOW),)
    )


def post(channel: str, texts: int = 1, *, life_safety: bool = False) -> NewDelivery:
    """So many posts in one language, one step each; `messages_for` makes their texts."""
    steps = tuple(
        NewStep(kind=StepKind.POST, message=(channel, "sv", Variant.NEWS, position))
        for position in range(texts)
    )
    return NewDelivery(channel=channel, shape=Shape.POST, life_safety=life_safety, steps=steps)


def letters(
    channel: str, *audiences: NewAudience, life_safety: bool = False, fallback: Sequence[str] = ()
) -> NewDelivery:
    """Letters to audiences; without any, to everyone who subscribed to norra-ekbyn."""
    everyone = NewAudience(variant=Variant.NEWS, areas=("norra-ekbyn",))
    return NewDelivery(
        channel=channel,
        shape=Shape.LETTER,
        life_safety=life_safety,
        fallback=tuple(fallback),
        audiences=audiences or (everyone,),
    )


def messages_for(update: Update, deliveries: Iterable[NewDelivery]) -> tuple[NewMessage, ...]:
    """The texts that the steps and audiences of `deliveries` speak of, all in Swedish."""
    places = [
        (delivery.channel, "sv", variant, position)
        for delivery in deliveries
        for variant, position in _texts_of(delivery)
    ]
    return tuple(
        NewMessage(
            channel=channel,
            language=language,
            variant=variant,
            position=position,
            body=f"{update.name} {variant} {position} {channel}",
        )
        for channel, language, variant, position in dict.fromkeys(places)
    )


def _texts_of(delivery: NewDelivery) -> Iterable[tuple[Variant, int]]:
    for step in delivery.steps:
        if step.message is not None:
            yield step.message[2], step.message[3]
    for audience in delivery.audiences:
        yield audience.variant, 0


def an_acceptance(
    update: Update, *deliveries: NewDelivery, incident_id: int | None = None, **rest: Any
) -> Acceptance:
    """Everything accepting `update` writes; `rest` are further fields of `Acceptance`."""
    planned = Acceptance(
        incident_id=incident_id,
        update=update,
        texts_digest=f"{update.name} {sorted(update.texts.values())}"[:64],
        messages=messages_for(update, deliveries),
        deliveries=deliveries,
    )
    return dataclasses.replace(planned, **rest)


def tell(
    store: Store,
    *deliveries: NewDelivery,
    after: Accepted | None = None,
    now: datetime = NOON,
    rest: dict[str, Any] | None = None,
    **said: Any,
) -> Accepted:
    """Accept one update in `store` and return what was written.

    Args:
        after: the update it follows; without, a new incident is opened.
        rest: further fields of `Acceptance`, such as `hold`.
        said: fields of `Update` that matter.
    """

    def work(connection: Connection) -> Accepted:
        incident_id = after.incident_id if after else next_incident_id(connection)
        staff = bool((rest or {}).get("staff_log"))
        update = an_update(
            incident_name(incident_id, staff), after.number + 1 if after else 1, now=now, **said
        )
        acceptance = an_acceptance(
            update, *deliveries, incident_id=incident_id if after else None, **(rest or {})
        )
        return accept(connection, acceptance, now)

    return store.write(work, Rank.ACCEPT).result()


def subscribe(
    store: Store, channel: str, addresses: Iterable[str], areas: Sequence[str] = ("norra-ekbyn",)
) -> list[int]:
    """Make subscribers of a letter channel; returns their ids in the order of `addresses`."""

    def work(connection: Connection) -> list[int]:
        ids = []
        for address in addresses:
            key = connection.execute(
                insert(t.subscriber).values(
                    channel=channel,
                    address=store.vault.seal(channel, address),
                    key_id=store.vault.key_id,
                    digest=store.vault.digest(channel, address),
                    language="sv",
                    import_id=1,
                )
            ).inserted_primary_key
            assert key is not None
            ids.append(int(key[0]))
            connection.execute(
                insert(t.subscription),
                [{"subscriber_id": key[0], "channel": channel, "area": area} for area in areas],
            )
        return ids

    return store.write(work, Rank.IMPORT).result()
