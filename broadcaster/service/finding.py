"""Finding what an operator names."""

from __future__ import annotations

from broadcaster.domain.incident import parse_name
from broadcaster.service.commands import Refused, Why
from broadcaster.store import Connection, incidents
from broadcaster.store.incidents import IncidentRecord

LONGEST_NAME = 18  # a longer number fits no database


def load_named(connection: Connection, written: str) -> IncidentRecord:
    """The incident of this name; refuses one that is not there."""
    try:
        name, _ = parse_name(written)
    except ValueError as error:
        raise Refused("{reason}", Why.NOT_FOUND, reason=str(error)) from None
    known = name[0] in "AS" and name[1:].isdecimal() and len(name) <= LONGEST_NAME
    record = incidents.load(connection, int(name[1:])) if known else None
    if record is None or record.name != name:
        raise Refused(
            "There is no incident {incident}. All there are: broadcaster incidents list",
            Why.NOT_FOUND,
            incident=name,
        )
    return record
