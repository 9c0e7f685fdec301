"""Finding what an operator names."""

from __future__ import annotations

from broadcaster.domain.incident import parse_name
from broadcaster.service.commands import Refused, Why
from broadcaster.store import Connection, incidents
from broadcaster.store.incidents import IncidentRecord


def load_named(connection: Connection, written: str) -> IncidentRecord:
    """The incident of this name; refuses one that is not there."""
    try:
        name, _ = parse_name(written)
    except ValueError as error:
        raise Refused("{reason}", Why.NOT_FOUND, reason=str(error)) from None
    record = incidents.load(connection, int(name.lstrip("AS") or 0)) if name[0] in "AS" else None
    if record is None or record.name != name:
        raise Refused("There is no incident {incident}.", Why.NOT_FOUND, incident=name)
    return record
