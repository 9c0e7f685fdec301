"""Notices to staff: updates of a hidden staff log, carried by the channels with `audience: staff`.

They take the same way as everything else, so they are durable, retried and recorded; the public never sees them.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

import structlog

from broadcaster.domain.incident import Audience, Kind, Severity, Update
from broadcaster.locale import operators_language
from broadcaster.locale.retelling import tell
from broadcaster.service.commands import Command
from broadcaster.service.desk import Desk
from broadcaster.service.drafting import Draft
from broadcaster.service.notices import Saying
from broadcaster.service.planning import plan
from broadcaster.service.preceding import Preceding
from broadcaster.store import Conflict, Connection, accepting, channels, incidents, outcomes
from broadcaster.store.accepting import STAFF_LOG_ID, incident_name
from broadcaster.store.incidents import IncidentRecord
from broadcaster.store.intents import Acceptance

log = structlog.get_logger()
LIFE = timedelta(hours=2)
ONCE_WITHIN = timedelta(hours=1)
_TRIES = 6


def tell_staff(
    desk: Desk,
    sentence: str,
    once: str,
    *,
    since: datetime | None = None,
    avoid: tuple[str, ...] = (),
    **values: object,
) -> str:
    """Send a notice to staff; the same `once` is sent once an hour only. Returns its name, or "" when none is sent.

    Args:
        sentence: English, with placeholders for `values`.
        since: when what is told began: a notice from before then was of something else.
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
    digest = hashlib.sha256(once.encode()).hexdigest()
    for _ in range(_TRIES if staff else 0):
        try:
            return _send(desk, text, digest, staff, since)
        except Conflict:
            continue
    log.warning("notice to staff", text=text, channels=())  # the log is all that has it
    return ""


def _send(
    desk: Desk, text: str, digest: str, staff: tuple[str, ...], since: datetime | None
) -> str:
    now, configuration = desk.clock(), desk.configuration
    within = ONCE_WITHIN if since is None else min(ONCE_WITHIN, max(now - since, timedelta()))

    def look(connection: Connection) -> Any:
        known = incidents.find_same(connection, digest, now, within)
        if known is not None and outcomes.reached_nobody(connection, STAFF_LOG_ID, _number(known)):
            known = None
        limits = {key: state.limits for key, state in channels.states(connection).items()}
        return known, incidents.staff_log(connection), limits

    known, record, limits = desk.read(look)
    if known is not None:
        log.info("staff were told already", text=text, notice=known)
        return str(known)
    update = Update(
        incident=incident_name(STAFF_LOG_ID, staff=True),
        number=record.last_number + 1 if record else 1,
        kind=Kind.NOTICE,
        audience=Audience.STAFF,
        severity=Severity.MODERATE,
        mode=configuration.settings.mode,
        areas=(),
        texts={operators_language(configuration.languages[0]): text},
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
    log.warning("notice to staff", text=text, channels=staff)
    return str(accepted.name)


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


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
