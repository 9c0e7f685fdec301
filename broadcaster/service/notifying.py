"""Notices to staff: updates of a hidden staff log, carried by the channels with `audience: staff`.

They take the same way as everything else, so they are durable, retried and recorded; the public never sees them.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import structlog

from broadcaster.domain.incident import Audience, Kind, Severity, Update
from broadcaster.locale.retelling import tell
from broadcaster.service.commands import Command
from broadcaster.service.desk import Desk
from broadcaster.service.drafting import Draft
from broadcaster.service.notices import Saying
from broadcaster.service.planning import plan
from broadcaster.service.preceding import Preceding
from broadcaster.store import Conflict, Connection, accepting, channels, incidents
from broadcaster.store.accepting import STAFF_LOG_ID, incident_name
from broadcaster.store.incidents import IncidentRecord
from broadcaster.store.intents import Acceptance

log = structlog.get_logger()
LIFE = timedelta(hours=2)
ONCE_WITHIN = timedelta(hours=1)
_TRIES = 6


def tell_staff(
    desk: Desk, sentence: str, once: str, *, avoid: tuple[str, ...] = (), **values: object
) -> str:
    """Send a notice to staff; the same `once` is sent once an hour only. Returns its name, or "" when none is sent.

    Args:
        sentence: English, with placeholders for `values`.
        avoid: channels that cannot be used because the notice is about them.
    """
    configuration = desk.configuration
    staff = tuple(
        name
        for name, adapter in configuration.adapters.items()
        if adapter.settings.audience is Audience.STAFF and name not in avoid
    )
    language = configuration.languages[0]
    text = tell(language, sentence, **values)
    log.warning("notice to staff", text=text, channels=staff)
    if not staff:
        return ""
    for _ in range(_TRIES):
        try:
            return _send(desk, text, hashlib.sha256(once.encode()).hexdigest(), staff)
        except Conflict:
            continue
    return ""


def _send(desk: Desk, text: str, digest: str, staff: tuple[str, ...]) -> str:
    now, configuration = desk.clock(), desk.configuration

    def look(connection: Connection) -> Any:
        known = incidents.find_same(connection, digest, now, ONCE_WITHIN)
        limits = {key: state.limits for key, state in channels.states(connection).items()}
        return known, incidents.staff_log(connection), limits

    known, record, limits = desk.read(look)
    if known is not None:
        return str(known)
    update = Update(
        incident=incident_name(STAFF_LOG_ID, staff=True),
        number=record.last_number + 1 if record else 1,
        kind=Kind.NOTICE,
        audience=Audience.STAFF,
        severity=Severity.MODERATE,
        mode=configuration.settings.mode,
        areas=(),
        texts={configuration.languages[0]: text},
        author="daemon",
        accepted_at=now,
        not_after=now + LIFE,
    )
    drafted = Draft(update=update, target=None, whole=False, base=None)
    saying = Saying(update=update, configuration=configuration)
    laid_out = plan(
        Command(kind=Kind.NOTICE, only=staff), drafted, saying, configuration, limits, Preceding()
    )
    acceptance = _acceptance(record, update, digest, laid_out)
    accepted = desk.write(lambda connection: accepting.accept(connection, acceptance, now))
    return str(accepted.name)


def _acceptance(
    record: IncidentRecord | None, update: Update, digest: str, laid_out: Any
) -> Acceptance:
    return Acceptance(
        incident_id=record.id if record else None,
        update=update,
        texts_digest=digest,
        staff_log=True,
        messages=tuple(laid_out.messages),
        deliveries=tuple(laid_out.deliveries),
    )
