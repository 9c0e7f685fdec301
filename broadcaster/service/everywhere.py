"""Acts that touch every area are for those who may speak about every area."""

from __future__ import annotations

from broadcaster.service.commands import Operator, Refused, Why


def permit_everywhere(operator: Operator) -> None:
    """Refuse an operator whose token is for some areas only: what he does here would silence or show the others."""
    if operator.areas:
        raise Refused(
            "{name} may not do this: it touches every area, and the token is for {allowed}.",
            Why.FORBIDDEN,
            name=operator.name,
            allowed=", ".join(operator.areas),
        )
